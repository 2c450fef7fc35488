/* test_dht.c - whole nodes in a simulated network: finding, storing, refusing, and coming back. */
#include "bencode.h"
#include "check.h"
#include "dht_id.h"
#include "dht_int.h"
#include "identity.h"
#include "krpc.h"
#include "sim_dht.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

static struct identity *owner;

/* What the last operation of interest brought. */
static struct result {
  unsigned values, done, ready, n_peers;
  uint64_t first_at, done_at;
  struct dht_event value, end;
  struct addr peers[64];
} got;

static void on_event(struct sim *s, unsigned node, const struct dht_event *ev) {
  switch (ev->type) {
  case DHT_EV_READY: got.ready++; break;
  case DHT_EV_VALUE:
    if (got.values++ == 0)
      got.first_at = s->now;
    got.value = *ev;
    break;
  case DHT_EV_PEER:
    if (got.n_peers < 64)
      got.peers[got.n_peers++] = ev->peer;
    break;
  case DHT_EV_DONE:
    got.done++;
    got.done_at = s->now;
    got.end = *ev;
    break;
  default: CU_FAIL("an event of no kind");
  }
}

static bool is_done(struct sim *s) {
  return got.done > 0;
}

static struct sim *network(uint64_t seed, unsigned n, unsigned loss) {
  struct sim *s = sim_new(seed);
  s->on_event = on_event;
  s->loss_percent = loss;
  for (unsigned i = 0; i < n; i++) {
    sim_add(s, false, NULL);
    if (i > 0)
      sim_bootstrap(s, i, 0);
  }
  sim_run(s, s->now + 10 * S, NULL);
  memset(&got, 0, sizeof got);
  return s;
}

static unsigned client(struct sim *s) {
  unsigned i = sim_add(s, true, NULL);
  sim_bootstrap(s, i, 0);
  return i;
}

static void finish(struct sim *s, unsigned node, dht_op op) {
  CU_ASSERT_TRUE_FATAL(op != 0);
  memset(&got, 0, sizeof got);
  sim_flush(s, node);
  CU_ASSERT_TRUE_FATAL(sim_run(s, s->now + 30 * S, is_done));
  CU_ASSERT_EQUAL(got.end.op, op);
}

static void put_cas(struct sim *s, unsigned node, const char *v, int64_t seq, const char *salt, bool has_cas,
                    int64_t cas) {
  uint8_t buf[1200], sig[64];
  size_t v_len = strlen(v), salt_len = strlen(salt);
  size_t n = dht_mutable_buffer(buf, sizeof buf, (const uint8_t *)salt, salt_len, seq, (const uint8_t *)v, v_len);
  identity_sign(owner, sig, buf, n);
  finish(s, node, dht_put(s->nodes[node].d, s->now, identity_key(owner), (const uint8_t *)salt, salt_len, seq, sig,
                          (const uint8_t *)v, v_len, has_cas, cas));
}

static void put(struct sim *s, unsigned node, const char *v, int64_t seq) {
  put_cas(s, node, v, seq, "", false, 0);
}

static void get(struct sim *s, unsigned node) {
  finish(s, node, dht_get(s->nodes[node].d, s->now, identity_key(owner), NULL, 0));
}

static bool value_is(const char *v) {
  return got.values > 0 && got.value.v_len == strlen(v) && memcmp(got.value.v, v, strlen(v)) == 0;
}

static unsigned known_nodes(const struct sim *s, unsigned node) {
  struct dht_stats st;
  dht_get_stats(s->nodes[node].d, &st);
  return st.nodes_v4;
}

static bool knows(const struct sim *s, unsigned node, unsigned other) {
  const struct dht_node *all[512];
  unsigned n = dht_table_closest(&s->nodes[node].d->table[FAM4], s->nodes[other].d->table[FAM4].own, DHT_GOOD, all, 1);
  return n > 0 && addr_equal(&all[0]->addr, &s->nodes[other].addr);
}

/* ---- networks ---- */

