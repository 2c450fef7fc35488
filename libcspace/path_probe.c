/*
 * path_probe.c - probes: is an address the peer's, how large a datagram does
 * the path carry, how long is the round trip, does it still work.
 * PROTOCOL.md 7; the MTU search is after RFC 8899, all steps at once.
 *
 * Timers, all off in an idle session that was not moved:
 *  check      a path that is not proven: a challenge, repeated with doubling gaps
 *  search     the steps above the MTU in use, SEARCH_ROUNDS times
 *  suspicion  after a probe timeout of QUIC: the current path at its MTU and at the floor, then the steps between if
 *             only the floor came back, then every other path if nothing did; at its end the MTU falls, the session
 *             moves, or is told that no path answers
 *  warmth     a path that was left: one small probe every 10 s for a minute
 */
#include <errno.h>
#include <string.h>

#include "path_internal.h"

#define CHECK_TRIES 3
#define CHECK_TRIES_CURRENT 16
#define CHECK_AGAIN_US 1000000
#define SEARCH_ROUNDS 3
#define SEARCH_EVERY_US 600000000
#define GAP_MIN_US 20000
#define GAP_LAZY_US 100000    /* where nothing waits for the answer */
#define GAP_MAX_US 2000000
#define RTT_UNKNOWN_US 100000
#define SUSPECT_ROUNDS 8
#define FALL_ROUNDS 3         /* the MTU in use is tried so often before it falls */
#define LEAVE_MIN_US 250000
#define LEAVE_MAX_US 800000   /* with the probe timeout before it: under a second on paths of up to 60 ms */
#define WARM_EVERY_US 10000000
#define WARM_MISSES 2

static const uint16_t steps[] = {1200, 1280, 1352, 1392, 1420, 1452, 1472, 4400, 8900};

/* The smallest step above size, max_datagram being one; 0 when there is none. */
static size_t step_above(const struct paths *p, size_t size) {
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    if (steps[i] > size && steps[i] <= p->max_datagram) return steps[i];
  return p->max_datagram > size ? p->max_datagram : 0;
}

size_t mtu_step_at_most(const struct paths *p, size_t size) {
  size_t best = PATH_MTU_MIN, next;

  while ((next = step_above(p, best)) != 0 && next <= size) best = next;
  return best;
}

static uint64_t gap(const struct path *x, unsigned round, uint64_t least) {
  uint64_t us = 2 * (x->srtt != 0 ? x->srtt : RTT_UNKNOWN_US);

  if (us < least) us = least;
  for (unsigned i = 0; i < round && us < GAP_MAX_US; i++) us *= 2;
  return us < GAP_MAX_US ? us : GAP_MAX_US;
}

static struct probe *probe_by(struct paths *p, uint64_t challenge) {
  for (size_t i = 0; i < PROBES_MAX; i++)
    if (p->probe[i].used && p->probe[i].challenge == challenge) return &p->probe[i];
  return NULL;
}

static void forget(struct paths *p, int path, size_t above) {
  for (size_t i = 0; i < PROBES_MAX; i++)
    if (p->probe[i].used && p->probe[i].path == path && p->probe[i].size > above) p->probe[i].used = false;
}

void probe_forget(struct paths *p, int path) {
  forget(p, path, 0);
}

void probe_forget_above(struct paths *p, int path, size_t size) {
  forget(p, path, size);
}

static bool token(struct paths *p, uint64_t now) {
  uint64_t at = (p->tokens_at > now ? p->tokens_at : now) + PROBE_EVERY_US;

  if (at - now > (uint64_t)PROBE_BURST * PROBE_EVERY_US) return false;
  p->tokens_at = at;
  return true;
}

static struct probe *probe_slot(struct paths *p) {
  struct probe *oldest = &p->probe[0];

  for (size_t i = 0; i < PROBES_MAX; i++) {
    if (!p->probe[i].used) return &p->probe[i];
    if (p->probe[i].sent_at < oldest->sent_at) oldest = &p->probe[i];
  }
  return oldest;
}

static bool queue(struct paths *p, const struct path_target *to, const struct path_msg *m) {
  struct output *o;

  if (p->out_len == OUTPUT_MAX) return false;
  o = &p->out[(p->out_head + p->out_len++) % OUTPUT_MAX];
  o->to = *to;
  o->msg = *m;
  return true;
}

