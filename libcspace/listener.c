/*
 * listener.c - backlog and hand-over of accepted connections.
 */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access.h"
#include "err.h"
#include "fdpass.h"
#include "node_impl.h"
#include "session.h"
#include "stream.h"

static void hand_over(struct listener *l);

/* ---- queues ---- */

static void push(struct stream **head, struct stream **tail, struct stream *st) {
  st->backlog_next = NULL;
  if (*tail != NULL)
    (*tail)->backlog_next = st;
  else
    *head = st;
  *tail = st;
}

static bool take_out(struct stream **head, struct stream **tail, struct stream *st) {
  struct stream *prev = NULL, *p = *head;

  while (p != NULL && p != st) {
    prev = p;
    p = p->backlog_next;
  }
  if (p == NULL) return false;
  if (prev != NULL)
    prev->backlog_next = st->backlog_next;
  else
    *head = st->backlog_next;
  if (*tail == st) *tail = prev;
  st->backlog_next = NULL;
  return true;
}

/* Room in the backlog: the caller's cs_connect returns now, as with TCP before accept(2). */
static void admit(struct listener *l, struct stream *st) {
  uint8_t yes = STREAM_ACCEPTED;

  if (stream_put(st, &yes, 1, false) != 0) {
    st->listener = NULL;
    session_reset_stream(st->session, st, QUIC_CODE_LIMIT);
    st->state = STREAM_OVER;
    return;
  }
  st->answered = true;
  push(&l->head, &l->tail, st);
  l->queued++;
}

static void admit_waiting(struct listener *l) {
  while (l->queued < l->backlog_max && l->waiting_head != NULL) {
    struct stream *st = l->waiting_head;

    take_out(&l->waiting_head, &l->waiting_tail, st);
    admit(l, st);
  }
}

void listener_enqueue(struct listener *l, struct stream *st) {
  st->listener = l;
  if (l->queued >= l->backlog_max) {
    push(&l->waiting_head, &l->waiting_tail, st);
    return;
  }
  admit(l, st);
  hand_over(l);
}

void listener_forget(struct listener *l, struct stream *st) {
  if (take_out(&l->head, &l->tail, st)) {
    l->queued--;
    if (st->ticket != 0) l->in_flight--;
    st->ticket = 0;
    admit_waiting(l);
  } else {
    take_out(&l->waiting_head, &l->waiting_tail, st);
  }
  st->listener = NULL;
}

void listener_returned(struct listener *l, struct stream *st) {
  if (st->ticket != 0) l->in_flight--;
  st->ticket = 0;
  hand_over(l);
}

/* ---- the listener's socket ---- */

/* Gives the stream a pair and sends its end. False: not now. */
static bool offer(struct listener *l, struct stream *st) {
  struct listener_offer o;
  int app, rc;

  memset(&o, 0, sizeof o);
  o.ticket = ++l->next_ticket;
  node_describe(l->node, st->peer, st->service, &o.peer);
  if (stream_attach(st, &app) != 0) return false; /* out of descriptors: the next acceptance tries again */
  rc = fdpass_send(l->watch.fd, &o, sizeof o, app);
  close(app);
  if (rc != 0) {
    stream_detach(st);
    return false;
  }
  st->ticket = o.ticket;
  l->in_flight++;
  return true;
}

static void hand_over(struct listener *l) {
  if (l->watch.fd < 0) return;
  for (struct stream *st = l->head; st != NULL && l->in_flight < LISTENER_IN_FLIGHT; st = st->backlog_next)
    if (st->ticket == 0 && !offer(l, st)) {
      if (l->in_flight == 0) node_retry_listener(l->node);
      break;
    }
}

static struct stream *by_ticket(struct listener *l, uint64_t ticket) {
  struct stream *st = l->head;

  while (st != NULL && st->ticket != ticket) st = st->backlog_next;
  return st;
}

ssize_t listener_confirmed(struct listener *l) {
  uint64_t ticket;
  ssize_t n;

  while ((n = recv(l->watch.fd, &ticket, sizeof ticket, MSG_DONTWAIT)) == (ssize_t)sizeof ticket) {
    struct stream *st = ticket != 0 ? by_ticket(l, ticket) : NULL;

    if (st == NULL) continue;
    listener_forget(l, st);
    stream_start(st);
  }
  return n;
}

