/*
 * dht_value.c - what answers bring: values of BEP 44, verified before anybody
 * sees them, and peers of BEP 5. Each is reported once per operation.
 */
#include <sodium.h>
#include <string.h>

#include "dht_int.h"
#include "identity.h"

static void report(struct dht *d, const struct dht_operation *op, int64_t seq, const uint8_t *sig, const struct ben *v) {
  struct dht_event ev;
  if (op->kind != OP_GET && op->kind != OP_GET_IMMUTABLE)
    return;
  memset(&ev, 0, sizeof ev);
  ev.type = DHT_EV_VALUE;
  ev.op = op->handle;
  ev.seq = seq;
  if (sig)
    memcpy(ev.sig, sig, sizeof ev.sig);
  ev.v_len = v->len;
  memcpy(ev.v, v->p, v->len);
  dht_push_event(d, &ev);
}

static bool verifies(const struct dht_operation *op, const struct krpc *m) {
  uint8_t buf[DHT_VALUE_MAX + DHT_SALT_MAX + 64];
  size_t n = dht_mutable_buffer(buf, sizeof buf, op->salt, op->salt_len, m->seq, m->v.p, m->v.len);
  return n > 0 && id_verify(op->k, m->sig, buf, n);
}

void dht_value_mutable(struct dht *d, struct dht_operation *op, struct dht_cand *c, const struct krpc *m) {
  uint8_t digest[16];
  if (!m->has_seq)
    return;
  c->has_seq = true;
  c->seq = m->seq;
  if (!m->v.p || (op->have_best && m->seq < op->best_seq && !op->open))
    return;
  bool fits = m->k && m->sig && m->seq >= 0 && m->v.len <= DHT_VALUE_MAX && memcmp(m->k, op->k, sizeof op->k) == 0;
  if (fits) { /* most nodes bring the same: verified once */
    crypto_generichash(digest, sizeof digest, m->v.p, m->v.len, m->sig, 64);
    for (unsigned i = 0; i < op->n_seen; i++)
      if (memcmp(op->seen[i], digest, sizeof digest) == 0)
        return;
  }
  if (!fits || !verifies(op, m)) {
    c->has_seq = false;
    op->invalid++;
    return;
  }
  bool newer = !op->have_best || m->seq > op->best_seq;
  if (newer && !op->open)
    op->n_seen = 0;
  if (newer)
    op->best_seq = m->seq;
  op->have_best = true;
  if (op->n_seen == DHT_SEEN_MAX) {
    if (!newer)
      return;
    op->n_seen--; /* the newest is always told */
  }
  memcpy(op->seen[op->n_seen++], digest, sizeof digest);
  report(d, op, m->seq, m->sig, &m->v);
}

void dht_value_immutable(struct dht *d, struct dht_operation *op, const struct krpc *m) {
  uint8_t target[DHT_ID_LEN];
  if (!m->v.p || op->have_best)
    return;
  if (m->v.len > DHT_VALUE_MAX || dht_target_immutable(target, m->v.p, m->v.len) != 0 ||
      memcmp(target, op->target, DHT_ID_LEN) != 0) {
    op->invalid++;
    return;
  }
  op->have_best = true;
  report(d, op, 0, NULL, &m->v);
}

void dht_value_peers(struct dht *d, struct dht_operation *op, const struct krpc *m) {
  struct ben_iter it;
  struct ben item;
  const uint8_t *s;
  size_t n;
  if (op->kind != OP_GET_PEERS || !m->values.p || !ben_iter_init(&it, &m->values))
    return;
  while (op->n_peers_seen < DHT_PEERS_SEEN && ben_list_next(&it, &item)) {
    struct dht_event ev;
    memset(&ev, 0, sizeof ev);
    if (!ben_str(&item, &s, &n) || addr_from_compact(&ev.peer, s, n) != 0 || ev.peer.port == 0 ||
        addr_is_multicast_or_broadcast(&ev.peer) || addr_is_unspecified(&ev.peer))
      continue;
    uint64_t hash = addr_hash(&ev.peer, d->hash_seed);
    unsigned i = 0;
    while (i < op->n_peers_seen && op->peers_seen[i] != hash)
      i++;
    if (i < op->n_peers_seen)
      continue;
    ev.type = DHT_EV_PEER;
    ev.op = op->handle;
    if (dht_push_event(d, &ev))
      op->peers_seen[op->n_peers_seen++] = hash;
  }
}
