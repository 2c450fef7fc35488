/*
 * dht_store.h - what others have put here: BEP 44 items and BEP 5 peers, each
 * for two hours after the last put. Bounded overall and, for routable
 * addresses, per source. Tokens are the caller's to check. Sans-IO; one owner.
 */
#ifndef CSPACE_DHT_STORE_H
#define CSPACE_DHT_STORE_H

#include "dht.h"

#define DHT_STORE_ITEMS_MAX 4096
#define DHT_STORE_ITEMS_PER_SOURCE 32  /* of one routable IPv4 address or IPv6 /48 */
#define DHT_STORE_SWARMS_MAX 512       /* infohashes with peers */
#define DHT_STORE_PEERS_MAX 32         /* of one infohash */
#define DHT_STORE_PEERS_PER_SOURCE 64
#define DHT_STORE_LIFETIME (2 * 3600 * UINT64_C(1000000)) /* us */
#define DHT_STORE_SLOTS 1024

struct dht_item {
  struct dht_item *next;
  uint8_t target[DHT_ID_LEN];
  struct addr source;   /* who put what stands here now */
  uint64_t expires;     /* us */
  bool is_mutable;
  uint8_t k[32], sig[64];
  int64_t seq;
  size_t v_len;
  uint8_t v[DHT_VALUE_MAX];
};

struct dht_peer {
  struct addr addr, source;
  uint64_t expires;
};

struct dht_swarm {
  uint8_t target[DHT_ID_LEN];
  unsigned n;
  struct dht_peer peers[DHT_STORE_PEERS_MAX];
};

struct dht_store {
  struct dht_item *slots[DHT_STORE_SLOTS];
  unsigned items;
  struct dht_swarm **swarms; /* DHT_STORE_SWARMS_MAX, made when first used */
  unsigned n_swarms;
};

/* What a put brings; k NULL for an immutable item. */
struct dht_put_args {
  const uint8_t *k, *sig;
  const uint8_t *salt;
  size_t salt_len;
  int64_t seq;
  bool has_cas;
  int64_t cas;
  const uint8_t *v; /* bencoded */
  size_t v_len;
};

void dht_store_init(struct dht_store *s);
void dht_store_free(struct dht_store *s);
/* The target of an item: SHA-1 of k and salt, or of v. 0, or -1 + EIO, EINVAL (salt too long). */
int dht_target_mutable(uint8_t target[DHT_ID_LEN], const uint8_t k[32], const uint8_t *salt, size_t salt_len);
int dht_target_immutable(uint8_t target[DHT_ID_LEN], const uint8_t *v, size_t v_len);
/* Checks and stores (BEP 44). own: our node id; when full the item farthest from it goes. 0, or an error code of krpc.h. */
int dht_store_put(struct dht_store *s, uint64_t now, const struct addr *source, const uint8_t own[DHT_ID_LEN],
                  const struct dht_put_args *put);
/* NULL when there is none or it has expired. Valid until the next call that changes the store. */
const struct dht_item *dht_store_get(const struct dht_store *s, uint64_t now, const uint8_t target[DHT_ID_LEN]);
/* 0, or an error code of krpc.h. */
int dht_store_announce(struct dht_store *s, uint64_t now, const struct addr *source,
                       const uint8_t infohash[DHT_ID_LEN], const struct addr *peer);
/* Up to max peers of the family of `asker`; from a random place on, so that a big swarm is handed out evenly. */
unsigned dht_store_peers(const struct dht_store *s, uint64_t now, const uint8_t infohash[DHT_ID_LEN],
                         enum addr_family family, uint32_t random, struct addr *out, unsigned max);
void dht_store_expire(struct dht_store *s, uint64_t now);

#endif