static void on_ready(struct watch *w, uint32_t events) {
  struct listener *l = w->owner;

  if (listener_confirmed(l) == 0 || (events & (EPOLLHUP | EPOLLERR))) {
    node_listener_closed(l->node, l); /* every copy of the listener fd is closed: the service ends */
    return;
  }
  hand_over(l);
}

void listener_retry(struct listener *l) { hand_over(l); }

struct listener *listener_new(struct cs_node *n, const char *service, const struct cs_options *options, int *app) {
  struct listener *l = calloc(1, sizeof *l);
  const char *access = options_access(options);
  int sv[2] = {-1, -1}, err;

  if (l == NULL) return NULL;
  l->node = n;
  l->watch.fd = -1;
  l->backlog_max = options_backlog(options);
  strcpy(l->service, service);
  if (access != NULL && (l->access = strdup(access)) == NULL) goto fail;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0) goto fail;
  l->watch.fd = sv[0];
  l->watch.ready = on_ready;
  l->watch.owner = l;
  if (watch_add(n->loop, &l->watch, EPOLLIN | EPOLLRDHUP) != 0) {
    l->watch.fd = -1;
    goto fail;
  }
  *app = sv[1];
  return l;
fail:
  err = errno;
  if (sv[0] >= 0) close(sv[0]);
  if (sv[1] >= 0) close(sv[1]);
  free(l->access);
  free(l);
  errno = err;
  return NULL;
}

static void drop_all(struct listener *l, struct stream **head) {
  while (*head != NULL) {
    struct stream *st = *head;

    listener_forget(l, st);
    stream_detach(st);
    if (st->answered)
      session_reset_stream(st->session, st, QUIC_CODE_RESET);
    else
      session_refuse(st, STREAM_REFUSED);
    st->state = STREAM_OVER;
    if (st->quic_closed) stream_free(st);
  }
}

void listener_free(struct listener *l) {
  if (l == NULL) return;
  if (l->watch.fd >= 0) {
    watch_del(&l->watch);
    close(l->watch.fd);
    l->watch.fd = -1;
  }
  l->backlog_max = 0; /* nobody moves up while the queues empty */
  drop_all(l, &l->waiting_head);
  drop_all(l, &l->head);
  free(l->access);
  free(l);
}

bool listener_allows(const struct listener *l, const uint8_t *peer_key) {
  const char *rule = access_rule(l->access, l->node->conf, l->service);

  return access_allows(rule, node_contacts(l->node), identity_key(l->node->identity), peer_key);
}

bool listener_open_to_anyone(const struct listener *l) {
  return strcmp(access_rule(l->access, l->node->conf, l->service), "anyone") == 0;
}

int listener_accept(int fd, struct cs_peer *peer, int flags) {
  struct listener_offer o;
  int conn;
  ssize_t n;

  if (flags & ~SOCK_NONBLOCK) return err_set(CS_ERR_ARGUMENT, "cs_accept: flags may be 0 or SOCK_NONBLOCK");
  n = fdpass_recv(fd, &o, sizeof o, &conn);
  if (n < 0 && errno == EMFILE)
    return err_set_errno(CS_ERR_LIMIT, EMFILE, "cs_accept: no free descriptor; the connection waits");
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return err_set_errno(CS_ERR_SYSTEM, EAGAIN, "nobody waits");
  if (n < 0 && (errno == ENOTSOCK || errno == EBADF))
    return err_set_errno(CS_ERR_NOT_CSPACE, errno, "cs_accept: not a listener");
  if (n < 0) return err_set(CS_ERR_SYSTEM, "cs_accept: %m");
  if (n == 0) return err_set(CS_ERR_CLOSED, "cs_accept: the listener or its node was closed");
  if ((size_t)n != sizeof o || conn < 0) {
    if (conn >= 0) close(conn);
    return err_set_errno(CS_ERR_NOT_CSPACE, EBADMSG, "cs_accept: not a listener of this library");
  }
  if (send(fd, &o.ticket, sizeof o.ticket, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    close(conn); /* the node went between: its end is closed too, nothing was exchanged */
    return err_set(CS_ERR_CLOSED, "cs_accept: the listener or its node was closed");
  }
  if ((flags & SOCK_NONBLOCK) && fcntl(conn, F_SETFL, O_NONBLOCK) != 0) {
    close(conn);
    return err_set(CS_ERR_SYSTEM, "cs_accept: %m");
  }
  if (peer != NULL) *peer = o.peer;
  return conn;
}
