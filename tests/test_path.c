/*
 * test_path.c - paths of a session, two ends under a virtual clock.
 */
#include "path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "path_sim.h"

#define MS 1000u
#define S 1000000u

static struct sim *joined(uint64_t seed, size_t mtu, uint64_t latency, uint16_t max_datagram) {
  struct sim *s = sim_new(seed, max_datagram);
  struct path_target server = sim_target(PATH_DIRECT, 1, 1000), client = sim_target(PATH_DIRECT, 2, 2000);

  sim_link(s, server, client, latency, mtu);
  CU_ASSERT_EQUAL_FATAL(paths_add(s->client.p, s->now, &server), 0);
  sim_handshake(s);
  return s;
}

static bool on(struct paths *p, const struct path_target *t) {
  struct path_target c;

  return paths_current(p, &c) && c.via == t->via && addr_equal(&c.addr, &t->addr);
}

static void finds_mtu(void) {
  static const struct { size_t mtu; uint16_t max; size_t want; } cases[] = {
    {1200, 8900, 1200}, {1280, 8900, 1280}, {1351, 8900, 1280}, {1452, 8900, 1452}, {1500 - 28, 8900, 1472},
    {65507, 8900, 8900}, {65507, 16000, 16000}, {65507, 65507, 65507}, {65507, 1300, 1300}, {65507, 0, 1200},
    {65535, 1452, 1452},
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sim *s = joined(i, cases[i].mtu, 50, cases[i].max);
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

/* Both send at their MTU every 5 ms; what a peer did not get for 100 ms is a probe timeout of its sender. */
static void flow(struct sim *s, uint64_t us) {
  uint64_t end = s->now + us, pto_c = s->now, pto_s = s->now;

  while (s->now < end) {
    sim_quic(s, true, paths_mtu(s->client.p));
    sim_quic(s, false, paths_mtu(s->server.p));
    sim_run(s, s->now + 5 * MS);
    if (s->server.got_at > pto_c) pto_c = s->server.got_at;
    if (s->client.got_at > pto_s) pto_s = s->client.got_at;
    if (s->now > pto_c + 100 * MS) paths_suspect(s->client.p, pto_c = s->now);
    if (s->now > pto_s + 100 * MS) paths_suspect(s->server.p, pto_s = s->now);
  }
}

static void races_candidates(void) {
  struct sim *s = sim_new(1, 8900);
  struct path_target client = sim_target(PATH_DIRECT, 200, 9), more = sim_target(PATH_DIRECT, 5, 1000), to[PATHS_MAX];
  struct path_target relay = sim_target(PATH_RELAY, 6, 1000);

  for (uint8_t i = 1; i <= 4; i++) {
    struct path_target t = sim_target(i == 1 ? PATH_LAN : PATH_DIRECT, i, 1000);
    struct sim_link *l = sim_link(s, t, client, 1000, 1500);
    if (i != 3) l->loss = 1000;
    client.addr.port++;
    CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t), 0);
    CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t), 0);
  }
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &more), -1);
  CU_ASSERT_EQUAL(errno, ENOSPC);
  CU_ASSERT_FALSE(paths_current(s->client.p, to));
  CU_ASSERT_EQUAL(sim_quic(s, true, 1200), 4);
  sim_run(s, s->now + 2000);
  CU_ASSERT_EQUAL(sim_quic(s, false, 1200), 1);
  sim_run(s, s->now + 2000);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[2].server));
  CU_ASSERT_EQUAL(sim_quic(s, true, 300), 1);
  sim_key(s, true);
  sim_run(s, s->now + 10 * MS);
  CU_ASSERT_TRUE(s->server_keyed);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1472);
  for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(s->link[i].n_to_server > 1, i == 2);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &relay), 0);
  CU_ASSERT_EQUAL(s->stray, 0);
  sim_free(s);
}

static void few_initials(void) {
  struct sim *s = sim_new(2, 8900);
  struct path_target t = sim_target(PATH_DIRECT, 1, 1), relay = sim_target(PATH_RELAY, 2, 2), to[PATHS_MAX];

  paths_add(s->client.p, s->now, &t);
  paths_add(s->client.p, s->now, &relay);
  for (int i = 0; i < 3; i++) CU_ASSERT_EQUAL(paths_send(s->client.p, s->now += S, 1200, to, PATHS_MAX), 2);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now += S, 1200, to, PATHS_MAX), 0);
  paths_received(s->client.p, s->now, &t, 500, false);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 0);
  CU_ASSERT_FALSE(paths_current(s->client.p, to));
  paths_received(s->client.p, s->now, &t, 500, true);
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 1);
  CU_ASSERT_TRUE(on(s->client.p, &t));
  sim_free(s);
}

