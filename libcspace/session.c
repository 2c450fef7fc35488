/*
 * session.c - life and packets of a session: handshake, datagrams in and out
 * over its paths, timers, the end. PROTOCOL.md 6 and 7.
 */
#include "session.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "node_impl.h"
#include "remote.h"
#include "request.h"
#include "session_impl.h"
#include "stream.h"

#define BLOCKED_US 1000
#define PING_LOOK_US 500000

static void on_alarm(struct alarm *a, uint64_t now);
static void on_flush(struct task *t, uint64_t now);
static void set_alarm(struct session *s, uint64_t now);

/* ---- making and freeing ---- */

static struct session *session_new(struct cs_node *n, bool client, uint64_t now) {
  struct session *s = calloc(1, sizeof *s);
  uint8_t seed[32];

  if (s == NULL) return NULL;
  randombytes_buf(seed, sizeof seed);
  s->node = n;
  s->client = client;
  s->started = s->last_heard = s->unused_since = now;
  s->control_sid = s->control_in_sid = -1;
  s->tx_limit = STREAM_TX_MIN;
  s->alarm.fire = on_alarm;
  s->alarm.owner = s;
  s->flush.run = on_flush;
  s->flush.owner = s;
  s->paths = paths_new(client, seed, now, n->max_datagram);
  sodium_memzero(seed, sizeof seed);
  if (s->paths == NULL) {
    free(s);
    return NULL;
  }
  node_link_session(n, s);
  return s;
}

static void session_free(struct session *s) {
  if (s->remote != NULL) remote_unlink_session(s->remote, s);
  session_drop_streams(s);
  if (s->keyed) node_forget_id(s->node, s->own_id, PATH_ID_LEN, s);
  for (int i = 0; i < SESSION_CIDS_MAX; i++)
    if (s->cids[i].len != 0) node_forget_id(s->node, s->cids[i].bytes, s->cids[i].len, s);
  node_unlink_session(s->node, s);
  if (s->stranger) s->node->strangers--;
  alarm_cancel(&s->alarm);
  task_cancel(s->node->loop, &s->flush);
  quic_free(s->quic);
  paths_free(s->paths);
  free(s->close_pkt);
  free(s);
}

static struct quic_config quic_settings(struct session *s) {
  struct cs_node *n = s->node;
  struct quic_config cfg = {.creds = n->creds,
                            .callbacks = &session_quic_callbacks,
                            .ctx = s,
                            .idle_us = n->idle_us,
                            .keepalive_us = n->idle_us / 3,
                            .max_datagram = n->max_datagram,
                            .random = randombytes_buf};

  return cfg;
}

struct session *session_connect(struct cs_node *n, struct remote *r, const uint8_t endpoint_id[8], uint64_t now) {
  struct session *s = session_new(n, true, now);
  struct quic_config cfg;

  if (s == NULL) return NULL;
  memcpy(s->endpoint_id, endpoint_id, sizeof s->endpoint_id);
  cfg = quic_settings(s);
  s->quic = quic_connect(&cfg, r->key, now);
  if (s->quic == NULL) {
    session_free(s);
    errno = ENOMEM;
    return NULL;
  }
  s->remote = r;
  remote_link_session(r, s);
  session_kick(s);
  return s;
}

int session_add_target(struct session *s, const struct path_target *t) {
  return paths_add(s->paths, loop_now(s->node->loop), t);
}

struct session *session_accept(struct cs_node *n, const struct path_target *from, const uint8_t *p, size_t len,
                               uint64_t now) {
  struct session *s = session_new(n, false, now);
  struct quic_config cfg;

  if (s == NULL) return NULL;
  node_link_half_open(n, s);
  cfg = quic_settings(s);
  s->quic = quic_accept(&cfg, identity_key(n->identity), p, len, now);
  if (s->quic == NULL) {
    session_free(s);
    errno = EPROTO;
    return NULL;
  }
  session_input(s, from, p, len, len, now);
  return s;
}

/* ---- the end ---- */

