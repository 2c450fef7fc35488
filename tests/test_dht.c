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

/* ---- one node, byte for byte ---- */

static uint8_t reply[DHT_DATAGRAM_MAX];
static size_t reply_len, replies, replied_bytes;
static struct addr reply_to;

/* What node sends back to a datagram; pings of newcomers are not counted. */
static void ask(struct dht *d, uint64_t now, const struct addr *from, const void *p, size_t len) {
  uint8_t buf[DHT_DATAGRAM_MAX];
  struct krpc m;
  struct addr to;
  size_t n;
  reply_len = replies = 0;
  dht_input(d, now, 0, from, p, len);
  while (dht_output(d, &to, buf, &n)) {
    CU_ASSERT_EQUAL_FATAL(krpc_decode(&m, buf, n), 0);
    if (m.type == KRPC_QUERY)
      continue;
    memcpy(reply, buf, n);
    reply_len = n;
    reply_to = to;
    replies++;
    replied_bytes += n;
  }
}

static void ask_text(struct dht *d, uint64_t now, const struct addr *from, const char *text) {
  ask(d, now, from, text, strlen(text));
}

static struct dht *lone_node(bool read_only) {
  struct dht_config c = {.read_only = read_only, .ipv4 = true, .ipv6 = true};
  uint8_t seed[32] = "lone";
  struct dht *d = dht_new(&c, seed, 1);
  CU_ASSERT_PTR_NOT_NULL_FATAL(d);
  return d;
}

#define ID "abcdefghij0123456789"