static void refuses_addresses(void) {
  static const char *const bad[] = {"0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1", "8.8.8.8:0", "[::]:1", "[ff02::1]:1"};
  struct sim *s = sim_new(3, 8900);
  struct path_target t = sim_target(PATH_DIRECT, 1, 1);

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CU_ASSERT_EQUAL_FATAL(addr_parse(&t.addr, bad[i]), 0);
    for (uint8_t kind = PATH_LAN; kind <= PATH_RELAY; kind++) {
      t.kind = kind;
      errno = 0;
      CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t), -1);
      CU_ASSERT_EQUAL(errno, EINVAL);
    }
  }
  memset(&t, 0, sizeof t);
  t.kind = PATH_DIRECT;
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t), -1);
  t.kind = PATH_ICE;
  t.via = 7;
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t), 0);
  sim_free(s);
}

/* A server's datagrams to addresses that were only named: each gets at most 3 times what came under its name. */
static void amplification(void) {
  struct sim *s = sim_new(4, 8900);
  uint64_t out[40] = {0}, in[40] = {0};
  struct path_target to[PATHS_MAX];

  CU_ASSERT_EQUAL(paths_send(s->server.p, s->now, 1200, to, PATHS_MAX), 0);
  for (int round = 0; round < 400; round++) {
    struct path_target from = sim_target(PATH_DIRECT, (uint8_t)(round < 200 ? (unsigned)round % 5 : rng_below(&s->rng, 40)), 5);
    size_t bytes = 100 + rng_below(&s->rng, 1100);
    in[from.addr.ip[3]] += bytes;
    paths_received(s->server.p, s->now, &from, bytes, true);
    if (round % 3 == 0) paths_received(s->server.p, s->now, &from, 1200, false);
    for (int k = 0; k < 6; k++) {
      size_t n = paths_send(s->server.p, s->now, 1200, to, PATHS_MAX);
      for (size_t i = 0; i < n; i++) out[to[i].addr.ip[3]] += 1200;
    }
  }
  for (int i = 0; i < 40; i++) {
    CU_ASSERT_TRUE(out[i] <= 3 * in[i]);
    CU_ASSERT_TRUE(i >= 5 || out[i] >= 1200);
  }
  sim_free(s);
}

/* After the handshake: copies of valid datagrams under 100 other addresses. */
static void spoofed_rebinding(void) {
  struct sim *s = joined(5, 1500, 1000, 8900);
  uint64_t stray;

  sim_run(s, s->now + S);
  stray = s->stray;
  for (uint8_t i = 0; i < 100; i++) {
    struct path_target from = sim_target(PATH_DIRECT, (uint8_t)(100 + i), 5);
    paths_received(s->server.p, s->now, &from, 60, true);
    sim_quic(s, false, 1400);
    sim_run(s, s->now + 50 * MS);
  }
  CU_ASSERT_TRUE(s->stray > stray);
  CU_ASSERT_TRUE(s->stray - stray <= 100 * 180);
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  CU_ASSERT_EQUAL(s->server.switched, 0);
  sim_free(s);
}

static void rebinding(void) {
  struct sim *s = joined(6, 1500, 10 * MS, 8900);
  struct path_target moved = sim_target(PATH_DIRECT, 2, 2001), old = s->link[0].client;
  uint64_t moved_at, stray;

  flow(s, S);
  s->link[0].client = moved;
  s->link[0].to_client = 0;
  stray = s->stray;
  moved_at = s->now;
  sim_quic(s, true, 60);
  sim_run(s, s->now + 15 * MS);
  /* The challenge is under way; data still goes to the old address alone. */
  CU_ASSERT_TRUE(on(s->server.p, &old));
  CU_ASSERT_TRUE(s->link[0].to_client > 0 && s->link[0].to_client <= 180);
  sim_quic(s, false, 1000);
  CU_ASSERT_EQUAL(s->stray, stray + 1000);
  sim_run(s, s->now + 30 * MS);
  CU_ASSERT_TRUE(on(s->server.p, &moved));
  CU_ASSERT_EQUAL(s->server.switched, 1);
  CU_ASSERT_TRUE(s->server.last_switch - moved_at <= 35 * MS);
  CU_ASSERT_EQUAL(s->server.rtt_new, 20 * MS);
  flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->server.p), 1472);
  CU_ASSERT_EQUAL(s->server.switched, 1);
  CU_ASSERT_EQUAL(s->client.switched, 0);
  /* The old address does not answer: it is asked twice and let go. */
  stray = s->stray;
  sim_run(s, s->now + 100 * S);
  CU_ASSERT_EQUAL(s->stray, stray + 2 * PATH_MSG_MIN);
  CU_ASSERT_EQUAL(paths_deadline(s->server.p), UINT64_MAX);
  sim_free(s);
}

