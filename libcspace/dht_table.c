/*
 * dht_table.c - the routing table (BEP 5 "Routing Table"). Bucket i holds the
 * nodes that share exactly i leading bits with us: what a table split to the
 * end looks like, without the splitting.
 */
#include "dht_table.h"

#include <stdlib.h>
#include <string.h>

#include "dht_id.h"

void dht_table_init(struct dht_table *t, const uint8_t own[DHT_ID_LEN]) {
  memset(t, 0, sizeof *t);
  memcpy(t->own, own, DHT_ID_LEN);
}

void dht_table_free(struct dht_table *t) {
  for (unsigned i = 0; i < DHT_BUCKETS; i++) {
    free(t->buckets[i]);
    t->buckets[i] = NULL;
  }
  t->count = 0;
}

/* Walks all nodes: *b and *i are the place of the next one. */
static struct dht_node *next_node(const struct dht_table *t, unsigned *b, unsigned *i) {
  while (*b < DHT_BUCKETS) {
    if (t->buckets[*b] && *i < t->buckets[*b]->n)
      return &t->buckets[*b]->nodes[(*i)++];
    (*b)++;
    *i = 0;
  }
  return NULL;
}

static struct dht_node *find_addr(const struct dht_table *t, const struct addr *addr, unsigned *bucket) {
  struct dht_node *node;
  for (unsigned b = 0, i = 0; (node = next_node(t, &b, &i)) != NULL;) {
    if (addr_equal(&node->addr, addr)) {
      *bucket = b;
      return node;
    }
  }
  return NULL;
}

static void remove_node(struct dht_table *t, unsigned bucket, struct dht_node *node) {
  struct dht_bucket *b = t->buckets[bucket];
  *node = b->nodes[--b->n];
  t->count--;
}

/* Limits for routable addresses: one node an IP, few of one subnet. `except` is about to be replaced. */
static bool subnet_full(const struct dht_table *t, unsigned bucket, const struct addr *addr,
                        const struct dht_node *except) {
  if (!addr_is_global(addr))
    return false;
  unsigned in_bucket = 0, in_table = 0;
  const struct dht_node *node;
  for (unsigned b = 0, i = 0; (node = next_node(t, &b, &i)) != NULL;) {
    if (node == except || !addr_same_subnet(&node->addr, addr))
      continue;
    if (addr_same_ip(&node->addr, addr))
      return true;
    in_table++;
    in_bucket += b == bucket;
  }
  return in_bucket >= DHT_SUBNET_PER_BUCKET || in_table >= DHT_SUBNET_PER_TABLE;
}

/* Which node of a full bucket gives way to a newcomer that has answered: a bad one, then one whose id does not
 * belong to its address. Good ones stay: those up for long stay up longest. */
static struct dht_node *gives_way(struct dht_bucket *b, bool newcomer_belongs) {
  struct dht_node *worst = NULL;
  for (unsigned i = 0; i < b->n; i++)
    if (b->nodes[i].fails >= DHT_NODE_BAD && (!worst || b->nodes[i].fails > worst->fails))
      worst = &b->nodes[i];
  for (unsigned i = 0; i < b->n && !worst && newcomer_belongs; i++)
    if (!b->nodes[i].belongs)
      worst = &b->nodes[i];
  return worst;
}

/* Puts a node into its bucket if there is room or something gives way. */
static bool insert(struct dht_table *t, const struct dht_node *node, uint64_t now) {
  unsigned prefix = dht_id_prefix(t->own, node->id);
  if (prefix >= DHT_BUCKETS)
    return false; /* our own id */
  if (!t->buckets[prefix])
    t->buckets[prefix] = calloc(1, sizeof *t->buckets[prefix]);
  struct dht_bucket *b = t->buckets[prefix];
  if (!b)
    return false;
  struct dht_node *place = b->n < DHT_K ? NULL : gives_way(b, node->belongs);
  if ((b->n == DHT_K && !place) || subnet_full(t, prefix, &node->addr, place))
    return false;
  if (!place) {
    place = &b->nodes[b->n++];
    t->count++;
  }
  *place = *node;
  b->changed = now;
  return true;
}

void dht_table_rekey(struct dht_table *t, const uint8_t own[DHT_ID_LEN]) {
  struct dht_table old = *t;
  const struct dht_node *node;
  dht_table_init(t, own);
  for (unsigned b = 0, i = 0; (node = next_node(&old, &b, &i)) != NULL;)
    insert(t, node, node->heard);
  dht_table_free(&old);
}