/* Returns the challenge, 0 when the path may not be sent so much to, or nothing more may be sent at all. */
static uint64_t probe_send(struct paths *p, uint64_t now, struct path *x, size_t size, uint8_t reason) {
  struct path_msg m = {.type = PATH_MSG_PROBE, .size = (uint16_t)size, .reason = reason};
  struct probe *pr;

  if (size < PATH_MSG_MIN || size > x->ceiling || size > path_allowance(x)) return 0;
  if (p->out_len == OUTPUT_MAX || !token(p, now)) return 0;
  do rng_bytes(&p->rng, &m.challenge, sizeof m.challenge);
  while (m.challenge == 0 || probe_by(p, m.challenge) != NULL);
  queue(p, &x->t, &m);
  path_charge(x, size);
  pr = probe_slot(p);
  *pr = (struct probe){.used = true, .path = (uint8_t)path_index(p, x), .reason = reason, .size = m.size,
                       .challenge = m.challenge, .sent_at = now};
  return m.challenge;
}

bool paths_output(struct paths *p, uint64_t now, struct path_target *to, uint8_t *buf, size_t *len) {
  while (p->keyed && p->out_len > 0) {
    struct output *o = &p->out[p->out_head];
    struct probe *pr = o->msg.type == PATH_MSG_PROBE ? probe_by(p, o->msg.challenge) : NULL;

    p->out_head = (p->out_head + 1) % OUTPUT_MAX;
    p->out_len--;
    if (o->msg.type == PATH_MSG_PROBE && pr == NULL) continue; /* forgotten meanwhile */
    *len = path_msg_seal(buf, p->max_datagram, &o->msg, &p->keys, ++p->counter);
    if (*len == 0) continue;
    if (pr != NULL) pr->sent_at = now;
    *to = o->to;
    return true;
  }
  return false;
}

static void check_round(struct paths *p, uint64_t now, struct path *x) {
  size_t size = path_allowance(x), tries = path_index(p, x) == p->current ? CHECK_TRIES_CURRENT : CHECK_TRIES;

  if (x->check_round > tries) {
    x->check_round = 0;
    x->check_at = now;
    return;
  }
  if (size > PATH_MTU_MIN) size = PATH_MTU_MIN;
  probe_send(p, now, x, size, PATH_FOR_ADDRESS);
  x->check_at = now + gap(x, x->check_round - 1u, GAP_LAZY_US);
  x->check_round++;
}

void check_start(struct paths *p, uint64_t now, struct path *x) {
  if (!p->keyed || x->check_round != 0 || (x->check_at != 0 && now - x->check_at < CHECK_AGAIN_US)) return;
  x->check_round = 1;
  check_round(p, now, x);
}

static void probe_steps(struct paths *p, uint64_t now, struct path *x, size_t above, size_t up_to, uint8_t reason) {
  size_t size = above;

  while ((size = step_above(p, size)) != 0 && size <= up_to) probe_send(p, now, x, size, reason);
}

static void search_round(struct paths *p, uint64_t now, struct path *x) {
  size_t next = step_above(p, x->mtu);

  if (next == 0 || next > x->ceiling || x->search_round > SEARCH_ROUNDS) {
    x->search_round = 0;
    return;
  }
  probe_steps(p, now, x, x->mtu, x->ceiling, PATH_FOR_MTU);
  x->search_at = now + gap(x, x->search_round - 1u, GAP_LAZY_US);
  x->search_round++;
}

void search_start(struct paths *p, uint64_t now, struct path *x) {
  if (!p->keyed) return;
  p->search_next = now + SEARCH_EVERY_US;
  p->sent_since = 0;
  x->search_round = 1;
  search_round(p, now, x);
}

static void probe_others(struct paths *p, uint64_t now) {
  for (int i = 0; i < PATHS_MAX; i++) {
    struct path *x = &p->path[i];
    size_t size = path_allowance(x);
    if (!x->used || i == p->current || (x->echo_at != 0 && x->echo_at >= p->suspicion.since)) continue;
    probe_send(p, now, x, size < PATH_MTU_MIN ? size : PATH_MTU_MIN, PATH_FOR_SUSPECT);
  }
}

