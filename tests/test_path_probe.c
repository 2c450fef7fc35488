/*
 * test_path_probe.c - probes: MTU, proof, round trip, budget, forgeries.
 */
#include "path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "path_sim.h"

static void finds_mtu(void) {
  static const struct { size_t mtu; uint16_t max; size_t want; } cases[] = {
    {1200, 8900, 1200}, {1280, 8900, 1280}, {1351, 8900, 1280}, {1452, 8900, 1452}, {1500 - 28, 8900, 1472},
    {65507, 8900, 8900}, {65507, 16000, 16000}, {65507, 65507, 65507}, {65507, 1300, 1300}, {65507, 0, 1200},
    {65535, 1452, 1452},
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sim *s = sim_joined(i, cases[i].mtu, 50, cases[i].max);
    sim_run(s, s->now + 2 * MS);
    CU_ASSERT_EQUAL(paths_mtu(s->client.p), cases[i].want);
    CU_ASSERT_EQUAL(paths_mtu(s->server.p), cases[i].want);
    CU_ASSERT_EQUAL(s->client.mtu, cases[i].want);
    CU_ASSERT_EQUAL(paths_rtt(s->client.p), 100);
    sim_run(s, s->now + 10 * S);
    CU_ASSERT_EQUAL(paths_mtu(s->client.p), cases[i].want);
    CU_ASSERT_EQUAL(paths_deadline(s->client.p), UINT64_MAX);
    CU_ASSERT_EQUAL(paths_deadline(s->server.p), UINT64_MAX);
    sim_free(s);
  }
}

static void black_hole(void) {
  struct sim *s = sim_joined(7, 65507, 5 * MS, 8900);
  uint64_t at;

  sim_flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  s->link[0].mtu = 1300;
  at = s->now;
  sim_flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1280);
  CU_ASSERT_EQUAL(paths_mtu(s->server.p), 1280);
  CU_ASSERT_EQUAL(s->client.mtu, 1280);
  CU_ASSERT_TRUE(s->client.mtu_at - at < 500 * MS);
  CU_ASSERT_TRUE(s->now - s->server.got_at < 20 * MS);
  CU_ASSERT_EQUAL(s->client.dead + s->client.switched, 0);
  s->link[0].mtu = 65507;
  sim_flow(s, 10 * S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1280);
  sim_run(s, s->now + 600 * S);
  sim_flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  CU_ASSERT_EQUAL(paths_mtu(s->server.p), 8900);
  sim_free(s);
}

static void unproven_gets_no_data(void) {
  struct sim *s = sim_new(12, 8900);
  struct path_target server = sim_target(PATH_DIRECT, 1, 1), client = sim_target(PATH_DIRECT, 2, 2), to[PATHS_MAX];

  sim_link(s, server, client, 1000, 1500)->loss = 1000;
  paths_add(s->client.p, s->now, &server);
  paths_received(s->server.p, s->now, &client, 1200, true);
  paths_received(s->client.p, s->now, &server, 1200, true);
  sim_key(s, true);
  sim_key(s, false);
  CU_ASSERT_EQUAL(sim_quic(s, true, 100), 1);
  sim_run(s, s->now + 2900 * MS);
  CU_ASSERT_EQUAL(sim_quic(s, true, 100), 1);
  sim_run(s, s->now + 200 * MS);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 100, to, PATHS_MAX), 0);
  CU_ASSERT_EQUAL(paths_send(s->server.p, s->now, 100, to, PATHS_MAX), 0);
  s->link[0].loss = 0;
  sim_run(s, s->now + 3 * S);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 100, to, PATHS_MAX), 1);
  sim_free(s);
}

