/*
 * kit.c - what the end-to-end tests of the public calls share.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

#define PART (64u << 10)

struct world *kit_world;
const char *alice_home, *bob_home, *carol_home;
cs_node *alice, *bob;
int chat = -1;

void kit_start(const char *key, const char *value) {
  kit_world = world_new(3);
  alice_home = world_home(kit_world, "alice", 1);
  bob_home = world_home(kit_world, "bob", 1);
  carol_home = world_home(kit_world, "carol", 0);
  alice = world_open(kit_world, alice_home, key, value);
  bob = world_open(kit_world, bob_home, key, value);
  if (alice == NULL || bob == NULL) {
    fprintf(stderr, "setup: %s\n", cs_last_error_text());
    abort();
  }
}

void kit_stop(void) {
  if (chat >= 0) close(chat);
  chat = -1;
  cs_close(alice);
  cs_close(bob);
  alice = bob = NULL;
  world_free(kit_world);
}

cs_options *kit_options(const char *key, const char *value) {
  cs_options *o = cs_options_new();

  if (o == NULL || cs_options_set(o, key, value) != 0) abort();
  return o;
}

int kit_listen(cs_node *n, const char *service, const char *key, const char *value) {
  cs_options *o = key != NULL ? kit_options(key, value) : NULL;
  int fd = cs_listen(n, service, o);

  cs_options_free(o);
  if (fd < 0 || cs_published(n, KIT_WAIT_MS) != 0) fprintf(stderr, "listen: %s\n", cs_last_error_text());
  CU_ASSERT_FATAL(fd >= 0);
  return fd;
}

void kit_connect(int fds[2]) {
  int rc = world_connect(alice, "bob", "chat", chat, fds);

  if (rc != 0) fprintf(stderr, "connect: %s\n", cs_last_error_text());
  CU_ASSERT_EQUAL_FATAL(rc, 0);
}

void kit_pair(int fds[2], const char *key, const char *value) {
  kit_start(key, value);
  chat = kit_listen(bob, "chat", NULL, NULL);
  kit_connect(fds);
}

/* ---- bytes ---- */

void kit_fill(uint8_t *buf, size_t len, uint64_t at) {
  for (size_t i = 0; i < len; i++) {
    uint64_t word = (at + i) / 8 * 0x9e3779b97f4a7c15u;

    buf[i] = (uint8_t)(word >> (8 * ((at + i) % 8)));
  }
}

int kit_write(int fd, uint64_t at, uint64_t len) {
  uint8_t buf[PART];

  while (len > 0) {
    size_t part = len < PART ? (size_t)len : PART;
    ssize_t n;

    kit_fill(buf, part, at);
    n = send(fd, buf, part, MSG_NOSIGNAL);
    if (n < 0) return errno;
    at += (uint64_t)n;
    len -= (uint64_t)n;
  }
  return 0;
}

struct kit_end kit_read(int fd, uint64_t max) {
  struct kit_end e = {0, false, 0};
  uint8_t buf[PART], want[PART];

  while (e.bytes < max) {
    uint64_t left = max - e.bytes;
    ssize_t n;

    if (!world_poll(fd, POLLIN, KIT_WAIT_MS)) {
      e.err = ETIME;
      break;
    }
    n = read(fd, buf, left < PART ? (size_t)left : PART);
    if (n < 0) e.err = errno;
    if (n <= 0) break;
    kit_fill(want, (size_t)n, e.bytes);
    if (memcmp(buf, want, (size_t)n) != 0) e.wrong = true;
    e.bytes += (uint64_t)n;
  }
  return e;
}

bool kit_clean(struct kit_end e, uint64_t bytes) {
  if (e.bytes == bytes && !e.wrong && e.err == 0) return true;
  fprintf(stderr, "%llu bytes of %llu%s, %s\n", (unsigned long long)e.bytes, (unsigned long long)bytes,
          e.wrong ? ", wrong" : "", e.err != 0 ? strerror(e.err) : "EOF");
  return false;
}

static void *job(void *arg) {
  struct kit_job *j = arg;

  if (j->reads) {
    j->end = kit_read(j->fd, UINT64_MAX);
    return NULL;
  }
  j->err = kit_write(j->fd, 0, j->len);
  if (j->err == 0 && j->shut && shutdown(j->fd, SHUT_WR) != 0) j->err = errno;
  return NULL;
}

static void start(struct kit_job *j) {
  if (pthread_create(&j->thread, NULL, job, j) != 0) abort();
}

void kit_job_write(struct kit_job *j, int fd, uint64_t len, bool shut) {
  *j = (struct kit_job){.fd = fd, .len = len, .shut = shut};
  start(j);
}

void kit_job_read(struct kit_job *j, int fd) {
  *j = (struct kit_job){.fd = fd, .reads = true};
  start(j);
}

void kit_job_join(struct kit_job *j) { pthread_join(j->thread, NULL); }

/* ---- another process ---- */

pid_t kit_peer(const char *home, const char *mode, int *control) {
  int sv[2];
  char byte;
  pid_t pid;

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) abort();
  pid = fork();
  if (pid == 0) {
    if (sv[1] == 3) fcntl(3, F_SETFD, 0);
    else dup2(sv[1], 3);
    execl("/proc/self/exe", "peer", "--peer", mode, home, world_bootstrap(kit_world), (char *)NULL);
    _exit(127);
  }
  close(sv[1]);
  CU_ASSERT_EQUAL_FATAL(world_read(sv[0], &byte, 1, KIT_WAIT_MS), 1); /* it says that it is published */
  if (control != NULL)
    *control = sv[0];
  else
    close(sv[0]);
  return pid;
}

void kit_kill(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

int kit_send_fd(int sock, int fd) {
  union control c;
  char byte = 'f';
  struct iovec iov = {&byte, 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof c.bytes};

  memset(&c, 0, sizeof c);
  c.align.cmsg_level = SOL_SOCKET;
  c.align.cmsg_type = SCM_RIGHTS;
  c.align.cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(&c.align), &fd, sizeof fd);
  return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int kit_recv_fd(int sock) {
  union control c;
  char byte;
  int fd = -1;
  struct iovec iov = {&byte, 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof c.bytes};
  struct cmsghdr *h;

  if (!world_poll(sock, POLLIN, KIT_WAIT_MS) || recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1) return -1;
  h = CMSG_FIRSTHDR(&m);
  if (h != NULL && h->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(h), sizeof fd);
  return fd;
}

int kit_count_fds(void) {
  int n = world_count_fds();

  for (int still = 0; still < 10; still++) {
    int now;

    poll(NULL, 0, 3);
    now = world_count_fds();
    if (now != n) still = 0;
    n = now;
  }
  return n;
}

int kit_main(int argc, char **argv, const char *suite, const struct check_test *tests, size_t n) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 2 && strcmp(argv[1], "--peer") == 0) return peer_main(argc - 2, argv + 2);
  if (argc > 1) { /* one test, by a part of its name */
    for (size_t i = 0; i < n; i++)
      if (strstr(tests[i].name, argv[1]) != NULL) return check_main(suite, &tests[i], 1);
    return 2;
  }
  return check_main(suite, tests, n);
}
