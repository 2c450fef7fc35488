/*
 * test_path_msg.c - path datagrams: PROTOCOL.md 7.2 and its vectors.
 */
#include "path_msg.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void keys_of(struct path_keys *client, struct path_keys *server) {
  uint8_t exported[PATH_EXPORTER_LEN];

  for (size_t i = 0; i < sizeof exported; i++) exported[i] = (uint8_t)i;
  path_keys_split(client, true, exported);
  path_keys_split(server, false, exported);
}

static void splits_keys(void) {
  struct path_keys c, s;

  keys_of(&c, &s);
  CU_ASSERT_EQUAL(memcmp(c.tx, s.rx, PATH_KEY_LEN), 0);
  CU_ASSERT_EQUAL(memcmp(c.rx, s.tx, PATH_KEY_LEN), 0);
  CU_ASSERT_EQUAL(memcmp(c.own_id, s.peer_id, PATH_ID_LEN), 0);
  CU_ASSERT_EQUAL(memcmp(c.peer_id, s.own_id, PATH_ID_LEN), 0);
  CU_ASSERT_EQUAL(c.tx[0], 0);
  CU_ASSERT_EQUAL(c.rx[0], 32);
  CU_ASSERT_EQUAL(c.own_id[0], 64);
  CU_ASSERT_EQUAL(c.peer_id[0], 72);
}

static void vectors(void) {
  static const char probe_hex[] = "2148494a4b4c4d4e4f0000000000000001685d7eda350fbe7d25714c2ab31417"
                                  "1210472a7950f1ccd415e0c229396a3a99a8";
  static const char reply_hex[] = "2140414243444546471122334455667788d628b2df138002fbe215fbc968f96a"
                                  "1acc9ed7c90e114f4495f8800a";
  struct path_msg probe = {PATH_MSG_PROBE, 0x0102030405060708, 50, PATH_FOR_PING}, got = {0};
  struct path_msg reply = {PATH_MSG_REPLY, 0x0102030405060708, 50, PATH_FOR_PING};
  struct path_keys c, s;
  uint8_t buf[64];
  char hex[130];
  uint64_t counter = 0;

  keys_of(&c, &s);
  CU_ASSERT_EQUAL_FATAL(path_msg_seal(buf, sizeof buf, &probe, &c, 1), 50);
  CU_ASSERT_STRING_EQUAL(sodium_bin2hex(hex, sizeof hex, buf, 50), probe_hex);
  CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, 50, &s), 0);
  CU_ASSERT_EQUAL(got.type, PATH_MSG_PROBE);
  CU_ASSERT_EQUAL(got.challenge, 0x0102030405060708);
  CU_ASSERT_EQUAL(got.size, 50);
  CU_ASSERT_EQUAL(got.reason, PATH_FOR_PING);
  CU_ASSERT_EQUAL(counter, 1);
  CU_ASSERT_EQUAL_FATAL(path_msg_seal(buf, sizeof buf, &reply, &s, 0x1122334455667788), PATH_MSG_MIN);
  CU_ASSERT_STRING_EQUAL(sodium_bin2hex(hex, sizeof hex, buf, PATH_MSG_MIN), reply_hex);
  CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, PATH_MSG_MIN, &c), 0);
  CU_ASSERT_EQUAL(got.type, PATH_MSG_REPLY);
  CU_ASSERT_EQUAL(counter, 0x1122334455667788);
  /* STUN is below 4, QUIC has a high bit, a DHT message starts with d. */
  CU_ASSERT_TRUE(buf[0] >= 4 && buf[0] < 0x40 && buf[0] != 'd');
}

static void every_size(void) {
  static uint8_t buf[PATH_MSG_MAX];
  struct path_keys c, s;

  keys_of(&c, &s);
  for (uint32_t size = PATH_MSG_MIN; size <= PATH_MSG_MAX; size += size < 300 ? 1 : 997) {
    struct path_msg m = {PATH_MSG_PROBE, size * 77, (uint16_t)size, 200}, got = {0};
    uint64_t counter = 0;
    CU_ASSERT_EQUAL(path_msg_seal(buf, size - 1, &m, &c, size), 0);
    CU_ASSERT_EQUAL_FATAL(path_msg_seal(buf, size, &m, &c, size), size);
    CU_ASSERT_TRUE(path_msg_is(buf, size));
    CU_ASSERT_EQUAL(memcmp(path_msg_id(buf), s.own_id, PATH_ID_LEN), 0);
    CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, size, &s), 0);
    CU_ASSERT_TRUE(got.size == size && got.challenge == size * 77 && got.reason == 200 && counter == size);
  }
}

