/*
 * dht.c - the DHT node's public calls, events and upkeep: bootstrap, lookups
 * of our own id, refresh of buckets (BEP 5 "Routing Table").
 */
#include "dht.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bencode.h"
#include "dht_int.h"

struct dht *dht_new(const struct dht_config *config, const uint8_t seed[32], uint64_t now) {
  struct dht *d = calloc(1, sizeof *d);
  uint8_t id[DHT_ID_LEN];
  if (!d)
    return NULL;
  d->config = *config;
  rng_init(&d->rng, seed);
  rng_bytes(&d->rng, &d->hash_seed, sizeof d->hash_seed);
  timers_init(&d->timers);
  dht_trans_init(d);
  dht_store_init(&d->store);
  rng_bytes(&d->rng, id, sizeof id);
  for (unsigned f = 0; f < FAMILIES; f++) /* one id for both families (BEP 32) until addresses say otherwise */
    dht_table_init(&d->table[f], id);
  for (unsigned f = 0; f < FAMILIES; f++)
    d->self_at[f] = d->fill_at[f] = TIMER_NEVER;
  d->out_end = &d->out_first;
  d->events_end = &d->events_first;
  d->boot_wait = DHT_BOOT_FIRST;
  dht_rotate_secret(d, now);
  dht_rotate_secret(d, now);
  d->boot_timer.kind = TIMER_BOOT;
  d->self_timer.kind = TIMER_SELF;
  d->maintenance_timer.kind = TIMER_MAINTENANCE;
  if (timers_set(&d->timers, &d->maintenance_timer.timer, now + DHT_MAINTENANCE) != 0) {
    dht_free(d);
    return NULL;
  }
  return d;
}

void dht_free(struct dht *d) {
  if (!d)
    return;
  while (d->ops)
    dht_op_free(d, d->ops);
  while (d->out_first) {
    struct dht_datagram *g = d->out_first;
    d->out_first = g->next;
    free(g);
  }
  while (d->events_first) {
    struct dht_queued *q = d->events_first;
    d->events_first = q->next;
    free(q);
  }
  for (unsigned f = 0; f < FAMILIES; f++)
    dht_table_free(&d->table[f]);
  dht_store_free(&d->store);
  timers_free(&d->timers);
  rng_wipe(&d->rng);
  sodium_memzero(d->secret, sizeof d->secret);
  free(d);
}

bool dht_address_usable(const struct dht *d, const struct addr *a) {
  if (a->family == ADDR_V4 ? !d->config.ipv4 : a->family != ADDR_V6 || !d->config.ipv6)
    return false;
  return a->port != 0 && !addr_is_unspecified(a) && !addr_is_multicast_or_broadcast(a);
}

int dht_add_bootstrap(struct dht *d, const struct addr *node) {
  if (!dht_address_usable(d, node)) {
    errno = EINVAL;
    return -1;
  }
  for (unsigned i = 0; i < d->n_boots; i++)
    if (addr_equal(&d->boots[i], node))
      return 0;
  if (d->n_boots == DHT_BOOTSTRAP_MAX) {
    errno = ENOBUFS;
    return -1;
  }
  d->boots[d->n_boots++] = *node;
  d->boot_now = true;
  return 0;
}

/* Operations that are over and have nobody to tell. */
static void reap(struct dht *d) {
  struct dht_operation *op = d->ops, *next;
  for (; op; op = next) {
    next = op->next;
    if (op->cancelled || (op->over && op->internal))
      dht_op_free(d, op);
  }
}

void dht_heard(struct dht *d, uint64_t now, const struct addr *from, const uint8_t *id) {
  unsigned family = family_of(from);
  if (!d->answered_once) {
    d->answered_once = true;
    d->ready_pending = true;
  }
  dht_table_answered(&d->table[family], id, from, now);
  if (d->table[family].count > 0 && d->self_at[family] == TIMER_NEVER) {
    /* A client's first connect comes before its neighbourhood. */
    d->self_at[family] = d->config.read_only ? now + DHT_S : now;
    timers_set(&d->timers, &d->self_timer.timer, now);
  }
  dht_op_new_node(d, now, from, id);
}

void dht_input(struct dht *d, uint64_t now, uint64_t wall, const struct addr *from, const uint8_t *p, size_t len) {
  struct krpc m;
  (void)wall;
  d->stats.bytes_in += len;
  if (!dht_address_usable(d, from) || krpc_decode(&m, p, len) != 0) {
    d->stats.dropped++;
    return;
  }
  if (m.type == KRPC_QUERY)
    dht_answer(d, now, from, &m, len);
  else
    dht_on_answer(d, now, from, &m);
  reap(d);
}

