/* test_dht_table.c - distances, ids of BEP 42, and the routing table against a plain sorted list. */
#include "check.h"
#include "dht_id.h"
#include "dht_table.h"

#include <stdlib.h>
#include <string.h>

static struct rng rng;

static void random_id(uint8_t id[DHT_ID_LEN]) {
  rng_bytes(&rng, id, DHT_ID_LEN);
}

/* An id that shares exactly `prefix` bits with own. */
static void id_at(const uint8_t own[DHT_ID_LEN], unsigned prefix, uint8_t id[DHT_ID_LEN]) {
  do {
    random_id(id);
    for (unsigned b = 0; b <= prefix; b++) {
      uint8_t mask = (uint8_t)(0x80 >> b % 8);
      uint8_t bit = (uint8_t)((own[b / 8] ^ (b == prefix ? 0xff : 0)) & mask);
      id[b / 8] = (uint8_t)((id[b / 8] & ~mask) | bit);
    }
  } while (dht_id_prefix(own, id) != prefix);
}

static struct addr host(unsigned n) {
  return addr_v4(10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 6881);
}

static void distances(void) {
  uint8_t a[DHT_ID_LEN] = {0}, b[DHT_ID_LEN] = {0}, t[DHT_ID_LEN] = {0};
  CU_ASSERT_EQUAL(dht_id_prefix(a, b), 160);
  CU_ASSERT_EQUAL(dht_id_compare(t, a, b), 0);
  b[19] = 1;
  CU_ASSERT_EQUAL(dht_id_prefix(a, b), 159);
  CU_ASSERT_TRUE(dht_id_compare(t, a, b) < 0);
  t[19] = 1;
  CU_ASSERT_TRUE(dht_id_compare(t, a, b) > 0);
  a[0] = 0x80;
  CU_ASSERT_EQUAL(dht_id_prefix(a, b), 0);
  CU_ASSERT_TRUE(dht_id_compare(t, a, b) > 0);
  t[0] = 0x90;
  CU_ASSERT_TRUE(dht_id_compare(t, a, b) < 0);
  b[0] = 0x90;
  CU_ASSERT_EQUAL(dht_id_prefix(a, b), 3);
}

