/*
 * test_path.c - which path a session takes, two ends under a virtual clock.
 */
#include "path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "path_sim.h"

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
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[2].server));
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

/* A peer that ends its handshake under a third party's address and acknowledges what it never got. */
static void little_goes_to_a_path_without_an_echo(void) {
  struct path_target victim = sim_target(PATH_DIRECT, 1, 1), to[PATHS_MAX];
  uint8_t seed[32] = {7}, exported[PATH_EXPORTER_LEN] = {1};
  struct paths *p = paths_new(false, seed, 0, 8900);
  struct path_keys keys;
  size_t sent = 0;

  path_keys_split(&keys, false, exported);
  paths_received(p, 0, &victim, 1200, true);
  paths_keyed(p, 0, &keys);
  for (uint64_t now = 0; now < 2 * S; now += 100) {
    paths_received(p, now, &victim, 40, true);
    if (paths_send(p, now, 1452, to, PATHS_MAX) == 1) sent += 1452;
  }
  CU_ASSERT_TRUE(sent <= PATH_UNPROVEN_MAX);
  CU_ASSERT_TRUE(sent > PATH_UNPROVEN_MAX - 1452);
  paths_free(p);
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
  CU_ASSERT_TRUE(sim_on(s->client.p, &t));
  sim_free(s);
}

static void refuses_addresses(void) {
  static const char *const bad[] = {"0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1",
                                    "8.8.8.8:0", "[::]:1",            "[ff02::1]:1"};
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
    uint32_t host = round < 200 ? (uint32_t)round % 5 : rng_below(&s->rng, 40);
    struct path_target from = sim_target(PATH_DIRECT, (uint8_t)host, 5);
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
  struct sim *s = sim_joined(5, 1500, 1000, 8900);
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
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  CU_ASSERT_EQUAL(s->server.switched, 0);
  sim_free(s);
}

static void rebinding(void) {
  struct sim *s = sim_joined(6, 1500, 10 * MS, 8900);
  struct path_target moved = sim_target(PATH_DIRECT, 2, 2001), old = s->link[0].client;
  uint64_t moved_at, stray;

  sim_flow(s, S);
  s->link[0].client = moved;
  s->link[0].to_client = 0;
  stray = s->stray;
  moved_at = s->now;
  sim_quic(s, true, 60);
  sim_run(s, s->now + 15 * MS);
  /* The challenge is under way; data still goes to the old address alone. */
  CU_ASSERT_TRUE(sim_on(s->server.p, &old));
  CU_ASSERT_TRUE(s->link[0].to_client > 0 && s->link[0].to_client <= 180);
  sim_quic(s, false, 1000);
  CU_ASSERT_EQUAL(s->stray, stray + 1000);
  sim_run(s, s->now + 30 * MS);
  CU_ASSERT_TRUE(sim_on(s->server.p, &moved));
  CU_ASSERT_EQUAL(s->server.switched, 1);
  CU_ASSERT_TRUE(s->server.last_switch - moved_at <= 35 * MS);
  CU_ASSERT_EQUAL(s->server.rtt_new, 20 * MS);
  sim_flow(s, S);
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

static void leaves_dead_path(void) {
  struct sim *s = sim_twofold(8, PATH_DIRECT, 20 * MS);
  uint64_t at = s->now;

  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[0].server));
  CU_ASSERT_EQUAL(paths_count(s->client.p), 2);
  s->link[0].loss = 1000;
  sim_flow(s, S);
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[1].server));
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[1].client));
  CU_ASSERT_TRUE(s->client.last_switch - at < S);
  CU_ASSERT_EQUAL(s->client.switched, 1);
  CU_ASSERT_EQUAL(s->client.rtt_old, 10 * MS);
  CU_ASSERT_EQUAL(s->client.rtt_new, 40 * MS);
  sim_flow(s, S);
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
    struct sim *s = sim_twofold(9, PATH_DIRECT, 20 * MS);
    if (way == 0) s->link[0].down_up = true;
    else s->link[0].down_down = true;
    sim_flow(s, 10 * S);
    CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[1].server));
    CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[1].client));
    CU_ASSERT_EQUAL(s->client.switched, 1);
    CU_ASSERT_EQUAL(s->server.switched, 1);
    sim_free(s);
  }
}

