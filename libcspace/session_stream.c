/*
 * session_stream.c - what QUIC tells a session about its streams, and the
 * control stream. PROTOCOL.md 6.5 and 6.6.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "listener.h"
#include "log.h"
#include "node_impl.h"
#include "remote.h"
#include "request.h"
#include "session_impl.h"
#include "stream.h"

/* Marks the peer's control stream, whose bytes are no connection's. Never a struct stream. */
static char control_mark;
#define CONTROL ((void *)&control_mark)

/* ---- the control stream ---- */

void session_open_control(struct session *s) {
  struct control_hello hello;

  if (quic_stream_open(s->quic, false, CONTROL, &s->control_sid) != 0) return;
  memcpy(hello.endpoint_id, s->node->endpoint_id, sizeof hello.endpoint_id);
  s->control_len = control_hello_encode(s->control_out, sizeof s->control_out, &hello);
  s->control_sent = 0;
}

void session_goodbye(struct session *s) {
  size_t n;

  if (s->state != SESSION_UP || s->control_sid < 0) return;
  s->draining = true;
  /* Sent bytes of earlier messages are QUIC's until acknowledged: append behind them. */
  n = control_goodbye_encode(s->control_out + s->control_len, sizeof s->control_out - s->control_len);
  s->control_len += n;
  session_kick(s);
}

static void control_message(struct session *s, uint8_t type, const uint8_t *body, size_t len) {
  struct control_hello hello;

  if (type == CONTROL_HELLO && control_hello_decode(&hello, body, len) == 0) {
    if (!s->client) memcpy(s->endpoint_id, hello.endpoint_id, sizeof s->endpoint_id); /* else as in the record */
  } else if (type == CONTROL_GOODBYE)
    s->draining = true;
}

static void control_received(struct session *s, int64_t sid, const uint8_t *p, size_t len) {
  quic_stream_credit(s->quic, sid, len);
  while (len > 0) {
    size_t part = sizeof s->control_in - s->control_in_len;
    const uint8_t *body;
    size_t body_len;
    uint8_t type;
    int used;

    if (part > len) part = len;
    memcpy(s->control_in + s->control_in_len, p, part);
    s->control_in_len += part;
    p += part;
    len -= part;
    while ((used = control_next(&type, &body, &body_len, s->control_in, s->control_in_len)) > 0) {
      control_message(s, type, body, body_len);
      s->control_in_len -= (size_t)used;
      memmove(s->control_in, s->control_in + used, s->control_in_len);
    }
    if (used < 0) {
      quic_stream_stop(s->quic, sid, QUIC_CODE_PROTOCOL);
      s->control_in_len = 0;
      return;
    }
  }
}

/* ---- what QUIC says ---- */

static void on_connected(void *ctx) {
  struct session *s = ctx;

  s->state = SESSION_UP;
  s->was_up = true;
  s->node->handshakes--;
  node_unlink_half_open(s->node, s);
  session_open_control(s);
  if (s->remote == NULL) {
    s->remote = node_remote(s->node, quic_peer(s->quic));
    if (s->remote != NULL) remote_link_session(s->remote, s);
  }
  if (!s->client && s->remote != NULL && remote_sessions(s->remote) > REMOTE_SESSIONS_MAX) s->too_many = true;
  s->peer_known = node_knows(s->node, quic_peer(s->quic));
  if (!s->client && !s->peer_known) {
    s->stranger = true;
    if (++s->node->strangers > NODE_STRANGERS_MAX) s->too_many = true; /* ended when QUIC is out of its callback */
  }
  if (s->remote != NULL) remote_session_up(s->remote);
}

static bool may_open(const struct session *s) {
  return s->n_headers < SESSION_HEADERS_MAX && (s->peer_known || s->n_streams < SESSION_STRANGER_STREAMS);
}

void session_header_over(struct stream *st) {
  if (!st->in_headers) return;
  st->in_headers = false;
  st->session->n_headers--;
}

static void on_opened(void *ctx, int64_t sid, bool bidi) {
  struct session *s = ctx;
  struct stream *st;

  if (!bidi) {
    if (s->control_in_sid >= 0) {
      quic_stream_stop(s->quic, sid, QUIC_CODE_PROTOCOL);
      return;
    }
    s->control_in_sid = sid;
    quic_stream_set(s->quic, sid, CONTROL);
    return;
  }
  st = may_open(s) ? stream_new(s, sid, STREAM_HEADER) : NULL;
  if (st == NULL) {
    quic_stream_reset(s->quic, sid, QUIC_CODE_LIMIT);
    return;
  }
  st->in_headers = true;
  s->n_headers++;
  quic_stream_set(s->quic, sid, st);
}

