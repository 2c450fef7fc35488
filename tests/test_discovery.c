/* test_discovery.c - records kept and found in a simulated DHT. */
#include "bencode.h"
#include "check.h"
#include "discovery.h"
#include "sim_dht.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define DAY 86400
#define NODES_MAX 256

static struct identity *alice, *bob;

/* The user of each simulated node, if it has one, and what it was told last. */
static struct user {
  struct discovery *d;
  unsigned found, done, published, failed;
  uint64_t found_at, done_at, published_at, failed_at[16];
  enum discovery_reason reason;
  struct discovery_event last_found, last_published;
  discovery_handle last_done;
} users[NODES_MAX];

static void pull(struct sim *s, unsigned node) {
  struct user *u = &users[node];
  struct discovery_event ev;
  while (u->d && discovery_next_event(u->d, &ev)) {
    switch (ev.type) {
    case DISCOVERY_EV_FOUND:
      if (u->found++ == 0)
        u->found_at = s->now;
      u->last_found = ev;
      break;
    case DISCOVERY_EV_FIND_DONE:
      u->done++;
      u->done_at = s->now;
      u->reason = ev.reason;
      u->last_done = ev.find;
      break;
    case DISCOVERY_EV_PUBLISHED:
      u->last_published = ev;
      u->published_at = s->now;
      if (ev.stored > 0)
        u->published++;
      else if (u->failed++ < 16)
        u->failed_at[u->failed - 1] = s->now;
      break;
    default: CU_FAIL("an event of no kind");
    }
  }
}

static void on_event(struct sim *s, unsigned node, const struct dht_event *ev) {
  if (users[node].d) {
    bool ours = discovery_dht_event(users[node].d, s->now, sim_wall(s), ev);
    CU_ASSERT_EQUAL(ours, ev->type != DHT_EV_READY);
    pull(s, node);
  }
}

static void on_tick(struct sim *s, unsigned node) {
  if (users[node].d) {
    discovery_tick(users[node].d, s->now, sim_wall(s));
    pull(s, node);
  }
}

static uint64_t deadline(struct sim *s, unsigned node) {
  return users[node].d ? discovery_deadline(users[node].d) : UINT64_MAX;
}

/* n nodes; the day is `into` seconds old. */
static struct sim *network(uint64_t seed, unsigned n, unsigned loss, uint64_t into) {
  struct sim *s = sim_new(seed);
  memset(users, 0, sizeof users);
  s->on_event = on_event;
  s->on_tick = on_tick;
  s->deadline = deadline;
  s->loss_percent = loss;
  for (unsigned i = 0; i < n; i++) {
    sim_add(s, false, NULL);
    if (i > 0)
      sim_bootstrap(s, i, 0);
  }
  sim_run(s, s->now + 10 * S, NULL);
  s->wall = UINT64_C(20000) * DAY + into - s->now / S;
  return s;
}

static unsigned user(struct sim *s, const struct identity *own) {
  unsigned i = sim_add(s, true, NULL);
  uint8_t seed[32];
  rng_bytes(&s->rng, seed, sizeof seed);
  users[i].d = discovery_new(s->nodes[i].d, own, seed);
  CU_ASSERT_PTR_NOT_NULL_FATAL(users[i].d);
  sim_bootstrap(s, i, 0);
  return i;
}

static void leave(struct sim *s, unsigned node) {
  discovery_free(users[node].d);
  users[node].d = NULL;
  s->nodes[node].down = true;
}

static void end(struct sim *s) {
  for (unsigned i = 0; i < s->n_nodes; i++)
    discovery_free(users[i].d);
  memset(users, 0, sizeof users);
  sim_free(s);
}

static struct record_endpoint endpoint(uint8_t name, uint16_t port) {
  struct record_endpoint e = {.n_addrs = 1};
  memset(e.id, name, sizeof e.id);
  e.addrs[0] = addr_v4(10, 0, 0, name, port);
  return e;
}

static void publish(struct sim *s, unsigned node, const struct record_endpoint *e) {
  CU_ASSERT_EQUAL(discovery_publish(users[node].d, s->now, sim_wall(s), e), 0);
  pull(s, node);
  sim_flush(s, node);
}

static unsigned watched;
static bool user_done(struct sim *s) {
  return users[watched].done > 0;
}
static bool user_published(struct sim *s) {
  return discovery_published(users[watched].d);
}

