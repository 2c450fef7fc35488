/*
 * test_cspace_many.c - many connections, in turn, at once and from many
 * threads, leak nothing and share a session.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kit.h"
#include "node_impl.h"
#include "session_impl.h"
#include "stream.h"

#define AT_ONCE 200
#define THREADS 16
#define OPENERS 8
#define OPENS 3
#define GROWTH_MAX (256 << 10) /* bytes that 1,000 connections may leave behind: 256 each */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#define IN_TURN 200
#define PER_THREAD 5
#else
#define SANITIZED 0
#define IN_TURN 1000
#define PER_THREAD 25
#endif

static void count(const struct cs_node *n, unsigned *sessions, unsigned *streams) {
  *sessions = *streams = 0;
  loop_lock(n->loop);
  for (const struct session *s = n->sessions; s != NULL; s = s->next) {
    ++*sessions;
    for (const struct stream *st = s->streams; st != NULL; st = st->next) ++*streams;
  }
  loop_unlock(n->loop);
}

/* Closing is the engine's work: waits until it is through with it. */
static bool streams_gone(void) {
  for (uint64_t until = world_ms() + KIT_WAIT_MS; world_ms() < until; poll(NULL, 0, 2)) {
    unsigned sessions, a, b;

    count(alice, &sessions, &a);
    count(bob, &sessions, &b);
    if (a + b == 0) return true;
  }
  return false;
}

static long rss_kib(void) {
  long pages = 0, skip;
  FILE *f = fopen("/proc/self/statm", "r");

  if (f == NULL || fscanf(f, "%ld %ld", &skip, &pages) != 2) pages = 0;
  if (f != NULL) fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void one(void) {
  char byte;
  int fds[2];

  kit_connect(fds);
  CU_ASSERT_EQUAL(write(fds[0], "q", 1), 1);
  CU_ASSERT_EQUAL(world_read(fds[1], &byte, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(write(fds[1], "a", 1), 1);
  CU_ASSERT_EQUAL(world_read(fds[0], &byte, 1, KIT_WAIT_MS), 1);
  close(fds[0]);
  close(fds[1]);
}

static void a_thousand_in_turn_leak_nothing(void) {
  int fds[2], open_fds;
  size_t bytes;
  long rss;

  kit_pair(fds, NULL, NULL);
  close(fds[0]);
  close(fds[1]);
  for (int i = 0; i < IN_TURN / 5; i++) one(); /* warm */
  CU_ASSERT_TRUE(streams_gone());
  open_fds = kit_count_fds();
  bytes = mallinfo2().uordblks;
  rss = rss_kib();
  for (int i = 0; i < IN_TURN; i++) one();
  CU_ASSERT_TRUE(streams_gone());
  CU_ASSERT_EQUAL(kit_count_fds(), open_fds);
  if (!SANITIZED) {
    CU_ASSERT_TRUE(mallinfo2().uordblks < bytes + GROWTH_MAX);
    CU_ASSERT_TRUE(rss_kib() < rss + 2048);
    if (mallinfo2().uordblks >= bytes + GROWTH_MAX || rss_kib() >= rss + 2048)
      fprintf(stderr, "%zd bytes, %ld KiB more\n", (ssize_t)(mallinfo2().uordblks - bytes), rss_kib() - rss);
  }
  kit_stop();
}

static void two_hundred_at_once_share_a_session(void) {
  static int waits[AT_ONCE], calls[AT_ONCE], answers[AT_ONCE];
  unsigned sessions, streams, ok = 0;
  int fds[2], open_fds;
  char byte;

  kit_pair(fds, NULL, NULL);
  close(fds[0]);
  close(fds[1]);
  CU_ASSERT_TRUE(streams_gone());
  open_fds = kit_count_fds();
  for (int i = 0; i < AT_ONCE; i++) waits[i] = cs_connect_start(alice, "bob", "chat", NULL);
  for (int i = 0; i < AT_ONCE; i++) answers[i] = cs_accept(chat, NULL, 0);
  for (int i = 0; i < AT_ONCE; i++) calls[i] = cs_connect_finish(waits[i]);
  count(alice, &sessions, &streams);
  CU_ASSERT_EQUAL(sessions, 1);
  CU_ASSERT_EQUAL(streams, AT_ONCE);
  for (int i = 0; i < AT_ONCE; i++) ok += write(calls[i], "x", 1) == 1;
  for (int i = 0; i < AT_ONCE; i++) ok += world_read(answers[i], &byte, 1, KIT_WAIT_MS) == 1;
  CU_ASSERT_EQUAL(ok, 2 * AT_ONCE);
  for (int i = 0; i < AT_ONCE; i++) {
    close(calls[i]);
    close(answers[i]);
  }
  CU_ASSERT_TRUE(streams_gone());
  CU_ASSERT_EQUAL(kit_count_fds(), open_fds);
  kit_stop();
}

static void two_hundred_cold_calls_make_one_session(void) {
  static int waits[AT_ONCE];
  unsigned sessions, streams, ok = 0;

  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  for (int i = 0; i < AT_ONCE; i++) waits[i] = cs_connect_start(alice, "bob", "chat", NULL);
  for (int i = 0; i < AT_ONCE; i++) {
    int fd = cs_connect_finish(waits[i]);

    ok += fd >= 0;
    if (fd >= 0) close(fd);
  }
  CU_ASSERT_EQUAL(ok, AT_ONCE);
  count(alice, &sessions, &streams);
  CU_ASSERT_EQUAL(sessions, 1);
  kit_stop();
}

/* ---- threads ---- */

static atomic_uint good;

static void *caller(void *arg) {
  (void)arg;
  for (int i = 0; i < PER_THREAD; i++) {
    struct cs_peer p;
    char byte;
    int fd = cs_connect(alice, "bob", "chat", NULL);

    if (fd < 0) continue;
    if (write(fd, "q", 1) == 1 && world_read(fd, &byte, 1, KIT_WAIT_MS) == 1 && byte == 'q' &&
        cs_peer(fd, &p) == 0 && strcmp(p.name, "bob") == 0)
      good++;
    close(fd);
  }
  return NULL;
}

static void *answerer(void *arg) {
  int fd;

  (void)arg;
  while ((fd = cs_accept(chat, NULL, 0)) >= 0) {
    char byte;

    if (world_read(fd, &byte, 1, KIT_WAIT_MS) == 1 && write(fd, &byte, 1) != 1) good += 1000000;
    close(fd);
  }
  return NULL;
}

static void sixteen_threads_connect_and_close(void) {
  pthread_t callers[THREADS], answerers[4];
  int open_fds;

  good = 0;
  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  open_fds = kit_count_fds();
  for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&answerers[i], NULL, answerer, NULL), 0);
  for (int i = 0; i < THREADS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&callers[i], NULL, caller, NULL), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(callers[i], NULL);
  CU_ASSERT_EQUAL(good, THREADS * PER_THREAD);
  CU_ASSERT_TRUE(streams_gone());
  CU_ASSERT_EQUAL(kit_count_fds(), open_fds);
  cs_close(bob); /* wakes those blocked in cs_accept */
  bob = NULL;
  for (int i = 0; i < 4; i++) pthread_join(answerers[i], NULL);
  kit_stop();
}

/* A node of its own each time: opens, calls bob, closes. */
static void *opener(void *arg) {
  for (int i = 0; i < OPENS; i++) {
    cs_node *n = world_open(kit_world, arg, NULL, NULL);
    char byte;
    int fd = n != NULL ? cs_connect(n, "bob", "chat", NULL) : -1;

    if (fd >= 0 && write(fd, "q", 1) == 1 && world_read(fd, &byte, 1, KIT_WAIT_MS) == 1) good++;
    if (fd >= 0) close(fd);
    cs_close(n);
  }
  return NULL;
}

static void eight_threads_open_and_close_nodes(void) {
  pthread_t openers[OPENERS], answerers[4];
  const char *homes[OPENERS];
  char name[16];
  int open_fds;

  good = 0;
  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  for (int i = 0; i < OPENERS; i++) {
    snprintf(name, sizeof name, "user%d", i);
    homes[i] = world_home(kit_world, name, 1);
  }
  for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&answerers[i], NULL, answerer, NULL), 0);
  open_fds = kit_count_fds();
  for (int i = 0; i < OPENERS; i++)
    CU_ASSERT_EQUAL_FATAL(pthread_create(&openers[i], NULL, opener, (void *)homes[i]), 0);
  for (int i = 0; i < OPENERS; i++) pthread_join(openers[i], NULL);
  CU_ASSERT_EQUAL(good, OPENERS * OPENS);
  CU_ASSERT_EQUAL(kit_count_fds(), open_fds);
  cs_close(bob);
  bob = NULL;
  for (int i = 0; i < 4; i++) pthread_join(answerers[i], NULL);
  kit_stop();
}

