/*
 * dht_table.h - the routing table of one address family (BEP 5): buckets of
 * k nodes by the length of the prefix they share with our own id.
 *
 * Only nodes that answered a query of ours are in it. An address has one node;
 * of routable addresses one subnet has at most DHT_SUBNET_PER_TABLE nodes, an
 * IP one. Sans-IO; one owner, no locking.
 */
#ifndef CSPACE_DHT_TABLE_H
#define CSPACE_DHT_TABLE_H

#include "dht.h"

#define DHT_K 8
#define DHT_BUCKETS (DHT_ID_LEN * 8)
#define DHT_SUBNET_PER_BUCKET 2
#define DHT_SUBNET_PER_TABLE 3
#define DHT_NODE_FRESH (15 * 60 * UINT64_C(1000000)) /* us after which a silent node is questionable, BEP 5 */
#define DHT_NODE_BAD 2                               /* unanswered queries in a row: not handed out, replaceable */
#define DHT_NODE_GONE 5                              /* unanswered queries in a row: removed */

struct dht_node {
  uint8_t id[DHT_ID_LEN];
  struct addr addr;
  uint64_t heard;   /* last answer, us */
  uint64_t asked;   /* last maintenance ping, us */
  uint8_t fails;    /* queries unanswered since */
  bool belongs;     /* its id fits its address, BEP 42 */
};

struct dht_bucket {
  struct dht_node nodes[DHT_K];
  uint8_t n;
  uint64_t changed; /* last time something in it answered or entered, us */
};

struct dht_table {
  uint8_t own[DHT_ID_LEN];
  struct dht_bucket *buckets[DHT_BUCKETS]; /* made when first used */
  unsigned count;
};

void dht_table_init(struct dht_table *t, const uint8_t own[DHT_ID_LEN]);
void dht_table_free(struct dht_table *t);
/* Takes a new own id; the nodes are sorted anew, and those that find no room are forgotten. */
void dht_table_rekey(struct dht_table *t, const uint8_t own[DHT_ID_LEN]);

/* A node answered a query of ours. True when it is new in the table. */
bool dht_table_answered(struct dht_table *t, const uint8_t id[DHT_ID_LEN], const struct addr *addr, uint64_t now);
/* Whether a node that has only asked us so far would find room, so that a ping is worth it. */
bool dht_table_wants(const struct dht_table *t, const uint8_t id[DHT_ID_LEN], const struct addr *addr, uint64_t now);
/* A query to this address went unanswered. */
void dht_table_failed(struct dht_table *t, const struct addr *addr);

/* Which nodes: all; those that are not bad; of these those at routable addresses. */
enum dht_which { DHT_ALL, DHT_GOOD, DHT_GOOD_GLOBAL };
/* The nodes closest to target, closest first; returns their number. */
unsigned dht_table_closest(const struct dht_table *t, const uint8_t target[DHT_ID_LEN], enum dht_which which,
                           const struct dht_node **out, unsigned max);
/* The node to ping next: neither heard nor asked since `before`, or failing and not asked since `before_failed`.
 * NULL when there is none. */
struct dht_node *dht_table_silent(struct dht_table *t, uint64_t before, uint64_t before_failed);
/* The first bucket from *prefix on with room, short of the one farthest down: true with its prefix length. */
bool dht_table_room(const struct dht_table *t, unsigned *prefix);
/* A bucket unchanged since `before` among those worth a refresh: true with its prefix length. */
bool dht_table_stale_bucket(const struct dht_table *t, uint64_t before, unsigned *prefix);
void dht_table_touch(struct dht_table *t, unsigned prefix, uint64_t now);

#endif