/* The vectors of BEP 42: address, last byte of the id, and the first 21 bits that go with them. */
static void bep42_vectors(void) {
  static const struct {
    uint8_t ip[4], last, start[3];
  } v[] = {
    {{124, 31, 75, 21}, 1, {0x5f, 0xbf, 0xbf}},  {{21, 75, 31, 124}, 86, {0x5a, 0x3c, 0xe9}},
    {{65, 23, 51, 170}, 22, {0xa5, 0xd4, 0x32}}, {{84, 124, 73, 14}, 65, {0x1b, 0x03, 0x21}},
    {{43, 213, 53, 83}, 90, {0xe5, 0x6f, 0x6c}},
  };
  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
    uint8_t id[DHT_ID_LEN];
    struct addr a = addr_from_ip(v[i].ip, 4, 1);
    random_id(id);
    memcpy(id, v[i].start, 3);
    id[19] = v[i].last;
    CU_ASSERT_TRUE(dht_id_belongs(id, &a));
    for (unsigned bit = 0; bit < 24; bit++) {
      id[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
      CU_ASSERT_EQUAL(dht_id_belongs(id, &a), bit >= 21);
      id[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
    }
  }
}

static void ids_for_addresses(void) {
  static const uint8_t ip6[16] = {0x26, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 1};
  uint8_t id[DHT_ID_LEN], other[DHT_ID_LEN];
  struct addr a4 = addr_v4(8, 8, 4, 4, 1), a6 = addr_from_ip(ip6, 16, 1), near = a6, private = host(1);
  unsigned belongs = 0;
  near.ip[15] = 77; /* the low half does not count, BEP 42 */
  for (int i = 0; i < 200; i++) {
    dht_id_for(id, &a4, &rng);
    CU_ASSERT_TRUE(dht_id_belongs(id, &a4));
    dht_id_for(other, &a6, &rng);
    CU_ASSERT_TRUE(dht_id_belongs(other, &a6));
    CU_ASSERT_TRUE(dht_id_belongs(other, &near));
    random_id(id);
    belongs += dht_id_belongs(id, &a4);
    CU_ASSERT_TRUE(dht_id_belongs(id, &private)); /* exempt */
  }
  CU_ASSERT_EQUAL(belongs, 0);
}

static void a_bucket_keeps_those_that_answer(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN];
  struct dht_table t;
  struct addr a;
  random_id(own);
  dht_table_init(&t, own);
  for (unsigned i = 0; i < DHT_K; i++) {
    a = host(i);
    id_at(own, 5, id);
    CU_ASSERT_TRUE(dht_table_wants(&t, id, &a, 1000));
    CU_ASSERT_TRUE(dht_table_answered(&t, id, &a, 1000));
    CU_ASSERT_FALSE(dht_table_answered(&t, id, &a, 1000)); /* known */
    CU_ASSERT_FALSE(dht_table_wants(&t, id, &a, 1000));
  }
  CU_ASSERT_EQUAL(t.count, DHT_K);
  a = host(99);
  id_at(own, 5, id);
  CU_ASSERT_FALSE(dht_table_wants(&t, id, &a, 1000));
  CU_ASSERT_FALSE(dht_table_answered(&t, id, &a, 1000));
  struct addr bad = host(3);
  for (int i = 0; i < DHT_NODE_BAD; i++)
    dht_table_failed(&t, &bad);
  CU_ASSERT_TRUE(dht_table_wants(&t, id, &a, 1000));
  CU_ASSERT_TRUE(dht_table_answered(&t, id, &a, 1000)); /* the bad one gives way */
  CU_ASSERT_EQUAL(t.count, DHT_K);
  CU_ASSERT_FALSE(dht_table_answered(&t, id, &a, 2000));
  id_at(own, 6, id);
  CU_ASSERT_TRUE(dht_table_answered(&t, id, &bad, 2000)); /* another bucket has room */
  for (int i = 0; i < DHT_NODE_GONE; i++)
    dht_table_failed(&t, &bad);
  CU_ASSERT_EQUAL(t.count, DHT_K);
  CU_ASSERT_FALSE(dht_table_answered(&t, own, &bad, 2000)); /* our own id is nobody else's */
  dht_table_free(&t);
}

static void one_node_an_address_and_no_stolen_ids(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN], id2[DHT_ID_LEN];
  struct dht_table t;
  struct addr a = host(1), b = host(2);
  const struct dht_node *n;
  random_id(own);
  dht_table_init(&t, own);
  id_at(own, 2, id);
  id_at(own, 3, id2);
  dht_table_answered(&t, id, &a, 1);
  CU_ASSERT_TRUE(dht_table_wants(&t, id2, &a, 1));
  CU_ASSERT_TRUE(dht_table_answered(&t, id2, &a, 1)); /* restarted under another id */
  CU_ASSERT_EQUAL(t.count, 1);
  CU_ASSERT_FALSE(dht_table_answered(&t, id2, &b, 2)); /* the id of a node that answers */
  CU_ASSERT_EQUAL(dht_table_closest(&t, id2, DHT_GOOD, &n, 1), 1);
  CU_ASSERT_TRUE(addr_equal(&n->addr, &a));
  for (int i = 0; i < DHT_NODE_BAD; i++)
    dht_table_failed(&t, &a);
  CU_ASSERT_EQUAL(dht_table_closest(&t, id2, DHT_GOOD, &n, 1), 0); /* bad ones are not handed out */
  CU_ASSERT_EQUAL(dht_table_closest(&t, id2, DHT_ALL, &n, 1), 1);
  CU_ASSERT_TRUE(dht_table_answered(&t, id2, &b, 3)); /* moved */
  CU_ASSERT_EQUAL(t.count, 1);
  dht_table_free(&t);
}

