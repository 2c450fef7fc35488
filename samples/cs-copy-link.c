/*
 * cs-copy-link.c - buffered receiving, plain sending.
 */
#include "cs-copy-link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int copy_link_open(struct copy_link *l, int fd) {
  memset(l, 0, sizeof *l);
  l->fd = fd;
  l->buf = malloc(COPY_BUFFER);
  return l->buf == NULL ? -1 : 0;
}

void copy_link_close(struct copy_link *l) {
  free(l->buf);
  l->buf = NULL;
}

static int wait_for(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  int n;

  do n = poll(&p, 1, COPY_SILENCE_MS);
  while (n < 0 && errno == EINTR);
  if (n == 0) errno = ETIMEDOUT;
  return n > 0 ? 0 : -1;
}

static void make_room(struct copy_link *l, size_t n) {
  if (l->at == l->end) l->at = l->end = 0;
  if (COPY_BUFFER - l->at >= n && l->end < COPY_BUFFER) return;
  memmove(l->buf, l->buf + l->at, l->end - l->at);
  l->end -= l->at;
  l->at = 0;
}

/* One recv without waiting: > 0 bytes, 0 the end, -1 + errno. */
static ssize_t receive(struct copy_link *l) {
  ssize_t n;

  do n = recv(l->fd, l->buf + l->end, COPY_BUFFER - l->end, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n > 0) l->end += (size_t)n;
  return n;
}

int copy_link_need(struct copy_link *l, size_t n) {
  ssize_t got;

  if (l->end - l->at >= n) return 1;
  make_room(l, n);
  while (l->end - l->at < n) {
    got = receive(l);
    if (got == 0) return 0;
    if (got < 0 && (errno != EAGAIN || wait_for(l->fd, POLLIN) != 0)) return -1;
  }
  return 1;
}

int copy_link_poll(struct copy_link *l) {
  ssize_t got;

  make_room(l, COPY_HEAD_LEN + COPY_CONTROL_MAX);
  if (l->end == COPY_BUFFER) return 0; /* the caller reads first */
  got = receive(l);
  if (got > 0) return 1;
  if (got < 0) return errno == EAGAIN ? 0 : -1;
  errno = EPIPE;
  return -1;
}

ssize_t copy_link_send_some(struct copy_link *l, const void *data, size_t len) {
  ssize_t n;

  do n = send(l->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return 0;
  return n;
}

int copy_link_send(struct copy_link *l, const void *data, size_t len) {
  const uint8_t *p = data;

  while (len > 0) {
    ssize_t n = copy_link_send_some(l, p, len);

    if (n < 0) return -1;
    if (n == 0 && wait_for(l->fd, POLLOUT) != 0) return -1;
    p += n;
    len -= (size_t)n;
  }
  return 0;
}

int copy_link_message(struct copy_link *l, struct copy_head *h, const uint8_t **body) {
  int rc = copy_link_need(l, COPY_HEAD_LEN);

  *body = NULL;
  if (rc <= 0) {
    if (rc == 0 && l->end != l->at) errno = EPROTO; /* it ends inside a message */
    return rc == 0 && l->end != l->at ? -1 : rc;
  }
  if (copy_head_decode(h, l->buf + l->at) != 0) {
    errno = EPROTO;
    return -1;
  }
  if (h->type == COPY_DATA) {
    l->at += COPY_HEAD_LEN;
    return 1;
  }
  rc = copy_link_need(l, COPY_HEAD_LEN + h->length);
  if (rc == 0) errno = EPROTO;
  if (rc <= 0) return -1;
  *body = l->buf + l->at + COPY_HEAD_LEN;
  l->at += COPY_HEAD_LEN + h->length;
  return 1;
}
