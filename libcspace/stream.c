/*
 * stream.c - pumps one connection between its QUIC stream and its fd, and
 * sees to it that only an authenticated end looks like one. PROTOCOL.md 6.5.
 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "log.h"
#include "node_impl.h"
#include "pair.h"
#include "session.h"

#define IOV_MAX_PUMP 8
#define PUMP_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct stream *stream_new(struct session *s, int64_t sid, enum stream_state state) {
  struct stream *st = calloc(1, sizeof *st);

  if (st == NULL) return NULL;
  st->node = session_node(s);
  st->session = s;
  memcpy(st->peer, session_peer(s), sizeof st->peer);
  st->sid = sid;
  st->state = state;
  st->watch.fd = -1;
  session_link_stream(s, st);
  return st;
}

static void close_fd(struct stream *st, bool clean) {
  int fd = st->watch.fd;

  if (fd < 0) return;
  watch_del(&st->watch);
  st->watch.fd = -1;
  if (clean) {
    pair_close_clean(fd);
  } else {
    node_reset_fd(st->node, fd);
  }
}

void stream_free(struct stream *st) {
  if (st == NULL) return;
  close_fd(st, false);
  if (st->session != NULL) session_parked(st->session, -(ssize_t)st->rx.len);
  session_unlink_stream(st);
  chunks_free(&st->tx);
  chunks_free(&st->rx);
  free(st);
}

/* ---- from the application ---- */

static void fill(struct stream *st) {
  size_t limit;
  bool got = false;

  if (st->state != STREAM_OPEN || st->watch.fd < 0 || st->tx_end || st->tx_dead || st->session == NULL) return;
  limit = session_tx_limit(st->session);
  st->tx_full = false;
  for (;;) {
    struct iovec iov[IOV_MAX_PUMP];
    bool ended = false;
    ssize_t n;
    int cnt;

    if (st->tx.len >= limit) {
      st->tx_full = true;
      break;
    }
    cnt = chunks_reserve(&st->tx, STREAM_READ_BYTES, iov, IOV_MAX_PUMP);
    if (cnt == 0) { /* out of memory: try again when something was acknowledged */
      st->tx_full = true;
      break;
    }
    n = pair_read(st->watch.fd, iov, cnt, &ended);
    chunks_commit(&st->tx, n > 0 ? (size_t)n : 0);
    if (n > 0) {
      st->tx_unsent += (size_t)n;
      session_queued(st->session, n);
      got = true;
      continue;
    }
    if (n < 0) { /* not to be taken for an end */
      session_reset_stream(st->session, st, QUIC_CODE_RESET);
      stream_was_reset(st);
      return;
    }
    if (ended) st->tx_end = got = true;
    break;
  }
  if (got) session_want_send(st->session, st);
}

/* The application closed its fd: nobody reads any more; what it wrote still goes out, then the end. */
static void app_gone(struct stream *st) {
  st->app_gone = true;
  st->tx_end = true;
  close_fd(st, true);
  if (st->session != NULL && !st->quic_closed) {
    session_parked(st->session, -(ssize_t)st->rx.len);
    if (!st->rx_end) session_stop_stream(st->session, st, QUIC_CODE_DONE);
    session_want_send(st->session, st);
  }
  chunks_free(&st->rx);
  if (st->quic_closed || st->session == NULL) stream_free(st);
}

