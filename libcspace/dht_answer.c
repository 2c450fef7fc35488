/*
 * dht_answer.c - the answering side: others' queries (BEP 5, 32, 44), write
 * tokens, and the limits that keep us from being anybody's amplifier: a put
 * without a good token gets nothing, an error is never longer than what it
 * answers, and a routable source has a budget of bytes.
 */
#include <sodium.h>
#include <string.h>

#include "dht_int.h"

void dht_rotate_secret(struct dht *d, uint64_t now) {
  memcpy(d->secret[1], d->secret[0], sizeof d->secret[0]);
  rng_bytes(&d->rng, d->secret[0], sizeof d->secret[0]);
  d->secret_at = now;
}

/* Bound to the address without the port, as BEP 5 has it: NATs change ports. */
static void token_make(uint8_t out[DHT_TOKEN_LEN], const uint8_t secret[32], const struct addr *from) {
  uint8_t full[16];
  _Static_assert(crypto_generichash_BYTES_MIN == sizeof full, "shortest BLAKE2b");
  crypto_generichash(full, sizeof full, from->ip, sizeof from->ip, secret, 32);
  memcpy(out, full, DHT_TOKEN_LEN);
}

static bool token_good(const struct dht *d, const struct addr *from, const struct ben *token) {
  uint8_t expected[DHT_TOKEN_LEN];
  bool good = false;
  for (int i = 0; i < 2 && token->len == DHT_TOKEN_LEN; i++) {
    token_make(expected, d->secret[i], from);
    good = sodium_memcmp(expected, token->p, DHT_TOKEN_LEN) == 0 || good;
  }
  return good;
}

static struct dht_budget *budget_of(struct dht *d, uint64_t now, const struct addr *from) {
  struct addr key = *from;
  key.port = 0;
  key.scope = 0;
  if (key.family == ADDR_V6)
    memset(key.ip + 8, 0, 8); /* one IPv6 subscriber has a /64 */
  /* Sources that meet in a slot share it: forged ones cannot push anybody out and so refill a budget. */
  struct dht_budget *b = &d->budgets[addr_hash(&key, d->hash_seed) % DHT_BUDGETS];
  uint64_t elapsed = now - b->at, gained = elapsed / DHT_MS * DHT_BUDGET_RATE / 1000;
  if (b->at == 0 || gained >= DHT_BUDGET_BURST) {
    b->left = DHT_BUDGET_BURST;
    b->at = now;
  } else if (gained > 0) {
    b->left = b->left + gained > DHT_BUDGET_BURST ? DHT_BUDGET_BURST : b->left + (uint32_t)gained;
    b->at = now;
  }
  return b;
}

/* Whether len more bytes may go to from; takes them off its budget. */
static bool afford(struct dht *d, uint64_t now, const struct addr *from, size_t len) {
  if (!addr_is_global(from))
    return true;
  struct dht_budget *b = budget_of(d, now, from);
  if (b->left < len)
    return false;
  b->left -= (uint32_t)len;
  return true;
}

static void reply(struct dht *d, uint64_t now, const struct addr *to, const uint8_t *buf, size_t len) {
  if (len == 0 || !afford(d, now, to, len))
    d->stats.dropped++;
  else
    dht_send(d, to, buf, len);
}

static void answer_error(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m, size_t asked,
                         int code) {
  static const struct {
    int code;
    const char *text;
  } texts[] = {
    {KRPC_E_GENERIC, "Error"},         {KRPC_E_SERVER, "No room"},      {KRPC_E_PROTOCOL, "Malformed"},
    {KRPC_E_METHOD, "Method Unknown"}, {KRPC_E_TOO_BIG, "v too big"},   {KRPC_E_SIGNATURE, "Invalid signature"},
    {KRPC_E_SALT, "salt too big"},     {KRPC_E_CAS, "CAS mismatch"},    {KRPC_E_SEQ, "seq less than current"},
  };
  uint8_t buf[DHT_DATAGRAM_MAX], ip[18];
  const char *text = "";
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i].code == code)
      text = texts[i].text;
  struct krpc e = {.type = KRPC_ERROR, .t = m->t, .code = code, .text = {(const uint8_t *)text, strlen(text)}};
  e.ip = (struct ben){ip, addr_to_compact(from, ip)};
  size_t len = krpc_encode(buf, sizeof buf, &e);
  if (len > asked) {
    e.ip = (struct ben){0};
    len = krpc_encode(buf, sizeof buf, &e);
  }
  if (len > asked) {
    e.text.len = 0;
    len = krpc_encode(buf, sizeof buf, &e);
  }
  if (len <= asked)
    reply(d, now, from, buf, len);
}

/* Compact nodes of one family for an asker: good ones, never itself, and nothing local to a stranger from outside. */
static size_t closest_compact(const struct dht *d, unsigned family, const uint8_t *target, const struct addr *from,
                              uint8_t *out) {
  const struct dht_node *nodes[DHT_K + 1];
  enum dht_which which = addr_is_global(from) ? DHT_GOOD_GLOBAL : DHT_GOOD;
  unsigned n = dht_table_closest(&d->table[family], target, which, nodes, DHT_K + 1), taken = 0;
  size_t len = 0;
  for (unsigned i = 0; i < n && taken < DHT_K; i++) {
    if (addr_equal(&nodes[i]->addr, from))
      continue;
    memcpy(out + len, nodes[i]->id, DHT_ID_LEN);
    len += DHT_ID_LEN;
    len += addr_to_compact(&nodes[i]->addr, out + len);
    taken++;
  }
  return len;
}