static void on_data(void *ctx, int64_t sid, void *stream, const uint8_t *p, size_t len, bool fin) {
  struct session *s = ctx;

  /* The handle of a stream opened in this very packet may not have reached ngtcp2's argument. */
  if (stream == CONTROL || sid == s->control_in_sid)
    control_received(s, sid, p, len);
  else if (stream != NULL)
    stream_received(stream, p, len, fin);
  else
    quic_stream_credit(s->quic, sid, len);
}

static void on_acked(void *ctx, void *stream, uint64_t bytes) {
  (void)ctx;
  if (stream != CONTROL) stream_acked(stream, bytes);
}

static void on_reset(void *ctx, int64_t sid, void *stream, uint64_t code) {
  (void)ctx;
  (void)sid;
  (void)code;
  if (stream == NULL || stream == CONTROL) return;
  if (((struct stream *)stream)->rx_stopped) { /* the answer to our STOP_SENDING: the other direction goes on */
    stream_received(stream, NULL, 0, true);
    return;
  }
  session_reset_stream(((struct stream *)stream)->session, stream, QUIC_CODE_RESET);
  stream_was_reset(stream);
}

static void on_stopped(void *ctx, int64_t sid, void *stream, uint64_t code) {
  (void)ctx;
  (void)sid;
  (void)code;
  if (stream != NULL && stream != CONTROL) stream_was_stopped(stream);
}

static void on_closed(void *ctx, int64_t sid, void *stream) {
  struct session *s = ctx;

  if (sid == s->control_in_sid || stream == CONTROL || stream == NULL) return;
  stream_was_closed(stream);
}

static void on_unblocked(void *ctx, void *stream) {
  struct stream *st = stream;
  struct session *s = ctx;

  if (stream == CONTROL) return;
  st->tx_blocked = false;
  session_want_send(s, st);
}

static void on_streams_left(void *ctx) {
  struct session *s = ctx;

  if (s->remote != NULL && s->state == SESSION_UP) remote_session_up(s->remote);
}

static void on_cid_new(void *ctx, const uint8_t *cid, size_t len) {
  struct session *s = ctx;

  for (int i = 0; i < SESSION_CIDS_MAX; i++) {
    if (s->cids[i].len != 0) continue;
    if (node_know_id(s->node, cid, len, s) != 0) return;
    s->cids[i].len = (uint8_t)len;
    memcpy(s->cids[i].bytes, cid, len);
    return;
  }
}

static void on_cid_gone(void *ctx, const uint8_t *cid, size_t len) {
  struct session *s = ctx;

  node_forget_id(s->node, cid, len, s);
  for (int i = 0; i < SESSION_CIDS_MAX; i++)
    if (s->cids[i].len == len && memcmp(s->cids[i].bytes, cid, len) == 0) s->cids[i].len = 0;
}

static void ring_pop(struct session *s) {
  struct stream *st = s->send_head;

  s->send_head = st->send_next;
  if (s->send_head == NULL) s->send_tail = NULL;
  st->send_next = NULL;
  st->in_send = false;
}

static bool on_pull(void *ctx, int64_t *sid, void **stream, struct iovec *iov, int *n, bool *fin) {
  struct session *s = ctx;
  int room = *n;

  if (s->control_sid >= 0 && s->control_sent < s->control_len) {
    *sid = s->control_sid;
    *stream = CONTROL;
    iov[0].iov_base = s->control_out + s->control_sent;
    iov[0].iov_len = s->control_len - s->control_sent;
    *n = 1;
    *fin = false;
    return true;
  }
  while (s->send_head != NULL) {
    struct stream *st = s->send_head;

    *n = room;
    if (stream_pull(st, iov, n, fin)) {
      *sid = st->sid;
      *stream = st;
      return true;
    }
    ring_pop(s);
  }
  return false;
}

static void on_sent(void *ctx, void *stream, ssize_t bytes, bool fin, bool blocked) {
  struct session *s = ctx;
  struct stream *st = stream;

  if (stream == CONTROL) {
    s->control_sent = bytes < 0 || blocked ? s->control_len : s->control_sent + (size_t)bytes;
    return;
  }
  stream_sent(st, bytes, fin, blocked);
  if (s->send_head != st) return;
  ring_pop(s); /* round robin: to the back when there is more */
  session_want_send(s, st);
}

