/*
 * test_fdname.c - names of fds: PROTOCOL.md 8 and its vectors, what is refused, and what other users of the machine see.
 */
#include "fdname.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "home.h"
#include "pair.h"

#define CHILDREN 8
#define NOBODY 65534

/* Of tests/vectors/fdname_vectors.py. */
static const char vector_ours[] =
    "6373312e404142434445464748494a4b4c4d4e4f534daa67db326409a3c6695541a102b0cf9746a3fef88a8f36ff0825bc4f"
    "102bd745e89de2553d00aff7830b0295ad179586e43cb2b5ecc0d5c8492159c02b11cbcb86d0dc8f44d7db78d74eed45431b"
    "27";
static const char vector_app[] =
    "6373312e404142434445464748494a4b4c4d4e4f03642e915b6e612aa94863c41ab60496a4ab95da9b05c94379e6b492949b"
    "228bfab12a75924a0606e768b06f2c30b34af84ec80d28ec99c8b2df04dfc624e9f5dfa8074fdec0013bea391e2e5bb3b037"
    "09";
static const char vector_clear[] = "cs1!4041424344454647.qcayfa4eqwdipcejrkfy.chat";
static const char vector_clear_app[] =
    "6373312e404142434445464748494a4b4c4d4e4f979147f0911e7182eafccddd5414ff20eb536b69d050f333e7089a5d8080"
    "e7c749d238cc88cf9994641141199841f18b57d38279ca071a6d2800c7b9d09c97199df4ff545abc11e07477cc958a171023"
    "ea";

static char runtime_dir[] = "/tmp/cspace-fdname-XXXXXX";
static uint8_t user_key[FDNAME_KEY_LEN];

static struct fdname sample(bool clear) {
  struct fdname n = {.user_key = user_key, .service = "chat", .petname = "alice", .clear = clear};
  for (int i = 0; i < ID_KEY_LEN; i++) {
    n.peer_key[i] = (uint8_t)(0x80 + i);
    n.own_key[i] = (uint8_t)(0xc0 + i);
  }
  return n;
}

static bool is_sample(const struct cs_peer *p) {
  char id[ID_TEXT_LEN + 1];
  struct fdname n = sample(false);
  id_format(id, n.peer_key);
  return !strcmp(p->id, id) && !strcmp(p->name, "alice") && !strcmp(p->service, "chat");
}

static bool is_zero(const struct cs_peer *p) {
  static const struct cs_peer zero;
  return !memcmp(p, &zero, sizeof zero);
}

static bool is_hex(const struct fdname_text *t, const char *hex) {
  char text[2 * FDNAME_MAX + 1];
  sodium_bin2hex(text, sizeof text, t->bytes, t->len);
  return !strcmp(text, hex);
}

/* ---- the names ---- */

static void test_vectors(void) {
  struct fdname_text ours, app;
  struct fdname n = sample(false);
  struct cs_peer peer;
  uint8_t key[FDNAME_KEY_LEN], nonce[FDNAME_NONCE_LEN];
  for (int i = 0; i < FDNAME_KEY_LEN; i++)
    key[i] = (uint8_t)i;
  for (int i = 0; i < FDNAME_NONCE_LEN; i++)
    nonce[i] = (uint8_t)(0x40 + i);
  n.user_key = key;
  fdname_seal(&ours, &app, &n, nonce);
  CU_ASSERT(is_hex(&ours, vector_ours));
  CU_ASSERT(is_hex(&app, vector_app));
  CU_ASSERT(fdname_unseal(&peer, &ours, &app, key) == 0 && is_sample(&peer));
  n.clear = true;
  fdname_seal(&ours, &app, &n, nonce);
  CU_ASSERT(ours.len == strlen(vector_clear) && !memcmp(ours.bytes, vector_clear, ours.len));
  CU_ASSERT(is_hex(&app, vector_clear_app));
  CU_ASSERT(fdname_unseal(&peer, &ours, &app, key) == 0 && is_sample(&peer));
}

