/*
 * pipe.c - one thread for each direction, so that neither waits for the other.
 */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES (256u << 10)

struct pipe {
  int in, out, fd;
  int failed;               /* eventfd: the downward direction cannot go on */
  uint8_t *up_buf, *down_buf;
  const char *down_what;    /* what failed with down_err, NULL when all is well */
  int down_err;
  const char *up_what;
  int up_err;
};

static ssize_t read_some(int fd, void *buf, size_t n) {
  ssize_t got;

  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};

    got = read(fd, buf, n);
    if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return got;
    if (errno == EAGAIN && poll(&p, 1, -1) < 0 && errno != EINTR) return -1; /* someone else made it non-blocking */
  }
}

static int write_all(int fd, const uint8_t *p, size_t n) {
  while (n > 0) {
    struct pollfd w = {.fd = fd, .events = POLLOUT};
    ssize_t put = write(fd, p, n);

    if (put < 0 && errno != EINTR && errno != EAGAIN) return -1;
    if (put < 0 && errno == EAGAIN && poll(&w, 1, -1) < 0 && errno != EINTR) return -1;
    if (put < 0) continue;
    p += put;
    n -= (size_t)put;
  }
  return 0;
}

static int send_all(int fd, const uint8_t *p, size_t n) {
  while (n > 0) {
    ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

    if (put < 0 && errno != EINTR) return -1;
    if (put < 0) continue;
    p += put;
    n -= (size_t)put;
  }
  return 0;
}

/* The end of the stream, passed on. The fd's number stays taken. */
static void end_output(int out) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

  (void)shutdown(out, SHUT_WR); /* where it is a socket, which others may hold too */
  if (null >= 0) {
    (void)dup2(null, out);
    close(null);
  }
}

static void *downward(void *arg) {
  struct pipe *p = arg;
  ssize_t n;

  while ((n = read_some(p->fd, p->down_buf, PIPE_BYTES)) > 0)
    if (write_all(p->out, p->down_buf, (size_t)n) != 0) {
      p->down_what = "stdout";
      p->down_err = errno;
      break;
    }
  if (n < 0) {
    p->down_what = "the connection";
    p->down_err = errno;
  }
  if (p->down_what == NULL)
    end_output(p->out);
  else
    (void)!write(p->failed, &(uint64_t){1}, sizeof(uint64_t));
  return NULL;
}

/* Waits for bytes on `in`. False when there is no use in them any more. */
static bool wait_input(const struct pipe *p) {
  struct pollfd w[3] = {{.fd = p->in, .events = POLLIN}, {.fd = p->fd}, {.fd = p->failed, .events = POLLIN}};

  while (poll(w, 3, -1) < 0)
    if (errno != EINTR) return false;
  if (w[2].revents != 0) return false;
  return w[0].revents != 0 || w[1].revents == 0;
}

static void upward(struct pipe *p) {
  ssize_t n;

  while (wait_input(p)) {
    n = read_some(p->in, p->up_buf, PIPE_BYTES);
    if (n < 0) {
      p->up_what = "stdin";
      p->up_err = errno;
    }
    if (n == 0 && shutdown(p->fd, SHUT_WR) != 0 && errno != ENOTCONN) {
      p->up_what = "the connection";
      p->up_err = errno;
    }
    if (n <= 0) return;
    if (send_all(p->fd, p->up_buf, (size_t)n) != 0) {
      p->up_what = "the connection";
      p->up_err = errno;
      return;
    }
  }
}

static int judge(const struct pipe *p, char why[PIPE_WHY_MAX]) {
  if (p->up_err == ECONNRESET || p->down_err == ECONNRESET)
    snprintf(why, PIPE_WHY_MAX, "the connection was lost before its end");
  else if (p->down_what != NULL)
    snprintf(why, PIPE_WHY_MAX, "%s: %s", p->down_what, strerror(p->down_err));
  else if (p->up_err == EPIPE)
    snprintf(why, PIPE_WHY_MAX, "the other side read no more before stdin ended");
  else if (p->up_what != NULL)
    snprintf(why, PIPE_WHY_MAX, "%s: %s", p->up_what, strerror(p->up_err));
  else
    return 0;
  return -1;
}

int pipe_run(int in, int out, int fd, char why[PIPE_WHY_MAX]) {
  struct pipe p = {.in = in, .out = out, .fd = fd, .failed = eventfd(0, EFD_CLOEXEC)};
  pthread_t thread;
  int rc = -1;

  p.up_buf = malloc(PIPE_BYTES);
  p.down_buf = malloc(PIPE_BYTES);
  if (p.failed < 0 || p.up_buf == NULL || p.down_buf == NULL || pthread_create(&thread, NULL, downward, &p) != 0) {
    snprintf(why, PIPE_WHY_MAX, "out of memory or threads");
  } else {
    upward(&p);
    if (p.up_what != NULL && p.up_err != EPIPE) (void)shutdown(fd, SHUT_RD); /* no end is sent, and none waited for */
    pthread_join(thread, NULL);
    rc = judge(&p, why);
  }
  if (p.failed >= 0) close(p.failed);
  free(p.up_buf);
  free(p.down_buf);
  errno = p.down_what != NULL && strcmp(p.down_what, "stdout") == 0 ? p.down_err : ECONNRESET;
  return rc;
}
