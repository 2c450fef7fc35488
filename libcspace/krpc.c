/*
 * krpc.c - decodes and encodes KRPC messages: BEP 5 (messages, errors),
 * BEP 32 (nodes6, want), BEP 42 (ip), BEP 43 (ro), BEP 44 (get, put).
 */
#include "krpc.h"

#include <errno.h>
#include <string.h>

#define KEY_LEN 32
#define SIG_LEN 64

static const struct {
  const char *name;
  enum krpc_method method;
} methods[] = {
  {"ping", KRPC_PING},           {"find_node", KRPC_FIND_NODE},
  {"get_peers", KRPC_GET_PEERS}, {"announce_peer", KRPC_ANNOUNCE_PEER},
  {"get", KRPC_GET},             {"put", KRPC_PUT},
};

static bool is_infohash(enum krpc_method method) {
  return method == KRPC_GET_PEERS || method == KRPC_ANNOUNCE_PEER;
}

static bool take_str(struct ben *out, const struct ben *v) {
  return ben_str(v, &out->p, &out->len);
}

static bool take_bool(bool *out, const struct ben *v) {
  int64_t n;
  if (!ben_int(v, &n))
    return false;
  *out = n != 0;
  return true;
}

static bool take_port(struct krpc *m, const struct ben *v) {
  int64_t n;
  if (!ben_int(v, &n) || n < 0 || n > 65535)
    return false;
  m->port = (uint16_t)n;
  m->has_port = true;
  return true;
}

static bool take_want(struct krpc *m, const struct ben *v) {
  struct ben_iter it;
  struct ben item;
  if (!ben_is_list(v) || !ben_iter_init(&it, v))
    return false;
  while (ben_list_next(&it, &item)) {
    if (ben_str_is(&item, "n4"))
      m->want |= KRPC_WANT4;
    else if (ben_str_is(&item, "n6"))
      m->want |= KRPC_WANT6;
  }
  return true;
}

static bool take_values(struct krpc *m, const struct ben *v) {
  if (!ben_is_list(v))
    return false;
  m->values = *v;
  return true;
}

/* One field of `a` or `r`. False when it is there and of the wrong form. Unknown names are skipped. */
static bool take_field(struct krpc *m, const struct ben *key, const struct ben *v) {
  static const char *const names[] = {"id",   "target", "info_hash", "token", "nodes", "nodes6",       "values", "k",
                                      "sig",  "salt",   "v",         "seq",   "cas",   "implied_port", "port",   "want"};
  enum { ID, TARGET, INFO_HASH, TOKEN, NODES, NODES6, VALUES, K, SIG, SALT, V, SEQ, CAS, IMPLIED, PORT, WANT, N };
  unsigned i = 0;
  while (i < N && !ben_str_is(key, names[i]))
    i++;
  switch (i) {
  case ID: return ben_str_n(v, &m->id, KRPC_ID_LEN);
  case TARGET: return is_infohash(m->method) || ben_str_n(v, &m->target, KRPC_ID_LEN);
  case INFO_HASH: return !is_infohash(m->method) || ben_str_n(v, &m->target, KRPC_ID_LEN);
  case TOKEN: return take_str(&m->token, v);
  case NODES: return take_str(&m->nodes, v) && m->nodes.len % KRPC_NODE4_LEN == 0;
  case NODES6: return take_str(&m->nodes6, v) && m->nodes6.len % KRPC_NODE6_LEN == 0;
  case VALUES: return take_values(m, v);
  case K: return ben_str_n(v, &m->k, KEY_LEN);
  case SIG: return ben_str_n(v, &m->sig, SIG_LEN);
  case SALT: return take_str(&m->salt, v);
  case V: m->v = *v; return true;
  case SEQ: return m->has_seq = ben_int(v, &m->seq);
  case CAS: return m->has_cas = ben_int(v, &m->cas);
  case IMPLIED: return take_bool(&m->implied_port, v);
  case PORT: return take_port(m, v);
  case WANT: return take_want(m, v);
  default: return true;
  }
}

static bool take_fields(struct krpc *m, const struct ben *dict) {
  struct ben_iter it;
  struct ben key, value;
  bool good = true;
  if (!ben_is_dict(dict) || !ben_iter_init(&it, dict))
    return false;
  while (ben_dict_next(&it, &key, &value))
    good = take_field(m, &key, &value) && good;
  return good && m->id;
}

static bool has_arguments(const struct krpc *m) {
  switch (m->method) {
  case KRPC_FIND_NODE:
  case KRPC_GET_PEERS:
  case KRPC_GET: return m->target != NULL;
  case KRPC_ANNOUNCE_PEER: return m->target && m->token.p && (m->has_port || m->implied_port);
  case KRPC_PUT: return m->token.p && m->v.p && (!m->k || (m->sig && m->has_seq));
  default: return true;
  }
}

static int decode_query(struct krpc *m, const struct ben *dict) {
  struct ben q, a;
  const uint8_t *s;
  size_t n;
  m->type = KRPC_QUERY;
  if (!ben_get(dict, "q", &q) || !ben_str(&q, &s, &n))
    return -1;
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (ben_str_is(&q, methods[i].name))
      m->method = methods[i].method;
  m->malformed = !ben_get(dict, "a", &a) || !take_fields(m, &a) || !has_arguments(m);
  return 0;
}

static int decode_error(struct krpc *m, const struct ben *dict) {
  struct ben e, code, text;
  struct ben_iter it;
  m->type = KRPC_ERROR;
  m->code = KRPC_E_GENERIC;
  if (ben_get(dict, "e", &e) && ben_is_list(&e) && ben_iter_init(&it, &e) && ben_list_next(&it, &code)) {
    ben_int(&code, &m->code);
    if (ben_list_next(&it, &text))
      take_str(&m->text, &text);
  }
  return 0;
}

