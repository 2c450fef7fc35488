/*
 * dht_int.h - what the files of the DHT node share: its state, and who calls
 * whom. Not for others; they include dht.h.
 *
 *   dht.c         the public calls, maintenance, events
 *   dht_op.c      operations: lookups, then puts or announces
 *   dht_rpc.c     our queries: transactions, resending, time-outs, the output queue
 *   dht_answer.c  others' queries, write tokens, the byte budget
 *   dht_extern.c  our address as others see it, and the id that goes with it
 *
 * Time. A query is resent once and its place in the lookup given to the next
 * candidate after the stall time; the lookup stops waiting for it at the
 * give-up time; the routing table counts a failure at DHT_QUERY_EXPIRY.
 */
#ifndef CSPACE_DHT_INT_H
#define CSPACE_DHT_INT_H

#include "dht.h"
#include "dht_lookup.h"
#include "dht_store.h"
#include "dht_table.h"
#include "krpc.h"
#include "rng.h"
#include "timers.h"

#define DHT_MS UINT64_C(1000)
#define DHT_S UINT64_C(1000000)

#define DHT_ALPHA 3
#define DHT_PATHS_MAX 8           /* lookups of one operation */
#define DHT_BOOTSTRAP_MAX 64
#define DHT_OPS_MAX 256
#define DHT_TRANS_MAX 1024
#define DHT_OUT_MAX 1024          /* datagrams that wait for dht_output */
#define DHT_EVENTS_MAX 1024
#define DHT_PEERS_SEEN 128        /* distinct peers one operation reports */
#define DHT_SEEN_MAX 8            /* distinct values of one seq, or of any for dht_open, that one operation reports */
#define DHT_REPLY_PEERS 24        /* peers in one answer */

#define DHT_STALL_MIN (25 * DHT_MS)
#define DHT_STALL_MAX (500 * DHT_MS)
#define DHT_STALL_LOOPBACK (50 * DHT_MS) /* before the first answer from there */
#define DHT_GIVE_UP_MIN (100 * DHT_MS)
#define DHT_GIVE_UP_MAX (1500 * DHT_MS)
#define DHT_QUERY_EXPIRY (2 * DHT_S)
#define DHT_NO_NETWORK (2 * DHT_S)       /* an operation ends after this without any answer */

#define DHT_BOOT_FIRST (100 * DHT_MS)
#define DHT_BOOT_LAST (30 * DHT_S)
#define DHT_FILL_AFTER (300 * DHT_MS)    /* buckets are filled this long after a lookup of our own id, */
#define DHT_FILL_STEP (50 * DHT_MS)      /* one after the other */
#define DHT_MAINTENANCE (5 * DHT_S)
#define DHT_REFRESH (15 * 60 * DHT_S)    /* BEP 5 */
#define DHT_SILENT (10 * 60 * DHT_S)     /* a node silent for this is pinged */
#define DHT_SECRET_LIFE (5 * 60 * DHT_S) /* tokens are good for one to two of these, BEP 5 */

#define DHT_TID_LEN 4
#define DHT_TOKEN_LEN 8
#define DHT_BUDGETS 1024
#define DHT_BUDGET_BURST 65536           /* bytes answered to one routable source at once */
#define DHT_BUDGET_RATE 16384            /* and per second */

#define DHT_VOTES 16
#define DHT_VOTES_NEEDED 5               /* sources in distinct subnets that agree on our address */

enum { FAM4, FAM6, FAMILIES };

enum trans_kind { TRANS_PING, TRANS_BOOT, TRANS_ASK, TRANS_STORE };
enum timer_kind { TIMER_TRANS, TIMER_OP, TIMER_BOOT, TIMER_SELF, TIMER_MAINTENANCE };

struct dht_timer {
  struct timer timer; /* first: a popped timer is cast back */
  uint8_t kind;
};

struct dht_trans {
  struct dht_timer timer;
  bool used;
  uint16_t place;     /* in struct dht's trans_order */
  uint8_t kind, stage, path;
  uint8_t tid[DHT_TID_LEN];
  struct addr to;
  dht_op op;          /* 0: none */
  uint64_t sent;
};

enum op_kind { OP_GET, OP_PUT, OP_GET_IMMUTABLE, OP_PUT_IMMUTABLE, OP_GET_PEERS, OP_ANNOUNCE, OP_FIND_NODE };

struct dht_path {
  uint8_t family;     /* FAM4, FAM6 */
  struct dht_lookup lookup;
};

struct dht_operation {
  struct dht_operation *next;
  dht_op handle;
  enum op_kind kind;
  bool internal;      /* reports nothing */
  bool storing, over, cancelled;
  bool boots_added;
  struct dht_timer timer;
  uint64_t started;
  uint8_t target[DHT_ID_LEN];
  struct dht_path *paths[DHT_PATHS_MAX];
  unsigned n_paths;
  unsigned stores_open;
  unsigned answered, stored, refused, conflicts, invalid;
  /* What is looked for or put. */
  uint8_t k[32], sig[64], salt[DHT_SALT_MAX];
  size_t salt_len;
  int64_t seq, cas;
  bool has_cas;
  uint16_t port;
  size_t v_len;
  uint8_t v[DHT_VALUE_MAX];
  /* What was found. */
  bool have_best;
  int64_t best_seq;
  bool open;          /* dht_open: older values too, and it stays after its first end */
  bool told;          /* that first end was reported */
  uint8_t seen[DHT_SEEN_MAX][16]; /* digests of verified values: of best_seq, or of all */
  unsigned n_seen;
  uint64_t peers_seen[DHT_PEERS_SEEN];
  unsigned n_peers_seen;
};

