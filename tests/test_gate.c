/*
 * test_gate.c - the gate's key schedule against RFC 9001's vectors, and that
 * a datagram passes for the identity it was made for and no other.
 */
#include <sodium.h>
#include <string.h>

#include "check.h"
#include "gate.h"
#include "quic_pair.h"

static void unhex(uint8_t *out, size_t len, const char *hex) {
  size_t got = 0;

  CU_ASSERT_EQUAL_FATAL(sodium_hex2bin(out, len, hex, strlen(hex), NULL, &got, NULL), 0);
  CU_ASSERT_EQUAL_FATAL(got, len);
}

/* RFC 9001 appendix A.1, with its public salt. */
static void keys_match_the_rfc(void) {
  uint8_t salt[GATE_SALT_LEN], dcid[8], want[16];
  struct gate_keys c, s;

  unhex(salt, sizeof salt, "38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
  unhex(dcid, sizeof dcid, "8394c8f03e515708");
  CU_ASSERT_EQUAL_FATAL(gate_derive(&c, &s, salt, dcid, sizeof dcid), 0);
  unhex(want, 16, "1f369613dd76d5467730efcbe3b1a22d");
  CU_ASSERT_EQUAL(memcmp(c.key, want, 16), 0);
  unhex(want, 12, "fa044b2f42a3fd3b46fb255c");
  CU_ASSERT_EQUAL(memcmp(c.iv, want, 12), 0);
  unhex(want, 16, "9f50449e04a0e810283a1e9933adedd2");
  CU_ASSERT_EQUAL(memcmp(c.hp, want, 16), 0);
  unhex(want, 16, "cf3a5331653c364c88f0f379b6067e37");
  CU_ASSERT_EQUAL(memcmp(s.key, want, 16), 0);
  unhex(want, 12, "0ac1493ca1905853b0bba03e");
  CU_ASSERT_EQUAL(memcmp(s.iv, want, 12), 0);
  unhex(want, 16, "c206b8d9b9f0f37644430b490eeaa314");
  CU_ASSERT_EQUAL(memcmp(s.hp, want, 16), 0);
}

static void salt_is_the_documented_one(void) {
  uint8_t key[ID_KEY_LEN], salt[GATE_SALT_LEN], other[GATE_SALT_LEN], want[GATE_SALT_LEN];
  uint8_t text[14 + ID_KEY_LEN];

  memset(key, 7, sizeof key);
  memcpy(text, "cspace gate v1", 14);
  memcpy(text + 14, key, sizeof key);
  crypto_generichash(want, sizeof want, text, sizeof text, NULL, 0);
  gate_salt(salt, key);
  CU_ASSERT_EQUAL(memcmp(salt, want, sizeof salt), 0);
  key[31] ^= 1;
  gate_salt(other, key);
  CU_ASSERT_NOT_EQUAL(memcmp(salt, other, sizeof salt), 0);
}

/* PROTOCOL.md 6.2, made by tests/vectors/protocol_vectors.py. */
static void keys_match_the_document(void) {
  uint8_t key[ID_KEY_LEN], dcid[8], salt[GATE_SALT_LEN], want[GATE_SALT_LEN];
  struct gate_keys got[2];
  static const char *const hex[2][3] = {
      {"2cc962a1f6db028cb0d6a04a97a3a7c3", "e7c9b6f92731db64afd0366d", "a7abb8c14bcc33bc16a38ec75794eed6"},
      {"1590203153300e2a0bf886330d669a6e", "5d999488bd599d3ef885c728", "91dabf40c485088f0dad0f299b4429ae"}};

  unhex(key, sizeof key, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  unhex(dcid, sizeof dcid, "8394c8f03e515708");
  gate_salt(salt, key);
  unhex(want, sizeof want, "b7f9424f56374d3ccb869ab618fa33c46eaa91c0");
  CU_ASSERT_EQUAL(memcmp(salt, want, sizeof want), 0);
  CU_ASSERT_EQUAL_FATAL(gate_derive(&got[0], &got[1], salt, dcid, sizeof dcid), 0);
  for (int i = 0; i < 2; i++) {
    unhex(want, GATE_KEY_LEN, hex[i][0]);
    CU_ASSERT_EQUAL(memcmp(got[i].key, want, GATE_KEY_LEN), 0);
    unhex(want, GATE_IV_LEN, hex[i][1]);
    CU_ASSERT_EQUAL(memcmp(got[i].iv, want, GATE_IV_LEN), 0);
    unhex(want, GATE_KEY_LEN, hex[i][2]);
    CU_ASSERT_EQUAL(memcmp(got[i].hp, want, GATE_KEY_LEN), 0);
  }
}

/* A prober without the callee's key gets no datagram: any change of the first datagram fails the check. */
static void only_the_right_datagram_passes(void) {
  struct quic_pair *p = quic_pair_new(NULL);
  uint8_t buf[65536], salt[GATE_SALT_LEN], wrong[GATE_SALT_LEN];
  const uint8_t *dcid;
  size_t segment, dcid_len, passed = 0;
  ssize_t n = quic_write(p->client.q, p->now, buf, sizeof buf, 1200, &segment);

  CU_ASSERT_EQUAL_FATAL(n, 1200);
  gate_salt(salt, identity_key(p->server.id));
  gate_salt(wrong, identity_key(p->client.id));
  CU_ASSERT_TRUE(gate_check(salt, buf, 1200, &dcid, &dcid_len));
  CU_ASSERT_EQUAL(dcid_len, 8);
  CU_ASSERT_FALSE(gate_check(wrong, buf, 1200, &dcid, &dcid_len));
  for (size_t bit = 0; bit < 1200 * 8; bit++) {
    buf[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    passed += gate_check(salt, buf, 1200, &dcid, &dcid_len);
    buf[bit / 8] ^= (uint8_t)(1 << (bit % 8));
  }
  CU_ASSERT_EQUAL(passed, 0);
  for (size_t len = 0; len < 1200; len++) passed += gate_check(salt, buf, len, &dcid, &dcid_len);
  CU_ASSERT_EQUAL(passed, 0);
  quic_pair_free(p);
}

static void noise_never_passes(void) {
  uint8_t salt[GATE_SALT_LEN] = {0}, buf[1500];
  const uint8_t *dcid;
  size_t dcid_len, passed = 0;

  for (int i = 0; i < 20000; i++) {
    randombytes_buf(buf, sizeof buf);
    if (i % 2 == 0) memcpy(buf, "\xc0\0\0\0\1\x08", 6);
    passed += gate_check(salt, buf, sizeof buf, &dcid, &dcid_len);
  }
  CU_ASSERT_EQUAL(passed, 0);
}

int main(void) {
  static const struct check_test tests[] = {
      {"the key schedule is RFC 9001's", keys_match_the_rfc},
      {"the salt is BLAKE2b(label, key)", salt_is_the_documented_one},
      {"keys are those of the document", keys_match_the_document},
      {"only the right datagram passes", only_the_right_datagram_passes},
      {"noise never passes", noise_never_passes},
  };

  return check_main("gate", tests, sizeof tests / sizeof tests[0]);
}
