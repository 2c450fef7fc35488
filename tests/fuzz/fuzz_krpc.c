/*
 * fuzz_krpc.c - DHT messages. What is decoded, encoded and decoded again says
 * the same; every slice lies in the input.
 */
#include <stdlib.h>
#include <string.h>

#include "krpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *start, *end;

static void inside(const uint8_t *p, size_t n) {
  if (p && (p < start || p + n > end)) abort();
}

static bool same(const struct ben *a, const struct ben *b) {
  return !a->p == !b->p && a->len == b->len && (!a->p || memcmp(a->p, b->p, a->len) == 0);
}

static bool same_n(const uint8_t *a, const uint8_t *b, size_t n) {
  return !a == !b && (!a || memcmp(a, b, n) == 0);
}

static void check(const struct krpc *m) {
  inside(m->t.p, m->t.len);
  inside(m->id, KRPC_ID_LEN);
  inside(m->target, KRPC_ID_LEN);
  inside(m->token.p, m->token.len);
  inside(m->nodes.p, m->nodes.len);
  inside(m->nodes6.p, m->nodes6.len);
  inside(m->values.p, m->values.len);
  inside(m->ip.p, m->ip.len);
  inside(m->k, 32);
  inside(m->sig, 64);
  inside(m->salt.p, m->salt.len);
  inside(m->v.p, m->v.len);
  inside(m->text.p, m->text.len);
  if (m->t.len == 0 || m->t.len > KRPC_TID_MAX) abort();
  if (!m->malformed && (m->nodes.len % KRPC_NODE4_LEN || m->nodes6.len % KRPC_NODE6_LEN)) abort();
  if (m->type == KRPC_REPLY && !m->id) abort();
  if (m->type == KRPC_QUERY && !m->malformed && !m->id) abort();
  if (m->v.p && ben_length(m->v.p, m->v.len) != m->v.len) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct krpc m, again;
  uint8_t out[2 * KRPC_READ_MAX];
  start = data;
  end = data + size;
  if (krpc_decode(&m, data, size) != 0) return 0;
  check(&m);
  if (m.malformed || m.method == KRPC_UNKNOWN) {
    if (m.type == KRPC_QUERY) return 0; /* nothing that is sent */
  }
  size_t n = krpc_encode(out, sizeof out, &m);
  if (n == 0) abort();
  if (n > KRPC_READ_MAX) return 0;
  start = out;
  end = out + n;
  if (krpc_decode(&again, out, n) != 0) abort();
  check(&again);
  if (again.type != m.type || again.method != m.method || again.malformed || again.ro != m.ro) abort();
  if (m.type == KRPC_ERROR) {
    if (again.code != m.code || again.text.len != m.text.len) abort();
    return 0;
  }
  if (!same(&m.t, &again.t) || !same(&m.token, &again.token) || !same(&m.v, &again.v)) abort();
  if (!same_n(m.id, again.id, KRPC_ID_LEN) || !same_n(m.k, again.k, 32) || !same_n(m.sig, again.sig, 64)) abort();
  if (again.has_seq != m.has_seq || again.seq != m.seq) abort();
  if (m.type == KRPC_QUERY) {
    if (!same_n(m.target, again.target, KRPC_ID_LEN) || !same(&m.salt, &again.salt) || again.want != m.want) abort();
    if (again.has_cas != m.has_cas || again.cas != m.cas || again.port != m.port) abort();
  } else if (!same(&m.nodes, &again.nodes) || !same(&m.nodes6, &again.nodes6) || !same(&m.values, &again.values)) {
    abort();
  }
  return 0;
}
