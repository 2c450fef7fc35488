/*
 * home.c - where the home and the runtime directory are, who owns them, and
 * the home's lock. Files in the home: home_file.c, home_identity.c.
 */
#include "home.h"

#include "err.h"
#include "home_impl.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE ".lock"
#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 10
#define PASSWD_ROOM 4096

_Static_assert(HOME_PATH_MAX >= PATH_MAX, "a path of the system fits");

static int too_long(const char *dir) {
  return err_set_errno(CS_ERR_HOME, ENAMETOOLONG, "the path %.200s... is longer than %d bytes", dir,
                       HOME_PATH_MAX - 1);
}

int home_join(char out[HOME_PATH_MAX], const char *dir, const char *name) {
  int n = snprintf(out, HOME_PATH_MAX, "%s/%s", dir, name);

  return n < 0 || n >= HOME_PATH_MAX ? too_long(dir) : 0;
}

const char *home_user_name(uid_t uid, char buf[64]) {
  char room[PASSWD_ROOM];
  struct passwd pw, *found = NULL;

  if (getpwuid_r(uid, &pw, room, sizeof room, &found) == 0 && found != NULL)
    snprintf(buf, 64, "%.32s (uid %u)", found->pw_name, (unsigned)uid);
  else
    snprintf(buf, 64, "uid %u", (unsigned)uid);
  return buf;
}

/* ---- where ---- */

static const char *variable(const char *name) {
  const char *v = getenv(name);

  return v != NULL && *v != '\0' ? v : NULL;
}

/* A relative path is made absolute: a node outlives a chdir(2). Slashes at the end go. */
static int absolute(char out[HOME_PATH_MAX], const char *path) {
  char here[HOME_PATH_MAX];
  size_t len;

  if (path[0] != '/') {
    if (getcwd(here, sizeof here) == NULL) return err_set(CS_ERR_HOME, "cannot tell the current directory: %m");
    if (home_join(out, strcmp(here, "/") == 0 ? "" : here, path) != 0) return -1;
  } else if (strlen(path) >= HOME_PATH_MAX) {
    return too_long(path);
  } else {
    strcpy(out, path);
  }
  for (len = strlen(out); len > 1 && out[len - 1] == '/';) out[--len] = '\0';
  return 0;
}

static int below_user(char out[HOME_PATH_MAX]) {
  const char *home = variable("HOME");
  char room[PASSWD_ROOM];
  struct passwd pw, *found = NULL;

  if (home == NULL && getpwuid_r(geteuid(), &pw, room, sizeof room, &found) == 0 && found != NULL)
    home = found->pw_dir;
  if (home == NULL || home[0] != '/')
    return err_set_errno(CS_ERR_HOME, ENOENT, "no home directory is known; set CSPACE_HOME");
  return home_join(out, home, ".config/cspace");
}

int home_path(char out[HOME_PATH_MAX], const char *set) {
  const char *xdg = variable("XDG_CONFIG_HOME");

  if (set == NULL || *set == '\0') set = variable("CSPACE_HOME");
  if (set != NULL) return absolute(out, set);
  if (xdg != NULL && xdg[0] == '/') return home_join(out, xdg, "cspace"); /* a relative one is to be ignored */
  return below_user(out);
}

/* ---- making ---- */

int home_sync_dir(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r, err;

  if (fd < 0) return -1;
  r = fsync(fd);
  err = errno;
  close(fd);
  errno = err;
  return r != 0 && err != EINVAL ? -1 : 0; /* EINVAL: a file system that cannot */
}

/* Makes dir, whose parent is there. One that is there already is fine. 0 or -1 + errno. */
static int make_dir(const char *dir, const char *parent) {
  if (mkdir(dir, 0700) == 0) return home_sync_dir(parent);
  return errno == EEXIST ? 0 : -1;
}

static int make_all(const char *home) {
  char path[HOME_PATH_MAX], parent[HOME_PATH_MAX] = "/";

  strcpy(path, home);
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (make_dir(path, parent) != 0) return err_set(CS_ERR_HOME, "cannot make the directory %s: %m", path);
    strcpy(parent, path);
    *slash = '/';
  }
  if (make_dir(path, parent) == 0) return 0;
  return err_set(CS_ERR_HOME, "cannot make the directory %s: %m", path);
}