static void subnets_of_routable_addresses(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN];
  struct dht_table t;
  random_id(own);
  dht_table_init(&t, own);
  for (unsigned i = 0; i < 10; i++) {
    struct addr a = addr_v4(8, 8, 4, (uint8_t)(1 + i), 1);
    id_at(own, 4, id);
    CU_ASSERT_EQUAL(dht_table_answered(&t, id, &a, 1), i < DHT_SUBNET_PER_BUCKET);
  }
  for (unsigned i = 0; i < 10; i++) {
    struct addr a = addr_v4(8, 8, 4, (uint8_t)(101 + i), 1);
    id_at(own, 5 + i, id);
    CU_ASSERT_EQUAL(dht_table_answered(&t, id, &a, 1), i < DHT_SUBNET_PER_TABLE - DHT_SUBNET_PER_BUCKET);
  }
  struct addr same_ip = addr_v4(8, 8, 4, 1, 2);
  id_at(own, 30, id);
  CU_ASSERT_FALSE(dht_table_wants(&t, id, &same_ip, 1));
  CU_ASSERT_FALSE(dht_table_answered(&t, id, &same_ip, 1));
  for (unsigned i = 0; i < DHT_K; i++) { /* 127.0.0.1 has as many as there are ports */
    struct addr a = addr_v4(127, 0, 0, 1, (uint16_t)(1000 + i));
    id_at(own, 40, id);
    CU_ASSERT_TRUE(dht_table_answered(&t, id, &a, 1));
  }
  dht_table_free(&t);
}

static void compliant_ids_come_first(void) {
  uint8_t own[DHT_ID_LEN] = {0}, id[DHT_ID_LEN];
  struct dht_table t;
  dht_table_init(&t, own);
  for (unsigned i = 0; i < DHT_K; i++) {
    struct addr a = addr_v4((uint8_t)(20 + i), 1, 1, 1, 1);
    do
      id_at(own, 0, id);
    while (dht_id_belongs(id, &a));
    CU_ASSERT_TRUE(dht_table_answered(&t, id, &a, 1));
  }
  struct addr liar = addr_v4(50, 1, 1, 1, 1), honest = addr_v4(51, 1, 1, 1, 1);
  do
    id_at(own, 0, id);
  while (dht_id_belongs(id, &liar));
  CU_ASSERT_FALSE(dht_table_answered(&t, id, &liar, 1));
  do
    dht_id_for(id, &honest, &rng);
  while (dht_id_prefix(own, id) != 0);
  CU_ASSERT_TRUE(dht_table_answered(&t, id, &honest, 1));
  CU_ASSERT_EQUAL(t.count, DHT_K);
  dht_table_free(&t);
}

static const uint8_t *sort_target;
static int by_distance(const void *a, const void *b) {
  const struct dht_node *const *x = a, *const *y = b;
  return dht_id_compare(sort_target, (*x)->id, (*y)->id);
}

static void closest_like_a_sorted_list(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN], target[DHT_ID_LEN];
  struct dht_table t;
  random_id(own);
  dht_table_init(&t, own);
  for (unsigned i = 0; i < 3000; i++) {
    struct addr a = host(i);
    id_at(own, i % 20, id);
    dht_table_answered(&t, id, &a, 1);
  }
  CU_ASSERT_EQUAL(t.count, 20 * DHT_K);
  for (unsigned round = 0; round < 200; round++) {
    const struct dht_node *all[20 * DHT_K], *best[DHT_K];
    random_id(target);
    unsigned n = dht_table_closest(&t, target, DHT_GOOD, all, 20 * DHT_K);
    CU_ASSERT_EQUAL_FATAL(n, 20 * DHT_K);
    sort_target = target;
    qsort(all, n, sizeof all[0], by_distance);
    CU_ASSERT_EQUAL_FATAL(dht_table_closest(&t, target, DHT_GOOD, best, DHT_K), DHT_K);
    CU_ASSERT_EQUAL(memcmp(all, best, sizeof best), 0);
  }
  uint8_t other[DHT_ID_LEN];
  id_at(own, 3, other);
  dht_table_rekey(&t, other);
  CU_ASSERT_TRUE(t.count >= 3 * DHT_K); /* the first buckets hold as before */
  CU_ASSERT_EQUAL(memcmp(t.own, other, DHT_ID_LEN), 0);
  for (unsigned b = 0; b < DHT_BUCKETS; b++)
    for (unsigned i = 0; t.buckets[b] && i < t.buckets[b]->n; i++)
      CU_ASSERT_EQUAL(dht_id_prefix(other, t.buckets[b]->nodes[i].id), b);
  dht_table_free(&t);
}

