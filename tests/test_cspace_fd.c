/*
 * test_cspace_fd.c - the fd is real: what a program does with a socket it
 * does with a connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

static void done(int fds[2]) {
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

static int events(int fd, short want) {
  struct pollfd p = {fd, want, 0};

  return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void poll_tells_readable_writable_and_hangup(void) {
  char buf[8];
  int fds[2];

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(events(fds[0], POLLIN | POLLOUT), POLLOUT);
  CU_ASSERT_EQUAL(events(fds[1], POLLIN | POLLOUT), POLLOUT);
  CU_ASSERT_EQUAL(write(fds[0], "x", 1), 1);
  CU_ASSERT_TRUE(world_poll(fds[1], POLLIN, KIT_WAIT_MS));
  CU_ASSERT_EQUAL(read(fds[1], buf, sizeof buf), 1);
  CU_ASSERT_EQUAL(events(fds[1], POLLIN), 0);
  CU_ASSERT_EQUAL(shutdown(fds[0], SHUT_WR), 0);
  CU_ASSERT_TRUE(world_poll(fds[1], POLLRDHUP, KIT_WAIT_MS));
  CU_ASSERT_EQUAL(read(fds[1], buf, sizeof buf), 0);
  CU_ASSERT_EQUAL(shutdown(fds[1], SHUT_WR), 0);
  CU_ASSERT_TRUE(world_poll(fds[0], POLLRDHUP, KIT_WAIT_MS));
  CU_ASSERT_TRUE(world_poll(fds[0], 0, KIT_WAIT_MS)); /* POLLHUP: both ways are over */
  CU_ASSERT_EQUAL(read(fds[0], buf, sizeof buf), 0);
  done(fds);
}

static void epoll_level(void) {
  struct epoll_event e = {.events = EPOLLIN};
  char buf[8];
  int fds[2], ep = epoll_create1(EPOLL_CLOEXEC);

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &e), 0);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, 0), 0);
  CU_ASSERT_EQUAL(write(fds[0], "ab", 2), 2);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(read(fds[1], buf, 1), 1);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1); /* still readable: b */
  CU_ASSERT_EQUAL(read(fds[1], buf, 8), 1);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, 0), 0);
  close(ep);
  done(fds);
}

static void epoll_edge(void) {
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
  char buf[8];
  int fds[2], ep = epoll_create1(EPOLL_CLOEXEC);

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &e), 0);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(e.events, EPOLLOUT);
  CU_ASSERT_EQUAL(write(fds[0], "a", 1), 1);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_TRUE(e.events & EPOLLIN);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, 0), 0); /* no second edge for the same byte */
  CU_ASSERT_EQUAL(write(fds[0], "b", 1), 1);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(world_read(fds[1], buf, 2, KIT_WAIT_MS), 2);
  CU_ASSERT_EQUAL(shutdown(fds[0], SHUT_WR), 0);
  CU_ASSERT_EQUAL(epoll_wait(ep, &e, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_TRUE(e.events & EPOLLRDHUP);
  close(ep);
  done(fds);
}

static void select_tells(void) {
  struct timeval tv = {KIT_WAIT_MS / 1000, 0}, zero = {0, 0};
  fd_set in, out;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_SET(fds[1], &in);
  FD_SET(fds[1], &out);
  CU_ASSERT_EQUAL(select(fds[1] + 1, &in, &out, NULL, &zero), 1);
  CU_ASSERT_TRUE(FD_ISSET(fds[1], &out));
  CU_ASSERT_EQUAL(write(fds[0], "s", 1), 1);
  FD_ZERO(&in);
  FD_SET(fds[1], &in);
  CU_ASSERT_EQUAL(select(fds[1] + 1, &in, NULL, NULL, &tv), 1);
  CU_ASSERT_TRUE(FD_ISSET(fds[1], &in));
  done(fds);
}

static void stdio_reads_and_writes_lines(void) {
  char line[64];
  FILE *a, *b;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  a = fdopen(fds[0], "r+");
  b = fdopen(fds[1], "r+");
  CU_ASSERT_FATAL(a != NULL && b != NULL);
  for (int i = 0; i < 200; i++) fprintf(a, "line %d\n", i);
  fflush(a);
  for (int i = 0; i < 200; i++) {
    char want[64];

    snprintf(want, sizeof want, "line %d\n", i);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(line, sizeof line, b));
    CU_ASSERT_STRING_EQUAL(line, want);
  }
  fputs("back\n", b);
  fclose(b);
  CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, a));
  CU_ASSERT_STRING_EQUAL(line, "back\n");
  CU_ASSERT_PTR_NULL(fgets(line, sizeof line, a));
  CU_ASSERT_TRUE(feof(a));
  CU_ASSERT_FALSE(ferror(a));
  fclose(a);
  kit_stop();
}