static void errors_and_silence(void) {
  struct dht *d = lone_node(false);
  struct addr a = addr_v4(10, 0, 0, 1, 5), zero = addr_v4(10, 0, 0, 1, 0), group = addr_v4(239, 1, 1, 1, 5);
  struct krpc m;
  ask_text(d, 2, &a, "d1:ad2:id20:" ID "e1:q4:vote1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.type, KRPC_ERROR);
  CU_ASSERT_EQUAL(m.code, 204);
  CU_ASSERT_TRUE(addr_equal(&reply_to, &a));
  ask_text(d, 2, &a, "d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.code, 203);
  ask_text(d, 2, &a, "d1:q1:x1:t1:a1:y1:qe"); /* any answer would be longer */
  CU_ASSERT_EQUAL(replies, 0);
  ask_text(d, 2, &zero, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(replies, 0);
  ask_text(d, 2, &group, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(replies, 0);
  ask_text(d, 2, &a, "d1:rd2:id20:" ID "e1:t4:abcd1:y1:re"); /* nobody asked */
  CU_ASSERT_EQUAL(replies, 0);
  ask_text(d, 2, &a, "hello");
  CU_ASSERT_EQUAL(replies, 0);
  ask_text(d, 2, &a, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(memcmp(m.id, dht_id(d, ADDR_V4), 20), 0);
  CU_ASSERT_EQUAL(m.ip.len, 6);
  CU_ASSERT_EQUAL(memcmp(m.ip.p, "\x0a\x00\x00\x01\x00\x05", 6), 0); /* BEP 42: the asker's own address */
  dht_free(d);
  d = lone_node(true);
  ask_text(d, 2, &a, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(replies, 0); /* BEP 43 */
  dht_free(d);
}

static void read_only_senders_stay_outside(void) {
  struct sim *s = network(14, 1, 0);
  client(s);
  sim_run(s, s->now + 60 * S, NULL);
  CU_ASSERT_EQUAL(known_nodes(s, 0), 0);
  CU_ASSERT_EQUAL(known_nodes(s, 1), 1);
  sim_free(s);
}

/* A put of a signed item by `from` with this token. */
static size_t make_put(uint8_t *out, const uint8_t *token, size_t token_len, const char *v, int64_t seq) {
  static uint8_t sig[64];
  uint8_t buf[1200];
  size_t n = dht_mutable_buffer(buf, sizeof buf, NULL, 0, seq, (const uint8_t *)v, strlen(v));
  identity_sign(owner, sig, buf, n);
  struct krpc m = {.type = KRPC_QUERY, .method = KRPC_PUT, .id = (const uint8_t *)ID, .t = {(const uint8_t *)"tt", 2},
                   .token = {token, token_len}, .k = identity_key(owner), .sig = sig, .has_seq = true, .seq = seq,
                   .v = {(const uint8_t *)v, strlen(v)}};
  return krpc_encode(out, DHT_DATAGRAM_MAX, &m);
}

static void take_token(struct dht *d, uint64_t now, const struct addr *from, uint8_t token[DHT_TOKEN_LEN]) {
  struct krpc m;
  ask_text(d, now, from, "d1:ad2:id20:" ID "6:target20:" ID "e1:q3:get1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL_FATAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL_FATAL(m.token.len, DHT_TOKEN_LEN);
  memcpy(token, m.token.p, DHT_TOKEN_LEN);
}

static void write_tokens(void) {
  struct dht *d = lone_node(false);
  struct addr a = addr_v4(10, 0, 0, 1, 5), a2 = addr_v4(10, 0, 0, 1, 6), b = addr_v4(10, 0, 0, 2, 5);
  uint8_t token[DHT_TOKEN_LEN], put_msg[DHT_DATAGRAM_MAX];
  uint64_t now = 1 * S;
  struct krpc m;
  take_token(d, now, &a, token);
  size_t n = make_put(put_msg, token, DHT_TOKEN_LEN, "1:x", 1);
  ask(d, now, &b, put_msg, n);
  CU_ASSERT_EQUAL(replies, 0); /* another's token: nothing at all */
  token[0] ^= 1;
  n = make_put(put_msg, token, DHT_TOKEN_LEN, "1:x", 1);
  ask(d, now, &a, put_msg, n);
  CU_ASSERT_EQUAL(replies, 0);
  n = make_put(put_msg, token, 0, "1:x", 1);
  ask(d, now, &a, put_msg, n);
  CU_ASSERT_EQUAL(replies, 0);
  token[0] ^= 1;
  n = make_put(put_msg, token, DHT_TOKEN_LEN, "1:x", 1);
  ask(d, now, &a2, put_msg, n); /* a NAT gave it another port */
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.type, KRPC_REPLY);
  uint64_t step = DHT_MAINTENANCE;
  for (; now < 1 * S + DHT_SECRET_LIFE - step; now += step)
    dht_tick(d, now, 0);
  n = make_put(put_msg, token, DHT_TOKEN_LEN, "1:x", 2);
  ask(d, now, &a, put_msg, n);
  CU_ASSERT_EQUAL(replies, 1); /* good for five minutes at least */
  for (; now < 1 * S + 2 * DHT_SECRET_LIFE + 4 * step; now += step)
    dht_tick(d, now, 0);
  n = make_put(put_msg, token, DHT_TOKEN_LEN, "1:x", 3);
  ask(d, now, &a, put_msg, n);
  CU_ASSERT_EQUAL(replies, 0); /* and for ten at most */
  dht_free(d);
}

static void put_errors(void) {
  static const struct {
    const char *v;
    int64_t seq;
    int code;
  } steps[] = {{"1:x", 5, 0}, {"1:x", 5, 0}, {"1:y", 5, 302}, {"1:y", 4, 302}, {"1:y", 6, 0}};
  struct dht *d = lone_node(false);
  struct addr a = addr_v4(10, 0, 0, 1, 5);
  uint8_t token[DHT_TOKEN_LEN], msg[DHT_DATAGRAM_MAX], big[DHT_DATAGRAM_MAX];
  struct krpc m;
  take_token(d, 1, &a, token);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    size_t n = make_put(msg, token, DHT_TOKEN_LEN, steps[i].v, steps[i].seq);
    ask(d, 1, &a, msg, n);
    CU_ASSERT_EQUAL_FATAL(replies, 1);
    CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
    CU_ASSERT_EQUAL(m.type == KRPC_ERROR ? m.code : 0, steps[i].code);
    CU_ASSERT_TRUE(reply_len <= n);
  }
  size_t n = make_put(msg, token, DHT_TOKEN_LEN, "1:z", 9);
  ((uint8_t *)memmem(msg, n, "3:sig64:", 8))[20] ^= 4;
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.code, 206);
  memset(big, 'x', sizeof big);
  memcpy(big, "1000:", 5);
  struct krpc q = {.type = KRPC_QUERY, .method = KRPC_PUT, .id = (const uint8_t *)ID, .t = {(const uint8_t *)"tt", 2},
                   .token = {token, DHT_TOKEN_LEN}, .v = {big, 1005}};
  n = krpc_encode(msg, sizeof msg, &q);
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.code, 205);
  q.v.len = 0;
  n = make_put(msg, token, DHT_TOKEN_LEN, "1:z", 9);
  CU_ASSERT_EQUAL_FATAL(krpc_decode(&q, msg, n), 0);
  q.salt = (struct ben){big, 65};
  n = krpc_encode(big + 100, sizeof big - 100, &q);
  ask(d, 1, &a, big + 100, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.code, 207);
  n = make_put(msg, token, DHT_TOKEN_LEN, "1:z", 9);
  CU_ASSERT_EQUAL_FATAL(krpc_decode(&q, msg, n), 0);
  q.has_cas = true;
  q.cas = 5;
  n = krpc_encode(big, sizeof big, &q);
  ask(d, 1, &a, big, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.code, 301);
  dht_free(d);
}

/* Fills both tables of a node with n nodes that have answered. */
static void fill_tables(struct dht *d, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    uint8_t id[DHT_ID_LEN], ip6[16] = {0xfd, 0, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i};
    struct addr a4 = addr_v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i, 7), a6 = addr_from_ip(ip6, 16, 7);
    rng_bytes(&d->rng, id, sizeof id);
    dht_table_answered(&d->table[FAM4], id, &a4, 1);
    dht_table_answered(&d->table[FAM6], id, &a6, 1);
  }
}

static void a_full_answer_fits(void) {
  struct dht *d = lone_node(false);
  struct addr a = addr_v4(10, 0, 0, 1, 5);
  uint8_t token[DHT_TOKEN_LEN], msg[DHT_DATAGRAM_MAX];
  char v[DHT_VALUE_MAX + 1];
  struct krpc m;
  fill_tables(d, 100);
  memset(v, 'x', sizeof v);
  memcpy(v, "996:", 4);
  v[DHT_VALUE_MAX] = 0;
  take_token(d, 1, &a, token);
  size_t n = make_put(msg, token, DHT_TOKEN_LEN, v, INT64_MAX);
  CU_ASSERT_TRUE(n > 0);
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL(replies, 1);
  uint8_t target[DHT_ID_LEN];
  dht_target_mutable(target, identity_key(owner), NULL, 0);
  struct krpc q = {.type = KRPC_QUERY, .method = KRPC_GET, .id = (const uint8_t *)ID, .target = target,
                   .t = {(const uint8_t *)"0123456789012345678901234567890", 31}, .want = KRPC_WANT4 | KRPC_WANT6};
  n = krpc_encode(msg, sizeof msg, &q);
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_TRUE(reply_len <= DHT_DATAGRAM_MAX);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_EQUAL(m.v.len, DHT_VALUE_MAX);
  CU_ASSERT_TRUE(m.nodes.len >= 4 * KRPC_NODE4_LEN); /* the value, and as many nodes as there is room for */
  CU_ASSERT_PTR_NULL(m.nodes6.p);
  q.has_seq = true;
  q.seq = INT64_MAX; /* BEP 44: only if newer */
  n = krpc_encode(msg, sizeof msg, &q);
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_PTR_NULL(m.v.p);
  CU_ASSERT_EQUAL(m.seq, INT64_MAX);
  CU_ASSERT_EQUAL(m.nodes.len, DHT_K * KRPC_NODE4_LEN);
  CU_ASSERT_EQUAL(m.nodes6.len, DHT_K * KRPC_NODE6_LEN); /* want */
  q.want = 0;
  n = krpc_encode(msg, sizeof msg, &q);
  ask(d, 1, &a, msg, n);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  CU_ASSERT_PTR_NULL(m.nodes6.p);
  dht_free(d);
}

static void nobodys_amplifier(void) {
  struct dht *d = lone_node(false);
  struct addr victim = addr_v4(8, 8, 8, 8, 53), other = addr_v4(9, 9, 9, 9, 53), local = addr_v4(127, 0, 0, 1, 9);
  static const char query[] = "d1:ad2:id20:" ID "6:target20:" ID "e1:q9:find_node2:roi1e1:t2:aa1:y1:qe";
  struct krpc m;
  for (unsigned i = 0; i < 40; i++) {
    uint8_t id[DHT_ID_LEN];
    struct addr a = addr_v4((uint8_t)(20 + i), 1, 1, 1, 7);
    dht_id_for(id, &a, &d->rng);
    dht_table_answered(&d->table[FAM4], id, &a, 1);
  }
  fill_tables(d, 100);
  replied_bytes = 0;
  unsigned answered = 0;
  for (unsigned i = 0; i < 5000; i++) {
    victim.port = (uint16_t)(i + 1); /* all ports of an address share its budget */
    ask_text(d, 1000 + i * 200, &victim, query);
    answered += (unsigned)replies;
  }
  CU_ASSERT_TRUE(answered > 100);
  CU_ASSERT_TRUE(replied_bytes <= DHT_BUDGET_BURST + DHT_BUDGET_RATE + 1000); /* one second's worth */
  ask_text(d, S, &other, query);
  CU_ASSERT_EQUAL_FATAL(replies, 1);
  CU_ASSERT_EQUAL(krpc_decode(&m, reply, reply_len), 0);
  for (size_t i = 0; i < m.nodes.len; i += KRPC_NODE4_LEN)
    CU_ASSERT_NOT_EQUAL(m.nodes.p[i + 20], 10); /* our private neighbours are nothing to a stranger */
  CU_ASSERT_TRUE(m.nodes.len > 0);
  for (unsigned i = 0; i < 5000; i++) {
    ask_text(d, S, &local, query);
    CU_ASSERT_EQUAL_FATAL(replies, 1); /* loopback has no budget */
  }
  ask_text(d, 60 * S, &victim, query);
  CU_ASSERT_EQUAL(replies, 1);
  dht_free(d);
}

static void answers_count_only_from_whom_was_asked(void) {
  struct dht *d = lone_node(true);
  struct addr boot = addr_v4(10, 0, 0, 9, 5), liar = addr_v4(10, 0, 0, 8, 5), to;
  uint8_t buf[DHT_DATAGRAM_MAX], out[DHT_DATAGRAM_MAX];
  struct krpc q;
  struct dht_stats st;
  size_t n;
  dht_add_bootstrap(d, &boot);
  CU_ASSERT_EQUAL(dht_deadline(d), 0);
  dht_tick(d, 1, 0);
  CU_ASSERT_TRUE_FATAL(dht_output(d, &to, buf, &n));
  CU_ASSERT_TRUE(addr_equal(&to, &boot));
  CU_ASSERT_EQUAL_FATAL(krpc_decode(&q, buf, n), 0);
  CU_ASSERT_TRUE(q.ro);
  struct krpc r = {.type = KRPC_REPLY, .id = (const uint8_t *)ID, .t = q.t};
  n = krpc_encode(out, sizeof out, &r);
  dht_input(d, 2, 0, &liar, out, n);
  dht_get_stats(d, &st);
  CU_ASSERT_EQUAL(st.nodes_v4, 0);
  uint8_t tid[DHT_TID_LEN];
  memcpy(tid, q.t.p, sizeof tid);
  tid[3] ^= 1;
  r.t.p = tid;
  n = krpc_encode(out, sizeof out, &r);
  dht_input(d, 2, 0, &boot, out, n);
  dht_get_stats(d, &st);
  CU_ASSERT_EQUAL(st.nodes_v4, 0);
  r.t = q.t;
  r.id = dht_id(d, ADDR_V4);
  n = krpc_encode(out, sizeof out, &r);
  dht_input(d, 2, 0, &boot, out, n); /* nobody else is us */
  dht_get_stats(d, &st);
  CU_ASSERT_EQUAL(st.nodes_v4, 0);
  dht_tick(d, dht_deadline(d), 0);
  CU_ASSERT_TRUE_FATAL(dht_output(d, &to, buf, &n));
  CU_ASSERT_EQUAL_FATAL(krpc_decode(&q, buf, n), 0);
  r.t = q.t;
  r.id = (const uint8_t *)ID;
  n = krpc_encode(out, sizeof out, &r);
  dht_input(d, 200000, 0, &boot, out, n);
  dht_get_stats(d, &st);
  CU_ASSERT_EQUAL(st.nodes_v4, 1);
  dht_input(d, 200000, 0, &boot, out, n); /* replayed */
  struct dht_stats again;
  dht_get_stats(d, &again);
  CU_ASSERT_EQUAL(again.dropped, st.dropped + 1);
  dht_free(d);
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

static void few_voices_do_not_move_us(void) {
  struct dht *d = lone_node(false);
  uint8_t before[DHT_ID_LEN];
  struct krpc m = {.type = KRPC_REPLY, .ip = {(const uint8_t *)"\x63\x01\x01\x01\x10\x00", 6}};
  memcpy(before, dht_id(d, ADDR_V4), DHT_ID_LEN);
  for (unsigned i = 0; i < 100; i++) { /* one subnet has one vote */
    struct addr a = addr_v4(30, 1, 1, (uint8_t)i, 9);
    CU_ASSERT_FALSE(dht_vote(d, &a, &m));
  }
  for (unsigned i = 0; i < 100; i++) { /* nor do private addresses vote */
    struct addr a = addr_v4(10, 1, (uint8_t)i, 1, 9);
    CU_ASSERT_FALSE(dht_vote(d, &a, &m));
  }
  CU_ASSERT_EQUAL(memcmp(before, dht_id(d, ADDR_V4), DHT_ID_LEN), 0);
  unsigned changed = 0;
  for (unsigned i = 0; i < DHT_VOTES_NEEDED; i++) {
    struct addr a = addr_v4(30, 2, (uint8_t)i, 1, 9);
    changed += dht_vote(d, &a, &m);
  }
  CU_ASSERT_EQUAL(changed, 1);
  CU_ASSERT_NOT_EQUAL(memcmp(before, dht_id(d, ADDR_V4), DHT_ID_LEN), 0);
  dht_free(d);
}

/* ---- without memory ---- */

static long allocations, fail_at; /* the fail_at-th allocation from now fails; 0: none */
static bool fail_on;              /* and all after it */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void) {
  allocations++;
  return fail_at && (fail_on ? allocations >= fail_at : allocations == fail_at);
}

void *__wrap_malloc(size_t n) {
  return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m) {
  return fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n) {
  return fails() ? NULL : __real_realloc(p, n);
}

/* Everything a node does: asking, being asked, storing, ending. Returns how often it allocated. */
static long a_life(long nth, bool for_good) {
  struct dht_config c = {.ipv4 = true, .ipv6 = true};
  uint8_t seed[32] = "life", buf[DHT_DATAGRAM_MAX], token[DHT_TOKEN_LEN], msg[DHT_DATAGRAM_MAX];
  struct dht *d[2] = {0};
  struct addr at[2] = {addr_v4(10, 0, 0, 1, 5), addr_v4(10, 0, 0, 2, 5)}, to;
  struct dht_event ev;
  size_t n;
  fail_at = 0;
  d[0] = dht_new(&c, seed, 1);
  take_token(d[0], 1, &at[1], token);
  size_t put_len = make_put(msg, token, DHT_TOKEN_LEN, "1:x", 1);
  allocations = 0;
  fail_on = for_good;
  fail_at = nth;
  seed[8] = 1;
  d[1] = dht_new(&c, seed, 1);
  if (d[1]) {
    dht_add_bootstrap(d[1], &at[0]);
    dht_get(d[1], 1, identity_key(owner), NULL, 0);
    dht_put_immutable(d[1], 1, (const uint8_t *)"1:y", 3);
    dht_announce(d[1], 1, (const uint8_t *)ID, 7);
    dht_input(d[0], 1, 0, &at[1], msg, put_len);
    for (uint64_t now = 1; now < 5 * S; now += 100 * MS) {
      for (int i = 0; i < 2; i++) {
        dht_tick(d[i], now, 0);
        while (dht_output(d[i], &to, buf, &n))
          if (addr_equal(&to, &at[1 - i]))
            dht_input(d[1 - i], now, 0, &at[i], buf, n);
        while (dht_next_event(d[i], &ev))
          ;
      }
    }
  }
  long used = allocations;
  fail_at = 0;
  dht_free(d[0]);
  dht_free(d[1]);
  return used;
}

static void without_memory(void) {
  long n = a_life(0, false);
  CU_ASSERT_TRUE(n > 30);
  for (long i = 1; i <= n; i++) {
    a_life(i, false);
    CU_ASSERT_TRUE(a_life(i, true) >= i);
  }
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
  {"errors, and silence", errors_and_silence},
  {"read-only senders stay outside", read_only_senders_stay_outside},
  {"write tokens", write_tokens},
  {"errors of puts", put_errors},
  {"a full answer fits", a_full_answer_fits},
  {"nobody's amplifier", nobodys_amplifier},
  {"answers count only from whom was asked", answers_count_only_from_whom_was_asked},
  {"our address by vote", our_address_by_vote},
  {"few voices do not move us", few_voices_do_not_move_us},
  {"without memory", without_memory},
};

int main(void) {
  uint8_t seed[32] = "dht";
  if (identity_init() != 0 || !(owner = identity_new(seed)))
    return 1;
  int failed = check_main("dht", tests, sizeof tests / sizeof tests[0]);
  identity_free(owner);
  return failed;
}
