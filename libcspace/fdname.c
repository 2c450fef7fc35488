/*
 * fdname.c - names on sockets, and the user's key they are sealed under.
 * PROTOCOL.md 8.
 */
#include "fdname.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "home.h"

#define KEY_FILE "fd-key"
#define RUNTIME_DIRS_MAX 8

_Static_assert(FDNAME_MAX < sizeof((struct sockaddr_un *)0)->sun_path, "a name fits an address");

/* ---- the key ---- */

static int key_path(char path[HOME_PATH_MAX], const char *dir, const char *suffix) {
  int n = snprintf(path, HOME_PATH_MAX, "%s/" KEY_FILE "%s", dir, suffix);
  if (n > 0 && n < HOME_PATH_MAX)
    return 0;
  errno = ENAMETOOLONG;
  return -1;
}

/* 0, or -1 + errno: ENOENT none there, EACCES not ours alone, EBADMSG not a key. */
static int key_read(uint8_t key[FDNAME_KEY_LEN], const char *dir) {
  char path[HOME_PATH_MAX];
  uint8_t buf[FDNAME_KEY_LEN + 1];
  struct stat st;
  if (key_path(path, dir, ""))
    return -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return -1;
  int err = 0;
  if (fstat(fd, &st))
    err = errno;
  else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
    err = EACCES;
  else if (read(fd, buf, sizeof buf) != FDNAME_KEY_LEN)
    err = EBADMSG;
  close(fd);
  if (!err)
    memcpy(key, buf, FDNAME_KEY_LEN);
  sodium_memzero(buf, sizeof buf);
  errno = err;
  return err ? -1 : 0;
}

/* Makes the file in one step, by a link: whoever comes second reads the first one's key. 0 or -1 + errno. */
static int key_make(const char *dir) {
  char path[HOME_PATH_MAX], temp[HOME_PATH_MAX];
  uint8_t key[FDNAME_KEY_LEN];
  if (key_path(path, dir, "") || key_path(temp, dir, ".XXXXXX"))
    return -1;
  int fd = mkostemp(temp, O_CLOEXEC); /* 0600 */
  if (fd < 0)
    return -1;
  randombytes_buf(key, sizeof key);
  ssize_t n = write(fd, key, sizeof key);
  sodium_memzero(key, sizeof key);
  int err = n == (ssize_t)sizeof key ? 0 : n < 0 ? errno : ENOSPC;
  if (!err && link(temp, path) && errno != EEXIST)
    err = errno;
  close(fd);
  unlink(temp);
  errno = err;
  return err ? -1 : 0;
}

int fdname_key(uint8_t key[FDNAME_KEY_LEN]) {
  char dir[HOME_PATH_MAX];
  if (identity_init())
    return err_set(CS_ERR_SYSTEM, "libsodium does not work here: %m");
  if (home_runtime_dir(dir, 0, true))
    return -1;
  if (!key_read(key, dir))
    return 0;
  if (errno == ENOENT && !key_make(dir) && !key_read(key, dir))
    return 0;
  return err_set_errno(CS_ERR_HOME, errno,
                       errno == EACCES ? "%s/" KEY_FILE " is not a file of yours alone; remove it"
                       : errno == EBADMSG ? "%s/" KEY_FILE " is damaged; remove it"
                                          : "cannot make %s/" KEY_FILE ": %m", dir);
}

/* ---- names ---- */

static int bind_name(int fd, const struct fdname_text *name) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  memcpy(un.sun_path + 1, name->bytes, name->len);
  return bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name->len));
}

int fdname_bind(int ours, int app, const struct fdname *names) {
  struct fdname_text our_name, app_name;
  uint8_t nonce[FDNAME_NONCE_LEN];
  randombytes_buf(nonce, sizeof nonce);
  fdname_seal(&our_name, &app_name, names, nonce);
  return bind_name(ours, &our_name) || bind_name(app, &app_name) ? -1 : 0;
}

/* 0, or -1 when it is not an abstract name that may be ours. */
static int text_of(struct fdname_text *name, const struct sockaddr_un *un, socklen_t len) {
  size_t start = offsetof(struct sockaddr_un, sun_path) + 1;
  if (un->sun_family != AF_UNIX || len <= start || len - start > FDNAME_MAX || un->sun_path[0])
    return -1;
  name->len = len - start;
  memcpy(name->bytes, un->sun_path + 1, name->len);
  return 0;
}

/* 0 or -1 + errno: the caller's errno for no fd, ENOTSOCK for no such socket. */
static int names_of(int app, struct fdname_text *ours, struct fdname_text *own) {
  struct sockaddr_un peer_un = {0}, own_un = {0};
  struct ucred cred;
  socklen_t peer_len = sizeof peer_un, own_len = sizeof own_un, cred_len = sizeof cred;
  if (getsockname(app, (struct sockaddr *)&own_un, &own_len)) {
    errno = errno == EBADF ? EBADF : ENOTSOCK;
    return -1;
  }
  if (getpeername(app, (struct sockaddr *)&peer_un, &peer_len) || text_of(ours, &peer_un, peer_len) ||
      text_of(own, &own_un, own_len) || getsockopt(app, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len)) {
    errno = ENOTSOCK;
    return -1;
  }
  /* Names can be copied by other users of the machine; who made the pair cannot. */
  if (cred.uid != geteuid()) {
    errno = EBADMSG;
    return -1;
  }
  return 0;
}

int fdname_read(int app, struct cs_peer *peer) {
  struct fdname_text ours, own;
  uint8_t key[FDNAME_KEY_LEN];
  char dir[HOME_PATH_MAX];
  memset(peer, 0, sizeof *peer);
  if (names_of(app, &ours, &own))
    return err_set_errno(CS_ERR_NOT_CSPACE, errno,
                         errno == EBADMSG ? "descriptor %d was made by another user" :
                                            "descriptor %d is no connection of CSpace", app);
  int bad = -1;
  for (unsigned i = 0; bad && i < RUNTIME_DIRS_MAX && !home_runtime_dir(dir, i, false); i++)
    if (!key_read(key, dir))
      bad = fdname_unseal(peer, &ours, &own, key);
  sodium_memzero(key, sizeof key);
  if (!bad)
    return 0;
  return err_set_errno(CS_ERR_NOT_CSPACE, EBADMSG,
                       "the name of descriptor %d is not sealed under a key of this user", app);
}