static void suspicion_round(struct paths *p, uint64_t now) {
  struct suspicion *s = &p->suspicion;
  struct path *c = &p->path[p->current];

  probe_send(p, now, c, c->mtu, PATH_FOR_SUSPECT);
  if (s->best == 0 && c->mtu > PATH_MTU_MIN) probe_send(p, now, c, PATH_MTU_MIN, PATH_FOR_SUSPECT);
  if (s->best != 0) probe_steps(p, now, c, s->best, c->mtu - 1, PATH_FOR_SUSPECT);
  if (s->best == 0 && (s->round > 0 || p->dead)) probe_others(p, now);
  s->at = ++s->round < SUSPECT_ROUNDS ? now + gap(c, s->round - 1u, GAP_MIN_US) : UINT64_MAX;
}

void suspicion_start(struct paths *p, uint64_t now, bool hard) {
  if (!p->keyed || p->current < 0 || (p->suspicion.on && (!hard || p->dead))) return;
  if (hard) p->dead = true;
  p->suspicion = (struct suspicion){.on = true, .since = now};
  suspicion_round(p, now);
}

void paths_suspect(struct paths *p, uint64_t now) {
  suspicion_start(p, now, false);
}

static uint64_t leave_at(const struct paths *p) {
  uint64_t us = 4 * p->path[p->current].srtt;

  if (us < LEAVE_MIN_US) us = LEAVE_MIN_US;
  if (us > LEAVE_MAX_US) us = LEAVE_MAX_US;
  return p->suspicion.since + us;
}

/* A path so slow that its answer may be still under way is not called dead, only left when another one answers. */
static uint64_t dead_at(const struct paths *p) {
  uint64_t us = p->suspicion.since + 3 * p->path[p->current].srtt, leave = leave_at(p);

  return us > leave ? us : leave;
}

static int best_other(const struct paths *p) {
  int best = -1;

  for (int i = 0; i < PATHS_MAX; i++) {
    const struct path *x = &p->path[i], *b = best < 0 ? NULL : &p->path[best];
    if (!x->used || i == p->current || !x->proven || x->dead || x->echo_at < p->suspicion.since) continue;
    if (b == NULL || path_rank(x) < path_rank(b) || (path_rank(x) == path_rank(b) && x->srtt < b->srtt)) best = i;
  }
  return best;
}

static void suspicion_tick(struct paths *p, uint64_t now) {
  struct suspicion *s = &p->suspicion;
  struct path *c = &p->path[p->current];
  int other;

  if (s->best == 0 && now >= leave_at(p)) {
    p->dead = true;
    if ((other = best_other(p)) >= 0) {
      path_switch(p, now, other);
      return;
    }
    if (now >= dead_at(p)) {
      s->on = false;
      p->ev_dead = p->ev_dead || !p->dead_told;
      p->dead_told = true;
      return;
    }
  }
  if (now < s->at) return;
  if (s->best != 0 && s->round >= FALL_ROUNDS) {
    c->mtu = s->best;
    c->search_round = 0;
    s->on = false;
    return;
  }
  suspicion_round(p, now);
}

static uint64_t suspicion_deadline(const struct paths *p) {
  uint64_t at = p->dead ? dead_at(p) : leave_at(p);

  if (p->suspicion.best != 0 || p->suspicion.at < at) return p->suspicion.at;
  return at;
}

static void warm_tick(struct paths *p, uint64_t now, struct path *x) {
  if (now >= x->warm_until || x->warm_missed >= WARM_MISSES || path_index(p, x) == p->current) {
    x->warm_until = 0;
    return;
  }
  x->warm_missed++;
  x->warm_at = now + WARM_EVERY_US;
  probe_send(p, now, x, PATH_MSG_MIN, PATH_FOR_WARMTH);
}