static void refuses(void) {
  struct path_msg m = {PATH_MSG_PROBE, 9, 60, 1}, got = {7, 7, 7, 7};
  struct path_keys c, s;
  uint8_t buf[64];
  uint64_t counter = 5;

  keys_of(&c, &s);
  CU_ASSERT_EQUAL(path_msg_seal(buf, sizeof buf, &m, &c, 0), 0);
  m.type = 3;
  CU_ASSERT_EQUAL(path_msg_seal(buf, sizeof buf, &m, &c, 1), 0);
  m.type = PATH_MSG_PROBE;
  m.size = PATH_MSG_MIN - 1;
  CU_ASSERT_EQUAL(path_msg_seal(buf, sizeof buf, &m, &c, 1), 0);
  m.size = 60;
  CU_ASSERT_EQUAL_FATAL(path_msg_seal(buf, sizeof buf, &m, &c, 3), 60);
  for (size_t bit = 0; bit < 60 * 8; bit++) {
    buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
    errno = 0;
    CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, 60, &s), -1);
    CU_ASSERT_EQUAL(errno, EBADMSG);
    buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  for (size_t n = 0; n < 60; n++) CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, n, &s), -1);
  CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, 60, &c), -1);
  CU_ASSERT_TRUE(got.type == 7 && got.challenge == 7 && got.size == 7 && got.reason == 7 && counter == 5);
  CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, 60, &s), 0);
}

/* Sealed by the peer's own key, and yet not of the form. */
static void refuses_forms(void) {
  static const struct { uint8_t type; uint16_t size; size_t len; bool good; } cases[] = {
    {PATH_MSG_PROBE, 60, 60, true}, {PATH_MSG_PROBE, 61, 60, false}, {PATH_MSG_PROBE, 59, 60, false},
    {PATH_MSG_REPLY, 1200, PATH_MSG_MIN, true}, {PATH_MSG_REPLY, 44, PATH_MSG_MIN, false},
    {PATH_MSG_REPLY, 1200, 60, false}, {0, 60, 60, false}, {3, 60, 60, false},
  };
  struct path_keys c, s;

  keys_of(&c, &s);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t buf[64] = {PATH_MSG_FIRST}, body[64] = {0}, nonce[12] = {0};
    struct path_msg got;
    uint64_t counter;
    memcpy(buf + 1, s.own_id, PATH_ID_LEN);
    buf[16] = nonce[11] = 4;
    body[0] = cases[i].type;
    body[9] = (uint8_t)(cases[i].size >> 8);
    body[10] = (uint8_t)cases[i].size;
    crypto_aead_chacha20poly1305_ietf_encrypt(buf + 17, NULL, body, cases[i].len - 33, buf, 17, NULL, nonce, c.tx);
    CU_ASSERT_EQUAL(path_msg_open(&got, &counter, buf, cases[i].len, &s) == 0, cases[i].good);
  }
}

static void replay_window(void) {
  struct path_replay r = {0};

  CU_ASSERT_FALSE(path_replay_take(&r, 0));
  CU_ASSERT_TRUE(path_replay_take(&r, 1));
  CU_ASSERT_FALSE(path_replay_take(&r, 1));
  CU_ASSERT_TRUE(path_replay_take(&r, 193));
  CU_ASSERT_FALSE(path_replay_take(&r, 1));
  CU_ASSERT_TRUE(path_replay_take(&r, 2));
  CU_ASSERT_TRUE(path_replay_take(&r, UINT64_MAX));
  CU_ASSERT_FALSE(path_replay_take(&r, UINT64_MAX));
  CU_ASSERT_FALSE(path_replay_take(&r, 194));
  CU_ASSERT_TRUE(path_replay_take(&r, UINT64_MAX - 191));
  CU_ASSERT_FALSE(path_replay_take(&r, UINT64_MAX - 192));
}

/* Against a twin that remembers every counter. */
static void replay_twin(void) {
  static bool seen[20000];
  struct path_replay r = {0};
  uint64_t top = 0;

  srand(1);
  for (int i = 0; i < 100000; i++) {
    uint64_t n = top + 1 + (uint64_t)(rand() % 4 == 0 ? rand() % 300 : 0), back = (uint64_t)(rand() % 250);
    bool want;
    if (rand() % 2 != 0) n = top > back ? top - back : 1;
    if (n >= 20000) {
      memset(seen, 0, sizeof seen);
      memset(&r, 0, sizeof r);
      top = 0;
      continue;
    }
    want = n > top || (!seen[n] && top - n < PATH_REPLAY_WINDOW);
    if (want) seen[n] = true;
    if (n > top) top = n;
    CU_ASSERT_EQUAL_FATAL(path_replay_take(&r, n), want);
  }
}

int main(void) {
  static const struct check_test tests[] = {
    {"exported bytes make two keys and two ids", splits_keys},
    {"vectors", vectors},
    {"probes of every size", every_size},
    {"changed, cut and foreign datagrams are refused", refuses},
    {"authentic datagrams of a wrong form are refused", refuses_forms},
    {"replay window", replay_window},
    {"replay window against its twin", replay_twin},
  };
  return check_main("path_msg", tests, sizeof tests / sizeof tests[0]);
}
