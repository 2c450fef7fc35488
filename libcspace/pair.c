/*
 * pair.c - the AF_UNIX pair behind an fd, and the guard byte. DESIGN: pair.h.
 *
 * Our queue at rest is [guard]; with news it is [guard][n - 1 new bytes]. A
 * read takes the guard and all new bytes but the last, and copies the last
 * while leaving it in the queue: it is the next guard. At no moment is the
 * queue empty, so a crash in the middle is a reset as well.
 */
#include "pair.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define IOV_MAX_PARTS 16
#define DISCARD_ROUNDS 64 /* of DISCARD_BYTES: more than PAIR_BUFFER, so that only a writer that goes on is left */
#define DISCARD_BYTES (32 << 10)

static void set_send_buffer(int fd) {
  int size = PAIR_BUFFER;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0) {
    socklen_t len = sizeof size;
    int want = PAIR_BUFFER;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size < 2 * want)
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want);
  }
}

int pair_make(int *ours, int *app, const struct fdname *names) {
  int fd[2], one = 1, saved;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
    return -1;
  set_send_buffer(fd[0]);
  set_send_buffer(fd[1]);
  /* An MSG_OOB byte of the application is a byte like any other; out of line it would upset the count. */
  setsockopt(fd[0], SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
  if (send(fd[1], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 || ioctl(fd[0], FIONBIO, &one) ||
      (names && fdname_bind(fd[0], fd[1], names))) {
    saved = errno;
    close(fd[0]);
    close(fd[1]);
    errno = saved;
    return -1;
  }
  *ours = fd[0];
  *app = fd[1];
  return 0;
}

/* Bytes in our queue, the guard included. */
static size_t queued(int ours) {
  int n = 0;
  return ioctl(ours, SIOCINQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static short events(int ours) {
  struct pollfd p = {.fd = ours, .events = POLLRDHUP};
  return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

bool pair_app_gone(int ours) {
  return (events(ours) & POLLHUP) != 0;
}

bool pair_unread(int ours) {
  return queued(ours) > 1 || (events(ours) & (POLLRDHUP | POLLHUP)) != 0;
}

static ssize_t receive(int ours, struct iovec *iov, int iovcnt, int flags) {
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)iovcnt};
  ssize_t n;
  do
    n = recvmsg(ours, &msg, MSG_DONTWAIT | flags);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Bytes that are new, waiting for no more than what the kernel has now. *ended when there are none and never will be. */
static size_t news(int ours, bool *ended) {
  size_t n = queued(ours);
  *ended = false;
  if (n > 1)
    return n - 1;
  if (!(events(ours) & (POLLRDHUP | POLLHUP)))
    return 0;
  /* No more can come: what came between the two looks counts. */
  n = queued(ours);
  *ended = n <= 1;
  return *ended ? 0 : n - 1;
}

/* The first `room` bytes of src into dst. Parts of dst. */
static int iov_cut(struct iovec *dst, const struct iovec *src, int iovcnt, size_t room) {
  int n = 0;
  for (int i = 0; i < iovcnt && room; i++) {
    if (!src[i].iov_len)
      continue;
    dst[n] = src[i];
    if (dst[n].iov_len > room)
      dst[n].iov_len = room;
    room -= dst[n++].iov_len;
  }
  return n;
}

static uint8_t *iov_at(const struct iovec *iov, int iovcnt, size_t at) {
  for (int i = 0; i < iovcnt; i++) {
    if (at < iov[i].iov_len)
      return (uint8_t *)iov[i].iov_base + at;
    at -= iov[i].iov_len;
  }
  return NULL;
}

ssize_t pair_read(int ours, const struct iovec *iov, int iovcnt, bool *ended) {
  struct iovec parts[1 + IOV_MAX_PARTS];
  uint8_t guard;
  size_t room = 0;
  *ended = false;
  for (int i = 0; i < iovcnt; i++)
    room += iov[i].iov_len;
  if (iovcnt < 0 || iovcnt > IOV_MAX_PARTS || !room) {
    errno = EINVAL;
    return -1;
  }
  size_t want = news(ours, ended);
  if (!want)
    return 0;
  if (want > room)
    want = room;
  if (want > INT_MAX)
    want = INT_MAX;
  parts[0] = (struct iovec){&guard, 1};
  int n = 1 + iov_cut(parts + 1, iov, iovcnt, want - 1);
  ssize_t got = receive(ours, parts, n, 0);
  if (got <= 0)
    return got == 0 || errno == EAGAIN ? 0 : -1;
  /* Less than asked for comes where the application passed fds along: the last byte stands behind what came. */
  struct iovec last = {iov_at(iov, iovcnt, (size_t)got - 1), 1};
  if (receive(ours, &last, 1, MSG_PEEK) != 1) {
    errno = EIO;
    return -1;
  }
  return got;
}

ssize_t pair_write(int ours, const struct iovec *iov, int iovcnt) {
  struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)iovcnt};
  ssize_t n;
  do
    n = sendmsg(ours, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  /* ECONNRESET: the application closed without reading all we had written. */
  if (n < 0 && (errno == ECONNRESET || errno == ENOTCONN))
    errno = EPIPE;
  return n;
}

void pair_write_end(int ours) {
  shutdown(ours, SHUT_WR);
}

void pair_stop_reading(int ours) {
  shutdown(ours, SHUT_RD);
}

/* Throws away what is queued except the last `keep` bytes. */
static void discard(int ours, size_t keep) {
  uint8_t sink[DISCARD_BYTES];
  for (int i = 0; i < DISCARD_ROUNDS; i++) {
    size_t n = queued(ours);
    if (n <= keep)
      return;
    struct iovec iov = {sink, n - keep < sizeof sink ? n - keep : sizeof sink};
    if (receive(ours, &iov, 1, 0) <= 0)
      return;
  }
}

void pair_close_clean(int ours) {
  discard(ours, 0);
  close(ours);
}

void pair_reset_begin(int ours) {
  shutdown(ours, SHUT_RD);
  discard(ours, 1);
}

void pair_close_reset(int ours) {
  pair_reset_begin(ours);
  close(ours);
}