static void everybody_is_soon_known(void) {
  struct sim *s = sim_new(11);
  s->on_event = on_event;
  memset(&got, 0, sizeof got);
  for (unsigned i = 0; i < 32; i++) {
    sim_add(s, false, NULL);
    if (i > 0)
      sim_bootstrap(s, i, 0);
  }
  sim_run(s, s->now + 2 * S, NULL);
  CU_ASSERT_EQUAL(got.ready, 32); /* each once, the first node too */
  for (unsigned i = 0; i < 32; i++)
    CU_ASSERT_TRUE(known_nodes(s, i) >= 8);
  for (unsigned i = 1; i < 32; i++) {
    unsigned by = 0;
    for (unsigned j = 0; j < 32; j++)
      by += i != j && knows(s, j, i);
    CU_ASSERT_TRUE(by >= 4);
  }
  sim_free(s);
}

/* Own ids alone lead to neighbours only: each node must know some of the other half as well. */
static void halves_know_each_other(void) {
  for (uint64_t seed = 100; seed < 120; seed++) {
    struct sim *s = network(seed, 40, 5);
    unsigned cut_off = 0;
    for (unsigned i = 0; i < 40; i++) {
      const struct dht_bucket *b = s->nodes[i].d->table[FAM4].buckets[0];
      cut_off += !b || b->n < 4;
    }
    CU_ASSERT_EQUAL(cut_off, 0);
    sim_free(s);
  }
}

static void a_cold_client_puts_and_gets(void) {
  struct sim *s = network(1, 32, 0);
  unsigned writer = client(s), reader = client(s), none = client(s);
  get(s, none);
  CU_ASSERT_EQUAL(got.values, 0);
  CU_ASSERT_TRUE(got.end.answered >= DHT_K);
  CU_ASSERT_EQUAL(got.end.seq, -1);
  put(s, writer, "5:hello", 3);
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  CU_ASSERT_EQUAL(got.end.refused, 0);
  uint64_t start = s->now;
  get(s, reader);
  CU_ASSERT_EQUAL(got.values, 1); /* eight nodes, one event */
  CU_ASSERT_TRUE(value_is("5:hello"));
  CU_ASSERT_EQUAL(got.value.seq, 3);
  CU_ASSERT_EQUAL(got.end.seq, 3);
  CU_ASSERT_EQUAL(got.end.invalid, 0);
  CU_ASSERT_TRUE(got.first_at < got.done_at);
  CU_ASSERT_TRUE(got.first_at - start <= 3 * 2 * s->latency_max); /* bootstrap, and at most two steps further */
  put_cas(s, writer, "i7e", 1, "salt", false, 0);
  finish(s, reader, dht_get(s->nodes[reader].d, s->now, identity_key(owner), (const uint8_t *)"salt", 4));
  CU_ASSERT_TRUE(value_is("i7e"));
  put(s, writer, "3:new", 4);
  get(s, reader);
  CU_ASSERT_TRUE(value_is("3:new"));
  CU_ASSERT_EQUAL(got.values, 1);
  put(s, writer, "3:old", 2);
  CU_ASSERT_EQUAL(got.end.stored, 0);
  CU_ASSERT_EQUAL(got.end.conflicts, DHT_K);
  CU_ASSERT_EQUAL(got.end.seq, 4); /* the writer learns what he is up against */
  sim_free(s);
}

static void five_hundred_nodes_with_loss(void) {
  struct sim *s = network(2, 500, 5);
  uint64_t slowest = 0;
  for (int i = 0; i < 40; i++) {
    char v[16];
    unsigned writer = client(s), reader = client(s);
    snprintf(v, sizeof v, "2:%02d", i);
    put(s, writer, v, 10 + i);
    CU_ASSERT_TRUE(got.end.stored >= 6);
    uint64_t start = s->now;
    get(s, reader);
    CU_ASSERT_TRUE(value_is(v));
    if (got.first_at - start > slowest)
      slowest = got.first_at - start;
  }
  CU_ASSERT_TRUE(slowest < 3 * S);
  sim_free(s);
}

static uint64_t one_run(uint64_t seed) {
  struct sim *s = network(seed, 60, 5);
  put(s, client(s), "5:hello", 1);
  get(s, client(s));
  uint64_t trace = s->trace;
  sim_free(s);
  return trace;
}

static void one_seed_one_run(void) {
  uint64_t a = one_run(77);
  CU_ASSERT_EQUAL(one_run(77), a);
  CU_ASSERT_NOT_EQUAL(one_run(78), a);
}