static void test_longest_and_shortest(void) {
  struct fdname_text ours, app;
  struct cs_peer peer;
  uint8_t nonce[FDNAME_NONCE_LEN] = {1};
  for (int clear = 0; clear < 2; clear++) {
    struct fdname n = sample(clear);
    memset(n.service, 'S', CS_SERVICE_MAX);
    memset(n.petname, 'p', CS_NAME_MAX);
    fdname_seal(&ours, &app, &n, nonce);
    CU_ASSERT(ours.len <= FDNAME_MAX && app.len <= FDNAME_MAX);
    CU_ASSERT(fdname_unseal(&peer, &ours, &app, user_key) == 0);
    CU_ASSERT(!strcmp(peer.service, n.service) && strlen(peer.service) == CS_SERVICE_MAX);
    CU_ASSERT(!strcmp(peer.name, n.petname) && strlen(peer.name) == CS_NAME_MAX);
    n = sample(clear);
    n.petname[0] = '\0'; /* a stranger */
    fdname_seal(&ours, &app, &n, nonce);
    CU_ASSERT(fdname_unseal(&peer, &ours, &app, user_key) == 0);
    CU_ASSERT(!strcmp(peer.service, "chat") && peer.name[0] == '\0');
  }
}

/* Every bit and every length of both names counts. */
static void test_forged(void) {
  struct fdname_text ours, app, bad;
  struct cs_peer peer = {.id = "untouched"};
  uint8_t nonce[FDNAME_NONCE_LEN] = {2};
  int accepted = 0;
  for (int clear = 0; clear < 2; clear++) {
    struct fdname n = sample(clear);
    fdname_seal(&ours, &app, &n, nonce);
    for (size_t bit = 0; bit < ours.len * 8; bit++) {
      bad = ours;
      bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
      accepted += fdname_unseal(&peer, &bad, &app, user_key) == 0;
    }
    for (size_t bit = 0; bit < app.len * 8; bit++) {
      bad = app;
      bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
      accepted += fdname_unseal(&peer, &ours, &bad, user_key) == 0;
    }
    for (size_t len = 0; len <= FDNAME_MAX; len++) {
      bad = ours;
      bad.len = len;
      accepted += len != ours.len && fdname_unseal(&peer, &bad, &app, user_key) == 0;
      bad = app;
      bad.len = len;
      accepted += len != app.len && fdname_unseal(&peer, &ours, &bad, user_key) == 0;
    }
    CU_ASSERT(fdname_unseal(&peer, &app, &ours, user_key) == -1); /* the sides changed */
    CU_ASSERT(fdname_unseal(&peer, &ours, &ours, user_key) == -1);
    CU_ASSERT(fdname_unseal(&peer, &app, &app, user_key) == -1);
  }
  CU_ASSERT(accepted == 0);
  CU_ASSERT(!strcmp(peer.id, "untouched"));
}

static void test_not_of_one_pair(void) {
  struct fdname_text ours[3], app[3];
  struct cs_peer peer;
  uint8_t nonce[FDNAME_NONCE_LEN] = {3}, other_key[FDNAME_KEY_LEN] = {4};
  struct fdname n = sample(false);
  for (int i = 0; i < 3; i++) {
    nonce[1] = (uint8_t)(i == 1); /* 2 has the nonce of 0, and another service */
    if (i == 2)
      strcpy(n.service, "ssh");
    fdname_seal(&ours[i], &app[i], &n, nonce);
    CU_ASSERT(fdname_unseal(&peer, &ours[i], &app[i], user_key) == 0);
    CU_ASSERT(fdname_unseal(&peer, &ours[i], &app[i], other_key) == -1);
  }
  CU_ASSERT(fdname_unseal(&peer, &ours[0], &app[1], user_key) == -1);
  CU_ASSERT(fdname_unseal(&peer, &ours[1], &app[0], user_key) == -1);
  CU_ASSERT(fdname_unseal(&peer, &ours[2], &app[0], user_key) == -1);
}

