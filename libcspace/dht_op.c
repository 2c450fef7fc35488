/*
 * dht_op.c - operations: one lookup per family towards the target, and for
 * puts and announces the write to the closest nodes that gave a token (BEP 5,
 * BEP 44). The lookup itself asks with the real target from the first query
 * on, so a value may come with the very first answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dht_int.h"

#define NODES_PER_ANSWER 20             /* taken from one answer and family */
#define RETRY_AFTER (50 * DHT_MS)       /* when no query could be tracked */

struct dht_operation *dht_op_new(struct dht *d, uint64_t now, enum op_kind kind, bool internal) {
  struct dht_operation *op = d->n_ops < DHT_OPS_MAX ? calloc(1, sizeof *op) : NULL;
  if (!op) {
    errno = d->n_ops < DHT_OPS_MAX ? ENOMEM : ENOBUFS;
    return NULL;
  }
  if (++d->last_handle == 0)
    d->last_handle = 1;
  op->handle = d->last_handle;
  op->kind = kind;
  op->internal = internal;
  op->started = now;
  op->timer.kind = TIMER_OP;
  op->timer.timer.owner = op;
  op->next = d->ops;
  d->ops = op;
  d->n_ops++;
  return op;
}

void dht_op_free(struct dht *d, struct dht_operation *op) {
  struct dht_operation **at = &d->ops;
  while (*at != op)
    at = &(*at)->next;
  *at = op->next;
  d->n_ops--;
  timers_cancel(&d->timers, &op->timer.timer);
  for (unsigned i = 0; i < op->n_paths; i++)
    free(op->paths[i]);
  free(op);
}

struct dht_operation *dht_op_find(const struct dht *d, dht_op handle) {
  for (struct dht_operation *op = d->ops; op; op = op->next)
    if (op->handle == handle)
      return op->cancelled || op->over ? NULL : op;
  return NULL;
}

static struct dht_path *path_of(struct dht_operation *op, unsigned family) {
  for (unsigned i = 0; i < op->n_paths; i++)
    if (op->paths[i]->family == family)
      return op->paths[i];
  struct dht_path *p = op->n_paths < DHT_PATHS_MAX ? calloc(1, sizeof *p) : NULL;
  if (!p)
    return NULL;
  p->family = (uint8_t)family;
  dht_lookup_init(&p->lookup, op->target, DHT_K, DHT_ALPHA);
  op->paths[op->n_paths++] = p;
  return p;
}

static void add_candidate(struct dht *d, struct dht_operation *op, const uint8_t *id, const struct addr *addr) {
  unsigned family = family_of(addr);
  if (!dht_address_usable(d, addr) || (id && memcmp(id, d->table[family].own, DHT_ID_LEN) == 0))
    return;
  struct dht_path *p = path_of(op, family);
  if (p)
    dht_lookup_add(&p->lookup, id, addr);
}

static void add_bootstraps(struct dht *d, struct dht_operation *op) {
  for (unsigned i = 0; i < d->n_boots; i++)
    add_candidate(d, op, NULL, &d->boots[i]);
  op->boots_added = true;
}

static bool is_store(const struct dht_operation *op) {
  return op->kind == OP_PUT || op->kind == OP_PUT_IMMUTABLE || op->kind == OP_ANNOUNCE;
}

bool dht_op_message(struct dht *d, struct dht_operation *op, enum trans_kind kind, unsigned path,
                    const struct addr *to, struct krpc *m) {
  memset(m, 0, sizeof *m);
  if (op->over || op->cancelled || path >= op->n_paths || (kind == TRANS_ASK && op->storing))
    return false;
  const struct dht_cand *c = dht_lookup_find(&op->paths[path]->lookup, to);
  if (!c)
    return false;
  m->target = op->target;
  if (kind == TRANS_ASK) {
    bool peers = op->kind == OP_GET_PEERS || op->kind == OP_ANNOUNCE;
    m->method = op->kind == OP_FIND_NODE ? KRPC_FIND_NODE : peers ? KRPC_GET_PEERS : KRPC_GET;
    if (op->kind == OP_FIND_NODE && d->config.ipv4 && d->config.ipv6)
      m->want = KRPC_WANT4 | KRPC_WANT6; /* BEP 32: when filling the tables; a full value needs its datagram */
    return true;
  }
  m->token = (struct ben){c->token, c->token_len};
  if (op->kind == OP_ANNOUNCE) {
    m->method = KRPC_ANNOUNCE_PEER;
    m->implied_port = op->port == 0;
    m->has_port = true;
    m->port = op->port;
    return true;
  }
  m->method = KRPC_PUT;
  m->target = NULL;
  m->v = (struct ben){op->v, op->v_len};
  if (op->kind == OP_PUT) {
    m->k = op->k;
    m->sig = op->sig;
    if (op->salt_len > 0)
      m->salt = (struct ben){op->salt, op->salt_len};
    m->has_seq = true;
    m->seq = op->seq;
    m->has_cas = op->has_cas || op->open;
    /* Also to a node that held nothing when it was read: it ignores cas if that is still so. */
    m->cas = !op->open ? op->cas : c->has_seq ? c->seq : 0;
  }
  return true;
}