static void one_node_and_two_clients(void) {
  struct sim *s = network(3, 1, 0);
  unsigned writer = client(s), reader = client(s);
  put(s, writer, "5:hello", 1);
  CU_ASSERT_EQUAL(got.end.stored, 1);
  get(s, reader);
  CU_ASSERT_TRUE(value_is("5:hello"));
  CU_ASSERT_EQUAL(got.end.answered, 1);
  sim_free(s);
}

static void dead_nodes_are_passed_by(void) {
  struct sim *s = network(4, 100, 0);
  unsigned reader = client(s);
  put(s, client(s), "5:hello", 1);
  sim_run(s, s->now + 3 * S, NULL); /* the reader has found its neighbourhood */
  for (unsigned i = 1; i < 100; i += 3)
    s->nodes[i].down = true;
  uint64_t start = s->now;
  get(s, reader);
  CU_ASSERT_TRUE(value_is("5:hello"));
  CU_ASSERT_TRUE(got.first_at - start < 800 * MS);
  unsigned cold = client(s);
  start = s->now;
  get(s, cold);
  CU_ASSERT_TRUE(value_is("5:hello"));
  CU_ASSERT_TRUE(got.first_at - start < 2 * S);
  s->nodes[0].down = true; /* the bootstrap node goes: whoever knows others needs it no more */
  get(s, reader);
  CU_ASSERT_TRUE(value_is("5:hello"));
  sim_free(s);
}

static void no_network_and_its_return(void) {
  struct sim *s = network(5, 4, 0);
  s->nodes[0].down = true;
  unsigned c = client(s);
  uint64_t start = s->now;
  get(s, c);
  CU_ASSERT_EQUAL(got.end.answered, 0);
  CU_ASSERT_TRUE(got.done_at - start >= 2 * S && got.done_at - start < 4 * S);
  dht_op op = dht_get(s->nodes[c].d, s->now, identity_key(owner), NULL, 0);
  memset(&got, 0, sizeof got);
  start = s->now;
  sim_flush(s, c);
  sim_run(s, s->now + 1200 * MS, NULL);
  CU_ASSERT_EQUAL(got.done, 0);
  s->nodes[0].down = false; /* in time: the operation goes on with it */
  CU_ASSERT_TRUE(sim_run(s, s->now + 10 * S, is_done));
  CU_ASSERT_EQUAL(got.end.op, op);
  CU_ASSERT_TRUE(got.end.answered >= 1);
  CU_ASSERT_EQUAL(got.ready, 1);
  CU_ASSERT_TRUE(got.done_at - start < 4 * S);
  sim_free(s);
}

static void bootstrap_is_asked_ever_more_slowly(void) {
  struct sim *s = sim_new(6);
  s->on_event = on_event;
  unsigned dead = sim_add(s, false, NULL), c = client(s);
  s->nodes[dead].down = true;
  sim_run(s, s->now + S, NULL);
  uint64_t first = s->nodes[c].sent;
  CU_ASSERT_TRUE(first >= 4 && first <= 10);
  sim_run(s, s->now + 600 * S, NULL);
  uint64_t later = s->nodes[c].sent;
  CU_ASSERT_TRUE(later - first >= 20 && later - first < 45);
  memset(&got, 0, sizeof got);
  s->nodes[dead].down = false;
  sim_run(s, s->now + 31 * S, NULL);
  CU_ASSERT_EQUAL(got.ready, 1);
  sim_free(s);
}

static void immutable_items(void) {
  struct sim *s = network(7, 20, 5);
  static const uint8_t v[] = "l4:some4:itemi5ee";
  uint8_t target[DHT_ID_LEN];
  unsigned w = client(s), r = client(s);
  finish(s, w, dht_put_immutable(s->nodes[w].d, s->now, v, sizeof v - 1));
  CU_ASSERT_TRUE(got.end.stored >= 6);
  dht_target_immutable(target, v, sizeof v - 1);
  finish(s, r, dht_get_immutable(s->nodes[r].d, s->now, target));
  CU_ASSERT_TRUE(value_is((const char *)v));
  CU_ASSERT_EQUAL(got.values, 1);
  target[0] ^= 1;
  finish(s, r, dht_get_immutable(s->nodes[r].d, s->now, target));
  CU_ASSERT_EQUAL(got.values, 0);
  sim_free(s);
}

