/* test_dht_lookup.c - whom a lookup asks, in which order, and when it ends. */
#include "check.h"
#include "dht_id.h"
#include "dht_lookup.h"

#include <string.h>

#define K 8
#define ALPHA 3

static const uint8_t target[DHT_ID_LEN] = {0};

/* Node n: its distance to the target grows with n. */
static struct addr host(unsigned n) {
  return addr_v4(10, 0, (uint8_t)(n >> 8), (uint8_t)n, 1);
}

static const uint8_t *id_of(unsigned n) {
  static uint8_t id[DHT_ID_LEN];
  memset(id, 0, sizeof id);
  id[0] = (uint8_t)(n >> 8);
  id[1] = (uint8_t)n;
  id[2] = 1;
  return id;
}

static bool add(struct dht_lookup *l, unsigned n) {
  struct addr a = host(n);
  return dht_lookup_add(l, id_of(n), &a);
}

/* The number of the node asked next, -1 for nobody. */
static int next(struct dht_lookup *l) {
  const struct dht_cand *c = dht_lookup_next(l);
  return c ? c->addr.ip[2] << 8 | c->addr.ip[3] : -1;
}

static struct dht_cand *answered(struct dht_lookup *l, unsigned n) {
  struct addr a = host(n);
  struct dht_cand *c = dht_lookup_find(l, &a);
  CU_ASSERT_PTR_NOT_NULL_FATAL(c);
  return dht_lookup_answered(l, c, id_of(n));
}

static void set(struct dht_lookup *l, unsigned n, enum dht_cand_state state) {
  struct addr a = host(n);
  struct dht_cand *c = dht_lookup_find(l, &a);
  CU_ASSERT_PTR_NOT_NULL_FATAL(c);
  c->state = state;
}

static void closest_first_alpha_at_once(void) {
  struct dht_lookup l;
  dht_lookup_init(&l, target, K, ALPHA);
  CU_ASSERT_TRUE(dht_lookup_done(&l));
  for (unsigned n = 20; n > 0; n--)
    CU_ASSERT_TRUE(add(&l, n));
  CU_ASSERT_FALSE(add(&l, 7)); /* known */
  CU_ASSERT_EQUAL(next(&l), 1);
  CU_ASSERT_EQUAL(next(&l), 2);
  CU_ASSERT_EQUAL(next(&l), 3);
  CU_ASSERT_EQUAL(next(&l), -1);
  CU_ASSERT_FALSE(dht_lookup_done(&l));
  answered(&l, 2);
  CU_ASSERT_EQUAL(next(&l), 4);
  CU_ASSERT_TRUE(add(&l, 0)); /* someone closer turns up */
  answered(&l, 1);
  CU_ASSERT_EQUAL(next(&l), 0);
  answered(&l, 3);
  CU_ASSERT_EQUAL(next(&l), 5);
}

static void ends_when_the_k_closest_have_answered(void) {
  struct dht_lookup l;
  int n;
  unsigned asked = 0;
  dht_lookup_init(&l, target, K, ALPHA);
  for (unsigned i = 0; i < 30; i++)
    add(&l, i);
  while ((n = next(&l)) >= 0) {
    CU_ASSERT_FALSE(dht_lookup_done(&l));
    answered(&l, (unsigned)n);
    asked++;
  }
  CU_ASSERT_EQUAL(asked, K);
  CU_ASSERT_TRUE(dht_lookup_done(&l));
}

static void dead_nodes_do_not_count(void) {
  struct dht_lookup l;
  int n;
  unsigned alive = 0;
  dht_lookup_init(&l, target, K, ALPHA);
  for (unsigned i = 0; i < 40; i++)
    add(&l, i);
  while ((n = next(&l)) >= 0) {
    if (n % 2)
      set(&l, (unsigned)n, DHT_CAND_GONE);
    else {
      answered(&l, (unsigned)n);
      alive++;
    }
  }
  CU_ASSERT_EQUAL(alive, K);
  CU_ASSERT_TRUE(dht_lookup_done(&l));
}

static void slow_nodes_give_their_place_up(void) {
  struct dht_lookup l;
  dht_lookup_init(&l, target, K, ALPHA);
  for (unsigned i = 0; i < 4; i++)
    add(&l, i);
  while (next(&l) >= 0)
    ;
  set(&l, 0, DHT_CAND_STALLED);
  CU_ASSERT_EQUAL(next(&l), 3); /* goes on without waiting */
  answered(&l, 1);
  answered(&l, 2);
  answered(&l, 3);
  CU_ASSERT_FALSE(dht_lookup_done(&l)); /* but its answer is still wanted */
  set(&l, 0, DHT_CAND_GONE);
  CU_ASSERT_TRUE(dht_lookup_done(&l));
  struct addr a = host(0);
  dht_lookup_revive(&l, dht_lookup_find(&l, &a), id_of(0));
  CU_ASSERT_FALSE(dht_lookup_done(&l));
  CU_ASSERT_EQUAL(next(&l), 0);
}

