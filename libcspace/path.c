/*
 * path.c - the paths of one session: the table of real addresses, the race of
 * the handshake, byte budgets, and when the session moves. PROTOCOL.md 7;
 * RFC 9000 8 and 9 for the reasons, with our own probes in place of its frames.
 */
#include "path.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "path_internal.h"

#define WARM_EVERY_US 10000000
#define WARM_FOR_US 60000000
#define FOLLOW_MIN_US 20000   /* the current path is silent for so long before the peer is followed elsewhere */
#define FOLLOW_MAX_US 500000
#define RESUSPECT_US 1000000
#define SEARCH_BYTES_MIN 65536 /* a session that sent less since the last search has no use for another one */

struct paths *paths_new(bool client, const uint8_t seed[32], uint64_t now, uint16_t max_datagram) {
  struct paths *p = calloc(1, sizeof *p);

  if (p == NULL) return NULL;
  p->client = client;
  p->current = -1;
  p->max_datagram = max_datagram;
  if (p->max_datagram < PATH_MTU_MIN) p->max_datagram = PATH_MTU_MIN;
  if (p->max_datagram > PATH_MSG_MAX) p->max_datagram = PATH_MSG_MAX;
  p->mtu_reported = PATH_MTU_MIN;
  p->tokens_at = now;
  rng_init(&p->rng, seed);
  return p;
}

void paths_free(struct paths *p) {
  if (p == NULL) return;
  sodium_memzero(p, sizeof *p);
  free(p);
}

static bool same(const struct path_target *a, const struct path_target *b) {
  return a->via == b->via && addr_equal(&a->addr, &b->addr);
}

int path_find(const struct paths *p, const struct path_target *t) {
  for (int i = 0; i < PATHS_MAX; i++)
    if (p->path[i].used && same(&p->path[i].t, t)) return i;
  return -1;
}

/* Whom to give up for a new path: what never proved itself first, then what was silent longest. */
static struct path *victim(struct paths *p) {
  struct path *best = NULL;

  for (int i = 0; i < PATHS_MAX; i++) {
    struct path *x = &p->path[i];
    if (!x->used) return x;
    if (i == p->current) continue;
    if (best == NULL || (best->validated && !x->validated) ||
        (best->validated == x->validated && x->heard_at < best->heard_at))
      best = x;
  }
  return best;
}

static struct path *path_make(struct paths *p, struct path *x, const struct path_target *t, uint64_t now) {
  if (x->used) probe_forget(p, path_index(p, x));
  memset(x, 0, sizeof *x);
  x->used = true;
  x->t = *t;
  x->heard_at = now;
  x->mtu = PATH_MTU_MIN;
  x->ceiling = p->max_datagram;
  return x;
}

struct path *path_take(struct paths *p, uint64_t now, const struct path_target *t) {
  int i = path_find(p, t);
  struct path *x;

  if (i >= 0) return &p->path[i];
  x = victim(p);
  return x == NULL ? NULL : path_make(p, x, t, now);
}

int paths_add(struct paths *p, uint64_t now, const struct path_target *t) {
  struct path *x = NULL;
  unsigned direct = 0;

  if (addr_ip_len(&t->addr) == 0 && t->kind != PATH_RELAY && t->kind != PATH_ICE) goto bad;
  if (t->addr.family != ADDR_NONE && (t->addr.port == 0 || addr_is_unspecified(&t->addr) ||
                                      addr_is_multicast_or_broadcast(&t->addr)))
    goto bad;
  if (path_find(p, t) >= 0) return 0;
  for (int i = 0; i < PATHS_MAX; i++) {
    if (!p->path[i].used) x = x != NULL ? x : &p->path[i];
    else if (p->path[i].offered && p->path[i].t.kind <= PATH_DIRECT) direct++;
  }
  if (x == NULL || (t->kind <= PATH_DIRECT && direct >= PATHS_DIRECT_MAX)) {
    errno = ENOSPC;
    return -1;
  }
  path_make(p, x, t, now)->offered = true;
  if (p->keyed) check_start(p, now, x);
  return 0;
bad:
  errno = EINVAL;
  return -1;
}

size_t path_allowance(const struct path *x) {
  uint64_t most = x->rx * PATH_AMPLIFICATION;

  if (x->validated) return SIZE_MAX;
  if (x->offered && !x->heard) return x->unanswered < PATH_UNANSWERED_MAX ? SIZE_MAX : 0;
  return most > x->tx ? (size_t)(most - x->tx) : 0;
}