static void send_errors(void) {
  struct sim *s = sim_joined(13, 65507, 1000, 8900);
  struct path_target t = s->link[0].server, a = sim_target(PATH_DIRECT, 9, 9), to[PATHS_MAX];

  sim_run(s, s->now + S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  paths_send_failed(s->client.p, s->now, &t, 4400, EMSGSIZE);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1472);
  paths_send_failed(s->client.p, s->now, &t, 8900, EMSGSIZE);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1472);
  paths_send_failed(s->client.p, s->now, &t, 1472, EAGAIN);
  paths_send_failed(s->client.p, s->now, &a, 1300, EMSGSIZE);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1472);
  paths_send_failed(s->client.p, s->now, &t, 1290, EMSGSIZE);
  sim_run(s, s->now);
  CU_ASSERT_EQUAL(s->client.mtu, 1280);
  /* Searched again in ten minutes, not before. */
  sim_run(s, s->now + 600 * S);
  sim_flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  sim_free(s);

  s = sim_new(14, 8900);
  t = sim_target(PATH_DIRECT, 1, 1);
  paths_add(s->client.p, s->now, &t);
  paths_add(s->client.p, s->now, &a);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 2);
  paths_send_failed(s->client.p, s->now, &t, 1200, ENETUNREACH);
  sim_run(s, s->now);
  CU_ASSERT_EQUAL(s->client.dead, 0);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 1);
  paths_send_failed(s->client.p, s->now, &a, 1200, EHOSTUNREACH);
  sim_run(s, s->now);
  CU_ASSERT_EQUAL(s->client.dead, 1);
  /* What answers can be sent to after all; when the one chosen fails the race goes on. */
  paths_received(s->client.p, s->now, &t, 600, true);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 1);
  CU_ASSERT_TRUE(sim_on(s->client.p, &t));
  paths_send_failed(s->client.p, s->now, &t, 1200, EPERM);
  CU_ASSERT_FALSE(paths_current(s->client.p, to));
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 0);
  paths_received(s->client.p, s->now, &a, 600, true);
  CU_ASSERT_TRUE(sim_on(s->client.p, &a));
  sim_free(s);

  s = sim_twofold(15, PATH_DIRECT, 20 * MS);
  s->link[0].down_up = true;
  paths_send_failed(s->client.p, s->now, &s->link[0].server, 1200, ENETUNREACH);
  sim_run(s, s->now + 50 * MS);
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[1].server));
  sim_free(s);
}

static void ping(void) {
  struct sim *s = sim_joined(16, 1500, 7 * MS, 8900);

  sim_run(s, s->now + S);
  CU_ASSERT_EQUAL(paths_ping(s->client.p, s->now), 0);
  CU_ASSERT_EQUAL(paths_ping(s->client.p, s->now), -1);
  CU_ASSERT_EQUAL(errno, EAGAIN);
  sim_run(s, s->now + 13 * MS);
  CU_ASSERT_EQUAL(s->client.pongs, 0);
  sim_run(s, s->now + 2 * MS);
  CU_ASSERT_EQUAL(s->client.pongs, 1);
  CU_ASSERT_EQUAL(s->client.pong_rtt, 14 * MS);
  s->link[0].loss = 1000;
  CU_ASSERT_EQUAL(paths_ping(s->client.p, s->now), 0);
  sim_run(s, s->now + 3 * S);
  CU_ASSERT_EQUAL(paths_ping(s->client.p, s->now), 0);
  CU_ASSERT_EQUAL(s->client.pongs, 1);
  sim_free(s);
}

static void probe_budget(void) {
  struct sim *s = sim_twofold(17, PATH_DIRECT, 20 * MS);
  unsigned before;

  sim_run(s, s->now + 100 * S);
  CU_ASSERT_EQUAL(paths_deadline(s->client.p), UINT64_MAX);
  CU_ASSERT_EQUAL(paths_deadline(s->server.p), UINT64_MAX);
  /* One search for what was sent before; then an hour of keep-alive without a probe. */
  sim_run(s, s->now + 600 * S);
  before = s->client.probes + s->server.probes;
  sim_quic(s, true, 40);
  sim_run(s, s->now + 10 * S);
  CU_ASSERT_TRUE(s->client.probes + s->server.probes - before <= 10);
  before = s->client.probes + s->server.probes;
  for (int i = 0; i < 360; i++) {
    sim_quic(s, true, 40);
    sim_run(s, s->now + 10 * S);
  }
  CU_ASSERT_EQUAL(s->client.probes + s->server.probes, before);
  /* Told of a probe timeout every 10 ms for a minute, with nobody answering. */
  s->link[0].loss = s->link[1].loss = 1000;
  before = s->client.probes;
  for (int i = 0; i < 6000; i++) {
    paths_suspect(s->client.p, s->now);
    sim_run(s, s->now + 10 * MS);
  }
  CU_ASSERT_TRUE(s->client.probes - before > 60);
  CU_ASSERT_TRUE(s->client.probes - before <= 64 + 32 * 60);
  sim_free(s);
}

static uint8_t captured[2000];
static size_t captured_len;
static void capture(struct sim *s, bool client, const uint8_t *data, size_t len) {
  if (client == *(bool *)s->tap_arg && len <= sizeof captured) memcpy(captured, data, captured_len = len);
}

