/*
 * id.c - public keys: which are sound, and how people write them
 * (PROTOCOL.md 2.1, 2.2).
 */
#include "identity.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define CHECK_LEN 2
#define RAW_LEN (ID_KEY_LEN + CHECK_LEN + 1) /* 35 bytes: 56 letters of 5 bits with nothing over */

static const char id_label[] = "cspace id v1";
static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 6 */

static void id_check(uint8_t check[CHECK_LEN], const uint8_t key[ID_KEY_LEN], uint8_t version) {
  uint8_t text[sizeof id_label - 1 + ID_KEY_LEN + 1], hash[crypto_generichash_BYTES];

  memcpy(text, id_label, sizeof id_label - 1);
  memcpy(text + sizeof id_label - 1, key, ID_KEY_LEN);
  text[sizeof text - 1] = version;
  crypto_generichash(hash, sizeof hash, text, sizeof text, NULL, 0);
  memcpy(check, hash, CHECK_LEN);
}

void id_format(char out[ID_TEXT_LEN + 1], const uint8_t key[ID_KEY_LEN]) {
  uint8_t raw[RAW_LEN];

  memcpy(raw, key, ID_KEY_LEN);
  id_check(raw + ID_KEY_LEN, key, ID_VERSION);
  raw[RAW_LEN - 1] = ID_VERSION;
  for (size_t i = 0; i < ID_TEXT_LEN; i++) {
    size_t byte = i * 5 / 8, bit = i * 5 % 8;
    unsigned two = (unsigned)raw[byte] << 8 | (byte + 1 < RAW_LEN ? raw[byte + 1] : 0);

    out[i] = letters[two >> (11 - bit) & 31];
  }
  out[ID_TEXT_LEN] = '\0';
}

static int letter_value(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= 'A' && c <= 'Z') return c - 'A';
  return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

enum id_problem id_parse(uint8_t key[ID_KEY_LEN], const char *text) {
  uint8_t raw[RAW_LEN] = {0}, check[CHECK_LEN];

  if (text == NULL || strnlen(text, ID_TEXT_LEN + 1) != ID_TEXT_LEN) return ID_BAD_LENGTH;
  for (size_t i = 0; i < ID_TEXT_LEN; i++) {
    size_t byte = i * 5 / 8, bit = i * 5 % 8;
    int v = letter_value(text[i]);
    unsigned two;

    if (v < 0) return ID_BAD_LETTER;
    two = (unsigned)v << (11 - bit);
    raw[byte] |= (uint8_t)(two >> 8);
    if (byte + 1 < RAW_LEN) raw[byte + 1] |= (uint8_t)two;
  }
  /* The check covers the version, so a typing error in it is not taken for another version. */
  id_check(check, raw, raw[RAW_LEN - 1]);
  if (memcmp(check, raw + ID_KEY_LEN, CHECK_LEN) != 0) return ID_BAD_CHECK;
  if (raw[RAW_LEN - 1] != ID_VERSION) return ID_BAD_VERSION;
  if (!id_key_valid(raw)) return ID_BAD_KEY;
  memcpy(key, raw, ID_KEY_LEN);
  return ID_OK;
}

const char *id_problem_text(enum id_problem p) {
  switch (p) {
    case ID_OK: return "is well-formed";
    case ID_BAD_LENGTH: return "is not 56 letters long";
    case ID_BAD_LETTER: return "has a letter other than a-z and 2-7";
    case ID_BAD_CHECK: return "has a typing error (the check does not match)";
    case ID_BAD_VERSION: return "is of another version than this program knows";
    case ID_BAD_KEY: return "holds a key that is not sound";
  }
  return "is malformed";
}

bool id_key_valid(const uint8_t key[ID_KEY_LEN]) { return crypto_core_ed25519_is_valid_point(key) == 1; }

/*
 * Points that must be refused, in the encoding of RFC 8032 5.1.2. T generates
 * the torsion: T = L*P for the first P of even x (y = 2, 3, ...) for which 4T is
 * not the identity. Then 8/n*T has order n, and B + that, B being the base
 * point, is a point of mixed order. A check that only looks at the x of L*P
 * takes B + 4T, because 4T = (0, -1): CVE-2025-69277.
 */
static const uint8_t bad_points[][ID_KEY_LEN] = {
    {1},                                                                         /* the identity */
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, /* 4T */
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}, /* 2T */
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, /* T */
    {0x95, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99,
     0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99}, /* B + 4T */
    {0x9b, 0xad, 0x33, 0xf5, 0x80, 0xdf, 0x7e, 0xcc, 0x49, 0xdf, 0x53, 0x42, 0xba, 0xc8, 0x14, 0x5d,
     0x5b, 0xed, 0xc4, 0x0f, 0x57, 0x3d, 0x1b, 0x06, 0x7f, 0x3c, 0x4c, 0xe4, 0x49, 0x68, 0x9a, 0x15}, /* B + 2T */
    {0x98, 0x51, 0x9e, 0xad, 0xf3, 0x5b, 0x99, 0x52, 0x33, 0xb5, 0x1b, 0x5c, 0xd2, 0x3e, 0x9c, 0xc5,
     0xa2, 0x8b, 0x63, 0x9b, 0x5a, 0x4a, 0xf0, 0xec, 0x90, 0x3c, 0xb9, 0x60, 0xd8, 0x1b, 0x78, 0x19}, /* B + T */
};

/* B itself, so that the test cannot pass by refusing everything. */
static const uint8_t base_point[ID_KEY_LEN] = {
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};

int identity_init(void) {
  bool sound = sodium_init() >= 0 && id_key_valid(base_point);

  for (size_t i = 0; sound && i < sizeof bad_points / sizeof bad_points[0]; i++)
    sound = !id_key_valid(bad_points[i]);
  if (sound) return 0;
  errno = ENOTSUP;
  return -1;
}