void path_charge(struct path *x, size_t bytes) {
  if (x->validated) return;
  if (x->offered && !x->heard) x->unanswered++;
  else x->tx += bytes;
}

void path_note_heard(struct path *x, uint64_t now, size_t bytes) {
  x->heard = true;
  x->heard_at = now;
  if (!x->validated) x->rx += bytes;
}

void path_switch(struct paths *p, uint64_t now, int to) {
  struct path *old = p->current >= 0 ? &p->path[p->current] : NULL, *x = &p->path[to];

  if (old == x) return;
  if (!p->ev_switched) p->ev_rtt_old = old != NULL ? old->srtt : 0;
  p->ev_switched = true;
  p->ev_rtt_new = x->srtt;
  p->ev_dead = false;
  p->current = to;
  p->current_since = now;
  if (old != NULL && p->dead) old->dead = true;
  p->dead = p->dead_told = x->dead = false;
  p->suspicion.on = false;
  x->warm_until = 0;
  x->ceiling = p->max_datagram;
  if (old != NULL && !old->dead) {
    old->warm_at = now + WARM_EVERY_US;
    old->warm_until = now + WARM_FOR_US;
    old->warm_missed = 0;
    old->search_round = 0;
  }
  search_start(p, now, x);
}

void path_echoed(struct paths *p, uint64_t now, struct path *x) {
  struct path *c = &p->path[p->current];

  if (x == c) return;
  if (p->dead || (x->offered && path_rank(x) < path_rank(c)) ||
      (x->data_at > c->data_at && x->data_at > p->current_since && path_rank(x) <= path_rank(c)))
    path_switch(p, now, path_index(p, x));
}

/* The peer sends on x, which is proven, while we send on c. Late datagrams of the path that the peer left come for
 * about a round trip, so that c must have been silent for one. */
static void follow(struct paths *p, uint64_t now, struct path *x) {
  struct path *c = &p->path[p->current];
  uint64_t last = c->data_at > p->current_since ? c->data_at : p->current_since;
  uint64_t quiet = c->srtt > FOLLOW_MIN_US ? c->srtt : FOLLOW_MIN_US;

  if (quiet > FOLLOW_MAX_US) quiet = FOLLOW_MAX_US;
  if (p->dead || path_rank(x) < path_rank(c)) {
    path_switch(p, now, path_index(p, x));
  } else if (now - last >= quiet) {
    if (path_rank(x) == path_rank(c)) path_switch(p, now, path_index(p, x));
    else if (now - p->suspicion.since > RESUSPECT_US) suspicion_start(p, now, false);
  }
}

void paths_received(struct paths *p, uint64_t now, const struct path_target *t, size_t bytes, bool valid) {
  struct path *x;

  if (!valid || (x = path_take(p, now, t)) == NULL) return;
  path_note_heard(x, now, bytes);
  x->delivered = true;
  x->unreachable = false;
  x->data_at = now;
  if (!p->keyed) {
    /* Who answers on a candidate has read our random connection id there. */
    if (p->client && x->offered) x->validated = true;
    if (p->current < 0 || !p->client) p->current = path_index(p, x);
    return;
  }
  if (p->current < 0) {
    p->current = path_index(p, x);
    p->current_since = now;
  }
  if (path_index(p, x) != p->current && x->proven && !x->dead) follow(p, now, x);
  else if (!x->proven || x->dead) check_start(p, now, x);
}

static size_t send_racing(struct paths *p, size_t bytes, struct path_target *out, size_t max) {
  size_t n = 0;

  for (int i = 0; i < PATHS_MAX && n < max; i++) {
    struct path *x = &p->path[i];
    bool wanted = p->client ? p->current < 0 || p->current == i : x->delivered;
    if (!x->used || !wanted || x->unreachable || path_allowance(x) < bytes) continue;
    path_charge(x, bytes);
    out[n++] = x->t;
  }
  return n;
}