/* Over for its users: streams get their reset, requests go back to the remote, no new ones come. */
static void leave(struct session *s, uint64_t now, uint64_t stay_us) {
  struct remote *r = s->remote;
  uint64_t code;

  s->state = SESSION_CLOSING;
  s->tls_failed = quic_over(s->quic, &code) == QUIC_END_TLS;
  if (s->pinger != NULL) {
    struct request *ping = s->pinger;

    s->pinger = NULL;
    request_requeue(ping);
  }
  session_drop_streams(s);
  if (r != NULL) {
    remote_unlink_session(r, s);
    s->remote = NULL;
    remote_session_over(r, s->tls_failed);
  }
  node_session_over(s->node);
  alarm_set(s->node->loop, &s->alarm, now + stay_us);
}

static void send_close(struct session *s) {
  if (s->close_len > 0) node_send(s->node, &s->close_to, s->close_pkt, s->close_len, s->close_len);
}

void session_end(struct session *s, enum quic_code code) {
  uint64_t now = loop_now(s->node->loop);

  if (s->state >= SESSION_CLOSING) return;
  if (paths_current(s->paths, &s->close_to)) {
    s->close_pkt = malloc(QUIC_DATAGRAM_MIN);
    if (s->close_pkt != NULL)
      s->close_len = quic_close(s->quic, now, code, s->close_pkt, QUIC_DATAGRAM_MIN, QUIC_DATAGRAM_MIN);
    send_close(s);
  }
  leave(s, now, s->close_len > 0 ? SESSION_CLOSING_US : 0);
}

/* QUIC says the connection is over. */
static void quic_ended(struct session *s) {
  if (s->state >= SESSION_CLOSING) return;
  log_debug("session: over, end %d", (int)quic_over(s->quic, NULL));
  session_end(s, QUIC_CODE_PROTOCOL);
}

/* ---- datagrams in ---- */

static void read_one(struct session *s, const struct path_target *from, const uint8_t *p, size_t len, uint64_t now) {
  bool valid = false;
  int rc = quic_read(s->quic, now, p, len, &valid);

  paths_received(s->paths, now, from, len, valid);
  if (valid) s->last_heard = now;
  if (rc != 0) {
    quic_ended(s);
    return;
  }
  if (s->too_many) {
    session_end(s, QUIC_CODE_LIMIT);
    return;
  }
  if (!s->keyed && quic_connected(s->quic)) {
    uint8_t exported[PATH_EXPORTER_LEN];
    struct path_keys keys;

    if (quic_export(s->quic, PATH_EXPORTER_LABEL, exported, sizeof exported) == 0) {
      path_keys_split(&keys, s->client, exported);
      if (node_know_id(s->node, keys.own_id, PATH_ID_LEN, s) == 0) {
        memcpy(s->own_id, keys.own_id, PATH_ID_LEN);
        s->keyed = true;
        paths_keyed(s->paths, now, &keys);
      }
    }
    if (s->keyed) quic_drop_tls(s->quic);
    sodium_memzero(&keys, sizeof keys);
    sodium_memzero(exported, sizeof exported);
  }
}

void session_input(struct session *s, const struct path_target *from, const uint8_t *p, size_t len, size_t segment,
                   uint64_t now) {
  if (s->state >= SESSION_CLOSING) {
    /* Ever more rarely (RFC 9000 section 10.2.1): the address it goes to may be a victim's. */
    s->close_asked++;
    if ((s->close_asked & (s->close_asked - 1)) == 0) send_close(s);
    return;
  }
  for (size_t at = 0; at < len && s->state < SESSION_CLOSING; at += segment)
    read_one(s, from, p + at, len - at < segment ? len - at : segment, now);
  s->unanswered += (unsigned)((len + segment - 1) / segment);
  if (s->state < SESSION_CLOSING) session_kick(s);
}

void session_path_input(struct session *s, const struct path_target *from, const uint8_t *p, size_t len,
                        uint64_t now) {
  if (s->state != SESSION_UP && s->state != SESSION_HANDSHAKE) return;
  if (paths_input(s->paths, now, from, p, len)) s->last_heard = now;
  session_kick(s);
}

/* ---- datagrams out ---- */

