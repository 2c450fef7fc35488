/*
 * dht_rpc.c - the asking side: queries and their transactions (BEP 5 "KRPC
 * Protocol"), resending, time-outs and the queue of outgoing datagrams.
 *
 * A transaction id is 32 random bits and counts only from the address that was
 * asked, so that nobody off the path can answer in another's place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dht_int.h"

void dht_send(struct dht *d, const struct addr *to, const uint8_t *p, size_t len) {
  struct dht_datagram *g = d->n_out < DHT_OUT_MAX ? malloc(sizeof *g + len) : NULL;
  if (!g) {
    d->stats.dropped++; /* as if the network had lost it */
    return;
  }
  g->next = NULL;
  g->to = *to;
  g->len = len;
  memcpy(g->data, p, len);
  *d->out_end = g;
  d->out_end = &g->next;
  d->n_out++;
}

void dht_trans_init(struct dht *d) {
  for (unsigned i = 0; i < DHT_TRANS_MAX; i++)
    d->trans_order[i] = (uint16_t)i;
}

static struct dht_trans *trans_new(struct dht *d) {
  if (d->n_trans == DHT_TRANS_MAX) {
    errno = ENOBUFS;
    return NULL;
  }
  struct dht_trans *t = &d->trans[d->trans_order[d->n_trans]];
  memset(t, 0, sizeof *t);
  t->timer.kind = TIMER_TRANS;
  t->used = true;
  t->place = (uint16_t)d->n_trans++;
  rng_bytes(&d->rng, t->tid, sizeof t->tid);
  return t;
}

static void trans_free(struct dht *d, struct dht_trans *t) {
  uint16_t last = d->trans_order[--d->n_trans], self = (uint16_t)(t - d->trans);
  timers_cancel(&d->timers, &t->timer.timer);
  d->trans_order[t->place] = last;
  d->trans[last].place = t->place;
  d->trans_order[d->n_trans] = self;
  t->used = false;
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high) {
  return v < low ? low : v > high ? high : v;
}

static uint64_t stall_time(const struct dht *d, const struct addr *to) {
  bool loopback = addr_is_loopback(to);
  uint64_t rtt = d->rtt[loopback];
  if (rtt == 0)
    return loopback ? DHT_STALL_LOOPBACK : DHT_STALL_MAX;
  return clamp(3 * rtt, DHT_STALL_MIN, DHT_STALL_MAX);
}

static uint64_t stage_end(const struct dht *d, const struct dht_trans *t) {
  bool lookup = t->kind == TRANS_ASK || t->kind == TRANS_STORE;
  uint64_t stall = stall_time(d, &t->to);
  if (lookup && t->stage == 0)
    return t->sent + stall;
  if (lookup && t->stage == 1)
    return t->sent + clamp(4 * stall, DHT_GIVE_UP_MIN, DHT_GIVE_UP_MAX);
  return t->sent + DHT_QUERY_EXPIRY;
}

static bool send_query(struct dht *d, const struct dht_trans *t, struct krpc *m) {
  uint8_t buf[DHT_DATAGRAM_MAX];
  m->type = KRPC_QUERY;
  m->t = (struct ben){t->tid, sizeof t->tid};
  m->id = d->table[family_of(&t->to)].own;
  m->ro = d->config.read_only;
  size_t len = krpc_encode(buf, sizeof buf, m);
  if (len == 0)
    return false;
  d->stats.queries_out++;
  dht_send(d, &t->to, buf, len);
  return true;
}

int dht_query(struct dht *d, uint64_t now, enum trans_kind kind, const struct addr *to, struct krpc *m, dht_op op,
              unsigned path) {
  struct dht_trans *t = trans_new(d);
  if (!t)
    return -1;
  t->kind = (uint8_t)kind;
  t->to = *to;
  t->op = op;
  t->path = (uint8_t)path;
  t->sent = now;
  if (timers_set(&d->timers, &t->timer.timer, stage_end(d, t)) != 0) {
    trans_free(d, t);
    return -1;
  }
  if (!send_query(d, t, m)) {
    trans_free(d, t);
    errno = EMSGSIZE;
    return -1;
  }
  return 0;
}