bool dht_output(struct dht *d, struct addr *to, uint8_t *buf, size_t *len) {
  struct dht_datagram *g = d->out_first;
  if (!g)
    return false;
  *to = g->to;
  *len = g->len;
  memcpy(buf, g->data, g->len);
  d->stats.bytes_out += g->len;
  d->out_first = g->next;
  if (!d->out_first)
    d->out_end = &d->out_first;
  d->n_out--;
  free(g);
  return true;
}

/* ---- upkeep ---- */

/* Asks bootstrap nodes of families whose table is empty, ever more slowly. */
static void on_boot_timer(struct dht *d, uint64_t now) {
  bool empty = false;
  for (unsigned i = 0; i < d->n_boots; i++) {
    if (d->table[family_of(&d->boots[i])].count > 0)
      continue;
    dht_ask_bootstrap(d, now, &d->boots[i]);
    empty = true;
  }
  if (d->n_boots == 0)
    return;
  timers_set(&d->timers, &d->boot_timer.timer, now + (empty ? d->boot_wait : DHT_MAINTENANCE));
  d->boot_wait = empty ? d->boot_wait * 3 / 2 : DHT_BOOT_FIRST;
  if (d->boot_wait > DHT_BOOT_LAST)
    d->boot_wait = DHT_BOOT_LAST;
}

static void start_find_node(struct dht *d, uint64_t now, const uint8_t target[DHT_ID_LEN], unsigned family) {
  struct dht_operation *op = dht_op_new(d, now, OP_FIND_NODE, true);
  if (!op)
    return;
  memcpy(op->target, target, DHT_ID_LEN);
  dht_op_start(d, now, op, 1u << family);
}

/* A random id in the bucket of this prefix length. */
static void id_in_bucket(struct dht *d, const uint8_t own[DHT_ID_LEN], unsigned prefix, uint8_t out[DHT_ID_LEN]) {
  uint8_t random[DHT_ID_LEN];
  rng_bytes(&d->rng, random, sizeof random);
  for (unsigned bit = 0; bit < DHT_BUCKETS; bit++) {
    uint8_t mask = (uint8_t)(0x80 >> bit % 8);
    const uint8_t *from = bit <= prefix ? own : random;
    out[bit / 8] = (uint8_t)((out[bit / 8] & ~mask) | (from[bit / 8] & mask));
    if (bit == prefix)
      out[bit / 8] ^= mask;
  }
}

/* A lookup of our own id finds neighbours only: without one in each farther bucket with room, the halves of a young
 * network may never hear of each other. */
static void fill_bucket(struct dht *d, uint64_t now, unsigned family) {
  uint8_t target[DHT_ID_LEN] = {0};
  unsigned prefix = d->fill_prefix[family];
  d->fill_at[family] = TIMER_NEVER;
  if (!dht_table_room(&d->table[family], &prefix))
    return;
  id_in_bucket(d, d->table[family].own, prefix, target);
  start_find_node(d, now, target, family);
  d->fill_prefix[family] = prefix + 1;
  d->fill_at[family] = now + DHT_FILL_STEP;
}

/* Our own id is looked up when the first node is known and some times soon after, as a young network fills. */
static void on_self_timer(struct dht *d, uint64_t now) {
  static const uint64_t pauses[] = {DHT_S, 5 * DHT_S, 30 * DHT_S};
  uint64_t next = TIMER_NEVER;
  for (unsigned f = 0; f < FAMILIES; f++) {
    if (d->self_at[f] <= now) {
      unsigned step = d->self_step[f]++;
      uint64_t pause = step < sizeof pauses / sizeof pauses[0] ? pauses[step] : DHT_REFRESH;
      d->self_at[f] = now + pause + rng_below(&d->rng, (uint32_t)(pause / 4));
      start_find_node(d, now, d->table[f].own, f);
      d->fill_prefix[f] = 0;
      d->fill_at[f] = d->config.read_only || step == 1 ? TIMER_NEVER : now + DHT_FILL_AFTER;
    } else if (d->fill_at[f] <= now) {
      fill_bucket(d, now, f);
    }
    next = d->self_at[f] < next ? d->self_at[f] : next;
    next = d->fill_at[f] < next ? d->fill_at[f] : next;
  }
  timers_set(&d->timers, &d->self_timer.timer, next);
}