/* ---- on real fds ---- */

static void make(int *ours, int *app, bool clear) {
  struct fdname n = sample(clear);
  *ours = *app = -1;
  CU_ASSERT_FATAL(pair_make(ours, app, &n) == 0);
}

static void test_fds(void) {
  struct cs_peer peer;
  int ours, app, second;
  for (int clear = 0; clear < 2; clear++) {
    make(&ours, &app, clear);
    CU_ASSERT(fdname_read(app, &peer) == 0 && is_sample(&peer));
    second = dup(app);
    close(app);
    CU_ASSERT(fdname_read(second, &peer) == 0 && is_sample(&peer));
    shutdown(second, SHUT_WR);
    pair_close_clean(ours);
    CU_ASSERT(fdname_read(second, &peer) == 0 && is_sample(&peer)); /* after the end, too */
    close(second);
    make(&ours, &app, clear);
    CU_ASSERT(fdname_read(ours, &peer) == -1 && errno == EBADMSG && is_zero(&peer)); /* the engine's end names us */
    pair_close_clean(ours);
    close(app);
  }
}

static bool refused(int fd, int err) {
  struct cs_peer peer = {.id = "x"};
  return fdname_read(fd, &peer) == -1 && errno == err && is_zero(&peer);
}

static int named(const char *name) {
  int fd[2];
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
  for (int i = 0; i < 2; i++) {
    int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "%s%d-%d", name, (int)getpid(), i);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    CU_ASSERT(bind(fd[i], (struct sockaddr *)&un, len) == 0);
  }
  close(fd[1]);
  return fd[0];
}

static void test_other_fds(void) {
  int file = open("/dev/null", O_RDWR | O_CLOEXEC), pipes[2], pair[2];
  int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ours, app;
  CU_ASSERT_FATAL(pipe2(pipes, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  CU_ASSERT(refused(-1, EBADF));
  CU_ASSERT(refused(file, ENOTSOCK));
  CU_ASSERT(refused(pipes[0], ENOTSOCK));
  CU_ASSERT(refused(tcp, ENOTSOCK));
  CU_ASSERT(refused(pair[0], ENOTSOCK));
  int other = named("other.");
  CU_ASSERT(refused(other, EBADMSG));
  close(other);
  other = named("cs1.");
  CU_ASSERT(refused(other, EBADMSG));
  close(other);
  make(&ours, &app, false);
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0again"};
  CU_ASSERT(bind(app, (struct sockaddr *)&un, sizeof un) == -1 && errno == EINVAL); /* a name is for life */
  pair_close_clean(ours);
  close(app);
  close(file);
  close(tcp);
  for (int i = 0; i < 2; i++) {
    close(pipes[i]);
    close(pair[i]);
  }
}

/* ---- passing fds ---- */

static void send_fd(int via, int fd) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec iov = {"f", 1};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  if (sendmsg(via, &msg, 0) != 1)
    _exit(99);
}

static int receive_fd(int via) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  char byte;
  int fd = -1;
  struct iovec iov = {&byte, 1};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(via, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
  return fd;
}

static int wait_child(pid_t pid) {
  int status = -1;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Another process of the user, that had nothing but the fd. */
static void test_other_process(void) {
  int ours, app, via[2];
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, via) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    struct cs_peer peer;
    int fd = receive_fd(via[1]);
    _exit(fd >= 0 && fdname_read(fd, &peer) == 0 && is_sample(&peer) ? 0 : 1);
  }
  make(&ours, &app, false);
  send_fd(via[0], app);
  CU_ASSERT(wait_child(pid) == 0);
  pair_close_clean(ours);
  close(app);
  close(via[0]);
  close(via[1]);
}

/* ---- the user's key ---- */

static void key_file(char path[HOME_PATH_MAX]) {
  snprintf(path, HOME_PATH_MAX, "%s/cspace/fd-key", runtime_dir);
}