struct dht_datagram {
  struct dht_datagram *next;
  struct addr to;
  size_t len;
  uint8_t data[];
};

struct dht_queued {
  struct dht_queued *next;
  struct dht_event event;
};

struct dht_budget {
  uint64_t at;
  uint32_t left;
};

struct dht_vote {
  struct addr source, says;
};

struct dht {
  struct dht_config config;
  struct rng rng;
  uint64_t hash_seed;
  struct timers timers;
  struct dht_timer boot_timer, self_timer, maintenance_timer;
  struct dht_table table[FAMILIES];
  struct dht_store store;
  struct dht_trans trans[DHT_TRANS_MAX];
  uint16_t trans_order[DHT_TRANS_MAX]; /* the first n_trans are in use, the rest are free */
  unsigned n_trans;
  uint64_t rtt[2];                   /* smoothed, us; [1] to loopback; 0 not known yet */
  struct dht_operation *ops;
  unsigned n_ops;
  dht_op last_handle;
  struct dht_datagram *out_first, **out_end;
  unsigned n_out;
  struct dht_queued *events_first, **events_end;
  unsigned n_events;
  bool answered_once, ready_pending;
  struct addr boots[DHT_BOOTSTRAP_MAX];
  unsigned n_boots;
  uint64_t boot_wait;
  bool boot_now;                     /* a bootstrap node was added: ask at the next tick */
  uint64_t self_at[FAMILIES];        /* next lookup of our own id */
  unsigned self_step[FAMILIES];
  uint64_t fill_at[FAMILIES];        /* after it: next lookup in a bucket with room */
  unsigned fill_prefix[FAMILIES];
  uint8_t secret[2][32];             /* for tokens: now, and before */
  uint64_t secret_at;
  struct dht_budget budgets[DHT_BUDGETS];
  struct addr external[FAMILIES];
  struct dht_vote votes[FAMILIES][DHT_VOTES];
  unsigned n_votes[FAMILIES];
  struct dht_stats stats;
};

static inline unsigned family_of(const struct addr *a) {
  return a->family == ADDR_V6 ? FAM6 : FAM4;
}

/* dht.c */
bool dht_address_usable(const struct dht *d, const struct addr *a);
/* A node answered: routing table, and operations that wait for a network. */
void dht_heard(struct dht *d, uint64_t now, const struct addr *from, const uint8_t *id);
bool dht_push_event(struct dht *d, const struct dht_event *ev);

/* dht_rpc.c */
void dht_trans_init(struct dht *d);
void dht_send(struct dht *d, const struct addr *to, const uint8_t *p, size_t len);
/* Sends m (t, id, ro are filled in) as a query. -1 + ENOBUFS, ENOMEM when it cannot be tracked. */
int dht_query(struct dht *d, uint64_t now, enum trans_kind kind, const struct addr *to, struct krpc *m, dht_op op,
              unsigned path);
bool dht_asking(const struct dht *d, enum trans_kind kind, const struct addr *to);
void dht_on_answer(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m);
void dht_on_trans_timer(struct dht *d, uint64_t now, struct dht_trans *t);
void dht_ping(struct dht *d, uint64_t now, const struct addr *to);
void dht_ask_bootstrap(struct dht *d, uint64_t now, const struct addr *to);

/* dht_op.c */
struct dht_operation *dht_op_new(struct dht *d, uint64_t now, enum op_kind kind, bool internal);
void dht_op_start(struct dht *d, uint64_t now, struct dht_operation *op, unsigned families); /* bit 0 IPv4, bit 1 IPv6 */
void dht_op_write(struct dht *d, uint64_t now, struct dht_operation *op); /* dht_open's second half */
struct dht_operation *dht_op_find(const struct dht *d, dht_op handle);
void dht_op_free(struct dht *d, struct dht_operation *op);
/* Fills in the query for this transaction; false when the operation no longer wants it. */
bool dht_op_message(struct dht *d, struct dht_operation *op, enum trans_kind kind, unsigned path,
                    const struct addr *to, struct krpc *m);
void dht_op_answered(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t,
                     const struct krpc *m);
void dht_op_stalled(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t);
void dht_op_gave_up(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t);
void dht_op_timer(struct dht *d, uint64_t now, struct dht_operation *op);
void dht_op_new_node(struct dht *d, uint64_t now, const struct addr *addr, const uint8_t *id);

/* dht_value.c: what answers to gets bring. */
void dht_value_mutable(struct dht *d, struct dht_operation *op, struct dht_cand *c, const struct krpc *m);
void dht_value_immutable(struct dht *d, struct dht_operation *op, const struct krpc *m);
void dht_value_peers(struct dht *d, struct dht_operation *op, const struct krpc *m);

/* dht_answer.c */
void dht_answer(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m, size_t len);
void dht_rotate_secret(struct dht *d, uint64_t now);

/* dht_extern.c: a routable node says how it sees us. True when our id of that family changed. */
bool dht_vote(struct dht *d, const struct addr *from, const struct krpc *m);

#endif
