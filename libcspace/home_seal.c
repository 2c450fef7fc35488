/*
 * home_seal.c - a passphrase around the seed: Argon2id (RFC 9106) and
 * XChaCha20-Poly1305, and their line in the file `identity`.
 */
#include "home_seal.h"

#include "err.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COST_OPS 3
#define COST_MEM (256u << 10) /* KiB */
#define COST_SECONDS 0.5

static struct {
  unsigned ops, mem;
} test_cost; /* ops 0: the real one */

void seal_test_cost(unsigned ops, unsigned mem) {
  test_cost.ops = ops;
  test_cost.mem = mem;
}

/* ---- text ---- */

/* n bytes of hex and the `end` after them; *at moves past. */
static bool take_hex(uint8_t *out, size_t n, const char **at, char end) {
  size_t len;
  const char *stop;

  if (strspn(*at, "0123456789abcdefABCDEF") != 2 * n || (*at)[2 * n] != end) return false;
  if (sodium_hex2bin(out, n, *at, 2 * n, NULL, &len, &stop) != 0 || len != n) return false;
  *at += 2 * n + (end != '\0');
  return true;
}

/* A decimal number from min to max, as one writes it, and a blank. */
static bool take_number(unsigned *out, unsigned min, unsigned max, const char **at) {
  size_t digits = strspn(*at, "0123456789");
  unsigned n = 0;

  if (digits == 0 || digits > 7 || **at == '0' || (*at)[digits] != ' ') return false;
  for (size_t i = 0; i < digits; i++) n = 10 * n + (unsigned)((*at)[i] - '0');
  if (n < min || n > max) return false;
  *out = n;
  *at += digits + 1;
  return true;
}

const char *seal_parse(struct seal *s, const char *text) {
  if (!take_hex(s->salt, sizeof s->salt, &text, ' ')) return "its salt is not 32 hex digits";
  if (!take_number(&s->ops, 1, SEAL_OPS_MAX, &text)) return "the passes of its seal are not a number from 1 to 10";
  if (!take_number(&s->mem, SEAL_MEM_MIN, SEAL_MEM_MAX, &text))
    return "the memory of its seal is not a number of KiB from 8 to 1048576";
  if (!take_hex(s->nonce, sizeof s->nonce, &text, ' ')) return "its nonce is not 48 hex digits";
  if (!take_hex(s->sealed, sizeof s->sealed, &text, '\0')) return "its sealed secret is not 96 hex digits";
  return NULL;
}

void seal_format(char out[SEAL_TEXT_MAX], const struct seal *s) {
  char salt[2 * SEAL_SALT + 1], nonce[2 * SEAL_NONCE + 1], sealed[2 * SEAL_BYTES + 1];

  sodium_bin2hex(salt, sizeof salt, s->salt, sizeof s->salt);
  sodium_bin2hex(nonce, sizeof nonce, s->nonce, sizeof s->nonce);
  sodium_bin2hex(sealed, sizeof sealed, s->sealed, sizeof s->sealed);
  snprintf(out, SEAL_TEXT_MAX, "%s %u %u %s %s", salt, s->ops, s->mem, nonce, sealed);
}

/* ---- sealing ---- */

/* The key of passphrase and parameters, in guarded memory; NULL with err_set. */
static uint8_t *derive(const struct seal *s, const char *passphrase) {
  uint8_t *key = sodium_malloc(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

  if (key != NULL && crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, passphrase, strlen(passphrase),
                                   s->salt, s->ops, (size_t)s->mem << 10, crypto_pwhash_ALG_ARGON2ID13) == 0)
    return key;
  sodium_free(key);
  err_set_errno(CS_ERR_MEMORY, ENOMEM, "no memory to try the passphrase: that takes %u MiB", (s->mem >> 10) + 1);
  return NULL;
}

static double cpu_seconds(void) {
  struct timespec ts = {0, 0};

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Chooses the cost and derives. A processor that does it too fast gets more passes. */
static uint8_t *derive_new(struct seal *s, const char *passphrase) {
  double begun = cpu_seconds(), took, ops;
  uint8_t *key;

  s->ops = test_cost.ops != 0 ? test_cost.ops : COST_OPS;
  s->mem = test_cost.ops != 0 ? test_cost.mem : COST_MEM;
  key = derive(s, passphrase);
  took = cpu_seconds() - begun;
  if (key == NULL || test_cost.ops != 0 || took >= COST_SECONDS) return key;
  sodium_free(key);
  ops = took > 0 ? COST_SECONDS * COST_OPS / took + 1 : SEAL_OPS_MAX;
  s->ops = ops < SEAL_OPS_MAX ? (unsigned)ops : SEAL_OPS_MAX;
  return derive(s, passphrase);
}

int seal_close(struct seal *s, const uint8_t seed[ID_SEED_LEN], const uint8_t key[ID_KEY_LEN],
               const char *passphrase) {
  uint8_t *k;

  randombytes_buf(s->salt, sizeof s->salt);
  randombytes_buf(s->nonce, sizeof s->nonce);
  k = derive_new(s, passphrase);
  if (k == NULL) return -1;
  crypto_aead_xchacha20poly1305_ietf_encrypt(s->sealed, NULL, seed, ID_SEED_LEN, key, ID_KEY_LEN, NULL, s->nonce, k);
  sodium_free(k);
  return 0;
}

int seal_open(uint8_t seed[ID_SEED_LEN], const struct seal *s, const uint8_t key[ID_KEY_LEN],
              const char *passphrase) {
  uint8_t *k = derive(s, passphrase);
  int r;

  if (k == NULL) return -1;
  r = crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, s->sealed, sizeof s->sealed, key, ID_KEY_LEN,
                                                 s->nonce, k);
  sodium_free(k);
  return r != 0;
}