static void all_dead_and_back(void) {
  struct sim *s = sim_twofold(10, PATH_DIRECT, 20 * MS);

  s->link[0].loss = s->link[1].loss = 1000;
  sim_flow(s, 5 * S);
  CU_ASSERT_EQUAL(s->client.dead, 1);
  CU_ASSERT_EQUAL(s->server.dead, 1);
  s->link[1].loss = 0;
  sim_flow(s, 2 * S);
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[1].server));
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[1].client));
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
  sim_flow(s, S);
  CU_ASSERT_TRUE(sim_on(s->server.p, &relay));
  l = sim_link(s, direct, sim_target(PATH_ICE, 3, 3), 5 * MS, 1500);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &direct), 0);
  sim_flow(s, S);
  CU_ASSERT_TRUE(sim_on(s->client.p, &direct));
  CU_ASSERT_TRUE(sim_on(s->server.p, &l->client));
  CU_ASSERT_EQUAL(s->client.switched, 1);
  CU_ASSERT_EQUAL(s->server.switched, 1);
  CU_ASSERT_EQUAL(s->client.rtt_old, 60 * MS);
  l->loss = 1000;
  sim_flow(s, 1200 * MS);
  CU_ASSERT_TRUE(sim_on(s->client.p, &relay));
  CU_ASSERT_TRUE(sim_on(s->server.p, &relay));
  sim_flow(s, 5 * S);
  CU_ASSERT_EQUAL(s->client.switched, 2);
  CU_ASSERT_EQUAL(s->server.switched, 2);
  sim_free(s);
}

static void crowded_table(void) {
  struct sim *s = sim_joined(20, 1500, 1000, 8900);

  sim_run(s, s->now + S);
  for (unsigned i = 0; i < 1000; i++) {
    struct path_target from = sim_target(PATH_DIRECT, (uint8_t)(20 + i % 200), (uint16_t)(1 + i));
    paths_received(s->server.p, ++s->now, &from, 1200, true);
    if (i % 100 == 0) sim_run(s, s->now + 10 * MS);
  }
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1);
  CU_ASSERT_EQUAL(sim_quic(s, false, 1200), 1);
  sim_free(s);
}

/* A copy under an address that even answers: while the current path delivers, the session stays. */
static void current_delivers(void) {
  struct sim *s = sim_joined(21, 1500, 10 * MS, 8900);
  struct path_target other = sim_target(PATH_DIRECT, 50, 5);

  sim_flow(s, S);
  sim_link(s, s->link[0].server, other, 5 * MS, 1500);
  paths_received(s->server.p, s->now, &other, 1200, true);
  sim_flow(s, 100 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 1); /* the client's echo came from its own address */
  CU_ASSERT_EQUAL(s->server.switched, 0);
  sim_free(s);

  s = sim_twofold(22, PATH_DIRECT, 20 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 2);
  for (int i = 0; i < 50; i++) {
    sim_flow(s, 5 * MS);
    paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  }
  CU_ASSERT_EQUAL(s->server.switched, 0);
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  sim_free(s);

  /* Challenged, then echoed, and the current one delivered in between. */
  s = sim_joined(23, 1500, 10 * MS, 8900);
  sim_flow(s, S);
  sim_link(s, sim_target(PATH_DIRECT, 60, 6), other, 5 * MS, 1500);
  sim_quic(s, true, 1000);
  paths_received(s->server.p, s->now, &other, 1200, true);
  sim_run(s, s->now + 15 * MS);
  CU_ASSERT_EQUAL(paths_count(s->server.p), 2);
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  sim_free(s);
}

static void not_back_to_the_relay(void) {
  struct sim *s = sim_twofold(24, PATH_RELAY, 20 * MS);
  unsigned before = s->server.probes;

  sim_run(s, s->now + 2 * S);
  paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  sim_run(s, s->now + S);
  CU_ASSERT_TRUE(s->server.probes > before); /* asked whether the direct path works; it does */
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[0].client));
  s->link[0].loss = 1000;
  sim_run(s, s->now + 2 * S);
  paths_received(s->server.p, s->now, &s->link[1].client, 1200, true);
  sim_run(s, s->now + S);
  CU_ASSERT_TRUE(sim_on(s->server.p, &s->link[1].client));
  sim_free(s);
}