static void peers_of_an_infohash(void) {
  struct sim *s = network(8, 20, 0);
  static const uint8_t hash[DHT_ID_LEN] = "some infohash or so";
  unsigned a = client(s), b = client(s), r = client(s);
  finish(s, a, dht_announce(s->nodes[a].d, s->now, hash, 4000));
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  finish(s, b, dht_announce(s->nodes[b].d, s->now, hash, 0));
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  finish(s, r, dht_get_peers(s->nodes[r].d, s->now, hash));
  CU_ASSERT_EQUAL_FATAL(got.n_peers, 2); /* each once */
  struct addr want = s->nodes[a].addr;
  want.port = 4000;
  unsigned at = addr_equal(&got.peers[0], &want) ? 0 : 1;
  CU_ASSERT_TRUE(addr_equal(&got.peers[at], &want));
  CU_ASSERT_TRUE(addr_equal(&got.peers[1 - at], &s->nodes[b].addr)); /* port 0: the one it was sent from */
  sim_free(s);
}

static void cas_between_writers(void) {
  struct sim *s = network(9, 20, 0);
  unsigned a = client(s), b = client(s);
  put_cas(s, a, "1:a", 10, "", true, 5); /* nothing is there: cas does not count */
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  put_cas(s, b, "1:b", 20, "", true, 10);
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  put_cas(s, a, "1:c", 30, "", true, 10); /* has not read b's */
  CU_ASSERT_EQUAL(got.end.stored, 0);
  CU_ASSERT_EQUAL(got.end.conflicts, DHT_K);
  CU_ASSERT_EQUAL(got.end.seq, 20);
  put_cas(s, a, "1:c", 30, "", true, 20);
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  sim_free(s);
}

static int write_opened(struct sim *s, unsigned node, dht_op op, const char *v, int64_t seq) {
  uint8_t buf[1200], sig[64];
  size_t n = dht_mutable_buffer(buf, sizeof buf, NULL, 0, seq, (const uint8_t *)v, strlen(v));
  identity_sign(owner, sig, buf, n);
  return dht_write(s->nodes[node].d, s->now, op, seq, sig, (const uint8_t *)v, strlen(v));
}

static dht_op open_item(struct sim *s, unsigned node) {
  dht_op op = dht_open(s->nodes[node].d, s->now, identity_key(owner), NULL, 0);
  finish(s, node, op);
  return op;
}

static void read_modify_write(void) {
  struct sim *s = network(16, 20, 0);
  unsigned a = client(s), b = client(s);
  dht_op x = open_item(s, a), y = open_item(s, b); /* both read that there is nothing */
  CU_ASSERT_EQUAL(write_opened(s, a, x, "3:no", 1), -1); /* not bencoded: it stays open */
  CU_ASSERT_EQUAL(errno, EINVAL);
  uint64_t start = s->now;
  CU_ASSERT_EQUAL(write_opened(s, a, x, "1:a", 10), 0);
  finish(s, a, x);
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  CU_ASSERT_TRUE(s->now - start <= 2 * s->latency_max); /* no second lookup */
  CU_ASSERT_EQUAL(write_opened(s, a, x, "1:a", 11), -1); /* it has ended */
  CU_ASSERT_EQUAL(write_opened(s, b, y, "1:b", 20), 0);
  finish(s, b, y);
  CU_ASSERT_EQUAL(got.end.stored, 0); /* though its seq is higher */
  CU_ASSERT_EQUAL(got.end.conflicts, DHT_K);
  /* Nodes that missed an update hold an older value: it is reported, and they are not stuck with it. */
  for (unsigned i = 0; i < 20; i++)
    s->nodes[i].down = i % 2;
  y = open_item(s, b);
  CU_ASSERT_EQUAL(write_opened(s, b, y, "1:b", 20), 0);
  finish(s, b, y);
  CU_ASSERT_TRUE(got.end.stored > 0);
  for (unsigned i = 0; i < 20; i++)
    s->nodes[i].down = false;
  x = open_item(s, a);
  CU_ASSERT_EQUAL(got.values, 2);
  CU_ASSERT_EQUAL(got.end.seq, 20);
  CU_ASSERT_EQUAL(write_opened(s, a, x, "1:c", 30), 0);
  finish(s, a, x);
  CU_ASSERT_EQUAL(got.end.stored, DHT_K);
  CU_ASSERT_EQUAL(got.end.conflicts, 0);
  y = open_item(s, b);
  dht_cancel(s->nodes[b].d, y);
  CU_ASSERT_EQUAL(write_opened(s, b, y, "1:d", 40), -1);
  sim_free(s);
}