static void publish_wait(struct sim *s, unsigned node, const struct record_endpoint *e) {
  publish(s, node, e);
  watched = node;
  CU_ASSERT_TRUE_FATAL(sim_run(s, s->now + 60 * S, user_published));
}

static void find(struct sim *s, unsigned node, const struct identity *who) {
  struct user *u = &users[node];
  u->found = u->done = 0;
  discovery_handle h = discovery_find(u->d, s->now, sim_wall(s), identity_key(who));
  CU_ASSERT_TRUE_FATAL(h != 0);
  pull(s, node);
  sim_flush(s, node);
  watched = node;
  CU_ASSERT_TRUE_FATAL(sim_run(s, s->now + 60 * S, user_done));
  CU_ASSERT_EQUAL(u->last_done, h);
}

/* The port that this endpoint has in the record found last; 0 when it is not there, 1 when it is a tombstone. */
static unsigned port_of(unsigned node, uint8_t name) {
  const struct record *r = &users[node].last_found.record;
  for (unsigned i = 0; i < r->n; i++)
    if (r->endpoints[i].id[0] == name)
      return r->endpoints[i].tombstone ? 1 : r->endpoints[i].addrs[0].port;
  return 0;
}

static void published_and_found(void) {
  struct sim *s = network(1, 32, 0, DAY / 2);
  unsigned a = user(s, alice), b = user(s, bob), c = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  CU_ASSERT_TRUE(discovery_published(users[a].d)); /* nothing to publish */
  find(s, b, alice);
  CU_ASSERT_EQUAL(users[b].reason, DISCOVERY_NOT_PUBLISHED);
  CU_ASSERT_EQUAL(users[b].found, 0);
  publish(s, a, &e);
  CU_ASSERT_FALSE(discovery_published(users[a].d));
  watched = a;
  uint64_t start = s->now;
  CU_ASSERT_TRUE(sim_run(s, s->now + 5 * S, user_published));
  CU_ASSERT_TRUE(s->now - start < S);
  CU_ASSERT_EQUAL(users[a].published, 1);
  CU_ASSERT_EQUAL(users[a].last_published.stored, 8);
  find(s, b, alice);
  CU_ASSERT_EQUAL(users[b].reason, DISCOVERY_FOUND);
  CU_ASSERT_EQUAL(users[b].found, 1);
  CU_ASSERT_EQUAL(port_of(b, 7), 4000);
  CU_ASSERT_EQUAL(users[b].last_found.record.n, 1);
  const struct record_endpoint *f = &users[b].last_found.record.endpoints[0];
  CU_ASSERT_TRUE(f->expiry > sim_wall(s) + 7100 && f->expiry <= sim_wall(s) + RECORD_LIFETIME_MAX);
  CU_ASSERT_TRUE(users[b].found_at < users[b].done_at);
  find(s, c, alice);
  CU_ASSERT_EQUAL(users[c].reason, DISCOVERY_FOUND); /* reading needs no identity */
  find(s, a, alice);
  CU_ASSERT_EQUAL(users[a].reason, DISCOVERY_FOUND); /* one's own */
  find(s, b, bob);
  CU_ASSERT_EQUAL(users[b].reason, DISCOVERY_NOT_PUBLISHED);
  int64_t seq = users[c].last_found.seq;
  e = endpoint(7, 4001);
  publish_wait(s, a, &e);
  find(s, c, alice);
  CU_ASSERT_EQUAL(port_of(c, 7), 4001);
  CU_ASSERT_TRUE(users[c].last_found.seq > seq);
  end(s);
}