/* Its edge may have come and gone while the queue was full. */
static bool hung_up(int fd) {
  struct pollfd p = {fd, 0, 0};

  return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void on_ready(struct watch *w, uint32_t events) {
  struct stream *st = w->owner;

  fill(st);
  if ((events & (EPOLLHUP | EPOLLERR)) && !st->rx_end_done && !st->tx_full) {
    if (st->state == STREAM_QUEUED && session_handover_failed(st)) return;
    if (!st->tx_full) app_gone(st); /* a confirmation just found may have filled the queue */
    return;
  }
  if (events & EPOLLOUT) stream_deliver(st);
}

int stream_attach(struct stream *st, int *app) {
  struct fdname names;

  node_fd_names(st->node, st->peer, st->service, &names);
  if (pair_make(&st->watch.fd, app, &names) != 0) {
    st->watch.fd = -1;
    return -1;
  }
  st->watch.ready = on_ready;
  st->watch.owner = st;
  if (watch_add(st->node->loop, &st->watch, PUMP_EVENTS) != 0) {
    int err = errno;

    close(st->watch.fd);
    close(*app);
    st->watch.fd = -1;
    errno = err;
    return -1;
  }
  return 0;
}

void stream_detach(struct stream *st) {
  if (st->watch.fd < 0) return;
  watch_del(&st->watch);
  close(st->watch.fd);
  st->watch.fd = -1;
}

void stream_start(struct stream *st) {
  st->state = STREAM_OPEN;
  if (st->quic_closed) { /* its delivery may free it: not in our caller's hands, but from a fresh event */
    pair_stop_reading(st->watch.fd);
    watch_mod(&st->watch, PUMP_EVENTS);
    return;
  }
  fill(st);
  stream_deliver(st);
}

int stream_put(struct stream *st, const void *p, size_t len, bool end) {
  size_t taken = 0;

  if (chunks_append(&st->tx, p, len, &taken) != 0) return -1;
  st->tx_unsent += len;
  session_queued(st->session, (ssize_t)len);
  if (end) st->tx_end = true;
  session_want_send(st->session, st);
  return 0;
}

/* ---- towards QUIC ---- */

bool stream_sendable(const struct stream *st) {
  return !st->quic_closed && !st->tx_dead && !st->tx_blocked && (st->tx_unsent > 0 || (st->tx_end && !st->tx_end_sent));
}

bool stream_unacked(const struct stream *st) {
  if (st->quic_closed || st->tx_dead) return false;
  return st->tx.len > 0 || (st->tx_end ? !st->tx_end_acked : st->watch.fd >= 0 && pair_unread(st->watch.fd));
}

bool stream_pull(struct stream *st, struct iovec *iov, int *n, bool *end) {
  if (!stream_sendable(st)) return false;
  *n = st->tx_unsent > 0 ? chunks_peek_at(&st->tx, &st->tx_at, iov, *n) : 0;
  *end = false;
  if (st->tx_end) {
    size_t total = 0;

    for (int i = 0; i < *n; i++) total += iov[i].iov_len;
    *end = total == st->tx_unsent;
  }
  return true;
}

void stream_sent(struct stream *st, ssize_t bytes, bool end, bool blocked) {
  if (blocked) st->tx_blocked = true;
  if (bytes < 0) {
    st->tx_dead = true;
    return;
  }
  chunks_advance(&st->tx, &st->tx_at, (size_t)bytes);
  st->tx_unsent -= (size_t)bytes;
  if (end) {
    st->tx_end_sent = true;
    st->tx_end_alone = bytes == 0;
  }
}

void stream_acked(struct stream *st, uint64_t bytes) {
  session_queued(st->session, -(ssize_t)bytes);
  chunks_consume(&st->tx, &st->tx_at, (size_t)bytes);
  if (bytes == 0) st->tx_end_alone = false; /* the end itself, perhaps before the last bytes */
  if (st->tx_end_sent && st->tx.len == 0 && !st->tx_end_alone) st->tx_end_acked = true;
  if (st->tx_full && st->tx.len < session_tx_limit(st->session) / 2 + 1) {
    fill(st);
    if (st->tx_end && st->watch.fd >= 0 && !st->rx_end_done && hung_up(st->watch.fd)) app_gone(st);
  }
}

void stream_was_stopped(struct stream *st) {
  st->tx_dead = true;
  st->tx_full = false;
  if (st->watch.fd >= 0) pair_stop_reading(st->watch.fd);
}

/* ---- from QUIC ---- */

static void read_header(struct stream *st, bool end) {
  struct iovec iov;
  struct stream_header h;
  int used = 0;

  if (chunks_peek(&st->rx, &iov, 1) == 1) used = stream_header_decode(&h, iov.iov_base, iov.iov_len);
  if (used == 0 && !end) return;
  session_header_over(st);
  if (used <= 0) {
    session_refuse(st, STREAM_BAD_HEADER);
    return;
  }
  chunks_consume(&st->rx, NULL, (size_t)used);
  session_parked(st->session, -used);
  session_credit(st->session, st, (size_t)used);
  memcpy(st->service, h.service, sizeof st->service);
  session_dispatch(st, &h);
}

static void read_answer(struct stream *st, bool end) {
  struct iovec iov;
  uint8_t answer = STREAM_REFUSED;

  if (chunks_peek(&st->rx, &iov, 1) == 1)
    answer = *(uint8_t *)iov.iov_base;
  else if (!end)
    return;
  if (st->rx.len > 0) {
    chunks_consume(&st->rx, NULL, 1);
    session_parked(st->session, -1);
    session_credit(st->session, st, 1);
  }
  session_answered(st, answer);
}

/* No room for what came: the connection is cut, and what is parked goes. */
static void overflow(struct stream *st) {
  log_warn("stream: no room for received bytes, connection reset");
  session_reset_stream(st->session, st, QUIC_CODE_LIMIT);
  session_parked(st->session, -(ssize_t)st->rx.len);
  chunks_free(&st->rx);
  st->rx_end = false; /* if it came, it is no longer the end of what we have */
  stream_was_reset(st);
}

void stream_received(struct stream *st, const uint8_t *p, size_t len, bool end) {
  size_t taken;
  bool room;

  if (end && !st->rx_reset) st->rx_end = true;
  if (st->app_gone || st->state == STREAM_OVER || st->rx_reset || st->rx_discard) {
    session_credit(st->session, st, len);
    if (end && st->rx_discard) session_mark_dirty(st->session, st);
    return;
  }
  room = chunks_append(&st->rx, p, len, &taken) == 0;
  if (!session_parked(st->session, (ssize_t)taken) || !room) {
    struct stream *victim = room ? session_largest(st->session) : st; /* who reads least pays */

    overflow(victim);
    if (victim == st) return;
  }
  if (st->state == STREAM_HEADER)
    read_header(st, end);
  else if (st->state == STREAM_ASKING)
    read_answer(st, end);
  else
    session_mark_dirty(st->session, st);
}

/* The application shut its reading side: what comes is thrown away, as TCP does. Its writing goes on. */
static void reader_gone(struct stream *st) {
  st->rx_discard = true;
  if (st->session != NULL) {
    session_parked(st->session, -(ssize_t)st->rx.len);
    session_credit(st->session, st, st->rx.len);
  }
  chunks_free(&st->rx);
}

void stream_deliver(struct stream *st) {
  size_t total = 0;

  if (st->state != STREAM_OPEN || st->watch.fd < 0) return;
  while (st->rx.len > 0) {
    struct iovec iov[IOV_MAX_PUMP];
    int cnt = chunks_peek(&st->rx, iov, IOV_MAX_PUMP);
    ssize_t n = pair_write(st->watch.fd, iov, cnt);

    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      bool gone = errno == EPIPE;

      reader_gone(st);
      if (gone) break;
      st->rx_reset = st->tx_dead = true; /* the kernel is out of memory: what is lost must not look like an end */
      if (st->session != NULL) session_reset_stream(st->session, st, QUIC_CODE_LIMIT);
      break;
    }
    chunks_consume(&st->rx, NULL, (size_t)n);
    total += (size_t)n;
  }
  if (total > 0 && st->session != NULL) {
    session_parked(st->session, -(ssize_t)total);
    if (!st->quic_closed) session_credit(st->session, st, total);
  }
  if (st->rx.len > 0) return;
  if (st->rx_reset) {
    close_fd(st, false);
    if (st->quic_closed || st->session == NULL) stream_free(st);
    return;
  }
  if (st->rx_end && !st->rx_end_done) {
    st->rx_end_done = true;
    pair_write_end(st->watch.fd);
  }
  if (st->quic_closed) {
    close_fd(st, true);
    stream_free(st);
  }
}