static void finish(struct dht *d, struct dht_operation *op) {
  op->over = true;
  timers_cancel(&d->timers, &op->timer.timer);
}

static void wait_until(struct dht *d, struct dht_operation *op, uint64_t at) {
  if (timers_set(&d->timers, &op->timer.timer, at) != 0)
    finish(d, op); /* no memory for a timer: better over than stuck */
}

static void start_stores(struct dht *d, uint64_t now, struct dht_operation *op) {
  op->storing = true;
  for (unsigned i = 0; i < op->n_paths; i++) {
    struct dht_cand *to[DHT_K];
    unsigned n = dht_lookup_storers(&op->paths[i]->lookup, to, DHT_K);
    for (unsigned j = 0; j < n; j++) {
      struct krpc m;
      if (dht_op_message(d, op, TRANS_STORE, i, &to[j]->addr, &m) &&
          dht_query(d, now, TRANS_STORE, &to[j]->addr, &m, op->handle, i) == 0)
        op->stores_open++;
    }
  }
}

/* Asks whoever is to be asked. False when queries cannot be tracked just now. */
static bool ask_next(struct dht *d, uint64_t now, struct dht_operation *op) {
  for (unsigned i = 0; i < op->n_paths; i++) {
    struct dht_cand *c;
    while ((c = dht_lookup_next(&op->paths[i]->lookup)) != NULL) {
      struct krpc m;
      if (dht_op_message(d, op, TRANS_ASK, i, &c->addr, &m) &&
          dht_query(d, now, TRANS_ASK, &c->addr, &m, op->handle, i) == 0)
        continue;
      c->state = DHT_CAND_NEW;
      return false;
    }
  }
  return true;
}

static bool lookups_done(const struct dht_operation *op) {
  for (unsigned i = 0; i < op->n_paths; i++)
    if (!dht_lookup_done(&op->paths[i]->lookup))
      return false;
  return true;
}

static void advance(struct dht *d, uint64_t now, struct dht_operation *op) {
  if (op->over || op->cancelled)
    return;
  if (op->storing) {
    if (op->stores_open == 0)
      finish(d, op);
    return;
  }
  if (!ask_next(d, now, op)) {
    wait_until(d, op, now + RETRY_AFTER);
    return;
  }
  if (!lookups_done(op))
    return;
  if (op->answered == 0 && !op->boots_added) {
    add_bootstraps(d, op);
    advance(d, now, op);
    return;
  }
  if (op->answered == 0 && !op->internal && now < op->started + DHT_NO_NETWORK) {
    wait_until(d, op, op->started + DHT_NO_NETWORK); /* a node may yet answer: dht_op_new_node */
    return;
  }
  if (is_store(op) && op->answered > 0) {
    start_stores(d, now, op);
    if (op->stores_open > 0)
      return;
  }
  finish(d, op);
}

void dht_op_write(struct dht *d, uint64_t now, struct dht_operation *op) {
  op->kind = OP_PUT;
  op->over = op->told = false;
  start_stores(d, now, op);
  advance(d, now, op);
}

void dht_op_start(struct dht *d, uint64_t now, struct dht_operation *op, unsigned families) {
  const struct dht_node *nodes[DHT_K];
  for (unsigned f = 0; f < FAMILIES; f++) {
    unsigned n = families >> f & 1 ? dht_table_closest(&d->table[f], op->target, DHT_GOOD, nodes, DHT_K) : 0;
    if (n == 0 && families >> f & 1) /* nobody good: try those that failed lately */
      n = dht_table_closest(&d->table[f], op->target, DHT_ALL, nodes, DHT_K);
    for (unsigned i = 0; i < n; i++)
      add_candidate(d, op, nodes[i]->id, &nodes[i]->addr);
  }
  if (op->n_paths == 0)
    add_bootstraps(d, op);
  advance(d, now, op);
}