static void black_hole(void) {
  struct sim *s = joined(7, 65507, 5 * MS, 8900);
  uint64_t at;

  flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  s->link[0].mtu = 1300;
  at = s->now;
  flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1280);
  CU_ASSERT_EQUAL(paths_mtu(s->server.p), 1280);
  CU_ASSERT_EQUAL(s->client.mtu, 1280);
  CU_ASSERT_TRUE(s->client.mtu_at - at < 500 * MS);
  CU_ASSERT_TRUE(s->now - s->server.got_at < 20 * MS);
  CU_ASSERT_EQUAL(s->client.dead + s->client.switched, 0);
  s->link[0].mtu = 65507;
  flow(s, 10 * S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1280);
  sim_run(s, s->now + 600 * S);
  flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 8900);
  CU_ASSERT_EQUAL(paths_mtu(s->server.p), 8900);
  sim_free(s);
}

/* Two paths from the handshake on. */
static struct sim *twofold(uint64_t seed, uint8_t kind2, uint64_t latency2) {
  struct sim *s = sim_new(seed, 8900);
  struct path_target a = sim_target(PATH_DIRECT, 1, 1), b = sim_target(kind2, 2, 2);

  sim_link(s, a, sim_target(PATH_DIRECT, 11, 11), 5 * MS, 1500);
  sim_link(s, b, sim_target(kind2, 12, 12), latency2, 1452);
  paths_add(s->client.p, s->now, &a);
  paths_add(s->client.p, s->now, &b);
  sim_handshake(s);
  flow(s, 2 * S);
  return s;
}

static void leaves_dead_path(void) {
  struct sim *s = twofold(8, PATH_DIRECT, 20 * MS);
  uint64_t at = s->now;

  CU_ASSERT_TRUE(on(s->client.p, &s->link[0].server));
  CU_ASSERT_EQUAL(paths_count(s->client.p), 2);
  s->link[0].loss = 1000;
  flow(s, S);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[1].server));
  CU_ASSERT_TRUE(on(s->server.p, &s->link[1].client));
  CU_ASSERT_TRUE(s->client.last_switch - at < S);
  CU_ASSERT_EQUAL(s->client.switched, 1);
  CU_ASSERT_EQUAL(s->client.rtt_old, 10 * MS);
  CU_ASSERT_EQUAL(s->client.rtt_new, 40 * MS);
  flow(s, S);
  CU_ASSERT_EQUAL(paths_mtu(s->client.p), 1452);
  CU_ASSERT_EQUAL(s->client.mtu, 1452);
  CU_ASSERT_TRUE(s->now - s->server.got_at < 50 * MS && s->now - s->client.got_at < 50 * MS);
  CU_ASSERT_EQUAL(s->client.dead + s->server.dead, 0);
  /* What was dead when it was left is not kept warm. */
  s->link[0].n_to_server = 0;
  sim_run(s, s->now + 30 * S);
  CU_ASSERT_EQUAL(s->link[0].n_to_server, 0);
  sim_free(s);
}

/* One direction of the path dies: the end that is not heard moves, the other follows, nobody flaps. */
static void one_way_death(void) {
  for (int way = 0; way < 2; way++) {
    struct sim *s = twofold(9, PATH_DIRECT, 20 * MS);
    if (way == 0) s->link[0].down_up = true;
    else s->link[0].down_down = true;
    flow(s, 10 * S);
    CU_ASSERT_TRUE(on(s->client.p, &s->link[1].server));
    CU_ASSERT_TRUE(on(s->server.p, &s->link[1].client));
    CU_ASSERT_EQUAL(s->client.switched, 1);
    CU_ASSERT_EQUAL(s->server.switched, 1);
    sim_free(s);
  }
}