static bool lie(struct sim *s, unsigned from, const struct addr *to, uint8_t *data, size_t len) {
  uint8_t *sig = memmem(data, len, "3:sig64:", 8);
  uint8_t *v = memmem(data, len, "1:v5:", 5);
  bool is_reply = memmem(data, len, "1:y1:r", 6) != NULL;
  if (is_reply && sig && from % 4 == 1)
    sig[12] ^= 1;
  if (is_reply && v && from % 4 == 2)
    v[7] ^= 1;
  if (is_reply && memmem(data, len, "3:seqi", 6) && from % 4 == 3)
    *((uint8_t *)memmem(data, len, "3:seqi", 6) + 6) = '9';
  return true;
}

static void liars_are_seen_through(void) {
  struct sim *s = network(10, 64, 0);
  unsigned r = client(s);
  put(s, client(s), "5:hello", 1000);
  s->on_packet = lie;
  get(s, r);
  CU_ASSERT_EQUAL(got.values, 1);
  CU_ASSERT_TRUE(value_is("5:hello"));
  CU_ASSERT_EQUAL(got.value.seq, 1000);
  CU_ASSERT_TRUE(got.end.invalid > 0);
  CU_ASSERT_EQUAL(got.end.seq, 1000);
  sim_free(s);
}

static bool from_others(struct sim *s, unsigned from, const struct addr *to, uint8_t *data, size_t len) {
  return from != 5; /* its queries and answers are lost */
}

static void upkeep_over_hours(void) {
  struct sim *s = network(12, 40, 1);
  put(s, client(s), "5:hello", 1);
  sim_run(s, s->now + 3600 * S, NULL);
  get(s, client(s));
  CU_ASSERT_TRUE(value_is("5:hello"));
  s->on_packet = from_others;
  sim_run(s, s->now + 3605 * S, NULL);
  get(s, client(s));
  CU_ASSERT_EQUAL(got.values, 0); /* two hours are over */
  unsigned fewest = 99, dead_known = 0;
  for (unsigned i = 0; i < 40; i++) {
    if (known_nodes(s, i) < fewest && i != 5)
      fewest = known_nodes(s, i);
    dead_known += i != 5 && knows(s, i, 5);
  }
  CU_ASSERT_TRUE(fewest >= 8);
  CU_ASSERT_EQUAL(dead_known, 0);
  sim_free(s);
}

static void calls_are_checked(void) {
  struct sim *s = network(13, 2, 0);
  struct dht *d = s->nodes[1].d;
  uint8_t key[32] = {1}, sig[64] = {0}, big[DHT_VALUE_MAX + 8];
  struct addr bad = addr_v4(10, 0, 0, 1, 0), group = addr_v4(224, 0, 0, 1, 5);
  CU_ASSERT_EQUAL(dht_get(d, s->now, key, key, 65), 0);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(dht_put(d, s->now, key, NULL, 0, 1, sig, (const uint8_t *)"hello", 5, false, 0), 0);
  CU_ASSERT_EQUAL(errno, EINVAL);
  memset(big, 'x', sizeof big);
  memcpy(big, "1000:", 5);
  CU_ASSERT_EQUAL(dht_put_immutable(d, s->now, big, 1005), 0);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(dht_add_bootstrap(d, &bad), -1);
  CU_ASSERT_EQUAL(dht_add_bootstrap(d, &group), -1);
  for (unsigned i = 0; i < 2 * DHT_BOOTSTRAP_MAX; i++) {
    struct addr a = addr_v4(10, 9, 0, (uint8_t)i, 1);
    int rc = dht_add_bootstrap(d, &a);
    CU_ASSERT_EQUAL(rc, d->n_boots <= DHT_BOOTSTRAP_MAX && i < DHT_BOOTSTRAP_MAX - 1 ? 0 : -1);
  }
  CU_ASSERT_EQUAL(d->n_boots, DHT_BOOTSTRAP_MAX);
  dht_op ops[DHT_OPS_MAX + 1], n = 0;
  while (n <= DHT_OPS_MAX && (ops[n] = dht_get(d, s->now, key, NULL, 0)) != 0)
    n++;
  CU_ASSERT_EQUAL(errno, ENOBUFS);
  CU_ASSERT_TRUE(n > DHT_OPS_MAX - 4 && n <= DHT_OPS_MAX);
  for (unsigned i = 1; i < n; i++)
    dht_cancel(d, ops[i]);
  dht_cancel(d, ops[1]);
  dht_cancel(d, 0);
  memset(&got, 0, sizeof got);
  sim_flush(s, 1);
  sim_run(s, s->now + 10 * S, NULL);
  CU_ASSERT_EQUAL(got.done, 1);
  CU_ASSERT_EQUAL(got.end.op, ops[0]);
  sim_free(s);
}