/* All that the peer wrote is here, and its authenticated end; the application reads it whatever happens to the
 * stream, also when it is still to accept it. Only our own writing can be cut. */
static bool whole(const struct stream *st) {
  return st->rx_end && !st->rx_reset && (st->state == STREAM_OPEN || (st->state == STREAM_QUEUED && st->answered));
}

void stream_was_reset(struct stream *st) {
  if (st->app_gone || st->state == STREAM_OVER) return;
  st->tx_dead = true;
  st->tx_full = false;
  if (whole(st)) {
    if (st->watch.fd >= 0) pair_stop_reading(st->watch.fd);
    return;
  }
  st->rx_reset = true;
  if (st->state == STREAM_OPEN)
    session_mark_dirty(st->session, st);
  else
    session_stream_failed(st);
}

void stream_was_closed(struct stream *st) {
  struct session *s = st->session;

  st->quic_closed = true;
  if ((st->state == STREAM_OPEN && st->watch.fd >= 0) || (st->state == STREAM_QUEUED && whole(st))) {
    if (!st->rx_end) st->rx_reset = true; /* over without the peer's end: never a clean one */
    if (st->rx.len > 0) session_parked(s, -(ssize_t)st->rx.len);
    st->tx_dead = true;
    st->tx_full = false;
    if (st->watch.fd >= 0) pair_stop_reading(st->watch.fd); /* a writer that does not read would wait for ever */
    session_orphan(st);
    stream_deliver(st); /* frees it when nothing is parked and the application has it */
    return;
  }
  if (st->state == STREAM_QUEUED || st->state == STREAM_ASKING) session_stream_failed(st);
  stream_free(st);
}
