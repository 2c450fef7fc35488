/*
 * test_cspace_listen.c - listeners: pollable, wakeable, and losing nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

static void start(const char *key, const char *value) {
  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", key, value);
}

static void poll_tells_and_nonblocking_is_eagain(void) {
  struct cs_peer p;
  int wait_fd, fd;

  start(NULL, NULL);
  fcntl(chat, F_SETFL, O_NONBLOCK);
  CU_ASSERT_FALSE(world_poll(chat, POLLIN, 0));
  CU_ASSERT_EQUAL(cs_accept(chat, NULL, 0), -1);
  CU_ASSERT_EQUAL(errno, EAGAIN);
  wait_fd = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_TRUE(world_poll(chat, POLLIN, KIT_WAIT_MS));
  fd = cs_accept(chat, &p, 0);
  CU_ASSERT_TRUE(fd >= 0);
  CU_ASSERT_STRING_EQUAL(p.id, cs_id(alice));
  CU_ASSERT_STRING_EQUAL(p.name, "alice");
  CU_ASSERT_STRING_EQUAL(p.service, "chat");
  CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* the listener's flag is the listener's */
  CU_ASSERT_EQUAL(cs_accept(chat, NULL, 0), -1);
  CU_ASSERT_EQUAL(errno, EAGAIN);
  close(fd);
  close(cs_connect_finish(wait_fd));
  kit_stop();
}

static void two_services_of_a_node_are_kept_apart(void) {
  struct cs_peer p;
  int other, waits[2], fds[2], got[2];
  char byte;

  start(NULL, NULL);
  other = kit_listen(bob, "files", NULL, NULL);
  waits[0] = cs_connect_start(alice, "bob", "chat", NULL);
  waits[1] = cs_connect_start(alice, "bob", "files", NULL);
  got[1] = cs_accept(other, &p, 0);
  CU_ASSERT_STRING_EQUAL(p.service, "files");
  got[0] = cs_accept(chat, &p, 0);
  CU_ASSERT_STRING_EQUAL(p.service, "chat");
  for (int i = 0; i < 2; i++) {
    fds[i] = cs_connect_finish(waits[i]);
    CU_ASSERT_EQUAL(write(fds[i], i ? "f" : "c", 1), 1);
    CU_ASSERT_EQUAL(world_read(got[i], &byte, 1, KIT_WAIT_MS), 1);
    CU_ASSERT_EQUAL(byte, i ? 'f' : 'c');
    close(fds[i]);
    close(got[i]);
  }
  close(other);
  kit_stop();
}

static void a_service_is_listened_to_once(void) {
  start(NULL, NULL);
  CU_ASSERT_EQUAL(cs_listen(bob, "chat", NULL), -1);
  CU_ASSERT_EQUAL(errno, EADDRINUSE);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_IN_USE);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), "chat"));
  for (int i = 0; i < 100; i++) { /* and free as soon as it is closed */
    close(chat);
    chat = cs_listen(bob, "chat", NULL);
    CU_ASSERT_TRUE_FATAL(chat >= 0);
  }
  kit_stop();
}

static void close_ends_the_service(void) {
  int fds[2], copy;

  start(NULL, NULL);
  copy = dup(chat);
  close(chat);
  chat = copy;
  kit_connect(fds); /* a dup keeps it */
  close(chat);
  chat = -1;
  CU_ASSERT_EQUAL(cs_connect(alice, "bob", "chat", NULL), -1);
  CU_ASSERT_EQUAL(errno, ECONNREFUSED);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_REFUSED);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, 1000), 0); /* connections outlive their listener */
  CU_ASSERT_EQUAL(kit_read(fds[1], 1000).bytes, 1000);
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

/* ---- waking ---- */

struct accepting {
  pthread_t thread;
  int fd, err;
  enum cs_err code;
};

static void *accepting(void *arg) {
  struct accepting *a = arg;

  a->fd = cs_accept(chat, NULL, 0);
  a->err = errno;
  a->code = cs_last_error();
  return NULL;
}