static void on_maintenance(struct dht *d, uint64_t now) {
  if (now - d->secret_at >= DHT_SECRET_LIFE)
    dht_rotate_secret(d, now);
  dht_store_expire(&d->store, now);
  if (d->n_boots > 0 && d->boot_timer.timer.slot == 0) /* could not be armed for want of memory */
    timers_set(&d->timers, &d->boot_timer.timer, now);
  for (unsigned f = 0; f < FAMILIES; f++) {
    struct dht_table *t = &d->table[f];
    uint64_t before = now > DHT_SILENT ? now - DHT_SILENT : 0, failed = now > 60 * DHT_S ? now - 60 * DHT_S : 0;
    struct dht_node *node = dht_table_silent(t, before, failed);
    unsigned prefix;
    if (node) {
      struct addr to = node->addr;
      node->asked = now;
      dht_ping(d, now, &to);
    }
    if (now > DHT_REFRESH && dht_table_stale_bucket(t, now - DHT_REFRESH, &prefix)) {
      uint8_t target[DHT_ID_LEN] = {0};
      dht_table_touch(t, prefix, now);
      id_in_bucket(d, t->own, prefix, target);
      start_find_node(d, now, target, f);
    }
    if (d->self_at[f] <= now)
      timers_set(&d->timers, &d->self_timer.timer, now);
  }
  uint64_t jitter = rng_below(&d->rng, (uint32_t)DHT_S);
  timers_set(&d->timers, &d->maintenance_timer.timer, now + DHT_MAINTENANCE + jitter);
}

void dht_tick(struct dht *d, uint64_t now, uint64_t wall) {
  struct timer *due;
  (void)wall;
  if (d->boot_now) {
    d->boot_now = false;
    d->boot_wait = DHT_BOOT_FIRST;
    on_boot_timer(d, now);
  }
  while ((due = timers_pop(&d->timers, now)) != NULL) {
    struct dht_timer *t = (struct dht_timer *)due;
    switch (t->kind) {
    case TIMER_TRANS: dht_on_trans_timer(d, now, (struct dht_trans *)due); break;
    case TIMER_OP: dht_op_timer(d, now, due->owner); break;
    case TIMER_BOOT: on_boot_timer(d, now); break;
    case TIMER_SELF: on_self_timer(d, now); break;
    default: on_maintenance(d, now); break;
    }
    reap(d);
  }
}

uint64_t dht_deadline(const struct dht *d) {
  return d->boot_now ? 0 : timers_next(&d->timers);
}

/* ---- operations ---- */

static struct dht_operation *of_user(const struct dht *d, dht_op handle) {
  struct dht_operation *op = d->ops;
  while (op && (op->handle != handle || op->internal))
    op = op->next;
  return handle == 0 ? NULL : op;
}

static dht_op start(struct dht *d, uint64_t now, struct dht_operation *op) {
  dht_op handle = op->handle;
  bool empty = d->table[FAM4].count == 0 && d->table[FAM6].count == 0;
  if (empty && d->n_boots > 0) { /* someone wants the network now: knock as often as at first */
    d->boot_wait = DHT_BOOT_FIRST;
    timers_set(&d->timers, &d->boot_timer.timer, now + DHT_BOOT_FIRST);
  }
  dht_op_start(d, now, op, 3);
  return handle;
}

static struct dht_operation *new_mutable(struct dht *d, uint64_t now, enum op_kind kind, const uint8_t key[32],
                                         const uint8_t *salt, size_t salt_len) {
  if (salt_len > DHT_SALT_MAX) {
    errno = EINVAL;
    return NULL;
  }
  struct dht_operation *op = dht_op_new(d, now, kind, false);
  if (!op)
    return NULL;
  memcpy(op->k, key, sizeof op->k);
  if (salt_len > 0)
    memcpy(op->salt, salt, salt_len);
  op->salt_len = salt_len;
  if (dht_target_mutable(op->target, key, salt, salt_len) != 0) {
    dht_op_free(d, op);
    return NULL;
  }
  return op;
}

static dht_op start_on(struct dht *d, uint64_t now, enum op_kind kind, const uint8_t target[DHT_ID_LEN],
                       uint16_t port) {
  struct dht_operation *op = dht_op_new(d, now, kind, false);
  if (!op)
    return 0;
  memcpy(op->target, target, DHT_ID_LEN);
  op->port = port;
  return start(d, now, op);
}

dht_op dht_get(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len) {
  struct dht_operation *op = new_mutable(d, now, OP_GET, key, salt, salt_len);
  return op ? start(d, now, op) : 0;
}

dht_op dht_open(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len) {
  struct dht_operation *op = new_mutable(d, now, OP_GET, key, salt, salt_len);
  if (!op)
    return 0;
  op->open = true;
  return start(d, now, op);
}

static bool value_good(const uint8_t *v, size_t v_len) {
  if (v_len > 0 && v_len <= DHT_VALUE_MAX && ben_length(v, v_len) == v_len)
    return true;
  errno = EINVAL;
  return false;
}

