/* test_dht_answer.c - one node, byte for byte: what it answers, to whom, and when it keeps silent. */
#include "bencode.h"
#include "check.h"
#include "dht_id.h"
#include "dht_int.h"
#include "identity.h"
#include "krpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

static struct identity *owner;

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
  {"errors, and silence", errors_and_silence},
  {"write tokens", write_tokens},
  {"errors of puts", put_errors},
  {"a full answer fits", a_full_answer_fits},
  {"nobody's amplifier", nobodys_amplifier},
  {"answers count only from whom was asked", answers_count_only_from_whom_was_asked},
  {"few voices do not move us", few_voices_do_not_move_us},
  {"without memory", without_memory},
};

int main(void) {
  uint8_t seed[32] = "dht";
  if (identity_init() != 0 || !(owner = identity_new(seed)))
    return 1;
  int failed = check_main("dht_answer", tests, sizeof tests / sizeof tests[0]);
  identity_free(owner);
  return failed;
}