size_t paths_send(struct paths *p, uint64_t now, size_t bytes, struct path_target *out, size_t max) {
  struct path *x;

  if (!p->keyed) return send_racing(p, bytes, out, max);
  if (p->current < 0 || max == 0) return 0;
  x = &p->path[p->current];
  /* A peer could complete the handshake under a third party's address and acknowledge blindly. */
  if (!x->proven && (now - p->current_since > PATH_PROVE_US || x->unproven_tx + bytes > PATH_UNPROVEN_MAX)) {
    check_start(p, now, x);
    return 0;
  }
  if (!x->proven) x->unproven_tx += bytes;
  p->sent_since += bytes;
  if (now >= p->search_next && p->sent_since >= SEARCH_BYTES_MIN && x->search_round == 0 && !p->suspicion.on) {
    x->ceiling = p->max_datagram;
    search_start(p, now, x);
  }
  out[0] = x->t;
  return 1;
}

static void too_large(struct paths *p, struct path *x, size_t size) {
  if (size - 1 < x->ceiling) x->ceiling = size - 1;
  probe_forget_above(p, path_index(p, x), x->ceiling);
  /* The larger one was echoed, so that the smaller steps fit. */
  if (x->mtu > x->ceiling) x->mtu = mtu_step_at_most(p, x->ceiling);
}

static void unreachable(struct paths *p, uint64_t now, struct path *x) {
  if (p->keyed) {
    if (path_index(p, x) == p->current) suspicion_start(p, now, true);
    else x->dead = true;
    return;
  }
  x->unreachable = true;
  if (p->client && path_index(p, x) == p->current) p->current = -1; /* race on */
  for (int i = 0; i < PATHS_MAX; i++)
    if (p->path[i].used && !p->path[i].unreachable) return;
  p->ev_dead = true;
}

void paths_send_failed(struct paths *p, uint64_t now, const struct path_target *t, size_t size, int err) {
  int i = path_find(p, t);

  if (i < 0) return;
  switch (err) {
  case EMSGSIZE:
    if (size > PATH_MTU_MIN) too_large(p, &p->path[i], size);
    else unreachable(p, now, &p->path[i]);
    break;
  case EHOSTUNREACH: case ENETUNREACH: case ENETDOWN: case EPERM: case EACCES: case EADDRNOTAVAIL: case EAFNOSUPPORT:
    unreachable(p, now, &p->path[i]);
    break;
  default:
    break;
  }
}

void paths_keyed(struct paths *p, uint64_t now, const struct path_keys *keys) {
  if (p->keyed) return;
  p->keyed = true;
  p->keys = *keys;
  p->tokens_at = now;
  p->current_since = now;
  if (p->current < 0) return;
  p->path[p->current].validated = true;
  p->path[p->current].unreachable = false;
  check_start(p, now, &p->path[p->current]);
  /* A caller may end its handshake from somebody else's address: nothing large goes there before an echo. */
  if (p->client) search_start(p, now, &p->path[p->current]);
  for (int i = 0; i < PATHS_MAX; i++)
    if (i != p->current && p->path[i].used && p->path[i].delivered) check_start(p, now, &p->path[i]);
}

bool paths_current(const struct paths *p, struct path_target *out) {
  if (p->current < 0) return false;
  *out = p->path[p->current].t;
  return true;
}

size_t paths_mtu(const struct paths *p) {
  return p->current < 0 ? PATH_MTU_MIN : p->path[p->current].mtu;
}

uint64_t paths_rtt(const struct paths *p) {
  return p->current < 0 ? 0 : p->path[p->current].srtt;
}

size_t paths_count(const struct paths *p) {
  size_t n = 0;

  for (int i = 0; i < PATHS_MAX; i++) n += p->path[i].used && p->path[i].validated && !p->path[i].dead;
  return n;
}

bool paths_next_event(struct paths *p, struct path_event *ev) {
  memset(ev, 0, sizeof *ev);
  if (p->ev_switched) {
    p->ev_switched = false;
    ev->type = PATH_EV_SWITCHED;
    ev->rtt_old_us = p->ev_rtt_old;
    ev->rtt_new_us = p->ev_rtt_new;
  } else if (p->mtu_reported != paths_mtu(p)) {
    ev->type = PATH_EV_MTU;
    ev->mtu = p->mtu_reported = paths_mtu(p);
  } else if (p->ev_pong) {
    p->ev_pong = false;
    ev->type = PATH_EV_PONG;
    ev->rtt_us = p->ev_pong_rtt;
  } else if (p->ev_dead) {
    p->ev_dead = false;
    ev->type = PATH_EV_DEAD;
  }
  return ev->type != PATH_EV_NONE;
}
