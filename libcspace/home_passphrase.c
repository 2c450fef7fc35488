/*
 * home_passphrase.c - passphrases: copies in guarded memory, and the file
 * that CSPACE_PASSPHRASE_FILE names. Nothing here asks at a terminal.
 */
#include "home.h"

#include "err.h"
#include "home_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *home_passphrase_copy(const char *passphrase) {
  size_t n = strnlen(passphrase, HOME_PASSPHRASE_MAX + 1);
  char *copy;

  if (n == 0 || n > HOME_PASSPHRASE_MAX) {
    err_set_errno(CS_ERR_ARGUMENT, EINVAL, "a passphrase has 1 to %d bytes", HOME_PASSPHRASE_MAX);
    return NULL;
  }
  copy = identity_init() == 0 ? sodium_malloc(n + 1) : NULL;
  if (copy == NULL)
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the passphrase");
  else
    memcpy(copy, passphrase, n + 1);
  return copy;
}

static int refuse(int err, const char *path, const char *what) {
  return err_set_errno(CS_ERR_PASSPHRASE, err, "passphrase file %s %s", path, what);
}

static int check(int fd, const char *path) {
  struct stat st;
  char owner[64];

  if (fstat(fd, &st) != 0) return err_set(CS_ERR_PASSPHRASE, "cannot look at passphrase file %s: %m", path);
  if (!S_ISREG(st.st_mode)) return refuse(EACCES, path, "is not a file");
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return err_set_errno(CS_ERR_PASSPHRASE, EACCES, "passphrase file %s belongs to %s, not to you", path,
                         home_user_name(st.st_uid, owner));
  if (st.st_mode & (S_IRWXG | S_IRWXO))
    return err_set_errno(CS_ERR_PASSPHRASE, EACCES, "passphrase file %s can be %s by others; run: chmod 600 %s", path,
                         st.st_mode & (S_IRGRP | S_IROTH) ? "read" : st.st_mode & (S_IWGRP | S_IWOTH) ? "written"
                                                                                                      : "run", path);
  return 0;
}

/* The first line into text, which has room for one byte more than a passphrase. 0, or -1 with err_set. */
static int first_line(int fd, const char *path, char *text) {
  ssize_t n = home_read_all(fd, text, HOME_PASSPHRASE_MAX + 2);
  size_t len;

  if (n < 0) return err_set_errno(CS_ERR_PASSPHRASE, EACCES, "cannot read passphrase file %s: %m", path);
  len = strcspn(text, "\r\n");
  if (len < (size_t)n && text[len] == '\0') return refuse(EACCES, path, "holds a NUL byte");
  if (len == 0) return refuse(EACCES, path, "has no passphrase in its first line");
  if (len > HOME_PASSPHRASE_MAX) return refuse(EACCES, path, "has a first line of more than 1024 bytes");
  sodium_memzero(text + len, (size_t)n - len);
  return 0;
}

char *home_passphrase_read(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
  char *text = NULL;

  if (fd < 0) {
    err_set_errno(CS_ERR_PASSPHRASE, EACCES, "cannot read passphrase file %s: %m", path);
    return NULL;
  }
  if (check(fd, path) != 0) goto fail;
  if (identity_init() == 0) text = sodium_malloc(HOME_PASSPHRASE_MAX + 3);
  if (text == NULL) {
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the passphrase");
    goto fail;
  }
  sodium_memzero(text, HOME_PASSPHRASE_MAX + 3);
  if (first_line(fd, path, text) != 0) goto fail;
  close(fd);
  return text;
fail:
  err = errno;
  close(fd);
  sodium_free(text);
  errno = err;
  return NULL;
}

const char *home_passphrase_file(void) {
  const char *path = getenv("CSPACE_PASSPHRASE_FILE");

  return path != NULL && *path != '\0' ? path : NULL;
}
