/*
 * cs-copy-store.c - temporary file, checks, rename. PROTOCOL.md 10.4.
 *
 * Every component is opened with O_NOFOLLOW relative to the one before, so no
 * symbolic link leads out of the receiving directory.
 */
#include "cs-copy-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sodium.h>

#define FREE_NAMES_MAX 10000
#define FLUSH_BYTES (8u << 20) /* start writing to disk so often, so that the fsync at the end is short */

static enum copy_status system_failed(const char *what, char *why) {
  int err = errno;

  snprintf(why, COPY_TEXT_MAX + 1, "%s: %s", what, strerror(err));
  return err == ENOSPC || err == EDQUOT || err == EFBIG ? COPY_NO_SPACE : COPY_FAILED;
}

static enum copy_status refuse(const char *problem, char *why) {
  snprintf(why, COPY_TEXT_MAX + 1, "%s is not taken here", problem);
  return COPY_REFUSED;
}

/* Opens directory `name` below `at`, made if missing. Closes `at`. fd or -1 + errno. */
static int step(int at, const char *name) {
  int fd, err;

  if (mkdirat(at, name, 0777) != 0 && errno != EEXIST)
    fd = -1;
  else
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  err = errno;
  close(at);
  errno = err;
  return fd;
}

/* Is target, whose components are acceptable, a directory of ours already? */
static bool target_is_dir(const struct copy_store *store, const char *target) {
  char path[COPY_PATH_MAX + 1];
  struct stat st;
  int at, next;
  char *name, *rest = path;

  if (copy_path(path, target, "", false) != NULL) return false; /* "" and "dir/" too: they need no answer */
  at = fcntl(store->dir, F_DUPFD_CLOEXEC, 3);
  while (at >= 0 && (name = strsep(&rest, "/")) != NULL && rest != NULL) {
    next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(at);
    at = next;
  }
  if (at < 0) return false;
  next = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW);
  close(at);
  return next == 0 && S_ISDIR(st.st_mode);
}

/* Opens the directory that path's last component goes to. */
static enum copy_status open_parent(struct copy_part *p, const struct copy_store *store, char *why) {
  char path[sizeof p->path], *rest = path, *name;

  snprintf(path, sizeof path, "%s", p->path);
  p->dir = fcntl(store->dir, F_DUPFD_CLOEXEC, 3);
  while (p->dir >= 0 && (name = strsep(&rest, "/")) != NULL) {
    if (rest == NULL) {
      snprintf(p->name, sizeof p->name, "%s", name);
      return COPY_OK;
    }
    p->dir = step(p->dir, name);
  }
  if (errno == ENOTDIR || errno == ELOOP) {
    snprintf(why, COPY_TEXT_MAX + 1, "%s: a directory of this path is none, or is a symbolic link", p->path);
    return COPY_REFUSED;
  }
  return system_failed(p->path, why);
}

static enum copy_status check_space(const struct copy_part *p, uint64_t size, char *why) {
  struct statvfs vfs;
  uint64_t room;

  if (fstatvfs(p->dir, &vfs) != 0) return system_failed(p->path, why);
  room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
  if (size <= room) return COPY_OK;
  snprintf(why, COPY_TEXT_MAX + 1, "%s: the file has %llu bytes, the receiver's disk has room for %llu", p->path,
           (unsigned long long)size, (unsigned long long)room);
  return COPY_NO_SPACE;
}

enum copy_status copy_part_open(struct copy_part *p, const struct copy_store *store, const struct copy_file *f,
                                char *why) {
  uint8_t random[COPY_PART_RANDOM];
  enum copy_status status;
  const char *problem;

  memset(p, 0, sizeof *p);
  p->dir = p->fd = -1;
  problem = copy_path(p->path, f->target, f->name, target_is_dir(store, f->target));
  if (problem != NULL) return refuse(problem, why);
  status = open_parent(p, store, why);
  if (status == COPY_OK) status = check_space(p, f->size, why);
  if (status == COPY_OK) {
    randombytes_buf(random, sizeof random);
    copy_part_name(p->part, p->name, random);
    p->fd = openat(p->dir, p->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    p->named = p->fd >= 0;
    if (p->fd < 0) status = system_failed(p->path, why);
  }
  if (status != COPY_OK) copy_part_drop(p);
  return status;
}

enum copy_status copy_part_write(struct copy_part *p, const uint8_t *data, size_t len, char *why) {
  while (len > 0) {
    ssize_t n = write(p->fd, data, len);

    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failed(p->path, why);
    data += n;
    len -= (size_t)n;
    p->written += (uint64_t)n;
  }
  if (p->written - p->flushed >= FLUSH_BYTES) {
    /* Advice alone: the fsync at the end is what counts, and reports what failed. */
    (void)sync_file_range(p->fd, (off_t)p->flushed, (off_t)(p->written - p->flushed), SYNC_FILE_RANGE_WRITE);
    p->flushed = p->written;
  }
  return COPY_OK;
}

/* Gives the temporary file the name `to`, which must be free. 0, or -1 + EEXIST ... */
static int name_if_free(struct copy_part *p, const char *to) {
  if (renameat2(p->dir, p->part, p->dir, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (linkat(p->dir, p->part, p->dir, to, 0) != 0) return -1; /* a file system without RENAME_NOREPLACE */
  return unlinkat(p->dir, p->part, 0);
}

static enum copy_status give_name(struct copy_part *p, bool overwrite, char *why) {
  char to[COPY_NAME_MAX + 1];
  size_t parent = strlen(p->path) - strlen(p->name);

  if (overwrite) {
    if (renameat(p->dir, p->part, p->dir, p->name) != 0) return system_failed(p->path, why);
    p->named = false;
    return COPY_OK;
  }
  for (unsigned i = 0; i < FREE_NAMES_MAX; i++) {
    copy_free_name(to, p->name, i);
    if (name_if_free(p, to) == 0) {
      p->named = false;
      snprintf(p->path + parent, sizeof p->path - parent, "%s", to);
      return COPY_OK;
    }
    if (errno != EEXIST) return system_failed(p->path, why);
  }
  snprintf(why, COPY_TEXT_MAX + 1, "%s: it is there already, and so are %u numbered ones", p->path,
           FREE_NAMES_MAX - 1);
  return COPY_REFUSED;
}

enum copy_status copy_part_finish(struct copy_part *p, const struct copy_store *store, const struct copy_file *f,
                                  char *why) {
  struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = (time_t)f->mtime, .tv_nsec = f->mtime_ns}};
  enum copy_status status;
  int fd = p->fd;

  /* The owner can always read what came; nobody else gets anything. */
  if (fchmod(fd, (f->mode & 0700) | 0400) != 0 || futimens(fd, times) != 0 || fsync(fd) != 0)
    return system_failed(p->path, why);
  p->fd = -1;
  if (close(fd) != 0) return system_failed(p->path, why);
  status = give_name(p, store->overwrite, why);
  if (status != COPY_OK) return status;
  if (fsync(p->dir) != 0) return system_failed(p->path, why);
  close(p->dir);
  p->dir = -1;
  return COPY_OK;
}

void copy_part_drop(struct copy_part *p) {
  if (p->fd >= 0) close(p->fd);
  if (p->named) unlinkat(p->dir, p->part, 0);
  if (p->dir >= 0) close(p->dir);
  p->dir = p->fd = -1;
  p->named = false;
}
