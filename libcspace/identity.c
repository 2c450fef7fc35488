/*
 * identity.c - private keys, plain and blinded signatures (PROTOCOL.md 2, 3).
 * The text form and the checks of public keys are in id.c.
 *
 * The secret half of an identity is a page of sodium_malloc that nobody can
 * read except while it is used. Several threads may sign at once: the page is
 * readable while at least one of them does.
 */
#include "identity.h"

#include "wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SCALAR_LEN crypto_core_ed25519_SCALARBYTES
#define WIDE_LEN crypto_core_ed25519_NONREDUCEDSCALARBYTES
#define PREFIX_LEN 32

static const char blind_label[] = "cspace blind v1";

struct secret {
  uint8_t sk[crypto_sign_SECRETKEYBYTES]; /* seed | public key, libsodium's form */
  uint8_t scalar[SCALAR_LEN];             /* a mod L, RFC 8032 5.1.5 */
  uint8_t prefix[PREFIX_LEN];             /* the other half of SHA-512(seed) */
};

struct identity {
  uint8_t key[ID_KEY_LEN];
  struct secret *secret;
  atomic_flag lock; /* guards users and the protection; held for one mprotect(2) at most */
  unsigned users;
};

static void lock(struct identity *id) {
  while (atomic_flag_test_and_set_explicit(&id->lock, memory_order_acquire)) {
  }
}

static void unlock(struct identity *id) { atomic_flag_clear_explicit(&id->lock, memory_order_release); }

/* The lock and the count are no part of what an identity is: const callers may use the secret. */
static const struct secret *secret_use(const struct identity *cid) {
  struct identity *id = (struct identity *)(uintptr_t)cid;

  lock(id);
  if (id->users++ == 0) sodium_mprotect_readonly(id->secret);
  unlock(id);
  return id->secret;
}

static void secret_done(const struct identity *cid) {
  struct identity *id = (struct identity *)(uintptr_t)cid;

  lock(id);
  if (--id->users == 0) sodium_mprotect_noaccess(id->secret);
  unlock(id);
}

struct identity *identity_new(const uint8_t seed[ID_SEED_LEN]) {
  struct identity *id = calloc(1, sizeof *id);
  uint8_t h[crypto_hash_sha512_BYTES], wide[WIDE_LEN] = {0};

  if (id == NULL) return NULL;
  atomic_flag_clear(&id->lock);
  id->secret = sodium_malloc(sizeof *id->secret);
  if (id->secret == NULL) {
    free(id);
    errno = ENOMEM;
    return NULL;
  }
  crypto_sign_seed_keypair(id->key, id->secret->sk, seed);
  crypto_hash_sha512(h, seed, ID_SEED_LEN);
  memcpy(id->secret->prefix, h + 32, PREFIX_LEN);
  memcpy(wide, h, 32);
  wide[0] &= 248;
  wide[31] = (uint8_t)((wide[31] & 127) | 64);
  crypto_core_ed25519_scalar_reduce(id->secret->scalar, wide);
  sodium_memzero(h, sizeof h);
  sodium_memzero(wide, sizeof wide);
  sodium_mprotect_noaccess(id->secret);
  return id;
}

struct identity *identity_generate(void) {
  uint8_t *seed = sodium_malloc(ID_SEED_LEN);
  struct identity *id;