static void refuses_forgeries(void) {
  struct sim *s = sim_joined(18, 1500, 7 * MS, 8900);
  struct path_target from = s->link[0].client, to;
  uint8_t copy[2000], exported[PATH_EXPORTER_LEN] = {3}, buf[9000];
  struct path_keys other;
  struct paths *q;
  size_t len;
  bool client = true;

  s->tap = capture;
  s->tap_arg = &client;
  sim_run(s, s->now + S);
  s->link[0].loss = 1000;
  CU_ASSERT_EQUAL(paths_ping(s->client.p, s->now), 0);
  sim_run(s, s->now);
  CU_ASSERT_EQUAL(captured_len, PATH_MSG_MIN);
  for (size_t bit = 0; bit < 8 * captured_len; bit++) {
    memcpy(copy, captured, captured_len);
    copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    CU_ASSERT_FALSE(paths_input(s->server.p, s->now, &from, copy, captured_len));
  }
  for (size_t n = 0; n < captured_len; n++) CU_ASSERT_FALSE(paths_input(s->server.p, s->now, &from, captured, n));
  memcpy(copy, captured, captured_len);
  copy[captured_len] = 0;
  CU_ASSERT_FALSE(paths_input(s->server.p, s->now, &from, copy, captured_len + 1));
  /* Back to its sender, and to another session. */
  CU_ASSERT_FALSE(paths_input(s->client.p, s->now, &s->link[0].server, captured, captured_len));
  q = paths_new(false, exported, s->now, 8900);
  CU_ASSERT_PTR_NOT_NULL_FATAL(q);
  CU_ASSERT_FALSE(paths_input(q, s->now, &from, captured, captured_len));
  paths_received(q, s->now, &from, 1200, true);
  path_keys_split(&other, false, exported);
  memcpy(other.own_id, captured + 1, PATH_ID_LEN);
  paths_keyed(q, s->now, &other);
  CU_ASSERT_FALSE(paths_input(q, s->now, &from, captured, captured_len));
  paths_free(q);
  CU_ASSERT_FALSE(paths_output(s->server.p, s->now, &to, buf, &len));
  /* The true one, once. */
  CU_ASSERT_TRUE(paths_input(s->server.p, s->now, &from, captured, captured_len));
  CU_ASSERT_TRUE(paths_output(s->server.p, s->now, &to, buf, &len));
  CU_ASSERT_EQUAL(len, PATH_MSG_MIN);
  CU_ASSERT_TRUE(addr_equal(&to.addr, &from.addr));
  CU_ASSERT_FALSE(paths_input(s->server.p, s->now, &from, captured, captured_len));
  CU_ASSERT_FALSE(paths_output(s->server.p, s->now, &to, buf, &len));
  sim_free(s);
}

/* A rebinding whose challenge is answered from another address than it went to. */
static void echo_from_elsewhere(void) {
  struct sim *s = sim_joined(19, 1500, 7 * MS, 8900);
  struct path_target old = s->link[0].client, named = sim_target(PATH_DIRECT, 77, 7), to;
  uint8_t buf[9000], reply[9000];
  size_t len, reply_len;
  uint64_t probed = 0;

  sim_run(s, s->now + S);
  paths_received(s->server.p, s->now, &named, 1000, true);
  while (paths_output(s->server.p, s->now, &to, buf, &len)) {
    CU_ASSERT_TRUE(addr_equal(&to.addr, &named.addr));
    probed += len;
    CU_ASSERT_TRUE(paths_input(s->client.p, s->now, &s->link[0].server, buf, len));
    while (paths_output(s->client.p, s->now, &to, reply, &reply_len))
      CU_ASSERT_TRUE(paths_input(s->server.p, s->now, &old, reply, reply_len));
  }
  CU_ASSERT_TRUE(probed > 0);
  CU_ASSERT_TRUE(sim_on(s->server.p, &old));
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1);
  sim_free(s);
}

int main(void) {
  static const struct check_test tests[] = {
    {"the MTU is found in one round trip", finds_mtu},
    {"8900 to 1300 in mid-session, and back", black_hole},
    {"a path that never echoes gets no data after 3 s", unproven_gets_no_data},
    {"local send errors", send_errors},
    {"ping", ping},
    {"probes have a budget, idle sessions none", probe_budget},
    {"flipped, cut, replayed, foreign datagrams are refused", refuses_forgeries},
    {"an echo counts only from where the challenge went", echo_from_elsewhere},
  };
  return check_main("path_probe", tests, sizeof tests / sizeof tests[0]);
}