static void test_key(void) {
  char path[HOME_PATH_MAX], target[HOME_PATH_MAX];
  uint8_t first[FDNAME_KEY_LEN], again[FDNAME_KEY_LEN];
  struct stat st;
  key_file(path);
  CU_ASSERT(fdname_key(first) == 0);
  CU_ASSERT(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600 && st.st_size == 32);
  CU_ASSERT(fdname_key(again) == 0 && !memcmp(first, again, sizeof first));
  CU_ASSERT(!memcmp(first, user_key, sizeof first));
  chmod(path, 0640);
  CU_ASSERT(fdname_key(again) == -1 && errno == EACCES);
  chmod(path, 0600);
  CU_ASSERT(truncate(path, 31) == 0);
  CU_ASSERT(fdname_key(again) == -1 && errno == EBADMSG);
  snprintf(target, sizeof target, "%s/target", runtime_dir);
  CU_ASSERT(rename(path, target) == 0 && symlink(target, path) == 0);
  CU_ASSERT(fdname_key(again) == -1 && errno == ELOOP);
  unlink(path);
  unlink(target);
  CU_ASSERT(fdname_key(again) == 0 && memcmp(first, again, sizeof first) != 0);
  memcpy(user_key, again, sizeof user_key);
}

/* Several at once: all have the one key. */
static void test_key_race(void) {
  char path[HOME_PATH_MAX];
  uint8_t keys[CHILDREN][FDNAME_KEY_LEN];
  int go[2], out[2];
  key_file(path);
  for (int round = 0; round < 10; round++) {
    CU_ASSERT_FATAL(pipe2(go, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    unlink(path);
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
      pids[i] = fork();
      if (pids[i] == 0) {
        uint8_t key[FDNAME_KEY_LEN];
        close(go[1]);
        ssize_t n = read(go[0], key, 1); /* until the parent closes its end: all start together */
        _exit(n == 0 && fdname_key(key) == 0 && write(out[1], key, sizeof key) == sizeof key ? 0 : 1);
      }
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < CHILDREN; i++)
      CU_ASSERT(wait_child(pids[i]) == 0);
    CU_ASSERT(read(out[0], keys, sizeof keys) == sizeof keys);
    CU_ASSERT(fdname_key(user_key) == 0);
    for (int i = 0; i < CHILDREN; i++)
      CU_ASSERT(!memcmp(keys[i], user_key, sizeof user_key));
    close(out[0]);
    close(out[1]);
  }
}

/* ---- other users of the machine ---- */

static char *read_proc_net_unix(size_t *len) {
  static char buf[1 << 20];
  int fd = open("/proc/net/unix", O_RDONLY | O_CLOEXEC);
  ssize_t n;
  *len = 0;
  while (fd >= 0 && *len < sizeof buf && (n = read(fd, buf + *len, sizeof buf - *len)) > 0)
    *len += (size_t)n;
  close(fd);
  return buf;
}

static bool shown(const void *what, size_t n) {
  size_t len;
  const char *text = read_proc_net_unix(&len);
  return memmem(text, len, what, n) != NULL;
}

static int name_of(int fd, struct sockaddr_un *un, socklen_t *len) {
  *len = sizeof *un;
  return getsockname(fd, (struct sockaddr *)un, len);
}

/* The abstract names are world-readable. In them, nothing is. */
static void test_proc(void) {
  struct fdname n = sample(false);
  char id[ID_TEXT_LEN + 1];
  int ours, app;
  id_format(id, n.peer_key);
  strcpy(n.service, "very-secret-service");
  strcpy(n.petname, "a_petname_nobody_has");
  CU_ASSERT_FATAL(pair_make(&ours, &app, &n) == 0);
  CU_ASSERT(shown("@cs1.", 5));
  CU_ASSERT(!shown(n.service, strlen(n.service)));
  CU_ASSERT(!shown(n.petname, strlen(n.petname)));
  CU_ASSERT(!shown(n.peer_key, 8) && !shown(n.own_key, 8) && !shown(id, 8));
  pair_close_clean(ours);
  close(app);
  n.clear = true;
  CU_ASSERT_FATAL(pair_make(&ours, &app, &n) == 0);
  CU_ASSERT(shown(n.service, strlen(n.service)) && shown(id, 20));
  CU_ASSERT(!shown(n.petname, strlen(n.petname)) && !shown(id, 21));
  pair_close_clean(ours);
  close(app);
}

/* The names of a pair. */
struct two {
  struct sockaddr_un un[2];
  socklen_t len[2];
};

static int cannot_connect(const struct two *t) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int i = 0; i < 2; i++) {
    for (int type = 0; type < 3; type++) {
      int fd = socket(AF_UNIX, types[type] | SOCK_CLOEXEC, 0);
      if (connect(fd, (const struct sockaddr *)&t->un[i], t->len[i]) == 0)
        return 1;
      if (sendto(fd, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&t->un[i], t->len[i]) >= 0)
        return 2;
      close(fd);
    }
  }
  return 0;
}