const struct quic_callbacks session_quic_callbacks = {
    .opened = on_opened,
    .data = on_data,
    .acked = on_acked,
    .reset = on_reset,
    .stopped = on_stopped,
    .closed = on_closed,
    .unblocked = on_unblocked,
    .streams_left = on_streams_left,
    .connected = on_connected,
    .cid_new = on_cid_new,
    .cid_gone = on_cid_gone,
    .pull = on_pull,
    .sent = on_sent,
};

/* ---- lists ---- */

void session_link_stream(struct session *s, struct stream *st) {
  st->next = s->streams;
  if (st->next != NULL) st->next->prev = st;
  s->streams = st;
  s->n_streams++;
}

static void leave_send(struct session *s, struct stream *st) {
  struct stream **p;

  if (!st->in_send) return;
  for (p = &s->send_head; *p != NULL && *p != st; p = &(*p)->send_next) continue;
  if (*p == st) *p = st->send_next;
  s->send_tail = NULL;
  for (struct stream *q = s->send_head; q != NULL; q = q->send_next) s->send_tail = q;
  st->in_send = false;
  st->send_next = NULL;
}

static void leave_dirty(struct session *s, struct stream *st) {
  struct stream **p;

  if (!st->is_dirty) return;
  for (p = &s->dirty; *p != NULL && *p != st; p = &(*p)->dirty_next) continue;
  if (*p == st) *p = st->dirty_next;
  st->is_dirty = false;
}

/* Out of the session's lists; its QUIC stream, if it lives, is forgotten. */
static void leave_session(struct stream *st) {
  struct session *s = st->session;

  if (s == NULL) {
    node_unlink_orphan(st->node, st);
    return;
  }
  session_header_over(st);
  s->n_streams--;
  session_queued(s, -(ssize_t)st->tx.len);
  leave_send(s, st);
  leave_dirty(s, st);
  if (!st->quic_closed && s->quic != NULL) quic_stream_set(s->quic, st->sid, NULL);
  if (st->prev != NULL)
    st->prev->next = st->next;
  else
    s->streams = st->next;
  if (st->next != NULL) st->next->prev = st->prev;
  st->prev = st->next = NULL;
}

void session_unlink_stream(struct stream *st) {
  if (st->listener != NULL) listener_forget(st->listener, st);
  if (st->request != NULL) st->request->stream = NULL;
  leave_session(st);
}

void session_orphan(struct stream *st) {
  struct session *s = st->session;

  if (s == NULL) return;
  leave_session(st);
  st->session = NULL;
  node_link_orphan(s->node, st);
}

void session_drop_streams(struct session *s) {
  while (s->streams != NULL) {
    struct stream *st = s->streams;

    stream_was_reset(st);
    if (s->streams == st) stream_was_closed(st);
  }
}

void session_want_send(struct session *s, struct stream *st) {
  if (s == NULL || !stream_sendable(st)) return;
  session_kick(s);
  if (st->in_send) return;
  st->in_send = true;
  st->send_next = NULL;
  if (s->send_tail != NULL)
    s->send_tail->send_next = st;
  else
    s->send_head = st;
  s->send_tail = st;
}

void session_mark_dirty(struct session *s, struct stream *st) {
  if (s == NULL || st->is_dirty) return;
  st->is_dirty = true;
  st->dirty_next = s->dirty;
  s->dirty = st;
  session_kick(s);
}

/* ---- for streams ---- */

void session_queued(struct session *s, ssize_t change) { s->queued = (size_t)((ssize_t)s->queued + change); }

struct stream *session_largest(struct session *s) {
  struct stream *most = s->streams;

  for (struct stream *st = s->streams; st != NULL; st = st->next)
    if (st->rx.len > most->rx.len) most = st;
  return most;
}

bool session_parked(struct session *s, ssize_t change) {
  s->parked = (size_t)((ssize_t)s->parked + change);
  return s->parked <= (s->peer_known ? SESSION_PARKED_MAX : SESSION_STRANGER_PARKED);
}

void session_credit(struct session *s, struct stream *st, size_t bytes) {
  if (s == NULL || st->quic_closed) return;
  quic_stream_credit(s->quic, st->sid, bytes);
  session_kick(s);
}

void session_stop_stream(struct session *s, struct stream *st, enum quic_code code) {
  st->rx_stopped = true;
  quic_stream_stop(s->quic, st->sid, code);
  session_kick(s);
}

