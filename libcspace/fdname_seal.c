/*
 * fdname_seal.c - the sealed names themselves. PROTOCOL.md 8.
 */
#include "fdname.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define MAGIC_LEN 4
#define FIELD_LEN 32 /* a service or petname, padded */
#define PLAIN_LEN (ID_KEY_LEN + 1 + FIELD_LEN)
#define TAG_LEN crypto_aead_chacha20poly1305_ietf_ABYTES
#define SEALED_LEN (MAGIC_LEN + FDNAME_NONCE_LEN + PLAIN_LEN + TAG_LEN)
#define CLEAR_NONCE_LEN 8
#define CLEAR_ID_LEN 20
#define CLEAR_SERVICE_AT (MAGIC_LEN + 2 * CLEAR_NONCE_LEN + 1 + CLEAR_ID_LEN + 1)

static const char magic_sealed[] = "cs1.";
static const char magic_clear[] = "cs1!";
static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES]; /* each key seals one name */

_Static_assert(SEALED_LEN <= FDNAME_MAX && CLEAR_SERVICE_AT + CS_SERVICE_MAX <= FDNAME_MAX, "names fit");
_Static_assert(CS_SERVICE_MAX <= FIELD_LEN && CS_NAME_MAX <= FIELD_LEN, "fields fit");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == 32, "subkey is BLAKE2b-256");

static void subkey(uint8_t out[32], const uint8_t user_key[FDNAME_KEY_LEN], char side, const uint8_t *nonce) {
  uint8_t in[1 + FDNAME_NONCE_LEN];
  in[0] = (uint8_t)side;
  memcpy(in + 1, nonce, FDNAME_NONCE_LEN);
  crypto_generichash(out, 32, in, sizeof in, user_key, FDNAME_KEY_LEN);
}

static void seal_name(struct fdname_text *out, const struct fdname *names, char side, const uint8_t *nonce,
                      const uint8_t *id_key, const char *field, const struct fdname_text *ad) {
  uint8_t key[32], plain[PLAIN_LEN] = {0};
  size_t len = strnlen(field, FIELD_LEN);
  memcpy(plain, id_key, ID_KEY_LEN);
  plain[ID_KEY_LEN] = (uint8_t)len;
  memcpy(plain + ID_KEY_LEN + 1, field, len);
  memcpy(out->bytes, magic_sealed, MAGIC_LEN);
  memcpy(out->bytes + MAGIC_LEN, nonce, FDNAME_NONCE_LEN);
  subkey(key, names->user_key, side, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out->bytes + MAGIC_LEN + FDNAME_NONCE_LEN, NULL, plain, sizeof plain,
                                            ad ? ad->bytes : NULL, ad ? ad->len : 0, NULL, zero_nonce, key);
  out->len = SEALED_LEN;
  sodium_memzero(key, sizeof key);
  sodium_memzero(plain, sizeof plain);
}

static void clear_name(struct fdname_text *out, const struct fdname *names, const uint8_t *nonce) {
  char text[FDNAME_MAX + 1], hex[2 * CLEAR_NONCE_LEN + 1], id[ID_TEXT_LEN + 1];
  sodium_bin2hex(hex, sizeof hex, nonce, CLEAR_NONCE_LEN);
  id_format(id, names->peer_key);
  out->len = (size_t)snprintf(text, sizeof text, "%s%s.%.*s.%.*s", magic_clear, hex, CLEAR_ID_LEN, id, CS_SERVICE_MAX,
                              names->service);
  memcpy(out->bytes, text, out->len);
}

void fdname_seal(struct fdname_text *ours, struct fdname_text *app, const struct fdname *names,
                 const uint8_t nonce[FDNAME_NONCE_LEN]) {
  if (names->clear) {
    clear_name(ours, names, nonce);
    seal_name(app, names, 'c', nonce, names->peer_key, names->petname, ours);
  } else {
    seal_name(ours, names, 'p', nonce, names->peer_key, names->service, NULL);
    seal_name(app, names, 'o', nonce, names->own_key, names->petname, ours);
  }
}

/* The key and field of a sealed name. 0 or -1. */
static int open_name(uint8_t id_key[ID_KEY_LEN], char field[FIELD_LEN + 1], const struct fdname_text *name, char side,
                     const uint8_t *user_key, const struct fdname_text *ad) {
  uint8_t key[32], plain[PLAIN_LEN];
  if (name->len != SEALED_LEN || memcmp(name->bytes, magic_sealed, MAGIC_LEN))
    return -1;
  subkey(key, user_key, side, name->bytes + MAGIC_LEN);
  int bad = crypto_aead_chacha20poly1305_ietf_decrypt(
      plain, NULL, NULL, name->bytes + MAGIC_LEN + FDNAME_NONCE_LEN, PLAIN_LEN + TAG_LEN, ad ? ad->bytes : NULL,
      ad ? ad->len : 0, zero_nonce, key);
  sodium_memzero(key, sizeof key);
  if (bad || plain[ID_KEY_LEN] > FIELD_LEN)
    return -1;
  memcpy(id_key, plain, ID_KEY_LEN);
  memset(field, 0, FIELD_LEN + 1);
  memcpy(field, plain + ID_KEY_LEN + 1, plain[ID_KEY_LEN]);
  sodium_memzero(plain, sizeof plain);
  return 0;
}

static bool is_clear(const struct fdname_text *ours) {
  return ours->len > CLEAR_SERVICE_AT && ours->len <= CLEAR_SERVICE_AT + CS_SERVICE_MAX &&
         !memcmp(ours->bytes, magic_clear, MAGIC_LEN);
}

int fdname_unseal(struct cs_peer *peer, const struct fdname_text *ours, const struct fdname_text *app,
                  const uint8_t user_key[FDNAME_KEY_LEN]) {
  uint8_t peer_key[ID_KEY_LEN], own_key[ID_KEY_LEN];
  char service[FIELD_LEN + 1] = {0}, petname[FIELD_LEN + 1];
  if (is_clear(ours)) {
    if (open_name(peer_key, petname, app, 'c', user_key, ours))
      return -1;
    memcpy(service, ours->bytes + CLEAR_SERVICE_AT, ours->len - CLEAR_SERVICE_AT);
  } else if (open_name(peer_key, service, ours, 'p', user_key, NULL) ||
             open_name(own_key, petname, app, 'o', user_key, ours) ||
             memcmp(ours->bytes + MAGIC_LEN, app->bytes + MAGIC_LEN, FDNAME_NONCE_LEN)) {
    return -1;
  }
  memset(peer, 0, sizeof *peer);
  id_format(peer->id, peer_key);
  memcpy(peer->name, petname, sizeof peer->name);
  memcpy(peer->service, service, sizeof peer->service);
  return 0;
}