static void read_only_senders_stay_outside(void) {
  struct sim *s = network(14, 1, 0);
  client(s);
  sim_run(s, s->now + 60 * S, NULL);
  CU_ASSERT_EQUAL(known_nodes(s, 0), 0);
  CU_ASSERT_EQUAL(known_nodes(s, 1), 1);
  sim_free(s);
}

/* Nodes all over the routable space tell a node what its address is. */
static void our_address_by_vote(void) {
  struct sim *s = sim_new(15);
  s->on_event = on_event;
  s->latency_max = 6000;
  struct addr first = addr_v4(20, 1, 1, 1, 6881), ours = addr_v4(99, 8, 7, 6, 6881);
  sim_add(s, false, &first);
  for (unsigned i = 1; i < 24; i++) {
    struct addr a = addr_v4((uint8_t)(20 + i), 1, 1, 1, 6881);
    sim_bootstrap(s, sim_add(s, false, &a), 0);
  }
  unsigned me = sim_add(s, false, &ours);
  sim_bootstrap(s, me, 0);
  CU_ASSERT_FALSE(dht_id_belongs(dht_id(s->nodes[me].d, ADDR_V4), &ours));
  sim_run(s, s->now + 30 * S, NULL);
  CU_ASSERT_TRUE(dht_id_belongs(dht_id(s->nodes[me].d, ADDR_V4), &ours));
  CU_ASSERT_TRUE(known_nodes(s, me) >= 8);
  unsigned belong = 0;
  for (unsigned i = 0; i < 24; i++)
    belong += dht_id_belongs(dht_id(s->nodes[i].d, ADDR_V4), &s->nodes[i].addr);
  CU_ASSERT_TRUE(belong >= 22);
  put(s, me, "5:hello", 1);
  CU_ASSERT_TRUE(got.end.stored >= 6);
  sim_free(s);
}

static const struct check_test tests[] = {
  {"everybody is soon known", everybody_is_soon_known},
  {"halves know each other", halves_know_each_other},
  {"a cold client puts and gets", a_cold_client_puts_and_gets},
  {"five hundred nodes with loss", five_hundred_nodes_with_loss},
  {"one seed, one run", one_seed_one_run},
  {"one node and two clients", one_node_and_two_clients},
  {"dead nodes are passed by", dead_nodes_are_passed_by},
  {"no network, and its return", no_network_and_its_return},
  {"bootstrap nodes are asked ever more slowly", bootstrap_is_asked_ever_more_slowly},
  {"immutable items", immutable_items},
  {"peers of an infohash", peers_of_an_infohash},
  {"cas between writers", cas_between_writers},
  {"read, modify, write", read_modify_write},
  {"liars are seen through", liars_are_seen_through},
  {"upkeep over hours", upkeep_over_hours},
  {"calls are checked", calls_are_checked},
  {"read-only senders stay outside", read_only_senders_stay_outside},
  {"our address by vote", our_address_by_vote},
};

int main(void) {
  uint8_t seed[32] = "dht";
  if (identity_init() != 0 || !(owner = identity_new(seed)))
    return 1;
  int failed = check_main("dht", tests, sizeof tests / sizeof tests[0]);
  identity_free(owner);
  return failed;
}
