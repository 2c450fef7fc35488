/*
 * quic_pair.c - two QUIC connections back to back.
 */
#include "quic_pair.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

#define FLIGHT_MAX 65536

static void on_opened(void *ctx, int64_t sid, bool bidi) {
  struct quic_side *s = ctx;

  s->opened++;
  if (bidi) s->sid = sid;
  quic_stream_set(s->q, sid, s);
}

static void on_data(void *ctx, int64_t sid, void *stream, const uint8_t *p, size_t len, bool fin) {
  struct quic_side *s = ctx;

  (void)stream;
  if (s->in_len + len > s->in_cap) {
    s->in_cap = (s->in_len + len) * 2;
    s->in = realloc(s->in, s->in_cap);
    if (s->in == NULL) abort();
  }
  if (len > 0) memcpy(s->in + s->in_len, p, len);
  s->in_len += len;
  if (fin) s->in_end = true;
  if (!s->hold_credit) quic_stream_credit(s->q, sid, len);
}

static void on_acked(void *ctx, void *stream, uint64_t bytes) {
  struct quic_side *s = ctx;

  (void)stream;
  s->acked += bytes;
}

static void on_reset(void *ctx, int64_t sid, void *stream, uint64_t code) {
  (void)sid;
  (void)stream;
  (void)code;
  ((struct quic_side *)ctx)->resets++;
}

static void on_stopped(void *ctx, int64_t sid, void *stream, uint64_t code) {
  (void)sid;
  (void)stream;
  (void)code;
  ((struct quic_side *)ctx)->stops++;
}

static void on_closed(void *ctx, int64_t sid, void *stream) {
  (void)sid;
  (void)stream;
  ((struct quic_side *)ctx)->closed++;
}

static void on_unblocked(void *ctx, void *stream) {
  (void)stream;
  ((struct quic_side *)ctx)->blocked = false;
}

static void on_streams_left(void *ctx) { (void)ctx; }

static void on_connected(void *ctx) { ((struct quic_side *)ctx)->connected = true; }

static void on_cid_new(void *ctx, const uint8_t *cid, size_t len) {
  (void)cid;
  (void)len;
  ((struct quic_side *)ctx)->cids++;
}

static void on_cid_gone(void *ctx, const uint8_t *cid, size_t len) {
  (void)cid;
  (void)len;
  ((struct quic_side *)ctx)->cids--;
}

static bool on_pull(void *ctx, int64_t *sid, void **stream, struct iovec *iov, int *n, bool *fin) {
  struct quic_side *s = ctx;

  if (s->sid < 0 || s->blocked || (s->out_sent == s->out_len && (!s->out_end || s->out_end_sent))) return false;
  *sid = s->sid;
  *stream = s;
  iov[0].iov_base = (void *)(uintptr_t)(s->out + s->out_sent);
  iov[0].iov_len = s->out_len - s->out_sent;
  *n = iov[0].iov_len > 0;
  *fin = s->out_end;
  return true;
}

static void on_sent(void *ctx, void *stream, ssize_t bytes, bool fin, bool blocked) {
  struct quic_side *s = ctx;

  (void)stream;
  if (blocked) s->blocked = true;
  if (bytes < 0) s->sid = -1;
  if (bytes > 0) s->out_sent += (size_t)bytes;
  if (fin) s->out_end_sent = true;
}

static const struct quic_callbacks callbacks = {on_opened,    on_data,         on_acked,     on_reset,   on_stopped,
                                                on_closed,    on_unblocked,    on_streams_left, on_connected, on_cid_new,
                                                on_cid_gone,  on_pull,         on_sent};

static void side_init(struct quic_side *s) {
  s->id = identity_generate();
  s->creds = s->id != NULL ? tls_creds_new(s->id) : NULL;
  if (s->creds == NULL) abort();
  s->sid = -1;
  s->cfg.creds = s->creds;
  s->cfg.callbacks = &callbacks;
  s->cfg.ctx = s;
  s->cfg.idle_us = 30000000;
  s->cfg.keepalive_us = 10000000;
  s->cfg.max_datagram = 8900;
  s->cfg.random = randombytes_buf;
}

static void side_free(struct quic_side *s) {
  quic_free(s->q);
  tls_creds_free(s->creds);
  identity_free(s->id);
  free(s->in);
}

struct quic_pair *quic_pair_new(const uint8_t *expected) {
  struct quic_pair *p = calloc(1, sizeof *p);

  if (p == NULL || identity_init() != 0) abort();
  p->now = 1000000;
  p->mtu = 1200;
  side_init(&p->client);
  side_init(&p->server);
  p->client.q = quic_connect(&p->client.cfg, expected != NULL ? expected : identity_key(p->server.id), p->now);
  if (p->client.q == NULL) abort();
  return p;
}

void quic_pair_free(struct quic_pair *p) {
  side_free(&p->client);
  side_free(&p->server);
  free(p);
}

static bool lost(struct quic_pair *p) {
  p->sent++;
  if (p->drop_every == 0 || p->sent % p->drop_every != 0) return false;
  p->dropped++;
  return true;
}

/* Everything one side has to say now. True when it said something. */
static bool carry(struct quic_pair *p, struct quic_side *from, struct quic_side *to) {
  uint8_t buf[FLIGHT_MAX];
  bool any = false, valid;
  size_t segment;
  ssize_t n;

  while ((n = quic_write(from->q, p->now, buf, sizeof buf, p->mtu, &segment)) > 0) {
    any = true;
    for (size_t at = 0; at < (size_t)n; at += segment) {
      size_t len = (size_t)n - at < segment ? (size_t)n - at : segment;

      if (!lost(p) && to->q != NULL) quic_read(to->q, p->now + p->delay_us, buf + at, len, &valid);
    }
  }
  return any;
}

bool quic_pair_meet(struct quic_pair *p) {
  uint8_t buf[FLIGHT_MAX], salt[GATE_SALT_LEN];
  const uint8_t *dcid;
  size_t segment, dcid_len;
  bool valid = false;
  ssize_t n = quic_write(p->client.q, p->now, buf, sizeof buf, p->mtu, &segment);

  if (n <= 0) return false;
  gate_salt(salt, identity_key(p->server.id));
  if (!gate_check(salt, buf, (size_t)n, &dcid, &dcid_len)) return false;
  p->server.q = quic_accept(&p->server.cfg, identity_key(p->server.id), buf, (size_t)n, p->now);
  if (p->server.q == NULL) return false;
  quic_read(p->server.q, p->now, buf, (size_t)n, &valid);
  return valid;
}

bool quic_pair_run(struct quic_pair *p, bool (*until)(struct quic_pair *p), uint64_t us) {
  uint64_t end = p->now + us;

  while (!until(p)) {
    bool any = carry(p, &p->client, &p->server);
    uint64_t next, other;

    if (p->server.q != NULL) any |= carry(p, &p->server, &p->client);
    p->now += p->delay_us;
    if (any) continue;
    next = quic_deadline(p->client.q);
    other = p->server.q != NULL ? quic_deadline(p->server.q) : UINT64_MAX;
    if (other < next) next = other;
    if (next > end) return false;
    if (next > p->now) p->now = next;
    if (quic_deadline(p->client.q) <= p->now) quic_expire(p->client.q, p->now);
    if (p->server.q != NULL && quic_deadline(p->server.q) <= p->now) quic_expire(p->server.q, p->now);
  }
  return true;
}
