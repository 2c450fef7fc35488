/*
 * test_fdpass.c - messages with descriptors; none is lost for want of a
 * number.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "fdpass.h"

static int sv[2], pipe_fds[2];

static void setup(void) {
  CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
  CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_CLOEXEC), 0);
}

static void teardown(void) {
  close(sv[0]);
  close(sv[1]);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

static void message_and_descriptor_arrive(void) {
  char buf[8] = {0}, byte = 0;
  int fd = -1;

  setup();
  CU_ASSERT_EQUAL(fdpass_send(sv[0], "hello", 6, pipe_fds[1]), 0);
  CU_ASSERT_EQUAL(fdpass_recv(sv[1], buf, sizeof buf, &fd), 6);
  CU_ASSERT_STRING_EQUAL(buf, "hello");
  CU_ASSERT_FATAL(fd >= 0);
  CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
  CU_ASSERT_EQUAL(read(pipe_fds[0], &byte, 1), 1);
  CU_ASSERT_EQUAL(byte, 'x');
  close(fd);
  CU_ASSERT_EQUAL(fdpass_send(sv[0], "bare", 5, -1), 0);
  CU_ASSERT_EQUAL(fdpass_recv(sv[1], buf, sizeof buf, &fd), 5);
  CU_ASSERT_EQUAL(fd, -1);
  close(sv[0]);
  CU_ASSERT_EQUAL(fdpass_recv(sv[1], buf, sizeof buf, &fd), 0);
  CU_ASSERT_EQUAL(fdpass_send(sv[1], "late", 5, -1), -1);
  CU_ASSERT_EQUAL(errno, EPIPE);
  sv[0] = -1;
  teardown();
}

static void no_number_loses_nothing(void) {
  struct rlimit old, tight;
  char buf[8];
  int fd = -1;

  setup();
  CU_ASSERT_EQUAL_FATAL(fdpass_send(sv[0], "kept", 5, pipe_fds[1]), 0);
  CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &old), 0);
  tight = old;
  tight.rlim_cur = 0; /* no number is free */
  CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &tight), 0);
  CU_ASSERT_EQUAL(fdpass_recv(sv[1], buf, sizeof buf, &fd), -1);
  CU_ASSERT(errno == EMFILE || errno == EINVAL);
  CU_ASSERT_EQUAL(fd, -1);
  CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &old), 0);
  CU_ASSERT_EQUAL(fdpass_recv(sv[1], buf, sizeof buf, &fd), 5);
  CU_ASSERT_STRING_EQUAL(buf, "kept");
  CU_ASSERT(fd >= 0);
  close(fd);
  teardown();
}

static void full_queue_is_eagain(void) {
  static const char msg[4096];
  int n = 0;

  setup();
  while (n < 10000 && fdpass_send(sv[0], msg, sizeof msg, -1) == 0) n++;
  CU_ASSERT(n > 0 && n < 10000);
  CU_ASSERT_EQUAL(errno, EAGAIN);
  teardown();
}

int main(void) {
  static const struct check_test tests[] = {
      {"message and descriptor arrive", message_and_descriptor_arrive},
      {"a want of descriptors loses nothing", no_number_loses_nothing},
      {"a full queue is EAGAIN, not a wait", full_queue_is_eagain},
  };

  return check_main("fdpass", tests, sizeof tests / sizeof tests[0]);
}
