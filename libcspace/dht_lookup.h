/*
 * dht_lookup.h - one path of a lookup: the candidates known so far, sorted by
 * distance to the target, and which one to ask next. It sends nothing and
 * knows no clock: the owner asks, and reports what came of it.
 *
 * An operation owns one lookup per family; several disjoint paths are several
 * lookups that share no candidate. Sans-IO; one owner.
 */
#ifndef CSPACE_DHT_LOOKUP_H
#define CSPACE_DHT_LOOKUP_H

#include "dht.h"

#define DHT_LOOKUP_CANDIDATES 64
#define DHT_LOOKUP_START_MAX 8   /* nodes without a known id asked at once */
#define DHT_TOKEN_MAX 40         /* a longer write token counts as none */

enum dht_cand_state {
  DHT_CAND_NEW,
  DHT_CAND_ASKED,    /* takes one of the alpha places */
  DHT_CAND_STALLED,  /* slow: its place is free again, its answer still waited for */
  DHT_CAND_ANSWERED,
  DHT_CAND_GONE      /* not waited for; an answer that comes after all still counts */
};

struct dht_cand {
  uint8_t id[DHT_ID_LEN];
  bool has_id;       /* false: a bootstrap node that has not answered; sorts before all others */
  bool belongs;      /* id fits address, BEP 42 */
  enum dht_cand_state state;
  struct addr addr;
  uint8_t token[DHT_TOKEN_MAX];
  uint8_t token_len; /* 0: no token */
  bool has_seq;      /* it holds an item with this seq */
  int64_t seq;
};

struct dht_lookup {
  uint8_t target[DHT_ID_LEN];
  unsigned k, alpha;
  unsigned n;
  struct dht_cand cand[DHT_LOOKUP_CANDIDATES];
};

void dht_lookup_init(struct dht_lookup *l, const uint8_t target[DHT_ID_LEN], unsigned k, unsigned alpha);
/* A node to ask perhaps; id NULL for a bootstrap node. False when known already or too far. */
bool dht_lookup_add(struct dht_lookup *l, const uint8_t *id, const struct addr *addr);
/* The next to ask now, marked as asked; NULL when enough are under way or nothing is left worth asking. */
struct dht_cand *dht_lookup_next(struct dht_lookup *l);
struct dht_cand *dht_lookup_find(struct dht_lookup *l, const struct addr *addr);
/* It answered under this id. The pointer is void afterwards; returns the candidate's new place. */
struct dht_cand *dht_lookup_answered(struct dht_lookup *l, struct dht_cand *c, const uint8_t id[DHT_ID_LEN]);
/* A slow or given up candidate has answered something else, under this id: it is asked again. */
void dht_lookup_revive(struct dht_lookup *l, struct dht_cand *c, const uint8_t id[DHT_ID_LEN]);
/* Nothing is left that could bring anything closer. */
bool dht_lookup_done(const struct dht_lookup *l);
/* The closest that answered and gave a token, at most k; ids that belong to their address before others. */
unsigned dht_lookup_storers(struct dht_lookup *l, struct dht_cand **out, unsigned max);

#endif
