/*
 * request.c - calls that wait, and how their result reaches the caller.
 */
#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "fdpass.h"
#include "node_impl.h"
#include "remote.h"
#include "session.h"
#include "stream.h"

static void request_free(struct request *r) {
  if (r->remote != NULL) remote_remove(r->remote, r);
  node_forget_request(r->node, r);
  if (r->stream != NULL) { /* asked and no longer wanted */
    struct stream *st = r->stream;

    st->request = NULL;
    session_reset_stream(st->session, st, QUIC_CODE_RESET);
    st->state = STREAM_OVER;
  }
  alarm_cancel(&r->alarm);
  if (r->watch.fd >= 0) {
    watch_del(&r->watch);
    close(r->watch.fd);
  }
  free(r);
}

static void on_wait_fd(struct watch *w, uint32_t events) {
  /* The caller closed its end, or shut it: cancelled. */
  if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) request_free(w->owner);
}

static void on_deadline(struct alarm *a, uint64_t now) {
  struct request *r = a->owner;

  (void)now;
  if (r->kind == REQUEST_PUBLISHED)
    request_fail(r, CS_ERR_NETWORK, ETIMEDOUT, "the record is not published: no DHT node has taken it yet");
  else if (r->stream != NULL)
    request_fail(r, CS_ERR_BACKLOG, ETIMEDOUT,
                 "%s: the session is up, but the service %s did not answer in time (its backlog is full)", r->user,
                 r->service);
  else
    remote_fail_request(r->remote, r);
}

struct request *request_new(struct cs_node *n, enum request_kind kind, const char *user, const char *service,
                            uint64_t timeout_us, int *wait_fd) {
  struct request *r = calloc(1, sizeof *r);
  int sv[2], err;

  if (r == NULL) return NULL;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0) goto fail;
  r->node = n;
  r->kind = kind;
  snprintf(r->user, sizeof r->user, "%s", user != NULL ? user : "");
  snprintf(r->service, sizeof r->service, "%s", service != NULL ? service : "");
  r->started = clock_now();
  r->deadline = timeout_us == TIMER_NEVER ? TIMER_NEVER : r->started + timeout_us;
  r->watch.fd = sv[0];
  r->watch.ready = on_wait_fd;
  r->watch.owner = r;
  r->alarm.fire = on_deadline;
  r->alarm.owner = r;
  if (watch_add(n->loop, &r->watch, EPOLLRDHUP) != 0) goto fail_pair;
  if (alarm_set(n->loop, &r->alarm, r->deadline) != 0) { /* it would wait for ever */
    watch_del(&r->watch);
    goto fail_pair;
  }
  node_keep_request(n, r);
  *wait_fd = sv[1];
  return r;
fail_pair:
  err = errno;
  close(sv[0]);
  close(sv[1]);
  errno = err;
fail:
  err = errno;
  free(r);
  errno = err;
  return NULL;
}

static void send_result(struct request *r, const struct request_result *res, int fd) {
  /* The pair is fresh and empty: one message always fits. A caller that is gone needs none. */
  fdpass_send(r->watch.fd, res, sizeof *res, fd);
}

void request_done(struct request *r, int app_fd) {
  struct request_result res = {.err = CS_OK};

  send_result(r, &res, app_fd);
  if (app_fd >= 0) close(app_fd);
  request_free(r);
}

static uint32_t ms_between(uint64_t from, uint64_t to) {
  return to > from && from != 0 ? (uint32_t)((to - from) / 1000) : 0;
}

void request_pong(struct request *r, const struct path_target *at, uint32_t rtt_us, uint32_t mtu) {
  static const char *const kinds[] = {[PATH_LAN] = "lan", [PATH_DIRECT] = "direct", [PATH_ICE] = "ice",
                                      [PATH_RELAY] = "relay"};
  struct request_result res = {.err = CS_OK};
  char text[ADDR_TEXT_MAX];

  snprintf(res.path.kind, sizeof res.path.kind, "%s", kinds[at->kind]);
  snprintf(res.path.address, sizeof res.path.address, "%s", addr_format(&at->addr, text));
  res.path.rtt_us = rtt_us;
  res.path.mtu = mtu;
  res.path.find_ms = ms_between(r->started, r->found_at);
  res.path.session_ms = ms_between(r->started, r->up_at);
  send_result(r, &res, -1);
  request_free(r);
}

void request_fail(struct request *r, enum cs_err err, int errnum, const char *fmt, ...) {
  struct request_result res = {.err = (int32_t)err, .errnum = errnum != 0 ? errnum : err_errno(err)};
  va_list ap;

  va_start(ap, fmt);
  vsnprintf(res.text, sizeof res.text, fmt, ap);
  va_end(ap);
  send_result(r, &res, -1);
  request_free(r);
}

void request_bad_answer(struct request *r) {
  request_fail(r, CS_ERR_PROTOCOL, EPROTO, "%s: the other side speaks another version of the stream protocol",
               r->user);
}

void request_fail_refused(struct request *r) {
  request_fail(r, CS_ERR_REFUSED, ECONNREFUSED, "%s: refused: no service %s there, or not for us", r->user,
               r->service);
}

bool request_was_refused(const struct request *r, const uint8_t endpoint_id[8]) {
  for (unsigned i = 0; i < r->n_refused; i++)
    if (memcmp(r->refused[i], endpoint_id, sizeof r->refused[i]) == 0) return true;
  return false;
}

void request_note_refused(struct request *r, const uint8_t endpoint_id[8]) {
  if (r->n_refused == REQUEST_REFUSED_MAX || request_was_refused(r, endpoint_id)) return;
  memcpy(r->refused[r->n_refused++], endpoint_id, sizeof r->refused[0]);
}

void request_refused(struct request *r, const uint8_t endpoint_id[8]) {
  request_note_refused(r, endpoint_id);
  request_requeue(r);
}

void request_requeue(struct request *r) {
  r->stream = NULL;
  r->up_at = 0;
  /* The first time at once: the session may just have been a stale one. */
  if (r->cut > 0) r->not_before = clock_now() + ((uint64_t)REQUEST_PAUSE_US << (r->cut - 1));
  if (r->cut < REQUEST_PAUSES_MAX) r->cut++;
  if (r->remote != NULL) remote_add(r->remote, r);
}

int request_wait(int wait_fd, struct cs_path *path) {
  struct request_result res;
  int fd = -1;
  ssize_t n = fdpass_recv(wait_fd, &res, sizeof res, &fd);
  int err = errno;

  close(wait_fd);
  if (n < 0 && err == EMFILE) return err_set_errno(CS_ERR_LIMIT, EMFILE, "no free descriptor for the connection");
  if (n < 0) return err_set_errno(CS_ERR_SYSTEM, err, "waiting for the connection: %s", strerror(err));
  if ((size_t)n != sizeof res) return err_set(CS_ERR_CLOSED, "the node was closed meanwhile");
  res.text[sizeof res.text - 1] = '\0';
  if (res.err != CS_OK) return err_set_errno((enum cs_err)res.err, res.errnum, "%s", res.text);
  if (path != NULL) *path = res.path;
  return fd >= 0 ? fd : 0;
}