static void all_dead_and_back(void) {
  struct sim *s = twofold(10, PATH_DIRECT, 20 * MS);

  s->link[0].loss = s->link[1].loss = 1000;
  flow(s, 5 * S);
  CU_ASSERT_EQUAL(s->client.dead, 1);
  CU_ASSERT_EQUAL(s->server.dead, 1);
  s->link[1].loss = 0;
  flow(s, 2 * S);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[1].server));
  CU_ASSERT_TRUE(on(s->server.p, &s->link[1].client));
  CU_ASSERT_TRUE(s->now - s->server.got_at < 50 * MS);
  sim_free(s);
}

static void relay_first(void) {
  struct sim *s = sim_new(11, 8900);
  struct path_target relay = sim_target(PATH_RELAY, 1, 1), direct = sim_target(PATH_ICE, 2, 2);
  struct sim_link *l;

  relay.via = 5;
  sim_link(s, relay, relay, 30 * MS, 1300);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &relay), 0);
  sim_handshake(s);
  flow(s, S);
  CU_ASSERT_TRUE(on(s->server.p, &relay));
  l = sim_link(s, direct, sim_target(PATH_ICE, 3, 3), 5 * MS, 1500);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &direct), 0);
  flow(s, S);
  CU_ASSERT_TRUE(on(s->client.p, &direct));
  CU_ASSERT_TRUE(on(s->server.p, &l->client));
  CU_ASSERT_EQUAL(s->client.switched, 1);
  CU_ASSERT_EQUAL(s->server.switched, 1);
  CU_ASSERT_EQUAL(s->client.rtt_old, 60 * MS);
  l->loss = 1000;
  flow(s, 1200 * MS);
  CU_ASSERT_TRUE(on(s->client.p, &relay));
  CU_ASSERT_TRUE(on(s->server.p, &relay));
  flow(s, 5 * S);
  CU_ASSERT_EQUAL(s->client.switched, 2);
  CU_ASSERT_EQUAL(s->server.switched, 2);
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
  struct sim *s = joined(13, 65507, 1000, 8900);
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
  flow(s, S);
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
  CU_ASSERT_TRUE(on(s->client.p, &t));
  paths_send_failed(s->client.p, s->now, &t, 1200, EPERM);
  CU_ASSERT_FALSE(paths_current(s->client.p, to));
  CU_ASSERT_EQUAL(paths_send(s->client.p, s->now, 1200, to, PATHS_MAX), 0);
  paths_received(s->client.p, s->now, &a, 600, true);
  CU_ASSERT_TRUE(on(s->client.p, &a));
  sim_free(s);

  s = twofold(15, PATH_DIRECT, 20 * MS);
  s->link[0].down_up = true;
  paths_send_failed(s->client.p, s->now, &s->link[0].server, 1200, ENETUNREACH);
  sim_run(s, s->now + 50 * MS);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[1].server));
  sim_free(s);
}

static void ping(void) {
  struct sim *s = joined(16, 1500, 7 * MS, 8900);

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
  struct sim *s = twofold(17, PATH_DIRECT, 20 * MS);
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
  struct sim *s = joined(18, 1500, 7 * MS, 8900);
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
  struct sim *s = joined(19, 1500, 7 * MS, 8900);
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
  CU_ASSERT_TRUE(on(s->server.p, &old));
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1);
  sim_free(s);
}

static void crowded_table(void) {
  struct sim *s = joined(20, 1500, 1000, 8900);

  sim_run(s, s->now + S);
  for (unsigned i = 0; i < 1000; i++) {
    struct path_target from = sim_target(PATH_DIRECT, (uint8_t)(20 + i % 200), (uint16_t)(1 + i));
    paths_received(s->server.p, ++s->now, &from, 1200, true);
    if (i % 100 == 0) sim_run(s, s->now + 10 * MS);
  }
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1);
  CU_ASSERT_EQUAL(sim_quic(s, false, 1200), 1);
  sim_free(s);
}

