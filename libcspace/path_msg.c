/*
 * path_msg.c - path datagrams: seal, open, replay window. PROTOCOL.md 7.
 */
#include "path_msg.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "wire.h"

#define BODY_LEN 12
#define TAG_LEN crypto_aead_chacha20poly1305_ietf_ABYTES

_Static_assert(PATH_MSG_MIN == PATH_MSG_HEADER_LEN + BODY_LEN + TAG_LEN, "the shortest datagram has no padding");
_Static_assert(PATH_KEY_LEN == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key length");

void path_keys_split(struct path_keys *out, bool client, const uint8_t exported[PATH_EXPORTER_LEN]) {
  const uint8_t *key_c = exported, *key_s = key_c + PATH_KEY_LEN;
  const uint8_t *id_c = key_s + PATH_KEY_LEN, *id_s = id_c + PATH_ID_LEN;

  memcpy(out->tx, client ? key_c : key_s, PATH_KEY_LEN);
  memcpy(out->rx, client ? key_s : key_c, PATH_KEY_LEN);
  memcpy(out->own_id, client ? id_c : id_s, PATH_ID_LEN);
  memcpy(out->peer_id, client ? id_s : id_c, PATH_ID_LEN);
}

bool path_msg_is(const uint8_t *p, size_t len) {
  return len >= PATH_MSG_MIN && len <= PATH_MSG_MAX && p[0] == PATH_MSG_FIRST;
}

const uint8_t *path_msg_id(const uint8_t *p) {
  return p + 1;
}

static void nonce_of(uint8_t nonce[12], uint64_t counter) {
  struct wire_out w;

  wire_out_init(&w, nonce, 12);
  wire_put_u32(&w, 0);
  wire_put_u64(&w, counter);
}

size_t path_msg_seal(uint8_t *out, size_t cap, const struct path_msg *m, const struct path_keys *keys,
                     uint64_t counter) {
  size_t len = m->type == PATH_MSG_PROBE ? m->size : PATH_MSG_MIN;
  uint8_t nonce[12], *body = out + PATH_MSG_HEADER_LEN;
  struct wire_out w;

  if (m->type != PATH_MSG_PROBE && m->type != PATH_MSG_REPLY) return 0;
  if (m->size < PATH_MSG_MIN || len > PATH_MSG_MAX || len > cap || counter == 0) return 0;
  wire_out_init(&w, out, len);
  wire_put_u8(&w, PATH_MSG_FIRST);
  wire_put_bytes(&w, keys->peer_id, PATH_ID_LEN);
  wire_put_u64(&w, counter);
  wire_put_u8(&w, m->type);
  wire_put_u64(&w, m->challenge);
  wire_put_u16(&w, m->size);
  wire_put_u8(&w, m->reason);
  memset(body + BODY_LEN, 0, len - PATH_MSG_MIN);
  nonce_of(nonce, counter);
  crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, body, len - PATH_MSG_HEADER_LEN - TAG_LEN, out,
                                            PATH_MSG_HEADER_LEN, NULL, nonce, keys->tx);
  return len;
}

int path_msg_open(struct path_msg *m, uint64_t *counter, const uint8_t *p, size_t len, const struct path_keys *keys) {
  uint8_t nonce[12], body[BODY_LEN];
  const uint8_t *sealed;
  struct path_msg got;
  struct wire_in in;
  uint64_t n;

  if (!path_msg_is(p, len) || sodium_memcmp(path_msg_id(p), keys->own_id, PATH_ID_LEN) != 0) goto bad;
  sealed = p + PATH_MSG_HEADER_LEN;
  wire_in_init(&in, p + 1 + PATH_ID_LEN, 8);
  n = wire_get_u64(&in);
  if (n == 0) goto bad;
  nonce_of(nonce, n);
  /* NULL for the plain text verifies only: the padding, up to 64 KiB, needs no room of its own. */
  if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(NULL, NULL, sealed, len - PATH_MSG_HEADER_LEN - TAG_LEN,
                                                         p + len - TAG_LEN, p, PATH_MSG_HEADER_LEN, nonce,
                                                         keys->rx) != 0)
    goto bad;
  /* RFC 8439 2.8: block 0 keys the MAC, the text starts at block 1. */
  crypto_stream_chacha20_ietf_xor_ic(body, sealed, BODY_LEN, nonce, 1, keys->rx);
  wire_in_init(&in, body, BODY_LEN);
  got.type = wire_get_u8(&in);
  got.challenge = wire_get_u64(&in);
  got.size = wire_get_u16(&in);
  got.reason = wire_get_u8(&in);
  if (got.type == PATH_MSG_PROBE ? got.size != len : got.type != PATH_MSG_REPLY || got.size < PATH_MSG_MIN) goto bad;
  if (got.type == PATH_MSG_REPLY && len != PATH_MSG_MIN) goto bad;
  *m = got;
  *counter = n;
  return 0;
bad:
  errno = EBADMSG;
  return -1;
}

bool path_replay_take(struct path_replay *r, uint64_t counter) {
  uint64_t word = counter / 64, bit = UINT64_C(1) << (counter % 64);
  uint64_t *seen = &r->seen[word % PATH_REPLAY_WORDS];

  if (counter == 0) return false;
  if (counter > r->top) {
    uint64_t fresh = word - r->top / 64;
    if (fresh > PATH_REPLAY_WORDS) fresh = PATH_REPLAY_WORDS;
    for (uint64_t i = 0; i < fresh; i++) r->seen[(word - i) % PATH_REPLAY_WORDS] = 0;
    r->top = counter;
  } else if (r->top - counter >= PATH_REPLAY_WINDOW || (*seen & bit) != 0) {
    return false;
  }
  *seen |= bit;
  return true;
}