static void several_endpoints(void) {
  struct sim *s = network(2, 32, 0, DAY / 2);
  unsigned n[5], r = user(s, NULL);
  for (uint8_t i = 0; i < 5; i++) {
    struct record_endpoint e = endpoint((uint8_t)(10 + i), (uint16_t)(5000 + i));
    n[i] = user(s, alice);
    publish_wait(s, n[i], &e);
  }
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].last_found.record.n, 5);
  for (uint8_t i = 0; i < 5; i++)
    CU_ASSERT_EQUAL(port_of(r, (uint8_t)(10 + i)), 5000 + i);
  publish_wait(s, n[2], NULL); /* one goes on purpose */
  CU_ASSERT_TRUE(users[n[2]].last_published.removed);
  CU_ASSERT_EQUAL(discovery_deadline(users[n[2]].d), UINT64_MAX); /* and has nothing left to do */
  find(s, r, alice);
  CU_ASSERT_EQUAL(port_of(r, 12), 1);
  CU_ASSERT_EQUAL(port_of(r, 13), 5003);
  struct record_endpoint e = endpoint(12, 6000);
  publish_wait(s, n[2], &e); /* and comes back: its counter is above the tombstone's */
  find(s, r, alice);
  CU_ASSERT_EQUAL(port_of(r, 12), 6000);
  for (unsigned i = 0; i < 5; i++)
    publish_wait(s, n[i], NULL);
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_NOT_PUBLISHED); /* tombstones alone are nobody */
  CU_ASSERT_EQUAL(users[r].found, 0);
  end(s);
}

static void a_restarted_endpoint_supersedes_itself(void) {
  struct sim *s = network(3, 32, 0, DAY / 2);
  unsigned a = user(s, alice), r = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  for (int i = 0; i < 5; i++)
    publish_wait(s, a, &e);
  leave(s, a); /* killed: its entry stays */
  a = user(s, alice);
  e = endpoint(7, 4444);
  publish_wait(s, a, &e);
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].last_found.record.n, 1);
  CU_ASSERT_EQUAL(port_of(r, 7), 4444);
  end(s);
}

/* Endpoints that publish in the same instant: all must stand in the record in the end. */
static void writers_at_the_same_time(void) {
  for (uint64_t seed = 20; seed < 26; seed++) {
    struct sim *s = network(seed, 40, seed % 2 ? 0 : 5, DAY / 2);
    unsigned n[3], r = user(s, NULL);
    for (uint8_t i = 0; i < 3; i++)
      n[i] = user(s, alice);
    for (uint8_t i = 0; i < 3; i++) {
      struct record_endpoint e = endpoint((uint8_t)(30 + i), (uint16_t)(7000 + i));
      publish(s, n[i], &e);
    }
    sim_run(s, s->now + 30 * S, NULL);
    find(s, r, alice);
    CU_ASSERT_EQUAL(users[r].last_found.record.n, 3);
    for (uint8_t i = 0; i < 3; i++)
      CU_ASSERT_EQUAL(port_of(r, (uint8_t)(30 + i)), 7000 + i);
    end(s);
  }
}

static void midnight(void) {
  struct sim *s = network(4, 32, 0, DAY - 3 * 3600);
  unsigned a = user(s, alice), r = user(s, NULL), early = user(s, NULL), late = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  publish_wait(s, a, &e);
  sim_run(s, s->now + 3700 * S, NULL); /* 23:00-: tomorrow's key is in use as well */
  unsigned published = users[a].published;
  for (unsigned hour = 0; hour < 8; hour++) {
    find(s, r, alice);
    CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_FOUND);
    CU_ASSERT_EQUAL(port_of(r, 7), 4000);
    CU_ASSERT_TRUE(discovery_published(users[a].d));
    sim_run(s, s->now + 1800 * S, NULL);
  }
  CU_ASSERT_TRUE(users[a].published > published + 4); /* every 40 minutes */
  CU_ASSERT_TRUE(sim_wall(s) % DAY > 1 * 3600 && sim_wall(s) % DAY < 4 * 3600);
  /* Clocks that are off by some minutes find each other at midnight. */
  end(s);
  s = network(5, 32, 0, 240);
  a = user(s, alice);
  early = user(s, NULL);
  late = user(s, NULL);
  publish_wait(s, a, &e);
  s->wall -= 480; /* for the reader it is yesterday */
  find(s, early, alice);
  CU_ASSERT_EQUAL(users[early].reason, DISCOVERY_FOUND);
  s->wall += 2 * 480;
  find(s, late, alice);
  CU_ASSERT_EQUAL(users[late].reason, DISCOVERY_FOUND);
  end(s);
}

static void a_record_lives_as_long_as_it_is_kept(void) {
  struct sim *s = network(6, 32, 2, DAY / 4);
  unsigned a = user(s, alice), r = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  publish_wait(s, a, &e);
  sim_run(s, s->now + 5 * 3600 * S, NULL);
  CU_ASSERT_TRUE(users[a].published >= 7 && users[a].published <= 9); /* every 40 min +- 10 % */
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_FOUND);
  leave(s, a);
  sim_run(s, s->now + 7300 * S, NULL);
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_NOT_PUBLISHED);
  CU_ASSERT_EQUAL(users[r].found, 0);
  end(s);
}