static void added_later(void) {
  struct sim *s = sim_joined(25, 1500, 10 * MS, 8900);
  struct path_target t[PATHS_MAX], last = sim_target(PATH_DIRECT, 90, 1);
  unsigned before = s->client.probes;

  sim_flow(s, S);
  before = s->client.probes;
  t[0] = sim_target(PATH_DIRECT, 80, 1);
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t[0]), 0); /* nobody there */
  sim_run(s, s->now + 60 * S);
  CU_ASSERT_EQUAL(s->client.probes - before, 3);
  CU_ASSERT_EQUAL(s->stray, 3 * 1200);
  s->link[0].loss = 1000; /* in trouble, too, it gets nothing more */
  sim_flow(s, 3 * S);
  CU_ASSERT_EQUAL(s->stray, 3 * 1200);
  s->link[0].loss = 0;
  sim_flow(s, 3 * S);
  for (uint8_t i = 1; i < PATHS_MAX - 1; i++) {
    t[i] = sim_target(PATH_ICE, (uint8_t)(80 + i), 1);
    sim_link(s, t[i], sim_target(PATH_ICE, (uint8_t)(100 + i), 1), 5 * MS, 1500);
    CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &t[i]), 0);
  }
  CU_ASSERT_EQUAL(paths_add(s->client.p, s->now, &last), -1);
  CU_ASSERT_EQUAL(errno, ENOSPC);
  sim_run(s, s->now + S);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX - 1);
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[0].server)); /* as good as the others: no reason to move */
  /* All eight proven, the current one silent longest: it stays all the same. */
  sim_link(s, t[0], sim_target(PATH_DIRECT, 99, 1), 5 * MS, 1500);
  sim_flow(s, S);
  paths_received(s->client.p, s->now, &t[0], 500, true);
  sim_flow(s, S);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX);
  s->now += 6 * MS;
  for (size_t i = 0; i < PATHS_MAX - 1; i++) paths_received(s->client.p, s->now, &t[i], 50, true);
  paths_received(s->client.p, s->now, &last, 50, true);
  CU_ASSERT_EQUAL(paths_count(s->client.p), PATHS_MAX - 1);
  CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[0].server));
  sim_free(s);
}

/* Lossy, reordering links, a rebinding and a death in each: both ends settle on the path that is left. */
static void storms(void) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    struct sim *s = sim_twofold(1000 + seed, seed % 2 ? PATH_DIRECT : PATH_RELAY, 5 * MS + 1000 * (seed % 40));
    struct path_target moved = sim_target(s->link[1].client.kind, 99, (uint16_t)(seed + 1));
    for (size_t i = 0; i < 2; i++) {
      s->link[i].loss = 20 + 10 * (unsigned)(seed % 9);
      s->link[i].jitter = 1 + 1000 * (seed % 30);
    }
    sim_flow(s, 3 * S);
    s->link[1].client = moved;
    sim_flow(s, 3 * S);
    s->link[0].loss = 1000;
    sim_flow(s, 6 * S);
    CU_ASSERT_TRUE(sim_on(s->client.p, &s->link[1].server));
    CU_ASSERT_TRUE(sim_on(s->server.p, &moved));
    CU_ASSERT_TRUE(s->now - s->server.got_at < 200 * MS && s->now - s->client.got_at < 200 * MS);
    CU_ASSERT_TRUE(s->client.switched + s->server.switched <= 8);
    sim_free(s);
  }
}

int main(void) {
  static const struct check_test tests[] = {
    {"of four candidates the one that answers carries it", races_candidates},
    {"no more than three unanswered datagrams", few_initials},
    {"little goes to a path without an echo", little_goes_to_a_path_without_an_echo},
    {"addresses nobody may send to are refused", refuses_addresses},
    {"three bytes for one, each address for itself", amplification},
    {"copies under other addresses get only small challenges", spoofed_rebinding},
    {"a rebinding is challenged, then followed", rebinding},
    {"a dead path is left within a second", leaves_dead_path},
    {"a path dead in one direction is left by both", one_way_death},
    {"no path answers, then one does", all_dead_and_back},
    {"relay first, direct when it answers, and back", relay_first},
    {"a crowd of sources never takes the current path", crowded_table},
    {"no move while the current path delivers", current_delivers},
    {"a peer on the relay makes us check the direct path first", not_back_to_the_relay},
    {"paths added after the handshake", added_later},
    {"loss, reordering, rebinding and death together", storms},
  };
  return check_main("path", tests, sizeof tests / sizeof tests[0]);
}