static void *closer(void *arg) {
  poll(NULL, 0, 20);
  cs_close(arg);
  return NULL;
}

/* cs_close while others call: every call returns, with a connection or with ESHUTDOWN. */
static void cs_close_wakes_all_callers_and_waits_for_them(void) {
  int waits[40], fds = kit_count_fds();
  pthread_t t;

  kit_start(NULL, NULL);
  for (int i = 0; i < 40; i++) waits[i] = cs_connect_start(alice, "bob", "nothing", NULL); /* bob is not published */
  CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, closer, alice), 0);
  for (int i = 0; i < 40; i++) {
    CU_ASSERT_EQUAL(cs_connect_finish(waits[i]), -1);
    CU_ASSERT_EQUAL(errno, ESHUTDOWN);
    CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_CLOSED);
  }
  pthread_join(t, NULL);
  alice = NULL;
  kit_stop();
  CU_ASSERT_EQUAL(kit_count_fds(), fds);
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"a thousand connects in turn leak neither fds nor memory", a_thousand_in_turn_leak_nothing},
      {"two hundred at once share a session and leak nothing", two_hundred_at_once_share_a_session},
      {"two hundred cold calls make one session", two_hundred_cold_calls_make_one_session},
      {"sixteen threads connect and close at once", sixteen_threads_connect_and_close},
      {"eight threads open and close nodes of their own", eight_threads_open_and_close_nodes},
      {"cs_close wakes all callers", cs_close_wakes_all_callers_and_waits_for_them},
  };

  return kit_main(argc, argv, "cspace_many", tests, sizeof tests / sizeof tests[0]);
}