static struct dht_trans *trans_to(const struct dht *d, enum trans_kind kind, const struct addr *to) {
  for (unsigned i = 0; i < d->n_trans; i++) {
    const struct dht_trans *t = &d->trans[d->trans_order[i]];
    if (t->kind == kind && addr_equal(&t->to, to))
      return (struct dht_trans *)t;
  }
  return NULL;
}

bool dht_asking(const struct dht *d, enum trans_kind kind, const struct addr *to) {
  return trans_to(d, kind, to) != NULL;
}

void dht_ping(struct dht *d, uint64_t now, const struct addr *to) {
  struct krpc m = {.method = KRPC_PING};
  if (!dht_asking(d, TRANS_PING, to))
    dht_query(d, now, TRANS_PING, to, &m, 0, 0);
}

void dht_ask_bootstrap(struct dht *d, uint64_t now, const struct addr *to) {
  struct krpc m = {.method = KRPC_FIND_NODE, .target = d->table[family_of(to)].own};
  struct dht_trans *t = trans_to(d, TRANS_BOOT, to);
  if (d->config.ipv4 && d->config.ipv6)
    m.want = KRPC_WANT4 | KRPC_WANT6;
  if (t)
    send_query(d, t, &m); /* under the same id: whichever answer comes first counts */
  else
    dht_query(d, now, TRANS_BOOT, to, &m, 0, 0);
}

static void measure(struct dht *d, uint64_t now, const struct dht_trans *t) {
  uint64_t *rtt = &d->rtt[addr_is_loopback(&t->to)];
  uint64_t sample = now > t->sent ? now - t->sent : 1;
  if ((t->stage > 0 && sample <= *rtt) || t->kind == TRANS_BOOT)
    return; /* resent: which of the two was answered is not known, but a slow network must show */
  *rtt = *rtt == 0 ? sample : (*rtt * 7 + sample) / 8;
  if (*rtt == 0)
    *rtt = 1;
}

void dht_on_answer(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m) {
  struct dht_trans *t = NULL;
  for (unsigned i = 0; i < d->n_trans && m->t.len == DHT_TID_LEN && !t; i++) {
    struct dht_trans *one = &d->trans[d->trans_order[i]];
    if (memcmp(one->tid, m->t.p, DHT_TID_LEN) == 0)
      t = one;
  }
  if (!t || !addr_equal(&t->to, from)) {
    d->stats.dropped++;
    return;
  }
  struct dht_trans copy = *t;
  trans_free(d, t);
  measure(d, now, &copy);
  if (m->type == KRPC_REPLY) {
    if (memcmp(m->id, d->table[family_of(from)].own, DHT_ID_LEN) == 0)
      return; /* ourselves, or someone who wants to be taken for us */
    dht_vote(d, from, m);
    dht_heard(d, now, from, m->id);
  }
  struct dht_operation *op = copy.op ? dht_op_find(d, copy.op) : NULL;
  if (op)
    dht_op_answered(d, now, op, &copy, m);
}

void dht_on_trans_timer(struct dht *d, uint64_t now, struct dht_trans *t) {
  struct dht_operation *op = t->op ? dht_op_find(d, t->op) : NULL;
  struct dht_trans copy = *t;
  bool lookup = t->kind == TRANS_ASK || t->kind == TRANS_STORE;
  if (!lookup || t->stage >= 2) {
    trans_free(d, t);
    dht_table_failed(&d->table[family_of(&copy.to)], &copy.to);
    return;
  }
  t->stage++;
  uint64_t end = stage_end(d, t);
  if (timers_set(&d->timers, &t->timer.timer, end > now ? end : now + 1) != 0)
    trans_free(d, t);
  if (!op)
    return;
  if (copy.stage == 0) {
    struct krpc m = {0};
    if (t->used && dht_op_message(d, op, copy.kind, copy.path, &copy.to, &m))
      send_query(d, t, &m);
    dht_op_stalled(d, now, op, &copy);
  } else {
    dht_op_gave_up(d, now, op, &copy);
  }
}