int krpc_decode(struct krpc *m, const uint8_t *p, size_t len) {
  struct ben dict, v;
  int64_t ro;
  int rc = -1;
  memset(m, 0, sizeof *m);
  if (len > KRPC_READ_MAX || ben_parse(&dict, p, len) != 0 || !ben_is_dict(&dict))
    goto out;
  if (!ben_get(&dict, "t", &v) || !take_str(&m->t, &v) || m->t.len == 0 || m->t.len > KRPC_TID_MAX)
    goto out;
  if (ben_get(&dict, "ip", &v) && (!take_str(&m->ip, &v) || (m->ip.len != 6 && m->ip.len != 18)))
    m->ip = (struct ben){0}; /* some send an address without a port: no vote, no harm */
  m->ro = ben_get(&dict, "ro", &v) && ben_int(&v, &ro) && ro == 1;
  if (!ben_get(&dict, "y", &v))
    goto out;
  if (ben_str_is(&v, "q"))
    rc = decode_query(m, &dict);
  else if (ben_str_is(&v, "e"))
    rc = decode_error(m, &dict);
  else if (ben_str_is(&v, "r") && ben_get(&dict, "r", &v)) {
    m->type = KRPC_REPLY;
    rc = take_fields(m, &v) ? 0 : -1;
  }
out:
  if (rc != 0)
    errno = EBADMSG;
  return rc;
}

static void put_key_str(struct ben_out *o, const char *key, const void *s, size_t n) {
  if (!s)
    return;
  ben_put_text(o, key);
  ben_put_str(o, s, n);
}

static void put_key_raw(struct ben_out *o, const char *key, const struct ben *v) {
  if (!v->p)
    return;
  ben_put_text(o, key);
  ben_put_raw(o, v->p, v->len);
}

static void put_key_int(struct ben_out *o, const char *key, bool present, int64_t n) {
  if (!present)
    return;
  ben_put_text(o, key);
  ben_put_int(o, n);
}

static void put_arguments(struct ben_out *o, const struct krpc *m) {
  bool hash = is_infohash(m->method);
  ben_put_text(o, "a");
  ben_put_dict(o);
  put_key_int(o, "cas", m->has_cas, m->cas);
  put_key_str(o, "id", m->id, KRPC_ID_LEN);
  put_key_int(o, "implied_port", m->implied_port, 1);
  if (hash)
    put_key_str(o, "info_hash", m->target, KRPC_ID_LEN);
  put_key_str(o, "k", m->k, KEY_LEN);
  put_key_int(o, "port", m->has_port, m->port);
  put_key_str(o, "salt", m->salt.p, m->salt.len);
  put_key_int(o, "seq", m->has_seq, m->seq);
  put_key_str(o, "sig", m->sig, SIG_LEN);
  if (!hash)
    put_key_str(o, "target", m->target, KRPC_ID_LEN);
  put_key_str(o, "token", m->token.p, m->token.len);
  put_key_raw(o, "v", &m->v);
  if (m->want) {
    ben_put_text(o, "want");
    ben_put_list(o);
    if (m->want & KRPC_WANT4)
      ben_put_text(o, "n4");
    if (m->want & KRPC_WANT6)
      ben_put_text(o, "n6");
    ben_put_end(o);
  }
  ben_put_end(o);
}

static void put_results(struct ben_out *o, const struct krpc *m) {
  ben_put_text(o, "r");
  ben_put_dict(o);
  put_key_str(o, "id", m->id, KRPC_ID_LEN);
  put_key_str(o, "k", m->k, KEY_LEN);
  put_key_str(o, "nodes", m->nodes.p, m->nodes.len);
  put_key_str(o, "nodes6", m->nodes6.p, m->nodes6.len);
  put_key_int(o, "seq", m->has_seq, m->seq);
  put_key_str(o, "sig", m->sig, SIG_LEN);
  put_key_str(o, "token", m->token.p, m->token.len);
  put_key_raw(o, "v", &m->v);
  put_key_raw(o, "values", &m->values);
  ben_put_end(o);
}

static const char *method_name(enum krpc_method method) {
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (methods[i].method == method)
      return methods[i].name;
  return "unknown";
}

/* The keys of a dictionary stand in order: a, e, ip, q, r, ro, t, y. */
size_t krpc_encode(uint8_t *out, size_t cap, const struct krpc *m) {
  static const char *const letters[] = {"q", "r", "e"};
  struct ben_out o;
  ben_out_init(&o, out, cap);
  ben_put_dict(&o);
  if (m->type == KRPC_QUERY)
    put_arguments(&o, m);
  if (m->type == KRPC_ERROR) {
    ben_put_text(&o, "e");
    ben_put_list(&o);
    ben_put_int(&o, m->code);
    ben_put_str(&o, m->text.p, m->text.len);
    ben_put_end(&o);
  }
  put_key_str(&o, "ip", m->ip.p, m->ip.len);
  if (m->type == KRPC_QUERY) {
    ben_put_text(&o, "q");
    ben_put_text(&o, method_name(m->method));
  }
  if (m->type == KRPC_REPLY)
    put_results(&o, m);
  put_key_int(&o, "ro", m->ro, 1);
  put_key_str(&o, "t", m->t.p, m->t.len);
  ben_put_text(&o, "y");
  ben_put_text(&o, letters[m->type]);
  ben_put_end(&o);
  return o.bad ? 0 : o.len;
}