static void accept_in_thread(struct accepting *a) {
  CU_ASSERT_EQUAL_FATAL(pthread_create(&a->thread, NULL, accepting, a), 0);
  poll(NULL, 0, 20);
}

static void expect_shutdown(struct accepting *a) {
  pthread_join(a->thread, NULL);
  CU_ASSERT_EQUAL(a->fd, -1);
  CU_ASSERT_EQUAL(a->err, ESHUTDOWN);
  CU_ASSERT_EQUAL(a->code, CS_ERR_CLOSED);
}

static void shutdown_wakes_a_blocked_accept(void) {
  struct accepting a;

  start(NULL, NULL);
  accept_in_thread(&a);
  CU_ASSERT_EQUAL(shutdown(chat, SHUT_RDWR), 0);
  expect_shutdown(&a);
  kit_stop();
}

static void cs_close_wakes_a_blocked_accept(void) {
  struct accepting a;

  start(NULL, NULL);
  accept_in_thread(&a);
  cs_close(bob);
  bob = NULL;
  expect_shutdown(&a);
  CU_ASSERT_EQUAL(cs_accept(chat, NULL, 0), -1); /* and every later one */
  CU_ASSERT_EQUAL(errno, ESHUTDOWN);
  kit_stop();
}

static void accept_refuses_what_is_no_listener(void) {
  int sv[2], fds[2];

  CU_ASSERT_EQUAL(cs_accept(-1, NULL, 0), -1);
  CU_ASSERT_EQUAL(errno, EBADF);
  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(cs_accept(chat, NULL, 12345), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
  CU_ASSERT_EQUAL(write(sv[1], "hello", 5), 5);
  CU_ASSERT_EQUAL(cs_accept(sv[0], NULL, 0), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NOT_CSPACE);
  for (int i = 0; i < 2; i++) {
    close(sv[i]);
    close(fds[i]);
  }
  kit_stop();
}

/* ---- limits ---- */

static void emfile_loses_no_connection(void) {
  enum { CALLS = 20 };
  int waits[CALLS], fds[CALLS], got, blocked = 0, hog[64], hogs = 0;
  struct rlimit old, tight;

  start(NULL, NULL);
  for (int i = 0; i < CALLS; i++) waits[i] = cs_connect_start(alice, "bob", "chat", NULL);
  for (int i = 0; i < CALLS; i++) fds[i] = cs_connect_finish(waits[i]);
  kit_count_fds(); /* the engine has made its ends: the numbers left are ours */
  getrlimit(RLIMIT_NOFILE, &old);
  tight = old;
  tight.rlim_cur = (rlim_t)(fds[CALLS - 1] + 40);
  setrlimit(RLIMIT_NOFILE, &tight);
  while (hogs < 64 && (hog[hogs] = dup(0)) >= 0) hogs++;
  CU_ASSERT_TRUE(hogs < 64);
  for (int i = 0; i < CALLS; i++) { /* each acceptance fails first, then gets its descriptor */
    char byte = 0;

    while ((got = cs_accept(chat, NULL, 0)) < 0 && errno == EMFILE && hogs > 0) {
      CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_LIMIT);
      blocked++;
      close(hog[--hogs]);
    }
    CU_ASSERT_TRUE(got >= 0);
    if (got < 0) {
      fprintf(stderr, "call %d: %s\n", i, cs_last_error_text());
      break;
    }
    CU_ASSERT_EQUAL(write(fds[i], "e", 1), 1);
    CU_ASSERT_EQUAL(world_read(got, &byte, 1, KIT_WAIT_MS), 1);
    close(got);
    if ((hog[hogs] = dup(0)) >= 0) hogs++;
  }
  CU_ASSERT_TRUE(blocked > 0);
  setrlimit(RLIMIT_NOFILE, &old);
  while (hogs > 0) close(hog[--hogs]);
  for (int i = 0; i < CALLS; i++) close(fds[i]);
  kit_stop();
}