static void bootstrap_nodes(void) {
  struct dht_lookup l;
  dht_lookup_init(&l, target, K, ALPHA);
  for (unsigned i = 0; i < 12; i++) {
    struct addr a = host(100 + i);
    CU_ASSERT_TRUE(dht_lookup_add(&l, NULL, &a));
  }
  unsigned asked = 0;
  while (next(&l) >= 0)
    asked++;
  CU_ASSERT_EQUAL(asked, DHT_LOOKUP_START_MAX); /* many at once: perhaps but one is up */
  set(&l, 100, DHT_CAND_STALLED);
  CU_ASSERT_EQUAL(next(&l), 108);
  answered(&l, 105);
  CU_ASSERT_EQUAL(next(&l), -1); /* the network is reached */
  CU_ASSERT_FALSE(dht_lookup_done(&l));
  for (unsigned i = 100; i < 109; i++)
    if (i != 105)
      set(&l, i, DHT_CAND_STALLED);
  CU_ASSERT_TRUE(dht_lookup_done(&l)); /* dead ones hold nothing up then */
}

static void bounded_to_the_closest(void) {
  struct dht_lookup l;
  dht_lookup_init(&l, target, K, ALPHA);
  for (unsigned i = 0; i < DHT_LOOKUP_CANDIDATES; i++)
    CU_ASSERT_TRUE(add(&l, 1000 + i));
  CU_ASSERT_FALSE(add(&l, 2000));
  CU_ASSERT_EQUAL(next(&l), 1000);
  for (unsigned i = 0; i < DHT_LOOKUP_CANDIDATES - 1; i++)
    CU_ASSERT_TRUE(add(&l, i));
  CU_ASSERT_EQUAL(l.n, DHT_LOOKUP_CANDIDATES);
  struct addr a = host(1000);
  CU_ASSERT_PTR_NOT_NULL(dht_lookup_find(&l, &a)); /* under way: stays */
  CU_ASSERT_FALSE(add(&l, 500));
}

static void liars(void) {
  struct dht_lookup l;
  struct addr g1 = addr_v4(8, 8, 8, 8, 1), g2 = addr_v4(8, 8, 8, 8, 2), g3 = addr_v4(9, 9, 9, 9, 1);
  dht_lookup_init(&l, target, 1, ALPHA);
  CU_ASSERT_TRUE(dht_lookup_add(&l, id_of(1), &g1));
  CU_ASSERT_FALSE(dht_lookup_add(&l, id_of(2), &g2)); /* a routable IP is asked once */
  struct addr same1 = host(60), same2 = host(61);
  CU_ASSERT_TRUE(dht_lookup_add(&l, id_of(200), &same1)); /* an id twice: one of them may be a liar */
  CU_ASSERT_TRUE(dht_lookup_add(&l, id_of(200), &same2));
  CU_ASSERT_FALSE(dht_lookup_add(&l, id_of(200), &g3));
  struct dht_cand *c = dht_lookup_next(&l);
  c = dht_lookup_answered(&l, c, id_of(1));
  CU_ASSERT_FALSE(c->belongs);
  CU_ASSERT_TRUE(dht_lookup_add(&l, id_of(9), &g3));
  CU_ASSERT_FALSE(dht_lookup_done(&l)); /* an id that its address does not allow does not fill the k */
  add(&l, 50);
  CU_ASSERT_PTR_NOT_NULL(dht_lookup_next(&l));
  CU_ASSERT_EQUAL(next(&l), 50);
}

static void storers(void) {
  struct dht_lookup l;
  struct dht_cand *to[K], *c;
  dht_lookup_init(&l, target, 3, ALPHA);
  for (unsigned i = 0; i < 6; i++) {
    add(&l, i);
    c = answered(&l, i);
    c->token_len = i != 1; /* number 1 gives no token */
  }
  set(&l, 2, DHT_CAND_GONE);
  struct addr a = host(0);
  dht_lookup_find(&l, &a)->belongs = false;
  CU_ASSERT_EQUAL(dht_lookup_storers(&l, to, K), 3);
  CU_ASSERT_EQUAL(to[0]->addr.ip[3], 3);
  CU_ASSERT_EQUAL(to[1]->addr.ip[3], 4);
  CU_ASSERT_EQUAL(to[2]->addr.ip[3], 5);
  l.k = K;
  CU_ASSERT_EQUAL(dht_lookup_storers(&l, to, K), 4);
  CU_ASSERT_EQUAL(to[3]->addr.ip[3], 0); /* only when there are no others */
}

static const struct check_test tests[] = {
  {"the closest first, alpha at once", closest_first_alpha_at_once},
  {"ends when the k closest have answered", ends_when_the_k_closest_have_answered},
  {"dead nodes do not count", dead_nodes_do_not_count},
  {"slow nodes give their place up", slow_nodes_give_their_place_up},
  {"bootstrap nodes", bootstrap_nodes},
  {"bounded, the closest stay", bounded_to_the_closest},
  {"nodes that lie", liars},
  {"where a put goes", storers},
};

int main(void) {
  return check_main("dht_lookup", tests, sizeof tests / sizeof tests[0]);
}