static void without_a_network(void) {
  struct sim *s = network(7, 8, 0, DAY / 2);
  s->nodes[0].down = true;
  unsigned a = user(s, alice), b = user(s, bob);
  struct record_endpoint e = endpoint(7, 4000);
  find(s, b, alice);
  CU_ASSERT_EQUAL(users[b].reason, DISCOVERY_NO_NETWORK);
  publish(s, a, &e);
  sim_run(s, s->now + 100 * S, NULL);
  CU_ASSERT_FALSE(discovery_published(users[a].d));
  CU_ASSERT_TRUE(users[a].failed >= 6 && users[a].failed < 16);
  CU_ASSERT_EQUAL(users[a].last_published.answered, 0);
  for (unsigned i = 2; i < users[a].failed; i++) /* ever longer pauses */
    CU_ASSERT_TRUE(users[a].failed_at[i] - users[a].failed_at[i - 1] >=
                   users[a].failed_at[i - 1] - users[a].failed_at[i - 2]);
  CU_ASSERT_TRUE(users[a].failed_at[1] - users[a].failed_at[0] < 4 * S);
  sim_run(s, s->now + 600 * S, NULL);
  s->nodes[0].down = false;
  uint64_t start = s->now;
  watched = a;
  CU_ASSERT_TRUE(sim_run(s, s->now + 120 * S, user_published));
  CU_ASSERT_TRUE(s->now - start < 35 * S); /* as soon as a node answers, not at the next turn */
  find(s, b, alice);
  CU_ASSERT_EQUAL(users[b].reason, DISCOVERY_FOUND);
  end(s);
}

static void a_wrong_clock_locks_nobody_out(void) {
  struct sim *s = network(8, 32, 0, DAY / 2);
  unsigned a = user(s, alice), r = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  s->wall += 3 * 3600;
  publish_wait(s, a, &e);
  leave(s, a);
  s->wall -= 3 * 3600; /* put right: the seq still goes up */
  a = user(s, alice);
  e = endpoint(7, 4001);
  publish_wait(s, a, &e);
  find(s, r, alice);
  CU_ASSERT_EQUAL(port_of(r, 7), 4001);
  end(s);
}

static bool spoil(struct sim *s, unsigned from, const struct addr *to, uint8_t *data, size_t len) {
  uint8_t *v = memmem(data, len, "1:v996:", 7);
  if (v && memmem(data, len, "1:y1:r", 6))
    v[500] ^= 1;
  return true;
}

static void only_bad_records(void) {
  struct sim *s = network(9, 32, 0, DAY / 2);
  unsigned a = user(s, alice), r = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  uint8_t blinded[32], sig[64], msg[256];
  static const uint8_t v[] = "11:not sealed!";
  publish_wait(s, a, &e);
  s->on_packet = spoil; /* storers that tamper */
  find(s, r, alice);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_BAD_RECORD);
  CU_ASSERT_EQUAL(users[r].found, 0);
  s->on_packet = NULL;
  /* A value that its owner signed and that is no record of ours. */
  uint64_t day = sim_wall(s) / DAY;
  CU_ASSERT_EQUAL(id_blind(blinded, identity_key(bob), day), 0);
  size_t n = dht_mutable_buffer(msg, sizeof msg, NULL, 0, 1, v, sizeof v - 1);
  CU_ASSERT_EQUAL(identity_blind_sign(bob, day, sig, msg, n), 0);
  CU_ASSERT_TRUE(dht_put(s->nodes[3].d, s->now, blinded, NULL, 0, 1, sig, v, sizeof v - 1, false, 0) != 0);
  sim_flush(s, 3);
  sim_run(s, s->now + 3 * S, NULL);
  find(s, r, bob);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_BAD_RECORD);
  unsigned b = user(s, bob);
  publish_wait(s, b, &e); /* its owner writes over it */
  find(s, r, bob);
  CU_ASSERT_EQUAL(users[r].reason, DISCOVERY_FOUND);
  end(s);
}

