/*
 * test_pair.c - the pair's promises, against the real kernel: when the application reads EOF and when ECONNRESET, that
 * every byte passes once, and that a writer never waits for room that does not come.
 */
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "rng.h"

#define DEADLINE_MS 10000
#define ROUNDS 10000

static ssize_t read_ours(int ours, void *buf, size_t n, bool *ended) {
  struct iovec iov = {buf, n};
  return pair_read(ours, &iov, 1, ended);
}

static ssize_t write_ours(int ours, const void *buf, size_t n) {
  struct iovec iov = {(void *)buf, n};
  return pair_write(ours, &iov, 1);
}

static void make(int *ours, int *app) {
  *ours = *app = -1;
  CU_ASSERT_FATAL(pair_make(ours, app, NULL) == 0);
}

static short poll_now(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

static bool poll_for(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  return poll(&p, 1, DEADLINE_MS) == 1;
}

/* ---- what pair_make gives ---- */

static void test_make(void) {
  int ours, app, size = 0;
  socklen_t len = sizeof size;
  bool ended = true;
  char buf[8];
  make(&ours, &app);
  CU_ASSERT(fcntl(ours, F_GETFD) & FD_CLOEXEC);
  CU_ASSERT(fcntl(app, F_GETFD) & FD_CLOEXEC);
  CU_ASSERT(fcntl(ours, F_GETFL) & O_NONBLOCK);
  CU_ASSERT(!(fcntl(app, F_GETFL) & O_NONBLOCK));
  CU_ASSERT(getsockopt(app, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size >= 2 * PAIR_BUFFER);
  CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 0);
  CU_ASSERT(!ended);
  CU_ASSERT(poll_now(app, POLLIN | POLLOUT) == POLLOUT);
  CU_ASSERT(!pair_app_gone(ours));
  pair_close_clean(ours);
  close(app);
}

static void test_arguments(void) {
  int ours, app;
  bool ended;
  char buf[8];
  struct iovec many[17];
  make(&ours, &app);
  for (int i = 0; i < 17; i++)
    many[i] = (struct iovec){buf, 1};
  CU_ASSERT(pair_read(ours, many, 17, &ended) == -1 && errno == EINVAL);
  CU_ASSERT(read_ours(ours, buf, 0, &ended) == -1 && errno == EINVAL);
  CU_ASSERT(send(app, "abc", 3, 0) == 3);
  struct iovec holes[4] = {{buf, 0}, {buf, 1}, {buf + 1, 0}, {buf + 1, 2}};
  CU_ASSERT(pair_read(ours, holes, 4, &ended) == 3 && !memcmp(buf, "abc", 3));
  pair_close_clean(ours);
  close(app);
}

/* ---- how it ends, seen by the application ---- */

/* What the application reads to the end: its bytes are counted, the result is the last read's. */
static ssize_t read_all(int app, size_t *bytes) {
  static char buf[65536];
  ssize_t n;
  *bytes = 0;
  while ((n = read(app, buf, sizeof buf)) > 0)
    *bytes += (size_t)n;
  return n;
}

static void end_write_end(int ours) { pair_write_end(ours); }
static void end_clean(int ours) { pair_write_end(ours); pair_close_clean(ours); }
static void end_reset(int ours) { pair_close_reset(ours); }
static void end_bare(int ours) { close(ours); }

struct ending {
  void (*act)(int ours);
  bool clean, closes;
};

static const struct ending endings[] = {
    {end_write_end, true, false}, {end_clean, true, true}, {end_reset, false, true}, {end_bare, false, true}};

/* app_wrote: 0 nothing, 1 read by us to the last, 2 not read at all. to_app: bytes queued for the application. */
static void one_ending(const struct ending *e, int app_wrote, size_t to_app) {
  int ours, app;
  bool ended;
  char buf[4096] = {0};
  size_t got;
  make(&ours, &app);
  if (app_wrote)
    CU_ASSERT(write(app, buf, 3000) == 3000);
  if (app_wrote == 1)
    CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 3000 && !ended);
  if (to_app)
    CU_ASSERT(write_ours(ours, buf, to_app) == (ssize_t)to_app);
  e->act(ours);
  ssize_t n = read_all(app, &got);
  CU_ASSERT(got == to_app);
  CU_ASSERT(e->clean ? n == 0 : n == -1 && errno == ECONNRESET);
  if (!e->closes)
    pair_close_clean(ours);
  close(app);
}

