/*
 * test_cspace_fork.c - after fork only the fds are usable in the child, and
 * the child keeps nothing of the parent alive.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

static void expect_exit_0(pid_t pid) {
  int status = -1;

  CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
  CU_ASSERT_EQUAL(status, 0);
}

static bool enotsup(int rc) {
  bool ok = rc == -1 && errno == ENOTSUP && cs_last_error() == CS_ERR_FORKED;

  if (!ok) fprintf(stderr, "rc %d: %m, %s\n", rc, cs_last_error_text());
  return ok;
}

/* Every call with a node, in the child. The number of the first that did not fail as it should. */
static int calls_in_child(void) {
  char name[CS_NAME_MAX + 1], id[CS_ID_LEN + 1];
  struct cs_path path;

  if (!enotsup(cs_connect(alice, "bob", "chat", NULL))) return 1;
  if (!enotsup(cs_connect_start(alice, "bob", "chat", NULL))) return 2;
  if (!enotsup(cs_listen(alice, "new", NULL))) return 3;
  if (!enotsup(cs_published(bob, 0))) return 4;
  if (!enotsup(cs_ping(alice, "bob", NULL, &path))) return 5;
  world_id(carol_home, id);
  if (!enotsup(cs_contact_add(alice, "carol", id))) return 6;
  if (!enotsup(cs_contact_rename(alice, "bob", "rob"))) return 7;
  if (!enotsup(cs_contact_remove(alice, "bob"))) return 8;
  if (!enotsup(cs_contact_next(alice, NULL, name, id))) return 9;
  if (!enotsup(world_open(kit_world, alice_home, NULL, NULL) == NULL ? -1 : 0)) return 10;
  if (cs_id(alice)[0] == '\0') return 11; /* memory alone: still there */
  cs_close(alice); /* nothing to close, and no crash */
  return 0;
}

static void a_node_cannot_be_used_in_the_child(void) {
  int fds[2];
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  pid = fork();
  if (pid == 0) _exit(calls_in_child());
  expect_exit_0(pid);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, 1000), 0); /* the parent's goes on */
  CU_ASSERT_EQUAL(kit_read(fds[1], 1000).bytes, 1000);
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

static void the_fds_are_usable_in_the_child(void) {
  int fds[2];
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  pid = fork();
  if (pid == 0) {
    struct cs_peer p;
    struct kit_end e;

    close(fds[0]);
    e = kit_read(fds[1], 300000);
    _exit(!(e.bytes == 300000 && !e.wrong && cs_peer(fds[1], &p) == 0 && strcmp(p.name, "alice") == 0 &&
            kit_write(fds[1], 0, 300000) == 0));
  }
  close(fds[1]);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, 300000), 0);
  CU_ASSERT_TRUE(kit_clean(kit_read(fds[0], UINT64_MAX), 300000));
  expect_exit_0(pid);
  close(fds[0]);
  kit_stop();
}

/* The child lives on with copies of everything; the parent's end is an end all the same. */
static void the_child_keeps_nothing_of_the_parent_alive(void) {
  int fds[2], go[2];
  struct kit_end e;
  char byte;
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
  pid = fork();
  if (pid == 0) {
    close(go[1]);
    e = kit_read(fds[0], UINT64_MAX); /* the parent's cs_close resets it here too */
    if (e.err != ECONNRESET) fprintf(stderr, "child: %s\n", strerror(e.err));
    _exit(!(e.err == ECONNRESET && read(go[0], &byte, 1) == 0));
  }
  close(go[0]);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, 1000), 0);
  CU_ASSERT_EQUAL(kit_read(fds[1], 500).bytes, 500);
  close(fds[0]); /* the child has one */
  cs_close(alice);
  alice = NULL;
  CU_ASSERT_TRUE(world_poll(fds[1], POLLRDHUP, KIT_WAIT_MS));
  {
    char buf[1000];

    CU_ASSERT_EQUAL(read(fds[1], buf, sizeof buf), 500);
    CU_ASSERT_EQUAL(read(fds[1], buf, sizeof buf), -1);
    CU_ASSERT_EQUAL(errno, ECONNRESET);
  }
  CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
  close(go[1]);
  expect_exit_0(pid);
  close(fds[1]);
  kit_stop();
}

static void a_listener_closed_in_the_parent_serves_in_the_child_until_it_goes(void) {
  int fds[2], go[2];
  char byte;
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
  pid = fork();
  if (pid == 0) {
    int fd = cs_accept(chat, NULL, 0);

    _exit(!(fd >= 0 && write(fd, "c", 1) == 1));
  }
  close(chat);
  chat = -1;
  close(fds[0]);
  close(fds[1]);
  fds[0] = cs_connect(alice, "bob", "chat", NULL);
  CU_ASSERT_TRUE_FATAL(fds[0] >= 0);
  CU_ASSERT_EQUAL(world_read(fds[0], &byte, 1, KIT_WAIT_MS), 1);
  expect_exit_0(pid);
  close(fds[0]);
  CU_ASSERT_EQUAL(cs_connect(alice, "bob", "chat", NULL), -1); /* every copy is closed now */
  CU_ASSERT_EQUAL(errno, ECONNREFUSED);
  close(go[0]);
  close(go[1]);
  kit_stop();
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"a node cannot be used in the child: ENOTSUP", a_node_cannot_be_used_in_the_child},
      {"the fds are usable in the child", the_fds_are_usable_in_the_child},
      {"the child keeps nothing of the parent alive", the_child_keeps_nothing_of_the_parent_alive},
      {"a listener serves until every copy of it is closed",
       a_listener_closed_in_the_parent_serves_in_the_child_until_it_goes},
  };

  return kit_main(argc, argv, "cspace_fork", tests, sizeof tests / sizeof tests[0]);
}