void paths_tick(struct paths *p, uint64_t now) {
  if (!p->keyed || p->current < 0) return;
  for (int i = 0; i < PATHS_MAX; i++) {
    struct path *x = &p->path[i];
    if (!x->used) continue;
    if (x->check_round != 0 && now >= x->check_at) check_round(p, now, x);
    if (x->search_round != 0 && now >= x->search_at) search_round(p, now, x);
    if (x->warm_until != 0 && now >= x->warm_at) warm_tick(p, now, x);
  }
  if (p->suspicion.on && now >= suspicion_deadline(p)) suspicion_tick(p, now);
}

uint64_t paths_deadline(const struct paths *p) {
  uint64_t at = UINT64_MAX;

  if (!p->keyed || p->current < 0) return at;
  for (int i = 0; i < PATHS_MAX; i++) {
    const struct path *x = &p->path[i];
    if (!x->used) continue;
    if (x->check_round != 0 && x->check_at < at) at = x->check_at;
    if (x->search_round != 0 && x->search_at < at) at = x->search_at;
    if (x->warm_until != 0 && x->warm_at < at) at = x->warm_at;
  }
  if (p->suspicion.on && suspicion_deadline(p) < at) at = suspicion_deadline(p);
  return at;
}

int paths_ping(struct paths *p, uint64_t now) {
  if (!p->keyed || p->current < 0 || (p->ping != 0 && now - p->ping_at < PROBE_EXPIRY_US)) goto again;
  p->ping = probe_send(p, now, &p->path[p->current], PATH_MSG_MIN, PATH_FOR_PING);
  p->ping_at = now;
  if (p->ping != 0) return 0;
again:
  errno = EAGAIN;
  return -1;
}

/* What the echo says about the current path. */
static void echoed_current(struct paths *p, struct path *c, const struct probe *pr) {
  struct suspicion *s = &p->suspicion;

  p->dead = p->dead_told = p->ev_dead = false;
  if (!s->on || pr->sent_at < s->since || pr->size < PATH_MTU_MIN) return;
  if (pr->size > s->best) s->best = pr->size;
  if (s->best >= c->mtu) s->on = false;
}

static void on_reply(struct paths *p, uint64_t now, struct path *x, const struct path_msg *m) {
  struct probe *pr = probe_by(p, m->challenge), got;
  uint64_t rtt;
  bool first;

  /* Only where it was sent: an echo from elsewhere proves nothing about that address. */
  if (pr == NULL || x == NULL || pr->path != path_index(p, x) || pr->size != m->size) return;
  got = *pr;
  pr->used = false;
  if (now - got.sent_at > PROBE_EXPIRY_US) return;
  rtt = now - got.sent_at;
  if (rtt == 0) rtt = 1;
  x->srtt = x->srtt == 0 ? rtt : (7 * x->srtt + rtt) / 8;
  first = !x->proven;
  x->proven = x->validated = true;
  x->dead = false;
  x->echo_at = now;
  x->check_round = 0;
  x->warm_missed = 0;
  if (got.size > x->mtu && got.size <= x->ceiling) x->mtu = got.size;
  if (p->ping != 0 && got.challenge == p->ping) {
    p->ping = 0;
    p->ev_pong = true;
    p->ev_pong_rtt = rtt;
  }
  if (p->current < 0) return;
  if (path_index(p, x) == p->current) echoed_current(p, x, &got);
  if (path_index(p, x) == p->current && first && !p->client) search_start(p, now, x);
  path_echoed(p, now, x);
}

bool paths_input(struct paths *p, uint64_t now, const struct path_target *from, const uint8_t *data, size_t len) {
  struct path *x;
  struct path_msg m;
  uint64_t counter;
  int i;

  if (!p->keyed || path_msg_open(&m, &counter, data, len, &p->keys) != 0) return false;
  if (!path_replay_take(&p->replay, counter)) return false;
  i = path_find(p, from);
  x = i >= 0 ? &p->path[i] : m.type == PATH_MSG_PROBE ? path_take(p, now, from) : NULL;
  if (x != NULL) path_note_heard(x, now, len);
  if (m.type == PATH_MSG_REPLY) {
    on_reply(p, now, x, &m);
    return true;
  }
  m.type = PATH_MSG_REPLY;
  if (queue(p, from, &m) && x != NULL) path_charge(x, PATH_MSG_MIN);
  if (x != NULL && (!x->proven || x->dead)) check_start(p, now, x);
  return true;
}