static void test_endings(void) {
  for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++)
    for (int wrote = 0; wrote < 3; wrote++)
      for (size_t bytes = 0; bytes <= 4096; bytes += 2048)
        one_ending(&endings[e], wrote, bytes);
}

/* A holder of our end that is killed, in the middle of anything: also a reset. */
static void test_crash(void) {
  for (int round = 0; round < 50; round++) {
    int ours, app;
    size_t got;
    make(&ours, &app);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
      close(app);
      char buf[700];
      bool ended;
      for (;;)
        read_ours(ours, buf, sizeof buf, &ended);
    }
    close(ours);
    char data[1000] = {0};
    int writes = round * 20;
    for (int i = 0; i < writes; i++)
      if (write(app, data, sizeof data) != (ssize_t)sizeof data)
        CU_FAIL("write");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CU_ASSERT(read_all(app, &got) == -1 && errno == ECONNRESET);
    close(app);
  }
}

static void *write_much(void *arg) {
  static const char data[1 << 20];
  ssize_t n = send(*(int *)arg, data, sizeof data, MSG_NOSIGNAL);
  return (void *)(intptr_t)(n < 0 ? errno : 0);
}

/* The kernel tells of a reset once, and a blocked writer must not be who hears it. */
static void test_reset_with_blocked_writer(void) {
  for (int round = 0; round < 20; round++) {
    int ours, app;
    pthread_t thread;
    size_t got;
    void *result;
    make(&ours, &app);
    CU_ASSERT(write_ours(ours, "hello", 5) == 5);
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, write_much, &app) == 0);
    while (poll_now(app, POLLOUT))
      ;
    pair_reset_begin(ours);
    CU_ASSERT(pthread_join(thread, &result) == 0); /* the test can wait for what the engine gives PAIR_RESET_US */
    CU_ASSERT((intptr_t)result == 0 || (intptr_t)result == EPIPE);
    pair_close_reset(ours);
    CU_ASSERT(read_all(app, &got) == -1 && errno == ECONNRESET);
    CU_ASSERT(got == 5);
    close(app);
  }
}

static void test_stop_reading(void) {
  int ours, app;
  size_t got;
  make(&ours, &app);
  pair_stop_reading(ours);
  CU_ASSERT(send(app, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
  CU_ASSERT(write_ours(ours, "still", 5) == 5);
  pair_write_end(ours);
  CU_ASSERT(read_all(app, &got) == 0 && got == 5);
  pair_close_clean(ours);
  CU_ASSERT(read_all(app, &got) == 0);
  close(app);
}

/* ---- how it ends, seen by us ---- */

static void app_half_close(int app) { shutdown(app, SHUT_WR); }
static void app_close(int app) { close(app); }

/* unread: the application leaves data unread, so its close makes ECONNRESET of our end. */
static void one_app_end(void (*end)(int), bool unread, bool gone) {
  int ours, app;
  bool ended = false;
  char buf[64];
  make(&ours, &app);
  if (unread)
    CU_ASSERT(write_ours(ours, "unread", 6) == 6);
  CU_ASSERT(write(app, "last words", 10) == 10);
  end(app);
  CU_ASSERT(pair_app_gone(ours) == gone);
  CU_ASSERT(read_ours(ours, buf, 4, &ended) == 4 && !ended && !memcmp(buf, "last", 4));
  CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 6 && !memcmp(buf, " words", 6));
  CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 0 && ended);
  CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 0 && ended);
  if (gone) {
    CU_ASSERT(write_ours(ours, "x", 1) == -1 && errno == EPIPE);
  } else {
    CU_ASSERT(write_ours(ours, "x", 1) == 1);
    close(app);
  }
  pair_close_clean(ours);
}

static void test_app_ends(void) {
  for (int unread = 0; unread < 2; unread++) {
    one_app_end(app_half_close, unread, false);
    one_app_end(app_close, unread, true);
  }
}

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int sig) {
  sigpipes += sig == SIGPIPE;
}

static void test_no_sigpipe(void) {
  int ours, app;
  struct sigaction act = {.sa_handler = on_sigpipe}, old;
  sigaction(SIGPIPE, &act, &old);
  sigpipes = 0;
  make(&ours, &app);
  close(app);
  CU_ASSERT(write_ours(ours, "x", 1) == -1 && errno == EPIPE);
  CU_ASSERT(sigpipes == 0);
  CU_ASSERT(write(ours, "x", 1) == -1 && sigpipes == 1); /* the handler works */
  sigaction(SIGPIPE, &old, NULL);
  pair_close_clean(ours);
}