void session_reset_stream(struct session *s, struct stream *st, enum quic_code code) {
  if (st->quic_closed) return;
  st->tx_dead = true;
  quic_stream_reset(s->quic, st->sid, code);
  session_kick(s);
}

/* ---- callers ---- */

int session_open_stream(struct session *s, struct request *r) {
  struct stream_header h = {.kind = STREAM_KIND_STREAM, .stripes = 1};
  uint8_t head[STREAM_HEADER_MAX];
  struct stream *st;
  size_t len;

  if (quic_streams_left(s->quic) == 0) {
    errno = EAGAIN;
    return -1;
  }
  memcpy(h.service, r->service, sizeof h.service);
  len = stream_header_encode(head, sizeof head, &h);
  st = stream_new(s, -1, STREAM_ASKING);
  if (st == NULL || len == 0) goto fail;
  memcpy(st->service, r->service, sizeof st->service);
  if (quic_stream_open(s->quic, true, st, &st->sid) != 0) {
    st->quic_closed = true;
    goto fail;
  }
  if (stream_put(st, head, len, false) != 0) {
    session_reset_stream(s, st, QUIC_CODE_LIMIT);
    goto fail;
  }
  st->request = r;
  r->stream = st;
  return 0;
fail:
  stream_free(st);
  errno = ENOMEM;
  return -1;
}

/* The answer to our header: the fd goes to whoever asked. */
void session_answered(struct stream *st, uint8_t answer) {
  struct request *r = st->request;
  struct session *s = st->session;
  int app;

  if (r == NULL) {
    session_reset_stream(s, st, QUIC_CODE_RESET);
    st->state = STREAM_OVER;
    return;
  }
  st->request = NULL;
  r->stream = NULL;
  if (answer != STREAM_ACCEPTED) {
    session_reset_stream(s, st, QUIC_CODE_DONE);
    st->state = STREAM_OVER;
    if (answer == STREAM_REFUSED)
      request_refused(r, s->endpoint_id);
    else
      request_bad_answer(r);
    return;
  }
  if (stream_attach(st, &app) != 0) {
    int err = errno;

    session_reset_stream(s, st, QUIC_CODE_RESET);
    st->state = STREAM_OVER;
    request_fail(r, CS_ERR_LIMIT, err, "no descriptors for the connection: %s", strerror(err));
    return;
  }
  request_done(r, app);
  st->state = STREAM_OPEN;
  stream_start(st);
}

void session_stream_failed(struct stream *st) {
  struct request *r = st->request;

  if (st->listener != NULL) listener_forget(st->listener, st);
  if (r != NULL) {
    st->request = NULL;
    r->stream = NULL;
    request_requeue(r);
  }
  st->state = STREAM_OVER;
}

/* ---- callees ---- */

void session_refuse(struct stream *st, enum stream_answer answer) {
  uint8_t byte = (uint8_t)answer;

  st->state = STREAM_OVER;
  session_parked(st->session, -(ssize_t)st->rx.len);
  chunks_free(&st->rx);
  if (stream_put(st, &byte, 1, true) != 0) session_reset_stream(st->session, st, QUIC_CODE_REFUSED);
  if (!st->rx_end) session_stop_stream(st->session, st, QUIC_CODE_DONE);
}

void session_dispatch(struct stream *st, const struct stream_header *h) {
  struct session *s = st->session;
  struct listener *l = node_listener(s->node, h->service);

  /* One code, one moment and the same work (a look at the contacts) for "no such service" and "not for you": both are
   * decided here, before anything else. */
  if (l == NULL) node_knows(s->node, quic_peer(s->quic));
  if (l == NULL || !listener_allows(l, quic_peer(s->quic))) {
    session_refuse(st, STREAM_REFUSED);
    return;
  }
  if (h->kind != STREAM_KIND_STREAM || h->stripes != 1) {
    session_refuse(st, STREAM_BAD_HEADER);
    return;
  }
  st->state = STREAM_QUEUED;
  listener_enqueue(l, st);
}

bool session_handover_failed(struct stream *st) {
  /* A confirmation may be in the socket behind the hang-up that epoll told first. */
  if (st->listener != NULL) listener_confirmed(st->listener);
  if (st->state == STREAM_OPEN) return false;
  stream_detach(st);
  if (st->listener != NULL) listener_returned(st->listener, st);
  return true;
}