/* Nodes in an answer. Those outside cannot make us knock at local doors. */
static void take_nodes(struct dht *d, struct dht_operation *op, const struct addr *from, const struct ben *nodes,
                       size_t one) {
  for (size_t i = 0; i < NODES_PER_ANSWER && (i + 1) * one <= nodes->len; i++) {
    const uint8_t *p = nodes->p + i * one;
    struct addr addr;
    if (addr_from_compact(&addr, p + DHT_ID_LEN, one - DHT_ID_LEN) != 0)
      continue;
    if (addr_is_global(from) && !addr_is_global(&addr))
      continue;
    if (addr_is_link_local(&addr))
      addr.scope = from->scope;
    add_candidate(d, op, p, &addr);
  }
}

static void lookup_answered(struct dht *d, struct dht_operation *op, const struct dht_trans *t, const struct krpc *m) {
  struct dht_lookup *l = &op->paths[t->path]->lookup;
  struct dht_cand *c = dht_lookup_find(l, &t->to);
  if (m->type != KRPC_REPLY) {
    if (c)
      c->state = DHT_CAND_GONE;
    return;
  }
  if (c) {
    c = dht_lookup_answered(l, c, m->id);
    if (m->token.p && m->token.len <= DHT_TOKEN_MAX) {
      memcpy(c->token, m->token.p, m->token.len);
      c->token_len = (uint8_t)m->token.len;
    }
    if (op->kind == OP_GET || op->kind == OP_PUT)
      dht_value_mutable(d, op, c, m);
  }
  if (op->kind == OP_GET_IMMUTABLE)
    dht_value_immutable(d, op, m);
  dht_value_peers(d, op, m);
  take_nodes(d, op, &t->to, &m->nodes, KRPC_NODE4_LEN);
  take_nodes(d, op, &t->to, &m->nodes6, KRPC_NODE6_LEN);
}

void dht_op_answered(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t,
                     const struct krpc *m) {
  if (t->kind == TRANS_STORE) {
    if (t->stage < 2)
      op->stores_open--;
    if (m->type == KRPC_REPLY) {
      op->stored++;
    } else {
      op->refused++;
      op->conflicts += m->code == KRPC_E_CAS || m->code == KRPC_E_SEQ;
    }
  } else if (!op->storing) {
    op->answered++;
    lookup_answered(d, op, t, m);
    if (op->kind == OP_GET_IMMUTABLE && op->have_best)
      finish(d, op); /* there is nothing better than the value itself */
  }
  advance(d, now, op);
}

void dht_op_stalled(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t) {
  if (t->kind != TRANS_ASK || op->storing)
    return;
  struct dht_cand *c = dht_lookup_find(&op->paths[t->path]->lookup, &t->to);
  if (c && c->state == DHT_CAND_ASKED)
    c->state = DHT_CAND_STALLED;
  if (op->answered == 0 && !op->boots_added)
    add_bootstraps(d, op);
  advance(d, now, op);
}

void dht_op_gave_up(struct dht *d, uint64_t now, struct dht_operation *op, const struct dht_trans *t) {
  if (t->kind == TRANS_STORE) {
    op->stores_open--;
  } else {
    struct dht_cand *c = dht_lookup_find(&op->paths[t->path]->lookup, &t->to);
    if (c && c->state != DHT_CAND_ANSWERED)
      c->state = DHT_CAND_GONE;
  }
  advance(d, now, op);
}

void dht_op_timer(struct dht *d, uint64_t now, struct dht_operation *op) {
  advance(d, now, op);
}

void dht_op_new_node(struct dht *d, uint64_t now, const struct addr *addr, const uint8_t *id) {
  for (struct dht_operation *op = d->ops; op; op = op->next) {
    if (op->answered > 0 || op->over || op->cancelled || op->storing)
      continue;
    struct dht_path *p = path_of(op, family_of(addr));
    struct dht_cand *c = p ? dht_lookup_find(&p->lookup, addr) : NULL;
    if (c)
      dht_lookup_revive(&p->lookup, c, id);
    else
      add_candidate(d, op, id, addr);
    advance(d, now, op);
  }
}