/* ---- edges ---- */

/* The guard makes our end readable for ever; edge-triggered epoll still tells of news, and only of news. */
static void test_edges(void) {
  int ours, app, ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
  bool ended;
  char buf[16];
  make(&ours, &app);
  CU_ASSERT(epoll_ctl(ep, EPOLL_CTL_ADD, ours, &ev) == 0);
  CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 1); /* the guard itself */
  CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 0);
  for (int i = 0; i < 3; i++) {
    CU_ASSERT(write(app, "ab", 2) == 2);
    CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 1 && !(ev.events & EPOLLRDHUP));
    CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 2);
    CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 0);
  }
  shutdown(app, SHUT_WR);
  CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 1 && (ev.events & EPOLLRDHUP) && !(ev.events & EPOLLHUP));
  close(app);
  CU_ASSERT(epoll_wait(ep, &ev, 1, 0) == 1 && (ev.events & EPOLLHUP));
  pair_close_clean(ours);
  close(ep);
}

/* ---- a writer never waits for ever ---- */

/* How much the application gets in by poll and write of `chunk`s while we read all after each refusal. */
static bool writer_advances(int ours, int app, size_t chunk, size_t total) {
  static char data[1 << 20], sink[1 << 20];
  bool ended;
  size_t in = 0, out = 0;
  ssize_t n;
  while (in < total) {
    n = send(app, data, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      in += (size_t)n;
      if (poll_now(app, POLLOUT))
        continue;
    }
    while ((n = read_ours(ours, sink, sizeof sink, &ended)) > 0)
      out += (size_t)n;
    if (out != in || !poll_now(app, POLLOUT))
      return false;
  }
  return true;
}

static void test_writer_advances(void) {
  static const int sizes[] = {0, 140000, 212992, 1 << 20, 4 << 20};
  static const size_t chunks[] = {1, 100, 4096, 36000, 65536, 262144, 1 << 20};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
      int ours, app;
      make(&ours, &app);
      if (sizes[s])
        setsockopt(app, SOL_SOCKET, SO_SNDBUF, &sizes[s], sizeof sizes[s]);
      bool ok = writer_advances(ours, app, chunks[c], chunks[c] < 100 ? 20000 : 4 << 20);
      if (!ok)
        printf("stuck: SO_SNDBUF %d chunk %zu\n", sizes[s], chunks[c]);
      CU_ASSERT(ok);
      pair_close_clean(ours);
      close(app);
    }
  }
}

/* sendfile(2) makes the largest skbs of all. */
static void test_sendfile(void) {
  static char sink[1 << 20];
  int ours, app, file = memfd_create("data", MFD_CLOEXEC);
  size_t in = 0, out = 0, total = 8 << 20;
  bool ended, ok = true;
  ssize_t n;
  CU_ASSERT_FATAL(file >= 0 && ftruncate(file, (off_t)total) == 0);
  make(&ours, &app);
  CU_ASSERT(fcntl(app, F_SETFL, O_NONBLOCK) == 0);
  while (in < total && ok) {
    n = sendfile(app, file, NULL, total - in);
    in += n > 0 ? (size_t)n : 0;
    while ((n = read_ours(ours, sink, sizeof sink, &ended)) > 0)
      out += (size_t)n;
    ok = out == in && poll_now(app, POLLOUT);
  }
  CU_ASSERT(ok);
  CU_ASSERT(out == total);
  pair_close_clean(ours);
  close(app);
  close(file);
}

/* Fds passed along and out-of-band bytes must not cost the guard, nor a byte. */
static void test_odd_messages(void) {
  int ours, app;
  bool ended;
  char buf[64], got[64];
  size_t len = 0, out;
  ssize_t n;
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  make(&ours, &app);
  struct iovec iov = {"fd", 2};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(c), &app, sizeof app);
  CU_ASSERT(send(app, "ab", 2, 0) == 2);
  CU_ASSERT(sendmsg(app, &msg, 0) == 2);
  bool oob = send(app, "cd", 2, MSG_OOB) == 2;
  CU_ASSERT(send(app, "ef", 2, 0) == 2);
  while ((n = read_ours(ours, buf, sizeof buf, &ended)) > 0) {
    memcpy(got + len, buf, (size_t)n);
    len += (size_t)n;
  }
  CU_ASSERT(n == 0 && !ended);
  CU_ASSERT(oob ? len == 8 && !memcmp(got, "abfdcdef", 8) : len == 6 && !memcmp(got, "abfdef", 6));
  if (oob) {
    CU_ASSERT(send(app, "z", 1, MSG_OOB) == 1);
    CU_ASSERT(read_ours(ours, buf, sizeof buf, &ended) == 1 && buf[0] == 'z');
  }
  close(ours);
  CU_ASSERT(read_all(app, &out) == -1 && errno == ECONNRESET);
  close(app);
}