int home_create(const char *home) {
  char owner[64];
  struct stat st;

  if (home[0] != '/' || strlen(home) >= HOME_PATH_MAX)
    return err_set_errno(CS_ERR_HOME, EINVAL, "%.200s is not an absolute path", home);
  if (stat(home, &st) != 0) {
    if (errno != ENOENT) return err_set(CS_ERR_HOME, "cannot use the home %s: %m", home);
    if (make_all(home) != 0) return -1;
    if (stat(home, &st) != 0) return err_set(CS_ERR_HOME, "cannot use the home %s: %m", home);
  }
  if (!S_ISDIR(st.st_mode)) return err_set_errno(CS_ERR_HOME, ENOTDIR, "the home %s is not a directory", home);
  if (st.st_uid != geteuid())
    return err_set_errno(CS_ERR_HOME, EACCES, "the home %s belongs to %s; run as that user, or set CSPACE_HOME to a "
                         "directory of your own", home, home_user_name(st.st_uid, owner));
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return err_set_errno(CS_ERR_HOME, EACCES, "the home %s can be written by others; run: chmod 700 %s", home, home);
  return 0;
}

/* ---- the lock ---- */

static long now_ms(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The holder writes its process id into the file, for whoever waits in vain. It is no part of the lock, which holds
 * on a full disk too: then the file is empty, and lock_held says how to find the holder. */
static void sign_lock(int fd) {
  char pid[16];
  int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

  if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
    log_debug("cannot sign the lock: %s", strerror(errno));
}

static int lock_held(int fd, const char *path) {
  char pid[16] = "";
  ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

  pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
  if (pid[0] != '\0')
    return err_set_errno(CS_ERR_HOME, EBUSY, "%s has been locked for %d s by process %s; look at it: ps -fp %s", path,
                         LOCK_WAIT_MS / 1000, pid, pid);
  return err_set_errno(CS_ERR_HOME, EBUSY, "%s has been locked for %d s by another process; find it: fuser -v %s",
                       path, LOCK_WAIT_MS / 1000, path);
}

int home_lock(const char *home) {
  const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
  char path[HOME_PATH_MAX];
  long end = now_ms() + LOCK_WAIT_MS;
  int fd, err;

  if (home_join(path, home, LOCK_FILE) != 0) return -1;
  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (fd < 0)
    return err_set(CS_ERR_HOME, errno == ENOENT ? "there is no home %s; make it with: cspace init"
                                                : "cannot lock the home %s: %m", home);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      err_set(CS_ERR_HOME, "cannot lock %s: %m", path);
      goto fail;
    }
    if (now_ms() >= end) {
      lock_held(fd, path);
      goto fail;
    }
    nanosleep(&step, NULL);
  }
  sign_lock(fd);
  return fd;
fail:
  err = errno;
  close(fd);
  errno = err;
  return -1;
}

/* ---- the runtime directory ---- */

static bool ours(const char *dir, bool alone) {
  struct stat st;

  if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) return false;
  return (st.st_mode & (alone ? 077 : S_IWGRP | S_IWOTH)) == 0;
}

/* Candidate i of three; its base must be there and ours. 0, or -1: not usable. */
static int runtime_candidate(char out[HOME_PATH_MAX], unsigned i) {
  const char *xdg = variable("XDG_RUNTIME_DIR");
  char run[64];

  snprintf(run, sizeof run, "/run/user/%u", (unsigned)geteuid());
  if (i == 0) {
    if (xdg == NULL || xdg[0] != '/' || strlen(xdg) > HOME_PATH_MAX - sizeof "/cspace" || !ours(xdg, false))
      return -1;
    return home_join(out, xdg, "cspace");
  }
  if (i == 1) {
    if ((xdg != NULL && strcmp(xdg, run) == 0) || !ours(run, false)) return -1;
    return home_join(out, run, "cspace");
  }
  snprintf(out, HOME_PATH_MAX, "/tmp/cspace-%u", (unsigned)geteuid());
  return 0;
}

static int runtime_make(const char *dir) {
  if (mkdir(dir, 0700) != 0 && errno != EEXIST) return err_set(CS_ERR_HOME, "cannot make the directory %s: %m", dir);
  if (ours(dir, true)) return 0;
  return err_set_errno(CS_ERR_HOME, EACCES, "%s is not a directory of yours alone; remove it, or set XDG_RUNTIME_DIR "
                       "to a directory that is", dir);
}

int home_runtime_dir(char out[HOME_PATH_MAX], unsigned index, bool create) {
  unsigned seen = 0;

  for (unsigned i = 0; i < 3; i++) {
    if (runtime_candidate(out, i) != 0) continue;
    if (create) {
      if (seen++ == index) return runtime_make(out);
    } else if (ours(out, true) && seen++ == index) {
      return 0;
    }
  }
  errno = ENOENT;
  return -1;
}