static void a_full_backlog_makes_callers_wait(void) {
  cs_options *brief = kit_options("timeout-ms", "400");
  int waits[3], got;

  start("backlog", "1");
  waits[0] = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_TRUE(world_poll(waits[0], POLLIN, KIT_WAIT_MS)); /* in the backlog: connected */
  waits[1] = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_FALSE(world_poll(waits[1], POLLIN, 300));
  waits[2] = cs_connect_start(alice, "bob", "chat", brief);
  CU_ASSERT_EQUAL(cs_connect_finish(waits[2]), -1); /* nobody accepts in its time */
  CU_ASSERT_EQUAL(errno, ETIMEDOUT);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_BACKLOG);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), "bob"));
  got = cs_accept(chat, NULL, 0);
  CU_ASSERT_TRUE(got >= 0);
  close(got);
  CU_ASSERT_TRUE(world_poll(waits[1], POLLIN, KIT_WAIT_MS)); /* the next moves up */
  got = cs_accept(chat, NULL, 0);
  CU_ASSERT_TRUE(got >= 0);
  close(got);
  close(cs_connect_finish(waits[0]));
  close(cs_connect_finish(waits[1]));
  fcntl(chat, F_SETFL, O_NONBLOCK);
  CU_ASSERT_FALSE(world_poll(chat, POLLIN, 100)); /* the one that gave up never shows */
  cs_options_free(brief);
  kit_stop();
}

static void a_forked_child_accepts(void) {
  int fds[2], status = -1;
  struct kit_end e;
  pid_t pid;

  start(NULL, NULL);
  pid = fork();
  if (pid == 0) {
    struct cs_peer p;
    int fd = cs_accept(chat, &p, 0);
    bool ok = fd >= 0 && strcmp(p.name, "alice") == 0 && cs_peer(fd, &p) == 0 && strcmp(p.name, "alice") == 0 &&
              kit_write(fd, 0, 200000) == 0;

    _exit(ok ? 0 : 1);
  }
  fds[0] = cs_connect(alice, "bob", "chat", NULL);
  CU_ASSERT_TRUE_FATAL(fds[0] >= 0);
  e = kit_read(fds[0], UINT64_MAX);
  CU_ASSERT_TRUE(kit_clean(e, 200000)); /* the child's exit is a close */
  CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
  CU_ASSERT_EQUAL(status, 0);
  close(fds[0]);
  kit_stop();
}

static void an_unaccepted_caller_is_reset_when_the_service_ends(void) {
  int wait_fd, fd;

  start(NULL, NULL);
  wait_fd = cs_connect_start(alice, "bob", "chat", NULL);
  fd = cs_connect_finish(wait_fd);
  CU_ASSERT_TRUE(fd >= 0);
  CU_ASSERT_TRUE(world_poll(chat, POLLIN, KIT_WAIT_MS));
  close(chat);
  chat = -1;
  CU_ASSERT_EQUAL(kit_read(fd, UINT64_MAX).err, ECONNRESET);
  close(fd);
  kit_stop();
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"a listener can be polled, and is EAGAIN when nonblocking", poll_tells_and_nonblocking_is_eagain},
      {"two services of a node are kept apart", two_services_of_a_node_are_kept_apart},
      {"EADDRINUSE, until it is closed", a_service_is_listened_to_once},
      {"close ends the service, a dup keeps it, connections outlive it", close_ends_the_service},
      {"shutdown wakes a blocked cs_accept", shutdown_wakes_a_blocked_accept},
      {"cs_close wakes a blocked cs_accept", cs_close_wakes_a_blocked_accept},
      {"cs_accept refuses what is no listener", accept_refuses_what_is_no_listener},
      {"EMFILE loses no connection", emfile_loses_no_connection},
      {"a full backlog makes callers wait", a_full_backlog_makes_callers_wait},
      {"a forked child accepts, and its exit is a close", a_forked_child_accepts},
      {"a caller nobody accepted is reset when the service ends",
       an_unaccepted_caller_is_reset_when_the_service_ends},
  };

  return kit_main(argc, argv, "cspace_listen", tests, sizeof tests / sizeof tests[0]);
}
