/*
 * gate.c - private Initial keys: RFC 9001 section 5.2 with a salt of our own,
 * and the check of a stranger's first datagram. PROTOCOL.md 6.2.
 */
#include "gate.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <string.h>

#include "wire.h"

#define SECRET_LEN 32 /* SHA-256 */
#define TAG_LEN 16
#define SAMPLE_LEN 16
#define INITIAL_V1_MASK 0xf0 /* long header, fixed bit, type Initial */
#define INITIAL_V1_BITS 0xc0
#define QUIC_V1 1u

void gate_salt(uint8_t salt[GATE_SALT_LEN], const uint8_t callee[ID_KEY_LEN]) {
  static const char label[] = "cspace gate v1";
  crypto_generichash_state st;

  crypto_generichash_init(&st, NULL, 0, GATE_SALT_LEN);
  crypto_generichash_update(&st, (const uint8_t *)label, sizeof label - 1);
  crypto_generichash_update(&st, callee, ID_KEY_LEN);
  crypto_generichash_final(&st, salt, GATE_SALT_LEN);
}

/* HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1) with an empty context. */
static int expand_label(uint8_t *out, size_t len, const uint8_t secret[SECRET_LEN], const char *label) {
  uint8_t info[64];
  struct wire_out w;
  gnutls_datum_t prk = {(uint8_t *)secret, SECRET_LEN}, inf;

  wire_out_init(&w, info, sizeof info);
  wire_put_u16(&w, (uint16_t)len);
  wire_put_u8(&w, (uint8_t)(6 + strlen(label)));
  wire_put_bytes(&w, "tls13 ", 6);
  wire_put_bytes(&w, label, strlen(label));
  wire_put_u8(&w, 0);
  inf.data = info;
  inf.size = (unsigned)w.len;
  return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk, &inf, out, len) == 0 ? 0 : -1;
}

static int direction(struct gate_keys *k, const uint8_t initial[SECRET_LEN], const char *label) {
  uint8_t secret[SECRET_LEN];
  int rc;

  rc = expand_label(secret, sizeof secret, initial, label) || expand_label(k->key, sizeof k->key, secret, "quic key") ||
       expand_label(k->iv, sizeof k->iv, secret, "quic iv") || expand_label(k->hp, sizeof k->hp, secret, "quic hp");
  sodium_memzero(secret, sizeof secret);
  return rc ? -1 : 0;
}

int gate_derive(struct gate_keys *client, struct gate_keys *server, const uint8_t salt[GATE_SALT_LEN],
                const uint8_t *dcid, size_t dcid_len) {
  uint8_t initial[SECRET_LEN];
  gnutls_datum_t ikm = {(uint8_t *)dcid, (unsigned)dcid_len}, s = {(uint8_t *)salt, GATE_SALT_LEN};
  int rc = -1;

  if (gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &ikm, &s, initial) != 0) goto out;
  if (client != NULL && direction(client, initial, "client in") != 0) goto out;
  if (server != NULL && direction(server, initial, "server in") != 0) goto out;
  rc = 0;
out:
  sodium_memzero(initial, sizeof initial);
  if (rc != 0) errno = ENOMEM;
  return rc;
}

/* RFC 9000 section 16. */
static uint64_t get_varint(struct wire_in *in) {
  uint8_t first = wire_get_u8(in);
  uint64_t v = first & 0x3f;

  for (int more = (1 << (first >> 6)) - 1; more > 0; more--) v = v << 8 | wire_get_u8(in);
  return v;
}

/* AES-ECB of one block, as CBC under a zero IV: GnuTLS offers no bare ECB. */
static int aes_block(const uint8_t key[GATE_KEY_LEN], uint8_t block[SAMPLE_LEN]) {
  uint8_t zero[SAMPLE_LEN] = {0};
  gnutls_datum_t k = {(uint8_t *)key, GATE_KEY_LEN}, iv = {zero, sizeof zero};
  gnutls_cipher_hd_t hd;
  int rc;

  if (gnutls_cipher_init(&hd, GNUTLS_CIPHER_AES_128_CBC, &k, &iv) != 0) return -1;
  rc = gnutls_cipher_encrypt(hd, block, SAMPLE_LEN);
  gnutls_cipher_deinit(hd);
  return rc == 0 ? 0 : -1;
}

/* Removes header protection on a copy (RFC 9001 section 5.4) and opens the payload (5.3). pn_at: offset of
 * the packet number; end: of the packet's end. */
static bool opens(const struct gate_keys *k, const uint8_t *p, size_t pn_at, size_t end) {
  uint8_t header[512], mask[SAMPLE_LEN], nonce[GATE_IV_LEN], plain[2048];
  size_t pn_len, plain_len = sizeof plain;
  uint32_t pn = 0;
  gnutls_datum_t key = {(uint8_t *)k->key, GATE_KEY_LEN};
  gnutls_aead_cipher_hd_t hd;
  bool ok;

  if (pn_at + 4 > sizeof header || pn_at + 4 + SAMPLE_LEN > end || end - pn_at > sizeof plain) return false;
  memcpy(mask, p + pn_at + 4, SAMPLE_LEN);
  if (aes_block(k->hp, mask) != 0) return false;
  memcpy(header, p, pn_at + 4);
  header[0] ^= mask[0] & 0x0f;
  pn_len = (size_t)(header[0] & 3) + 1;
  for (size_t i = 0; i < pn_len; i++) {
    header[pn_at + i] ^= mask[1 + i];
    pn = pn << 8 | header[pn_at + i];
  }
  if (end - pn_at < pn_len + TAG_LEN) return false;
  memcpy(nonce, k->iv, sizeof nonce);
  for (int i = 0; i < 4; i++) nonce[GATE_IV_LEN - 1 - i] ^= (uint8_t)(pn >> (8 * i));
  if (gnutls_aead_cipher_init(&hd, GNUTLS_CIPHER_AES_128_GCM, &key) != 0) return false;
  ok = gnutls_aead_cipher_decrypt(hd, nonce, sizeof nonce, header, pn_at + pn_len, TAG_LEN, p + pn_at + pn_len,
                                  end - pn_at - pn_len, plain, &plain_len) == 0;
  gnutls_aead_cipher_deinit(hd);
  return ok;
}

bool gate_check(const uint8_t salt[GATE_SALT_LEN], const uint8_t *p, size_t len, const uint8_t **dcid,
                size_t *dcid_len) {
  struct wire_in in;
  struct gate_keys client;
  uint64_t token_len, length;
  size_t pn_at;
  bool ok;

  wire_in_init(&in, p, len);
  if (len < GATE_INITIAL_MIN || (wire_get_u8(&in) & INITIAL_V1_MASK) != INITIAL_V1_BITS) return false;
  if (wire_get_u32(&in) != QUIC_V1) return false;
  *dcid_len = wire_get_u8(&in);
  if (*dcid_len < GATE_CID_MIN || *dcid_len > GATE_CID_MAX) return false;
  *dcid = wire_get_bytes(&in, *dcid_len);
  wire_get_bytes(&in, wire_get_u8(&in)); /* the client's own CID */
  token_len = get_varint(&in);
  if (token_len > in.left) return false;
  wire_get_bytes(&in, (size_t)token_len);
  length = get_varint(&in);
  if (in.bad || length > in.left) return false;
  pn_at = len - in.left;
  if (gate_derive(&client, NULL, salt, *dcid, *dcid_len) != 0) return false;
  ok = opens(&client, p, pn_at, pn_at + (size_t)length);
  sodium_memzero(&client, sizeof client);
  return ok;
}