static void path_events(struct session *s, uint64_t now) {
  struct path_event ev;

  while (paths_next_event(s->paths, &ev)) {
    if (ev.type == PATH_EV_SWITCHED)
      quic_path_changed(s->quic, now, ev.rtt_old_us != 0 && ev.rtt_new_us > ev.rtt_old_us);
    else if (ev.type == PATH_EV_PONG && s->pinger != NULL) {
      struct request *ping = s->pinger;
      struct path_target at;

      s->pinger = NULL;
      if (paths_current(s->paths, &at)) request_pong(ping, &at, (uint32_t)ev.rtt_us, (uint32_t)paths_mtu(s->paths));
    }
  }
}

static void send_run(struct session *s, uint64_t now, const uint8_t *buf, size_t len, size_t segment) {
  struct path_target to[PATHS_MAX];
  size_t n = paths_send(s->paths, now, len, to, PATHS_MAX);

  for (size_t i = 0; i < n; i++) {
    int err = node_send(s->node, &to[i], buf, len, segment);

    if (err != 0) paths_send_failed(s->paths, now, &to[i], segment, err);
  }
}

static void write_quic(struct session *s, uint64_t now) {
  struct quic_info info;
  uint8_t *buf = s->node->send_buf;

  quic_get_info(s->quic, &info);
  s->tx_limit = info.cwnd * 2 > STREAM_TX_MAX ? STREAM_TX_MAX : info.cwnd * 2;
  if (s->tx_limit < STREAM_TX_MIN) s->tx_limit = STREAM_TX_MIN;
  if (info.pto_count > s->pto_seen) paths_suspect(s->paths, now);
  s->pto_seen = info.pto_count;
  while (!node_send_blocked(s->node)) {
    size_t segment, mtu = paths_mtu(s->paths);
    ssize_t n = quic_write(s->quic, now, buf, UDP_BATCH_BYTES, mtu, &segment);

    if (n < 0) {
      quic_ended(s);
      return;
    }
    if (n == 0) break;
    send_run(s, now, buf, (size_t)n, segment);
  }
}

static void write_paths(struct session *s, uint64_t now) {
  struct path_target to;
  size_t len;

  while (!node_send_blocked(s->node) && paths_output(s->paths, now, &to, s->node->send_buf, &len)) {
    int err = node_send(s->node, &to, s->node->send_buf, len, len);

    if (err != 0) paths_send_failed(s->paths, now, &to, len, err);
  }
}

static void deliver_dirty(struct session *s) {
  while (s->dirty != NULL) {
    struct stream *st = s->dirty;

    s->dirty = st->dirty_next;
    st->is_dirty = false;
    stream_deliver(st);
  }
}

static bool unused(const struct session *s) {
  if (s->pinger != NULL) return false;
  if (s->peer_known) return s->streams == NULL;
  for (const struct stream *st = s->streams; st != NULL; st = st->next)
    if (st->state != STREAM_HEADER && st->state != STREAM_OVER) return false;
  return true;
}

static uint64_t unused_limit(const struct session *s) {
  if (!s->client) return s->peer_known ? TIMER_NEVER : SESSION_STRANGER_US;
  return SESSION_UNUSED_US;
}

/* A single datagram that went to an application is acknowledged a moment later: mostly the answer is there by then and
 * carries the acknowledgement. A packet of its own costs both engines a turn, at the worst moment for the answer. */
static bool may_wait(const struct session *s, bool delivered, uint64_t now) {
  if (s->send_head != NULL || s->control_sent < s->control_len || s->state != SESSION_UP || !s->keyed) return false;
  if (s->ack_at != 0) return now < s->ack_at && s->unanswered <= 1;
  return delivered && s->unanswered == 1;
}

void session_flush(struct session *s, uint64_t now) {
  bool delivered = s->dirty != NULL;

  if (s->state >= SESSION_CLOSING) return;
  s->flushing = true;
  deliver_dirty(s);
  path_events(s, now);
  if (s->pinger != NULL) paths_ping(s->paths, now); /* once more when the last one was lost */
  if (!may_wait(s, delivered, now)) {
    s->ack_at = 0;
    s->unanswered = 0;
    write_quic(s, now);
  } else if (s->ack_at == 0) {
    s->ack_at = now + SESSION_ACK_US;
    loop_look(s->node->loop, SESSION_LOOK_US);
  }
  s->flushing = false;
  if (s->state >= SESSION_CLOSING) return;
  write_paths(s, now);
  if (!unused(s)) s->unused_since = now;
  set_alarm(s, now);
}