/* A copy under an address that even answers: while the current path delivers, the session stays. */
static void current_delivers(void) {
  struct sim *s = joined(21, 1500, 10 * MS, 8900);
  struct path_target other = sim_target(PATH_DIRECT, 50, 5);

  flow(s, S);
  sim_link(s, s->link[0].server, other, 5 * MS, 1500);
  paths_received(s->server.p, s->now, &other, 1200, true);
  flow(s, 100 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1); /* the client's echo came from its own address */
  CU_ASSERT_EQUAL(s->server.switched, 0);
  sim_free(s);

  s = twofold(22, PATH_DIRECT, 20 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 2);
  for (int i = 0; i < 50; i++) {
    flow(s, 5 * MS);
    paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  }
  CU_ASSERT_EQUAL(s->server.switched, 0);
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  sim_free(s);

  /* Challenged, then echoed, and the current one delivered in between. */
  s = joined(23, 1500, 10 * MS, 8900);
  flow(s, S);
  sim_link(s, sim_target(PATH_DIRECT, 60, 6), other, 5 * MS, 1500);
  sim_quic(s, true, 1000);
  paths_received(s->server.p, s->now, &other, 1200, true);
  sim_run(s, s->now + 15 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 2);
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  sim_free(s);
}

static void not_back_to_the_relay(void) {
  struct sim *s = twofold(24, PATH_RELAY, 20 * MS);
  unsigned before = s->server.probes;

  sim_run(s, s->now + 2 * S);
  paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  sim_run(s, s->now + S);
  CU_ASSERT_TRUE(s->server.probes > before); /* asked whether the direct path works; it does */
  CU_ASSERT_TRUE(on(s->server.p, &s->link[0].client));
  s->link[0].loss = 1000;
  sim_run(s, s->now + 2 * S);
  paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  sim_run(s, s->now + S);
  CU_ASSERT_TRUE(on(s->server.p, &s->link[1].client));
  sim_free(s);
}

static void added_later(void) {
  struct sim *s = joined(25, 1500, 10 * MS, 8900);
  struct path_target t[PATHS_MAX], last = sim_target(PATH_DIRECT, 90, 1);
  unsigned before = s->client.probes;

  flow(s, S);
  before = s->client.probes;
  t[0] = sim_target(PATH_DIRECT, 80, 1);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t[0]), 0); /* nobody there */
  sim_run(s, s->now + 60 * S);
  CU_ASSERT_EQUAL(s->client.probes - before, 3);
  CU_ASSERT_EQUAL(s->stray, 3 * 1200);
  s->link[0].loss = 1000; /* in trouble, too, it gets nothing more */
  flow(s, 3 * S);
  CU_ASSERT_EQUAL(s->stray, 3 * 1200);
  s->link[0].loss = 0;
  flow(s, 3 * S);
  for (uint8_t i = 1; i < PATHS_MAX - 1; i++) {
    t[i] = sim_target(PATH_ICE, (uint8_t)(80 + i), 1);
    sim_link(s, t[i], sim_target(PATH_ICE, (uint8_t)(100 + i), 1), 5 * MS, 1500);
    CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t[i]), 0);
  }
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &last), -1);
  CU_ASSERT_EQUAL(errno, ENOSPC);
  sim_run(s, s->now + S);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX - 1);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[0].server)); /* as good as the others: no reason to move */
  /* All eight proven, the current one silent longest: it stays all the same. */
  sim_link(s, t[0], sim_target(PATH_DIRECT, 99, 1), 5 * MS, 1500);
  flow(s, S);
  paths_received(s->client.p, s->now, &t[0], 500, true);
  flow(s, S);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX);
  s->now += 6 * MS;
  for (size_t i = 0; i < PATHS_MAX - 1; i++) paths_received(s->client.p, s->now, &t[i], 50, true);
  paths_received(s->client.p, s->now, &last, 50, true);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX - 1);
  CU_ASSERT_TRUE(on(s->client.p, &s->link[0].server));
  sim_free(s);
}

/* Lossy, reordering links, a rebinding and a death in each: both ends settle on the path that is left. */
static void storms(void) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    struct sim *s = twofold(1000 + seed, seed % 2 ? PATH_DIRECT : PATH_RELAY, 5 * MS + 1000 * (seed % 40));
    struct path_target moved = sim_target(s->link[1].client.kind, 99, (uint16_t)(seed + 1));
    for (size_t i = 0; i < 2; i++) {
      s->link[i].loss = 20 + 10 * (unsigned)(seed % 9);
      s->link[i].jitter = 1 + 1000 * (seed % 30);
    }
    flow(s, 3 * S);
    s->link[1].client = moved;
    flow(s, 3 * S);
    s->link[0].loss = 1000;
    flow(s, 6 * S);
    CU_ASSERT_TRUE(on(s->client.p, &s->link[1].server));
    CU_ASSERT_TRUE(on(s->server.p, &moved));
    CU_ASSERT_TRUE(s->now - s->server.got_at < 200 * MS && s->now - s->client.got_at < 200 * MS);
    CU_ASSERT_TRUE(s->client.switched + s->server.switched <= 8);
    sim_free(s);
  }
}