/* As another user: neither reach the names, nor sit on them after their pair is gone. */
static void as_another(const struct two *t, int via) {
  char byte;
  int fd[2], rc;
  if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
    _exit(10);
  if ((rc = cannot_connect(t)))
    _exit(rc);
  if (write(via, "t", 1) != 1 || read(via, &byte, 1) != 1) /* tried; the pair is gone now */
    _exit(11);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
    _exit(12);
  for (int i = 0; i < 2; i++)
    if (bind(fd[i], (const struct sockaddr *)&t->un[i], t->len[i]))
      _exit(13);
  send_fd(via, fd[1]);
  struct cs_peer peer;
  _exit(fdname_read(fd[1], &peer) == -1 && errno == EBADMSG ? 0 : 14); /* its own uid, but not the key */
}

static void test_other_user(void) {
  struct two t;
  int ours, app, via[2];
  char byte;
  make(&ours, &app, false);
  CU_ASSERT_FATAL(name_of(ours, &t.un[0], &t.len[0]) == 0 && name_of(app, &t.un[1], &t.len[1]) == 0);
  CU_ASSERT(cannot_connect(&t) == 0);
  if (geteuid() != 0) {
    printf("(not root: the part with a second user is left out) ");
    pair_close_clean(ours);
    close(app);
    return;
  }
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, via) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    close(ours);
    close(app);
    close(via[0]);
    as_another(&t, via[1]);
  }
  close(via[1]);
  CU_ASSERT(read(via[0], &byte, 1) == 1);
  pair_close_clean(ours);
  close(app);
  CU_ASSERT(write(via[0], "g", 1) == 1);
  int forged = receive_fd(via[0]);
  CU_ASSERT(forged >= 0);
  CU_ASSERT(refused(forged, EBADMSG)); /* right names, sealed under our key, but made by another user */
  CU_ASSERT(wait_child(pid) == 0);
  close(forged);
  close(via[0]);
}

int main(void) {
  static const struct check_test tests[] = {
      {"vectors of PROTOCOL.md 8", test_vectors},
      {"longest and shortest names", test_longest_and_shortest},
      {"flipped bits, wrong lengths, changed sides", test_forged},
      {"names of two pairs, another user's key", test_not_of_one_pair},
      {"cs_peer on fds", test_fds},
      {"fds that are not ours", test_other_fds},
      {"in another process", test_other_process},
      {"the user's key", test_key},
      {"the user's key, made by several at once", test_key_race},
      {"/proc/net/unix", test_proc},
      {"another user of the machine", test_other_user},
  };
  char path[HOME_PATH_MAX];
  if (!mkdtemp(runtime_dir) || setenv("XDG_RUNTIME_DIR", runtime_dir, 1) || fdname_key(user_key)) {
    perror(runtime_dir);
    return 1;
  }
  int failed = check_main("fdname", tests, sizeof tests / sizeof tests[0]);
  key_file(path);
  unlink(path);
  snprintf(path, sizeof path, "%s/cspace", runtime_dir);
  rmdir(path);
  return rmdir(runtime_dir) || failed;
}
