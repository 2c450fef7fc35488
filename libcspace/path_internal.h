/*
 * path_internal.h - what path.c (which path) and path_probe.c (does it work,
 * how large, how fast) share. Nobody else includes it.
 */
#ifndef CSPACE_PATH_INTERNAL_H
#define CSPACE_PATH_INTERNAL_H

#include "path.h"
#include "rng.h"

#define PROBES_MAX 64           /* under way; the oldest is forgotten */
#define OUTPUT_MAX 64           /* queued; more are dropped */
#define PROBE_BURST 64          /* own probes at once ... */
#define PROBE_EVERY_US 31250    /* ... and 32 a second in the long run */
#define PROBE_EXPIRY_US 3000000

struct path {
  bool used;
  bool offered;         /* added by our side: may be sent to before it was heard from */
  bool heard;           /* something authentic came */
  bool delivered;       /* ... a QUIC datagram */
  bool validated;       /* the handshake completed on it, or proven */
  bool proven;          /* it echoed a probe */
  bool dead;            /* left because nothing came back; an echo clears it */
  bool unreachable;     /* before the handshake: cannot be sent to */
  uint8_t unanswered;   /* datagrams to an offered path that was not heard */
  struct path_target t;
  uint64_t rx, tx;      /* bytes while not validated */
  uint64_t unproven_tx; /* data while it is the current path and not proven */
  uint64_t heard_at, data_at, echo_at;
  uint64_t srtt;        /* us, 0 unknown */
  size_t mtu, ceiling;  /* in use; above it nothing is tried */
  /* Challenge until it is proven. */
  uint8_t check_round;  /* 0: not running */
  uint64_t check_at;    /* next round, or when the last one ended */
  /* Search for a larger MTU. */
  uint8_t search_round;
  uint64_t search_at;
  /* Kept warm after it was left. */
  uint64_t warm_at, warm_until; /* 0: not */
  uint8_t warm_missed;
};

struct probe {
  bool used;
  uint8_t path;
  uint8_t reason;
  uint16_t size;
  uint64_t challenge, sent_at;
};

struct output {
  struct path_target to;
  struct path_msg msg;
};

/* The check of the current path after a probe timeout of QUIC. */
struct suspicion {
  bool on;
  uint8_t round;
  uint64_t since, at;
  size_t best;          /* the largest size echoed since; 0 none */
};

struct paths {
  bool client, keyed;
  bool dead;            /* the current path does not answer and no other did: the next that does is taken */
  bool dead_told;       /* ... and there was an event */
  int current;          /* index, -1 none */
  uint64_t current_since;
  struct path path[PATHS_MAX];
  struct probe probe[PROBES_MAX];
  struct output out[OUTPUT_MAX];
  size_t out_head, out_len;
  struct suspicion suspicion;
  uint64_t tokens_at;   /* when every probe sent so far is paid for: now when the bucket is full */
  uint64_t search_next; /* not before */
  uint64_t sent_since;  /* bytes since the last search */
  uint64_t ping;        /* challenge, 0 none */
  uint64_t ping_at;
  size_t max_datagram;
  size_t mtu_reported;
  bool ev_switched, ev_pong, ev_dead;
  uint64_t ev_rtt_old, ev_rtt_new, ev_pong_rtt;
  struct rng rng;
  struct path_keys keys; /* of probes only; wiped with the rest, and no better guarded than QUIC's own */
  struct path_replay replay;
  uint64_t counter;
};

/* path.c */
int path_find(const struct paths *p, const struct path_target *t);
/* Finds or makes room for; NULL only when every path is one to keep. */
struct path *path_take(struct paths *p, uint64_t now, const struct path_target *t);
size_t path_allowance(const struct path *x); /* bytes that may go there now */
void path_charge(struct path *x, size_t bytes);
void path_switch(struct paths *p, uint64_t now, int to);
/* An echo came back on x: is it the one to move to? */
void path_echoed(struct paths *p, uint64_t now, struct path *x);
void path_note_heard(struct path *x, uint64_t now, size_t bytes);

/* path_probe.c */
void probe_forget(struct paths *p, int path);
void probe_forget_above(struct paths *p, int path, size_t size);
void check_start(struct paths *p, uint64_t now, struct path *x);  /* unless one runs or ended just now */
void search_start(struct paths *p, uint64_t now, struct path *x);
void suspicion_start(struct paths *p, uint64_t now, bool hard);
size_t mtu_step_at_most(const struct paths *p, size_t size);      /* PATH_MTU_MIN at least */

static inline int path_index(const struct paths *p, const struct path *x) {
  return (int)(x - p->path);
}
static inline int path_rank(const struct path *x) {
  return x->t.kind == PATH_RELAY;
}

#endif