static void finds_of_one_key_share_a_lookup(void) {
  struct sim *s = network(10, 32, 0, DAY / 2);
  unsigned a = user(s, alice), r = user(s, NULL);
  struct record_endpoint e = endpoint(7, 4000);
  struct dht_stats before, after;
  discovery_handle h[DISCOVERY_FINDS_MAX];
  publish_wait(s, a, &e);
  dht_get_stats(s->nodes[r].d, &before);
  for (unsigned i = 0; i < DISCOVERY_FINDS_MAX; i++) {
    h[i] = discovery_find(users[r].d, s->now, sim_wall(s), identity_key(alice));
    CU_ASSERT_TRUE_FATAL(h[i] != 0);
  }
  CU_ASSERT_EQUAL(discovery_find(users[r].d, s->now, sim_wall(s), identity_key(alice)), 0);
  CU_ASSERT_EQUAL(errno, ENOBUFS);
  dht_get_stats(s->nodes[r].d, &after);
  CU_ASSERT_EQUAL(after.lookups_running, before.lookups_running + 1);
  discovery_cancel(users[r].d, h[5]);
  discovery_cancel(users[r].d, h[5]);
  sim_flush(s, r);
  sim_run(s, s->now + 10 * S, NULL);
  CU_ASSERT_EQUAL(users[r].found, DISCOVERY_FINDS_MAX - 1);
  CU_ASSERT_EQUAL(users[r].done, DISCOVERY_FINDS_MAX - 1);
  h[0] = discovery_find(users[r].d, s->now, sim_wall(s), identity_key(alice));
  discovery_cancel(users[r].d, h[0]); /* the last find of a key ends its lookup */
  dht_get_stats(s->nodes[r].d, &after);
  CU_ASSERT_EQUAL(after.lookups_running, 0);
  end(s);
}

static void calls_are_checked(void) {
  struct sim *s = network(11, 2, 0, DAY / 2);
  unsigned a = user(s, alice), r = user(s, NULL);
  uint8_t bad[32] = {1}, key[32];
  struct record_endpoint e = endpoint(7, 4000);
  CU_ASSERT_EQUAL(discovery_find(users[a].d, s->now, sim_wall(s), bad), 0); /* a point of small order */
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(discovery_publish(users[r].d, s->now, sim_wall(s), &e), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  e.n_addrs = RECORD_ADDRS_MAX + 1;
  CU_ASSERT_EQUAL(discovery_publish(users[a].d, s->now, sim_wall(s), &e), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(discovery_publish(users[a].d, s->now, sim_wall(s), NULL), 0); /* nothing to remove */
  CU_ASSERT_TRUE(discovery_published(users[a].d));
  unsigned n = 0;
  for (uint8_t i = 0; i < 2 * DISCOVERY_KEYS_MAX && n < 2 * DISCOVERY_KEYS_MAX; i++) {
    uint8_t seed[32] = {i, 1};
    struct identity *id = identity_new(seed);
    memcpy(key, identity_key(id), 32);
    identity_free(id);
    if (discovery_find(users[a].d, s->now, sim_wall(s), key) == 0)
      break;
    n++;
  }
  CU_ASSERT_EQUAL(n, DISCOVERY_KEYS_MAX);
  CU_ASSERT_EQUAL(errno, ENOBUFS);
  discovery_free(NULL);
  end(s);
}

static const struct check_test tests[] = {
  {"published and found", published_and_found},
  {"several endpoints", several_endpoints},
  {"a restarted endpoint supersedes itself", a_restarted_endpoint_supersedes_itself},
  {"writers at the same time", writers_at_the_same_time},
  {"midnight", midnight},
  {"a record lives as long as it is kept", a_record_lives_as_long_as_it_is_kept},
  {"without a network", without_a_network},
  {"a wrong clock locks nobody out", a_wrong_clock_locks_nobody_out},
  {"only bad records", only_bad_records},
  {"finds of one key share a lookup", finds_of_one_key_share_a_lookup},
  {"calls are checked", calls_are_checked},
};

int main(void) {
  uint8_t seed[32] = "alice";
  if (identity_init() != 0 || !(alice = identity_new(seed)))
    return 1;
  seed[0] = 'b';
  if (!(bob = identity_new(seed)))
    return 1;
  int failed = check_main("discovery", tests, sizeof tests / sizeof tests[0]);
  identity_free(alice);
  identity_free(bob);
  return failed;
}