/* Sends r with as many nodes as fit into one datagram: the other family's go first, then ours from the far end. */
static void answer_fitting(struct dht *d, uint64_t now, const struct addr *from, struct krpc *r) {
  uint8_t buf[DHT_DATAGRAM_MAX];
  bool six = from->family == ADDR_V6;
  struct ben *mine = six ? &r->nodes6 : &r->nodes, *other = six ? &r->nodes : &r->nodes6;
  size_t one = six ? KRPC_NODE6_LEN : KRPC_NODE4_LEN, len;
  while ((len = krpc_encode(buf, sizeof buf, r)) == 0) {
    if (other->p)
      *other = (struct ben){0};
    else if (mine->len >= one)
      mine->len -= one;
    else
      break;
  }
  reply(d, now, from, buf, len);
}

/* find_node, get_peers and get: nodes by `want` (BEP 32), and what is stored under the target. */
static void answer_lookup(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m) {
  uint8_t ip[18], token[DHT_TOKEN_LEN], nodes4[DHT_K * KRPC_NODE4_LEN], nodes6[DHT_K * KRPC_NODE6_LEN];
  uint8_t list[DHT_REPLY_PEERS * 21 + 2];
  struct krpc r = {.type = KRPC_REPLY, .t = m->t, .id = d->table[family_of(from)].own};
  unsigned want = m->want ? m->want : from->family == ADDR_V6 ? KRPC_WANT6 : KRPC_WANT4;
  r.ip = (struct ben){ip, addr_to_compact(from, ip)};
  if (want & KRPC_WANT4)
    r.nodes = (struct ben){nodes4, closest_compact(d, FAM4, m->target, from, nodes4)};
  if (want & KRPC_WANT6)
    r.nodes6 = (struct ben){nodes6, closest_compact(d, FAM6, m->target, from, nodes6)};
  if (m->method != KRPC_FIND_NODE) {
    token_make(token, d->secret[0], from);
    r.token = (struct ben){token, sizeof token};
  }
  if (m->method == KRPC_GET_PEERS) {
    struct addr peers[DHT_REPLY_PEERS];
    unsigned n = dht_store_peers(&d->store, now, m->target, from->family, rng_u32(&d->rng), peers, DHT_REPLY_PEERS);
    struct ben_out o;
    ben_out_init(&o, list, sizeof list);
    ben_put_list(&o);
    for (unsigned i = 0; i < n; i++) {
      uint8_t compact[18];
      ben_put_str(&o, compact, addr_to_compact(&peers[i], compact));
    }
    ben_put_end(&o);
    if (n > 0)
      r.values = (struct ben){list, o.len};
  }
  const struct dht_item *item = m->method == KRPC_GET ? dht_store_get(&d->store, now, m->target) : NULL;
  if (item) {
    r.has_seq = item->is_mutable;
    r.seq = item->seq;
    if (!item->is_mutable || !m->has_seq || item->seq > m->seq) { /* BEP 44: seq asks for newer ones only */
      r.v = (struct ben){item->v, item->v_len};
      r.k = item->is_mutable ? item->k : NULL;
      r.sig = item->is_mutable ? item->sig : NULL;
    }
  }
  answer_fitting(d, now, from, &r);
}

static void answer_plain(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m) {
  uint8_t buf[DHT_DATAGRAM_MAX], ip[18];
  struct krpc r = {.type = KRPC_REPLY, .t = m->t, .id = d->table[family_of(from)].own};
  r.ip = (struct ben){ip, addr_to_compact(from, ip)};
  reply(d, now, from, buf, krpc_encode(buf, sizeof buf, &r));
}

static void answer_write(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m, size_t len) {
  int code;
  if (!token_good(d, from, &m->token)) {
    d->stats.dropped++;
    return;
  }
  if (m->method == KRPC_ANNOUNCE_PEER) {
    struct addr peer = *from;
    if (!m->implied_port)
      peer.port = m->port;
    code = peer.port == 0 ? KRPC_E_PROTOCOL : dht_store_announce(&d->store, now, from, m->target, &peer);
  } else {
    struct dht_put_args put = {.k = m->k, .sig = m->sig, .salt = m->salt.p, .salt_len = m->salt.len, .seq = m->seq,
                               .has_cas = m->has_cas, .cas = m->cas, .v = m->v.p, .v_len = m->v.len};
    code = dht_store_put(&d->store, now, from, d->table[family_of(from)].own, &put);
  }
  if (code)
    answer_error(d, now, from, m, len, code);
  else
    answer_plain(d, now, from, m);
}

void dht_answer(struct dht *d, uint64_t now, const struct addr *from, const struct krpc *m, size_t len) {
  if (d->config.read_only) {
    d->stats.dropped++;
    return;
  }
  d->stats.queries_in++;
  if (m->method == KRPC_UNKNOWN) {
    answer_error(d, now, from, m, len, KRPC_E_METHOD);
    return;
  }
  if (m->malformed) {
    answer_error(d, now, from, m, len, KRPC_E_PROTOCOL);
    return;
  }
  if (m->method == KRPC_PING)
    answer_plain(d, now, from, m);
  else if (m->method == KRPC_PUT || m->method == KRPC_ANNOUNCE_PEER)
    answer_write(d, now, from, m, len);
  else
    answer_lookup(d, now, from, m);
  /* A newcomer enters the table when it answers, not when it asks (BEP 5); read-only nodes never (BEP 43). */
  if (!m->ro && dht_table_wants(&d->table[family_of(from)], m->id, from, now) && afford(d, now, from, 64))
    dht_ping(d, now, from);
}