/* ---- any sequence of acts, against a model ---- */

/* One direction of the model: what went in, as positions in a fixed stream of bytes, and how it ended. */
struct flow {
  size_t in, out;
  bool ended;
};

static uint8_t byte_at(size_t at) {
  return (uint8_t)(at * 151 + (at >> 8) * 7 + (at >> 16));
}

static void fill(uint8_t *buf, size_t at, size_t n) {
  for (size_t i = 0; i < n; i++)
    buf[i] = byte_at(at + i);
}

static bool matches(const uint8_t *buf, size_t at, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (buf[i] != byte_at(at + i))
      return false;
  return true;
}

struct model {
  struct rng *rng;
  int ours, app;
  struct flow up, down; /* from the application to us, and back */
  bool ok;
  uint8_t buf[70000];
};

static size_t random_size(struct rng *rng) {
  static const uint32_t bounds[] = {2, 16, 300, 5000, 70000};
  return 1 + rng_below(rng, bounds[rng_below(rng, 5)] - 1);
}

static void app_writes(struct model *m) {
  size_t n = random_size(m->rng);
  fill(m->buf, m->up.in, n);
  ssize_t done = send(m->app, m->buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (done > 0)
    m->up.in += (size_t)done;
  m->ok &= m->up.ended ? done == -1 && errno == EPIPE : done > 0 || errno == EAGAIN;
}

static void we_read(struct model *m) {
  size_t n = random_size(m->rng), cut = rng_below(m->rng, (uint32_t)n + 1);
  struct iovec iov[2] = {{m->buf, cut}, {m->buf + cut, n - cut}};
  bool ended;
  ssize_t got = pair_read(m->ours, iov, 2, &ended);
  size_t queued = m->up.in - m->up.out;
  m->ok &= got == (ssize_t)(queued < n ? queued : n) && ended == (m->up.ended && !queued);
  if (got > 0) {
    m->ok &= matches(m->buf, m->up.out, (size_t)got);
    m->up.out += (size_t)got;
  }
}

static void we_write(struct model *m) {
  size_t n = random_size(m->rng), cut = rng_below(m->rng, (uint32_t)n + 1);
  struct iovec iov[2] = {{m->buf, cut}, {m->buf + cut, n - cut}};
  if (m->down.ended)
    return;
  fill(m->buf, m->down.in, n);
  ssize_t done = pair_write(m->ours, iov, 2);
  if (done > 0)
    m->down.in += (size_t)done;
  m->ok &= done > 0 || errno == EAGAIN;
}

static void app_reads(struct model *m) {
  size_t n = random_size(m->rng), queued = m->down.in - m->down.out;
  ssize_t got = recv(m->app, m->buf, n, MSG_DONTWAIT);
  if (queued)
    m->ok &= got == (ssize_t)(queued < n ? queued : n);
  else
    m->ok &= m->down.ended ? got == 0 : got == -1 && errno == EAGAIN;
  if (got > 0) {
    m->ok &= matches(m->buf, m->down.out, (size_t)got);
    m->down.out += (size_t)got;
  }
}

/* The last acts: everything still queued arrives, then the end that was chosen. */
static void finish(struct model *m, bool clean) {
  if (clean) {
    shutdown(m->app, SHUT_WR);
    m->up.ended = true;
    while (m->up.out < m->up.in && m->ok)
      we_read(m);
    we_read(m);
    pair_write_end(m->ours);
    pair_close_clean(m->ours);
  } else if (rng_below(m->rng, 2)) {
    close(m->ours);
  } else {
    pair_close_reset(m->ours);
  }
  ssize_t got;
  while ((got = read(m->app, m->buf, sizeof m->buf)) > 0) {
    m->ok &= matches(m->buf, m->down.out, (size_t)got);
    m->down.out += (size_t)got;
  }
  m->ok &= m->down.out == m->down.in;
  m->ok &= clean ? got == 0 : got == -1 && errno == ECONNRESET;
  close(m->app);
}

static void test_model(void) {
  static struct model m;
  uint8_t seed[RNG_SEED_LEN] = {1};
  struct rng rng;
  rng_init(&rng, seed);
  int bad = 0;
  for (int round = 0; round < ROUNDS && bad < 3; round++) {
    m = (struct model){.rng = &rng, .ok = true};
    make(&m.ours, &m.app);
    for (unsigned acts = rng_below(&rng, 24); acts && m.ok; acts--) {
      switch (rng_below(&rng, 18)) {
      case 0: shutdown(m.app, SHUT_WR), m.up.ended = true; break;
      case 1: pair_write_end(m.ours), m.down.ended = true; break;
      case 2: case 3: case 4: case 5: app_writes(&m); break;
      case 6: case 7: case 8: case 9: we_read(&m); break;
      case 10: case 11: case 12: case 13: we_write(&m); break;
      default: app_reads(&m);
      }
    }
    finish(&m, rng_below(&rng, 2));
    if (!m.ok)
      printf("round %d differs\n", round), bad++;
  }
  CU_ASSERT(bad == 0);
}

/* ---- two threads, blocking ---- */

static void *copy_back(void *arg) {
  static uint8_t buf[1 << 18];
  int ours = *(int *)arg;
  bool ended = false;
  for (;;) {
    ssize_t n = read_ours(ours, buf, sizeof buf, &ended);
    if (n < 0 || ended)
      break;
    for (ssize_t at = 0, w; at < n; at += w > 0 ? w : 0) {
      w = write_ours(ours, buf + at, (size_t)(n - at));
      if (w < 0 && (errno != EAGAIN || !poll_for(ours, POLLOUT)))
        return NULL;
    }
  }
  pair_write_end(ours);
  return arg;
}

static void *write_then_end(void *arg) {
  static uint8_t buf[100000];
  int app = *(int *)arg;
  for (size_t at = 0; at < 8 << 20; at += sizeof buf) {
    size_t n = (8 << 20) - at < sizeof buf ? (8 << 20) - at : sizeof buf;
    fill(buf, at, n);
    if (write(app, buf, n) != (ssize_t)n)
      return NULL;
  }
  shutdown(app, SHUT_WR);
  return arg;
}

/* 8 MiB, SHUT_WR, then the reply to the end. */
static void test_echo(void) {
  static uint8_t buf[1 << 18];
  pthread_t echo, writer;
  int ours, app;
  void *echo_ok, *writer_ok;
  size_t got = 0;
  ssize_t n;
  bool same = true;
  make(&ours, &app);
  CU_ASSERT_FATAL(pthread_create(&echo, NULL, copy_back, &ours) == 0);
  CU_ASSERT_FATAL(pthread_create(&writer, NULL, write_then_end, &app) == 0);
  while ((n = read(app, buf, sizeof buf)) > 0) {
    same &= matches(buf, got, (size_t)n);
    got += (size_t)n;
  }
  CU_ASSERT(n == 0 && got == 8 << 20 && same);
  pthread_join(echo, &echo_ok);
  pthread_join(writer, &writer_ok);
  CU_ASSERT(echo_ok != NULL && writer_ok != NULL);
  pair_close_clean(ours);
  CU_ASSERT(read(app, buf, 1) == 0);
  close(app);
}

int main(void) {
  static const struct check_test tests[] = {
      {"a new pair: flags, buffers, nothing to read", test_make},
      {"bad arguments; empty parts", test_arguments},
      {"EOF by a clean end alone, ECONNRESET by all others", test_endings},
      {"a crash of the holder is a reset", test_crash},
      {"a blocked writer does not eat the reset", test_reset_with_blocked_writer},
      {"stop_reading: EPIPE for the writer, the other way goes on", test_stop_reading},
      {"half-close, close, close with data unread", test_app_ends},
      {"no SIGPIPE", test_no_sigpipe},
      {"edges of epoll", test_edges},
      {"a polling writer always advances", test_writer_advances},
      {"sendfile always advances", test_sendfile},
      {"passed fds and out-of-band bytes", test_odd_messages},
      {"any sequence of acts equals the model", test_model},
      {"8 MiB echo with half-close", test_echo},
  };
  return check_main("pair", tests, sizeof tests / sizeof tests[0]);
}