static void a_dup_keeps_the_connection_open(void) {
  char buf[8];
  struct cs_peer p;
  int fds[2], copy;

  kit_pair(fds, NULL, NULL);
  copy = dup(fds[0]);
  close(fds[0]);
  CU_ASSERT_EQUAL(cs_peer(copy, &p), 0);
  CU_ASSERT_STRING_EQUAL(p.name, "bob");
  CU_ASSERT_EQUAL(write(copy, "dup", 3), 3);
  CU_ASSERT_EQUAL(world_read(fds[1], buf, 3, KIT_WAIT_MS), 3);
  CU_ASSERT_EQUAL(events(fds[1], POLLIN | POLLRDHUP), 0);
  close(copy);
  CU_ASSERT_TRUE(world_poll(fds[1], POLLIN, KIT_WAIT_MS));
  CU_ASSERT_EQUAL(read(fds[1], buf, 8), 0);
  close(fds[1]);
  kit_stop();
}

/* What the child said of the connection, and that both streams ended cleanly with it. */
static void expect_who(int fd, pid_t pid) {
  char got[256] = {0}, want[256];
  int status = -1;
  ssize_t n;

  snprintf(want, sizeof want, "%s alice chat hello child\n", cs_id(alice));
  CU_ASSERT_EQUAL(world_write(fd, "hello child\n", 12), 0);
  n = world_read(fd, got, sizeof got - 1, KIT_WAIT_MS);
  CU_ASSERT_EQUAL(n, (ssize_t)strlen(want));
  CU_ASSERT_STRING_EQUAL(got, want);
  CU_ASSERT_EQUAL(read(fd, got, 1), 0);
  CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
  CU_ASSERT_EQUAL(status, 0);
}

static void fork_and_exec_with_the_fd_as_stdin_and_stdout(void) {
  int fds[2];
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  pid = fork();
  if (pid == 0) {
    dup2(fds[1], 0);
    dup2(fds[1], 1);
    execl("/proc/self/exe", "peer", "--peer", "who", (char *)NULL);
    _exit(127);
  }
  close(fds[1]);
  expect_who(fds[0], pid);
  close(fds[0]);
  kit_stop();
}

static void scm_rights_to_another_process(void) {
  int fds[2], sv[2];
  pid_t pid;

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
  pid = fork();
  if (pid == 0) {
    dup2(sv[1], 0);
    execl("/proc/self/exe", "peer", "--peer", "take", (char *)NULL);
    _exit(127);
  }
  close(sv[1]);
  CU_ASSERT_EQUAL(kit_send_fd(sv[0], fds[1]), 0);
  close(fds[1]);
  close(sv[0]);
  expect_who(fds[0], pid);
  close(fds[0]);
  kit_stop();
}

static void close_on_exec_always_and_nonblock_when_asked(void) {
  int fds[3], wait_fd;

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
  CU_ASSERT_EQUAL(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
  CU_ASSERT_EQUAL(fcntl(chat, F_GETFD), FD_CLOEXEC);
  CU_ASSERT_EQUAL(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
  CU_ASSERT_EQUAL(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
  wait_fd = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_EQUAL(fcntl(wait_fd, F_GETFD), FD_CLOEXEC);
  fds[2] = cs_accept(chat, NULL, SOCK_NONBLOCK);
  CU_ASSERT_EQUAL(fcntl(fds[2], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  CU_ASSERT_EQUAL(fcntl(fds[2], F_GETFD), FD_CLOEXEC);
  CU_ASSERT_EQUAL(read(fds[2], fds, 1), -1);
  CU_ASSERT_EQUAL(errno, EAGAIN);
  close(cs_connect_finish(wait_fd));
  close(fds[2]);
  done(fds);
}

static void cs_peer_refuses_what_is_not_ours(void) {
  struct cs_peer p;
  int sv[2], p_fd[2];

  CU_ASSERT_EQUAL(cs_peer(-1, &p), -1);
  CU_ASSERT_EQUAL(errno, EBADF);
  CU_ASSERT_EQUAL(pipe(p_fd), 0);
  CU_ASSERT_EQUAL(cs_peer(p_fd[0], &p), -1);
  CU_ASSERT_EQUAL(errno, ENOTSOCK);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NOT_CSPACE);
  CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
  CU_ASSERT_EQUAL(cs_peer(sv[0], &p), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NOT_CSPACE);
  CU_ASSERT_EQUAL(cs_peer(sv[0], NULL), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  for (int i = 0; i < 2; i++) {
    close(sv[i]);
    close(p_fd[i]);
  }
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"poll tells readable, writable and hang-up", poll_tells_readable_writable_and_hangup},
      {"epoll, level-triggered", epoll_level},
      {"epoll, edge-triggered", epoll_edge},
      {"select", select_tells},
      {"stdio reads and writes lines, and sees the end", stdio_reads_and_writes_lines},
      {"a dup keeps the connection open", a_dup_keeps_the_connection_open},
      {"fork and exec: the fd is stdin and stdout, and cs_peer works there",
       fork_and_exec_with_the_fd_as_stdin_and_stdout},
      {"SCM_RIGHTS: another process reads, writes and knows the peer", scm_rights_to_another_process},
      {"CLOEXEC always, O_NONBLOCK when asked", close_on_exec_always_and_nonblock_when_asked},
      {"cs_peer refuses what is not ours", cs_peer_refuses_what_is_not_ours},
  };

  return kit_main(argc, argv, "cspace_fd", tests, sizeof tests / sizeof tests[0]);
}
