/*
 * home_file.c - reading and atomic writing of files in the home.
 *
 * A write goes to a temporary file beside its target (made 0600, so that it is
 * never open wider than it will be), is synced, takes its name in one step,
 * and the directory is synced. Whatever fails, the old file stays whole.
 */
#include "home.h"

#include "err.h"
#include "home_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMP_TRIES 8

/* ---- reading ---- */

ssize_t home_read_all(int fd, void *buf, size_t max) {
  size_t got = 0;

  while (got < max) {
    ssize_t n = read(fd, (char *)buf + got, max - got);

    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    got += (size_t)n;
  }
  return (ssize_t)got;
}

/* Whoever can write the file decides whom we trust: it must be ours (or root's), and nobody else's to write. */
static int check_file(int fd, const char *path, size_t max, size_t *size) {
  struct stat st;
  char owner[64];

  if (fstat(fd, &st) != 0) return err_set(CS_ERR_HOME, "cannot look at %s: %m", path);
  if (!S_ISREG(st.st_mode)) return err_set_errno(CS_ERR_HOME, EINVAL, "%s is not a file", path);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return err_set_errno(CS_ERR_HOME, EACCES, "%s belongs to %s, not to you", path, home_user_name(st.st_uid, owner));
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return err_set_errno(CS_ERR_HOME, EACCES, "%s can be written by others; run: chmod go-w %s", path, path);
  if ((uint64_t)st.st_size > max)
    return err_set_errno(CS_ERR_HOME, EFBIG, "%s is longer than %zu bytes", path, max);
  *size = (size_t)st.st_size;
  return 0;
}

int home_read(const char *home, const char *name, size_t max, char **out, size_t *len) {
  char path[HOME_PATH_MAX], *buf = NULL;
  int fd, err;
  ssize_t n;
  size_t size = 0;

  if (home_join(path, home, name) != 0) return -1;
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT) return -1;
  if (fd < 0) return err_set(CS_ERR_HOME, "cannot read %s: %m", path);
  if (check_file(fd, path, max, &size) != 0) goto fail;
  buf = malloc(size + 1);
  if (buf == NULL) {
    err_set(CS_ERR_MEMORY, "no memory to read %s", path);
    goto fail;
  }
  n = home_read_all(fd, buf, size);
  if (n < 0) {
    err_set(CS_ERR_HOME, "cannot read %s: %m", path);
    goto fail;
  }
  close(fd);
  buf[n] = '\0';
  *out = buf;
  *len = (size_t)n;
  return 0;
fail:
  err = errno;
  free(buf);
  close(fd);
  errno = err;
  return -1;
}

/* ---- writing ---- */

static void directory_of(char dir[HOME_PATH_MAX], const char *path) {
  const char *slash = strrchr(path, '/');
  size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);

  memcpy(dir, slash == NULL ? "." : path, n);
  dir[n] = '\0';
}

/* A fresh file beside path: its fd, its name in temp; -1 + errno. */
static int open_temp(char temp[HOME_PATH_MAX], const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  char dir[HOME_PATH_MAX], hex[17];
  uint8_t random[8];
  int fd = -1, n;

  directory_of(dir, path);
  for (int i = 0; i < TEMP_TRIES && fd < 0; i++) {
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    n = snprintf(temp, HOME_PATH_MAX, "%s/.%s.%s.tmp", dir, name, hex);
    if (n < 0 || n >= HOME_PATH_MAX) {
      errno = ENAMETOOLONG;
      return -1;
    }
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) return -1;
  }
  return fd;
}

/* Writes, sets the mode, syncs and closes. 0 or -1 + errno. */
static int fill(int fd, const void *data, size_t len, mode_t mode) {
  size_t done = 0;
  int err = 0;

  while (done < len && err == 0) {
    ssize_t n = write(fd, (const char *)data + done, len - done);

    if (n > 0)
      done += (size_t)n;
    else if (n == 0)
      err = ENOSPC;
    else if (errno != EINTR)
      err = errno;
  }
  if (err == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) err = errno;
  if (close(fd) != 0 && err == 0) err = errno;
  errno = err;
  return err != 0 ? -1 : 0;
}

/* Gives temp its name unless that is taken, in one step where the file system can. 0 or -1 + errno. */
static int name_new(const char *temp, const char *path) {
  if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (link(temp, path) != 0) return -1;
  unlink(temp);
  return 0;
}

int home_put(const char *path, const void *data, size_t len, mode_t mode, bool replace) {
  char temp[HOME_PATH_MAX], dir[HOME_PATH_MAX];
  int fd, err;

  if (sodium_init() < 0) return err_set_errno(CS_ERR_SYSTEM, ENOTSUP, "libsodium does not work here");
  fd = open_temp(temp, path);
  if (fd < 0) return err_set(CS_ERR_HOME, "cannot make a file beside %s: %m", path);
  if (fill(fd, data, len, mode) != 0) goto fail;
  if ((replace ? rename(temp, path) : name_new(temp, path)) != 0) goto fail;
  directory_of(dir, path);
  if (home_sync_dir(dir) == 0) return 0;
  return err_set(CS_ERR_HOME, "%s is written, but its directory cannot be synced: %m", path);
fail:
  err = errno;
  unlink(temp);
  errno = err;
  if (!replace && err == EEXIST) return err_set(CS_ERR_EXISTS, "%s is there already", path);
  return err_set(CS_ERR_HOME, "cannot write %s: %m", path);
}

int home_write(const char *home, const char *name, const void *data, size_t len, unsigned mode) {
  char path[HOME_PATH_MAX], real[PATH_MAX];
  struct stat st;

  if (home_join(path, home, name) != 0) return -1;
  if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode)) return home_put(path, data, len, (mode_t)mode, true);
  /* A link stays one: its target is replaced. */
  if (realpath(path, real) == NULL)
    return err_set(CS_ERR_HOME, "%s is a link that leads nowhere: %m; remove it", path);
  return home_put(real, data, len, (mode_t)mode, true);
}