/* A flush sends all there is: what it sets off itself needs no other one. */
void session_kick(struct session *s) {
  if (!s->flushing) task_queue(s->node->loop, &s->flush);
}

static void on_flush(struct task *t, uint64_t now) { session_flush(t->owner, now); }

/* ---- time ---- */

static void set_alarm(struct session *s, uint64_t now) {
  uint64_t at = quic_deadline(s->quic), other = paths_deadline(s->paths), limit = unused_limit(s);

  if (at <= now && node_send_blocked(s->node)) at = now + BLOCKED_US; /* it cannot do what it is late with */
  if (s->ack_at != 0) at = s->ack_at;
  if (other < at) at = other;
  if (s->pinger != NULL && now + PING_LOOK_US < at) at = now + PING_LOOK_US;
  other = s->last_heard + s->node->idle_us;
  if (other < at) at = other;
  if (s->state == SESSION_HANDSHAKE && s->started + SESSION_HANDSHAKE_US < at) at = s->started + SESSION_HANDSHAKE_US;
  if (s->state == SESSION_UP && unused(s) && limit != TIMER_NEVER && s->unused_since + limit < at)
    at = s->unused_since + limit;
  alarm_set(s->node->loop, &s->alarm, at);
}

static void on_alarm(struct alarm *a, uint64_t now) {
  struct session *s = a->owner;

  if (s->state >= SESSION_CLOSING) {
    session_free(s);
    return;
  }
  if (now >= s->last_heard + s->node->idle_us) {
    log_debug("session: peer silent, lost");
    session_end(s, QUIC_CODE_LOST);
    return;
  }
  if (s->state == SESSION_HANDSHAKE && now >= s->started + SESSION_HANDSHAKE_US) {
    session_end(s, QUIC_CODE_LOST);
    return;
  }
  if (s->state == SESSION_UP && unused(s) && unused_limit(s) != TIMER_NEVER &&
      now >= s->unused_since + unused_limit(s)) {
    session_end(s, QUIC_CODE_DONE);
    return;
  }
  if (now >= quic_deadline(s->quic) && quic_expire(s->quic, now) != 0) {
    quic_ended(s);
    return;
  }
  if (now >= paths_deadline(s->paths)) paths_tick(s->paths, now);
  session_flush(s, now);
}

/* ---- asking it ---- */

bool session_up(const struct session *s) { return s->state == SESSION_UP && !s->draining; }

bool session_pending(const struct session *s) { return s->state == SESSION_HANDSHAKE; }

bool session_unacked(const struct session *s) {
  for (const struct stream *st = s->streams; st != NULL; st = st->next)
    if (stream_unacked(st)) return true;
  return false;
}

bool session_idle(const struct session *s) { return s->streams == NULL; }

bool session_has_path_id(const struct session *s, const uint8_t *id) {
  return s->keyed && memcmp(s->own_id, id, PATH_ID_LEN) == 0;
}

const uint8_t *session_peer(const struct session *s) { return quic_peer(s->quic); }

struct remote *session_remote(const struct session *s) { return s->remote; }

struct cs_node *session_node(const struct session *s) { return s->node; }

size_t session_tx_limit(const struct session *s) {
  return s->queued < SESSION_QUEUED_MAX ? s->tx_limit : SESSION_TX_FLOOR;
}

int session_ping(struct session *s, struct request *r) {
  if (s->pinger != NULL || paths_ping(s->paths, loop_now(s->node->loop)) != 0) {
    errno = EAGAIN;
    return -1;
  }
  s->pinger = r;
  session_kick(s);
  return 0;
}

void session_forget_request(struct session *s, struct request *r) {
  if (s->pinger == r) s->pinger = NULL;
}

void session_destroy(struct session *s) { session_free(s); }