  if (seed == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  randombytes_buf(seed, ID_SEED_LEN);
  id = identity_new(seed);
  sodium_free(seed); /* wipes */
  return id;
}

void identity_free(struct identity *id) {
  if (id == NULL) return;
  sodium_free(id->secret);
  free(id);
}

const uint8_t *identity_key(const struct identity *id) { return id->key; }

void identity_seed(const struct identity *id, uint8_t seed[ID_SEED_LEN]) {
  memcpy(seed, secret_use(id)->sk, ID_SEED_LEN);
  secret_done(id);
}

void identity_sign(const struct identity *id, uint8_t sig[ID_SIG_LEN], const void *msg, size_t len) {
  crypto_sign_detached(sig, NULL, msg, len, secret_use(id)->sk);
  secret_done(id);
}

bool id_verify(const uint8_t key[ID_KEY_LEN], const uint8_t sig[ID_SIG_LEN], const void *msg, size_t len) {
  return crypto_sign_verify_detached(sig, msg, len, key) == 0;
}

/* h = BLAKE2b-512(label | A | day) mod L */
static void blind_factor(uint8_t h[SCALAR_LEN], const uint8_t key[ID_KEY_LEN], uint64_t day) {
  uint8_t text[sizeof blind_label - 1 + ID_KEY_LEN + 8], wide[WIDE_LEN];
  struct wire_out w;

  wire_out_init(&w, text, sizeof text);
  wire_put_bytes(&w, blind_label, sizeof blind_label - 1);
  wire_put_bytes(&w, key, ID_KEY_LEN);
  wire_put_u64(&w, day);
  crypto_generichash(wide, sizeof wide, text, w.len, NULL, 0);
  crypto_core_ed25519_scalar_reduce(h, wide);
}

int id_blind(uint8_t out[ID_KEY_LEN], const uint8_t key[ID_KEY_LEN], uint64_t day) {
  uint8_t h[SCALAR_LEN], got[ID_KEY_LEN];

  blind_factor(h, key, day);
  if (!id_key_valid(key) || crypto_scalarmult_ed25519_noclamp(got, h, key) != 0) {
    errno = EINVAL;
    return -1;
  }
  memcpy(out, got, sizeof got);
  return 0;
}

/* SHA-512(a | b | msg) mod L, for the nonce (b empty) and the challenge of RFC 8032 5.1.6. */
static void hash_to_scalar(uint8_t out[SCALAR_LEN], const uint8_t a[32], const uint8_t *b, const void *msg,
                           size_t len) {
  crypto_hash_sha512_state st;
  uint8_t wide[WIDE_LEN];

  crypto_hash_sha512_init(&st);
  crypto_hash_sha512_update(&st, a, 32);
  if (b != NULL) crypto_hash_sha512_update(&st, b, 32);
  crypto_hash_sha512_update(&st, msg, len);
  crypto_hash_sha512_final(&st, wide);
  crypto_core_ed25519_scalar_reduce(out, wide);
  sodium_memzero(&st, sizeof st);
  sodium_memzero(wide, sizeof wide);
}

int identity_blind_sign(const struct identity *id, uint64_t day, uint8_t sig[ID_SIG_LEN], const void *msg,
                        size_t len) {
  struct {
    uint8_t scalar[SCALAR_LEN], prefix[PREFIX_LEN], nonce[SCALAR_LEN], product[SCALAR_LEN];
  } tmp;
  uint8_t h[SCALAR_LEN], challenge[SCALAR_LEN], blinded[ID_KEY_LEN], got[ID_SIG_LEN];
  const struct secret *s;
  int result = -1;

  if (id_blind(blinded, id->key, day) != 0) return -1;
  blind_factor(h, id->key, day);
  s = secret_use(id);
  crypto_core_ed25519_scalar_mul(tmp.scalar, h, s->scalar);
  /* A nonce prefix of the day's own: with Ed25519's, one message signed under two keys would share its
   * nonce, and two equations give away the private key. */
  crypto_generichash(tmp.prefix, sizeof tmp.prefix, s->prefix, sizeof s->prefix, h, sizeof h);
  secret_done(id);
  hash_to_scalar(tmp.nonce, tmp.prefix, NULL, msg, len);
  if (crypto_scalarmult_ed25519_base_noclamp(got, tmp.nonce) == 0) {
    hash_to_scalar(challenge, got, blinded, msg, len);
    crypto_core_ed25519_scalar_mul(tmp.product, challenge, tmp.scalar);
    crypto_core_ed25519_scalar_add(got + 32, tmp.product, tmp.nonce);
    memcpy(sig, got, sizeof got);
    result = 0;
  } else {
    errno = EINVAL;
  }
  sodium_memzero(&tmp, sizeof tmp);
  return result;
}