bool dht_table_answered(struct dht_table *t, const uint8_t id[DHT_ID_LEN], const struct addr *addr, uint64_t now) {
  unsigned bucket = dht_id_prefix(t->own, id), other;
  struct dht_node *node = find_addr(t, addr, &other);
  if (node && memcmp(node->id, id, DHT_ID_LEN) != 0) {
    remove_node(t, other, node); /* restarted under a new id */
    node = NULL;
  }
  if (bucket >= DHT_BUCKETS)
    return false;
  if (node) {
    node->heard = now;
    node->fails = 0;
    t->buckets[bucket]->changed = now;
    return false;
  }
  struct dht_bucket *b = t->buckets[bucket];
  for (unsigned i = 0; b && i < b->n; i++) {
    if (memcmp(b->nodes[i].id, id, DHT_ID_LEN) != 0)
      continue;
    bool liar = !b->nodes[i].belongs && dht_id_belongs(id, addr);
    if (b->nodes[i].fails < DHT_NODE_BAD && !liar)
      return false; /* the id is taken by a node that answers: nobody steals it */
    remove_node(t, bucket, &b->nodes[i]);
    break;
  }
  struct dht_node fresh = {.addr = *addr, .heard = now, .asked = now, .belongs = dht_id_belongs(id, addr)};
  memcpy(fresh.id, id, DHT_ID_LEN);
  return insert(t, &fresh, now);
}

bool dht_table_wants(const struct dht_table *t, const uint8_t id[DHT_ID_LEN], const struct addr *addr, uint64_t now) {
  unsigned prefix = dht_id_prefix(t->own, id), other;
  const struct dht_node *node = find_addr(t, addr, &other);
  if (prefix >= DHT_BUCKETS)
    return false;
  if (node)
    return memcmp(node->id, id, DHT_ID_LEN) != 0 || node->fails > 0 || now - node->heard > DHT_NODE_FRESH;
  struct dht_bucket *b = t->buckets[prefix];
  struct dht_node *place = b && b->n == DHT_K ? gives_way(b, dht_id_belongs(id, addr)) : NULL;
  return (!b || b->n < DHT_K || place) && !subnet_full(t, prefix, addr, place);
}

void dht_table_failed(struct dht_table *t, const struct addr *addr) {
  unsigned bucket;
  struct dht_node *node = find_addr(t, addr, &bucket);
  if (node && ++node->fails >= DHT_NODE_GONE)
    remove_node(t, bucket, node);
}

unsigned dht_table_closest(const struct dht_table *t, const uint8_t target[DHT_ID_LEN], enum dht_which which,
                           const struct dht_node **out, unsigned max) {
  unsigned n = 0;
  const struct dht_node *node;
  for (unsigned b = 0, i = 0; (node = next_node(t, &b, &i)) != NULL;) {
    if (which != DHT_ALL && node->fails >= DHT_NODE_BAD)
      continue;
    if (which == DHT_GOOD_GLOBAL && !addr_is_global(&node->addr))
      continue;
    unsigned at = n;
    while (at > 0 && dht_id_compare(target, node->id, out[at - 1]->id) < 0)
      at--;
    if (at >= max)
      continue;
    n += n < max;
    memmove(&out[at + 1], &out[at], (n - at - 1) * sizeof *out);
    out[at] = node;
  }
  return n;
}

struct dht_node *dht_table_silent(struct dht_table *t, uint64_t before, uint64_t before_failed) {
  struct dht_node *node, *oldest = NULL;
  for (unsigned b = 0, i = 0; (node = next_node(t, &b, &i)) != NULL;) {
    uint64_t limit = node->fails > 0 ? before_failed : before;
    bool silent = node->asked <= limit && (node->heard <= limit || node->fails > 0);
    if (silent && (!oldest || node->asked < oldest->asked))
      oldest = node;
  }
  return oldest;
}

bool dht_table_room(const struct dht_table *t, unsigned *prefix) {
  unsigned deepest = DHT_BUCKETS;
  while (deepest > 0 && (!t->buckets[deepest - 1] || t->buckets[deepest - 1]->n == 0))
    deepest--;
  for (unsigned i = *prefix; i + 1 < deepest; i++) {
    if (!t->buckets[i] || t->buckets[i]->n < DHT_K) {
      *prefix = i;
      return true;
    }
  }
  return false;
}

bool dht_table_stale_bucket(const struct dht_table *t, uint64_t before, unsigned *prefix) {
  for (unsigned i = 0; i < DHT_BUCKETS; i++) {
    if (t->buckets[i] && t->buckets[i]->changed <= before) {
      *prefix = i;
      return true;
    }
  }
  return false;
}

void dht_table_touch(struct dht_table *t, unsigned prefix, uint64_t now) {
  if (t->buckets[prefix])
    t->buckets[prefix]->changed = now;
}