static void policy(void) {
  static const struct { const char *addr; bool plain, loopback, same_nat; } cases[] = {
    {"8.8.8.8:1", true, true, true}, {"[2a00:1450::1]:1", true, true, true},
    {"8.8.8.8:0", false, false, false}, {"127.0.0.1:1", false, true, false}, {"[::1]:1", false, true, false},
    {"192.168.1.7:1", true, true, true}, {"192.168.1.255:1", false, false, false}, {"192.168.1.0:1", false, false, false},
    {"192.168.2.7:1", false, false, true}, {"10.200.0.1:1", false, false, true}, {"10.16.31.1:1", true, true, true},
    {"10.16.32.1:1", false, false, true}, {"169.254.1.1:1", false, false, false}, {"0.0.0.0:1", false, false, false},
    {"224.0.0.5:1", false, false, false}, {"255.255.255.255:1", false, false, false}, {"240.0.0.1:1", false, false, false},
    {"[fe80::5%3]:1", true, true, true}, {"[fe80::5%4]:1", false, false, false}, {"[ff02::1]:1", false, false, false},
    {"[fd00:1::9]:1", true, true, true}, {"[fd00:2::9]:1", false, false, true},
  };
  static const struct { const char *addr; uint8_t bits; } nets[] = {
    {"192.168.1.2:0", 24}, {"10.16.16.1:0", 20}, {"[fe80::1%3]:0", 64}, {"[fd00:1::1]:0", 64},
  };
  struct path_prefix attached[4];
  struct addr here = addr_v4(8, 8, 4, 4, 5), there = addr_v4(8, 8, 4, 4, 9), far = addr_v4(8, 8, 4, 5, 9), a;

  for (size_t i = 0; i < 4; i++) {
    CU_ASSERT_EQUAL_FATAL(addr_parse(&attached[i].addr, nets[i].addr), 0);
    attached[i].bits = nets[i].bits;
  }
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct path_policy p = {attached, 4, false, &here, &far};
    CU_ASSERT_EQUAL_FATAL(addr_parse(&a, cases[i].addr), 0);
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].plain);
    p.allow_loopback = true;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].loopback);
    p.allow_loopback = false;
    p.peer_reflexive = &there;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].same_nat);
    p.reflexive = NULL;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].plain);
  }
}

int main(void) {
  static const struct check_test tests[] = {
    {"the MTU is found in one round trip", finds_mtu},
    {"of four candidates the one that answers carries it", races_candidates},
    {"no more than three unanswered datagrams", few_initials},
    {"addresses nobody may send to are refused", refuses_addresses},
    {"three bytes for one, each address for itself", amplification},
    {"copies under other addresses get only small challenges", spoofed_rebinding},
    {"a rebinding is challenged, then followed", rebinding},
    {"8900 to 1300 in mid-session, and back", black_hole},
    {"a dead path is left within a second", leaves_dead_path},
    {"a path dead in one direction is left by both", one_way_death},
    {"no path answers, then one does", all_dead_and_back},
    {"relay first, direct when it answers, and back", relay_first},
    {"a path that never echoes gets no data after 3 s", unproven_gets_no_data},
    {"local send errors", send_errors},
    {"ping", ping},
    {"probes have a budget, idle sessions none", probe_budget},
    {"flipped, cut, replayed, foreign datagrams are refused", refuses_forgeries},
    {"an echo counts only from where the challenge went", echo_from_elsewhere},
    {"a crowd of sources never takes the current path", crowded_table},
    {"no move while the current path delivers", current_delivers},
    {"a peer on the relay makes us check the direct path first", not_back_to_the_relay},
    {"paths added after the handshake", added_later},
    {"loss, reordering, rebinding and death together", storms},
    {"which addresses of a record may be tried", policy},
  };
  return check_main("path", tests, sizeof tests / sizeof tests[0]);
}