dht_op dht_put(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len, int64_t seq,
               const uint8_t sig[64], const uint8_t *v, size_t v_len, bool has_cas, int64_t cas) {
  if (!value_good(v, v_len))
    return 0;
  struct dht_operation *op = new_mutable(d, now, OP_PUT, key, salt, salt_len);
  if (!op)
    return 0;
  op->seq = seq;
  memcpy(op->sig, sig, sizeof op->sig);
  memcpy(op->v, v, v_len);
  op->v_len = v_len;
  op->has_cas = has_cas;
  op->cas = cas;
  return start(d, now, op);
}

int dht_write(struct dht *d, uint64_t now, dht_op handle, int64_t seq, const uint8_t sig[64], const uint8_t *v,
              size_t v_len) {
  struct dht_operation *op = of_user(d, handle);
  if (!value_good(v, v_len))
    return -1;
  if (!op || !op->open || !op->told) {
    errno = EINVAL;
    return -1;
  }
  op->seq = seq;
  memcpy(op->sig, sig, sizeof op->sig);
  memcpy(op->v, v, v_len);
  op->v_len = v_len;
  dht_op_write(d, now, op);
  return 0;
}

dht_op dht_get_immutable(struct dht *d, uint64_t now, const uint8_t target[DHT_ID_LEN]) {
  return start_on(d, now, OP_GET_IMMUTABLE, target, 0);
}

dht_op dht_put_immutable(struct dht *d, uint64_t now, const uint8_t *v, size_t v_len) {
  uint8_t target[DHT_ID_LEN];
  if (!value_good(v, v_len) || dht_target_immutable(target, v, v_len) != 0)
    return 0;
  struct dht_operation *op = dht_op_new(d, now, OP_PUT_IMMUTABLE, false);
  if (!op)
    return 0;
  memcpy(op->target, target, DHT_ID_LEN);
  memcpy(op->v, v, v_len);
  op->v_len = v_len;
  return start(d, now, op);
}

dht_op dht_get_peers(struct dht *d, uint64_t now, const uint8_t infohash[DHT_ID_LEN]) {
  return start_on(d, now, OP_GET_PEERS, infohash, 0);
}

dht_op dht_announce(struct dht *d, uint64_t now, const uint8_t infohash[DHT_ID_LEN], uint16_t port) {
  return start_on(d, now, OP_ANNOUNCE, infohash, port);
}

void dht_cancel(struct dht *d, dht_op handle) {
  struct dht_operation *op = of_user(d, handle);
  struct dht_queued **at = &d->events_first;
  if (!op)
    return;
  while (*at) {
    struct dht_queued *q = *at;
    if (q->event.op != handle) {
      at = &q->next;
      continue;
    }
    *at = q->next;
    d->n_events--;
    free(q);
  }
  d->events_end = at;
  dht_op_free(d, op);
}

/* ---- events and figures ---- */

bool dht_push_event(struct dht *d, const struct dht_event *ev) {
  struct dht_queued *q = d->n_events < DHT_EVENTS_MAX ? malloc(sizeof *q) : NULL;
  if (!q) {
    d->stats.dropped++;
    return false;
  }
  q->next = NULL;
  q->event = *ev;
  *d->events_end = q;
  d->events_end = &q->next;
  d->n_events++;
  return true;
}

bool dht_next_event(struct dht *d, struct dht_event *ev) {
  if (d->ready_pending) {
    d->ready_pending = false;
    memset(ev, 0, sizeof *ev);
    ev->type = DHT_EV_READY;
    return true;
  }
  if (d->events_first) {
    struct dht_queued *q = d->events_first;
    *ev = q->event;
    d->events_first = q->next;
    if (!d->events_first)
      d->events_end = &d->events_first;
    d->n_events--;
    free(q);
    return true;
  }
  for (struct dht_operation *op = d->ops; op; op = op->next) {
    if (!op->over || op->internal || op->told)
      continue;
    memset(ev, 0, sizeof *ev);
    ev->type = DHT_EV_DONE;
    ev->op = op->handle;
    ev->seq = op->have_best ? op->best_seq : -1;
    ev->answered = op->answered;
    ev->stored = op->stored;
    ev->refused = op->refused;
    ev->conflicts = op->conflicts;
    ev->invalid = op->invalid;
    if (op->open && op->kind == OP_GET)
      op->told = true;
    else
      dht_op_free(d, op); /* no memory is needed to tell, so no end is ever lost */
    return true;
  }
  return false;
}

void dht_get_stats(const struct dht *d, struct dht_stats *out) {
  *out = d->stats;
  out->nodes_v4 = d->table[FAM4].count;
  out->nodes_v6 = d->table[FAM6].count;
  out->stored_items = d->store.items;
  out->lookups_running = d->n_ops;
}

const uint8_t *dht_id(const struct dht *d, enum addr_family family) {
  return d->table[family == ADDR_V6 ? FAM6 : FAM4].own;
}