static void upkeep(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN], id2[DHT_ID_LEN];
  struct dht_table t;
  struct addr a = host(1), b = host(2);
  unsigned prefix = 99;
  random_id(own);
  dht_table_init(&t, own);
  CU_ASSERT_PTR_NULL(dht_table_silent(&t, UINT64_MAX, UINT64_MAX));
  CU_ASSERT_FALSE(dht_table_stale_bucket(&t, UINT64_MAX, &prefix));
  id_at(own, 7, id);
  id_at(own, 9, id2);
  dht_table_answered(&t, id, &a, 100);
  dht_table_answered(&t, id2, &b, 200);
  CU_ASSERT_PTR_NULL(dht_table_silent(&t, 99, 99));
  struct dht_node *n = dht_table_silent(&t, 150, 150);
  CU_ASSERT_PTR_NOT_NULL_FATAL(n);
  CU_ASSERT_TRUE(addr_equal(&n->addr, &a));
  n->asked = 160;
  CU_ASSERT_PTR_NULL(dht_table_silent(&t, 150, 150)); /* asked, the answer may be on its way */
  dht_table_failed(&t, &b);
  n = dht_table_silent(&t, 0, 300);
  CU_ASSERT_PTR_NOT_NULL_FATAL(n);
  CU_ASSERT_TRUE(addr_equal(&n->addr, &b)); /* failing ones are looked after sooner */
  CU_ASSERT_TRUE(dht_table_stale_bucket(&t, 100, &prefix));
  CU_ASSERT_EQUAL(prefix, 7);
  dht_table_touch(&t, 7, 300);
  CU_ASSERT_TRUE(dht_table_stale_bucket(&t, 250, &prefix));
  CU_ASSERT_EQUAL(prefix, 9);
  dht_table_free(&t);
}

static void buckets_with_room(void) {
  uint8_t own[DHT_ID_LEN], id[DHT_ID_LEN];
  struct dht_table t;
  unsigned prefix = 0, host_n = 0;
  random_id(own);
  dht_table_init(&t, own);
  CU_ASSERT_FALSE(dht_table_room(&t, &prefix));
  for (unsigned i = 0; i < DHT_K; i++) {
    struct addr a = host(host_n++);
    id_at(own, 1, id);
    dht_table_answered(&t, id, &a, 1);
  }
  struct addr deepest = host(host_n);
  id_at(own, 4, id);
  dht_table_answered(&t, id, &deepest, 1);
  CU_ASSERT_TRUE(dht_table_room(&t, &prefix));
  CU_ASSERT_EQUAL(prefix, 0);
  prefix = 1;
  CU_ASSERT_TRUE(dht_table_room(&t, &prefix)); /* bucket 1 is full */
  CU_ASSERT_EQUAL(prefix, 2);
  prefix = 4;
  CU_ASSERT_FALSE(dht_table_room(&t, &prefix)); /* the lookup of our own id fills the deepest */
  dht_table_free(&t);
}

static const struct check_test tests[] = {
  {"distances", distances},
  {"the vectors of BEP 42", bep42_vectors},
  {"ids for addresses", ids_for_addresses},
  {"a bucket keeps those that answer", a_bucket_keeps_those_that_answer},
  {"one node an address, and no stolen ids", one_node_an_address_and_no_stolen_ids},
  {"limits per subnet", subnets_of_routable_addresses},
  {"ids that belong to their address come first", compliant_ids_come_first},
  {"the closest, like a sorted list", closest_like_a_sorted_list},
  {"upkeep", upkeep},
  {"buckets with room", buckets_with_room},
};

int main(void) {
  uint8_t seed[RNG_SEED_LEN] = "table";
  rng_init(&rng, seed);
  return check_main("dht_table", tests, sizeof tests / sizeof tests[0]);
}
