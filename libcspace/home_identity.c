/*
 * home_identity.c - the file `identity` in the home: who we are.
 *
 *   cspace identity 1
 *   id <56 letters>
 *   secret plain <64 hex digits: the Ed25519 seed>
 *
 * The id is public, and is read without the secret. With a passphrase, the
 * word after `secret` is `argon2id`, and home_seal.h says what follows. The
 * file is made once; only its seal is ever changed, with the same identity in
 * it. Its bytes are only ever held in guarded memory.
 */
#include "home.h"

#include "err.h"
#include "home_impl.h"
#include "home_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "identity"
#define FILE_MAX 4096
#define HEAD "cspace identity "
#define VERSION "1"
#define ID_WORD "id "
#define SECRET_WORD "secret "
#define PLAIN_WORD "plain "
#define HEX_LEN (2 * ID_SEED_LEN)

/* Guarded memory with room for the file. */
struct file {
  char text[FILE_MAX + 1];
};

static int damaged(const char *path, const char *what) {
  return err_set_errno(CS_ERR_IDENTITY, EBADMSG, "identity %s is damaged: %s; put back a copy of it", path, what);
}

static int sodium_ready(void) {
  if (identity_init() == 0) return 0;
  return err_set(CS_ERR_SYSTEM, "libsodium does not work here: %m");
}

static struct file *file_new(void) {
  struct file *f = sodium_malloc(sizeof *f);

  if (f == NULL) {
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the identity");
    return NULL;
  }
  sodium_memzero(f, sizeof *f);
  return f;
}

/* ---- making ---- */

/* The words after `secret `, with the newline. 0, or -1 with err_set. */
static int format_secret(char *out, size_t room, const struct identity *id, const uint8_t *seed,
                         const char *passphrase) {
  char sealed[SEAL_TEXT_MAX];
  struct seal s;

  if (passphrase == NULL) {
    snprintf(out, room, PLAIN_WORD);
    sodium_bin2hex(out + strlen(out), HEX_LEN + 1, seed, ID_SEED_LEN);
    strcat(out, "\n");
    return 0;
  }
  if (seal_close(&s, seed, identity_key(id), passphrase) != 0) return -1;
  seal_format(sealed, &s);
  snprintf(out, room, SEAL_WORD "%s\n", sealed);
  return 0;
}

static int store(const char *path, const struct identity *id, const char *passphrase, bool replace) {
  struct file *f = file_new();
  uint8_t *seed = sodium_malloc(ID_SEED_LEN);
  char text[ID_TEXT_LEN + 1];
  int r = -1, n;

  if (f == NULL || seed == NULL) {
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the identity");
    goto out;
  }
  id_format(text, identity_key(id));
  identity_seed(id, seed);
  n = snprintf(f->text, sizeof f->text, HEAD VERSION "\n" ID_WORD "%s\n" SECRET_WORD, text);
  if (format_secret(f->text + n, sizeof f->text - (size_t)n, id, seed, passphrase) == 0)
    r = home_put(path, f->text, strlen(f->text), 0600, replace);
out:
  sodium_free(seed);
  sodium_free(f);
  return r;
}

/* What home_passphrase_copy takes, without the copy. */
static int check_new(const char *passphrase) {
  char *copy;

  if (passphrase == NULL) return 0;
  copy = home_passphrase_copy(passphrase);
  if (copy == NULL) return -1;
  sodium_free(copy);
  return 0;
}

int home_identity_create(const char *home) { return home_identity_create_sealed(home, NULL); }

int home_identity_create_sealed(const char *home, const char *passphrase) {
  char path[HOME_PATH_MAX];
  struct identity *id;
  struct stat st;
  int r;

  if (sodium_ready() != 0 || check_new(passphrase) != 0) return -1;
  if (home_create(home) != 0 || home_join(path, home, FILE_NAME) != 0) return -1;
  if (lstat(path, &st) == 0) /* a link too; the write below looks again */
    return err_set(CS_ERR_EXISTS, "identity %s is there already and is never replaced; keep it, or move it away",
                   path);
  id = identity_generate();
  if (id == NULL) return err_set(CS_ERR_MEMORY, "no memory for the identity");
  r = store(path, id, passphrase, false);
  identity_free(id);
  return r;
}

/* ---- reading ---- */

static int check_modes(int fd, const char *path) {
  struct stat st;
  char owner[64];

  if (fstat(fd, &st) != 0) return err_set(CS_ERR_HOME, "cannot look at identity %s: %m", path);
  if (!S_ISREG(st.st_mode)) return err_set_errno(CS_ERR_IDENTITY, EBADMSG, "identity %s is not a file", path);
  if (st.st_uid != geteuid())
    return err_set_errno(CS_ERR_IDENTITY, EACCES, "identity %s belongs to %s; run as that user, or set CSPACE_HOME",
                         path, home_user_name(st.st_uid, owner));
  if (st.st_mode & (S_IRWXG | S_IRWXO))
    return err_set_errno(CS_ERR_IDENTITY, EACCES, "identity %s can be %s by others; run: chmod 600 %s", path,
                         st.st_mode & (S_IRGRP | S_IROTH) ? "read" : st.st_mode & (S_IWGRP | S_IWOTH) ? "written"
                                                                                                      : "run", path);
  if (st.st_size > FILE_MAX) return damaged(path, "it is too long");
  return 0;
}

static int open_file(const char *path, const char *home) {
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;

  if (fd < 0 && errno == ENOENT)
    return err_set(CS_ERR_NO_IDENTITY, "there is no identity in %s; make one with: cspace init", home);
  if (fd < 0 && errno == ELOOP)
    return err_set_errno(CS_ERR_IDENTITY, EACCES, "identity %s is a symbolic link; put the file itself there", path);
  if (fd < 0) return err_set(CS_ERR_HOME, "cannot read identity %s: %m", path);
  if (check_modes(fd, path) == 0) return fd;
  err = errno;
  close(fd);
  errno = err;
  return -1;
}

/* The whole file, NUL-terminated. NULL with err_set. */
static struct file *read_file(const char *path, const char *home) {
  struct file *f;
  int fd = open_file(path, home), err;
  ssize_t n;

  if (fd < 0) return NULL;
  f = file_new();
  if (f == NULL) goto fail;
  n = home_read_all(fd, f->text, FILE_MAX);
  if (n < 0) {
    err_set(CS_ERR_HOME, "cannot read identity %s: %m", path);
    goto fail;
  }
  if (strlen(f->text) != (size_t)n) {
    damaged(path, "it holds a NUL byte");
    goto fail;
  }
  close(fd);
  return f;
fail:
  err = errno;
  close(fd);
  sodium_free(f);
  errno = err;
  return NULL;
}

/* Cuts the next line off *at, which must end in a newline. NULL at the end, or without one. */
static char *next_line(char **at) {
  char *line = *at, *lf = strchr(line, '\n');

  if (lf == NULL) return NULL;
  *lf = '\0';
  *at = lf + 1;
  return line;
}

static const char *after_word(const char *line, const char *word) {
  size_t n = strlen(word);

  return line != NULL && strncmp(line, word, n) == 0 ? line + n : NULL;
}

/* The first two lines; *at moves past them. 0, or -1 with err_set. */
static int read_head(char **at, uint8_t key[ID_KEY_LEN], const char *path) {
  const char *version = after_word(next_line(at), HEAD), *id;
  enum id_problem p;
  char what[96];

  if (version == NULL) return damaged(path, "its first line is not `" HEAD VERSION "`");
  if (strcmp(version, VERSION) != 0)
    return err_set_errno(CS_ERR_IDENTITY, EBADMSG, "identity %s has version %.20s and this program knows " VERSION
                         "; use a newer cspace", path, version);
  id = after_word(next_line(at), ID_WORD);
  if (id == NULL) return damaged(path, "its second line is not `" ID_WORD "` and an id");
  p = id_parse(key, id);
  if (p == ID_OK) return 0;
  snprintf(what, sizeof what, "its id %s", id_problem_text(p));
  return damaged(path, what);
}

int home_identity_id(const char *home, char id[ID_TEXT_LEN + 1]) {
  char path[HOME_PATH_MAX], *at;
  uint8_t key[ID_KEY_LEN];
  struct file *f;
  int r;

  if (sodium_ready() != 0 || home_join(path, home, FILE_NAME) != 0) return -1;
  f = read_file(path, home);
  if (f == NULL) return -1;
  at = f->text;
  r = read_head(&at, key, path);
  sodium_free(f);
  if (r == 0) id_format(id, key);
  return r;
}

/* A passphrase given or in a file, tried on the seal. 0, or -1 with err_set. */
static int unseal(const struct seal *s, const uint8_t key[ID_KEY_LEN], uint8_t *seed, const char *passphrase,
                  const char *path) {
  const char *file = home_passphrase_file();
  char *read = NULL;
  int r, err;

  if (passphrase == NULL && file == NULL)
    return err_set_errno(CS_ERR_PASSPHRASE, EACCES, "identity %s is sealed with a passphrase; put that in a file of "
                         "mode 600 and name it in CSPACE_PASSPHRASE_FILE, or run a program that asks for it", path);
  if (passphrase == NULL) {
    passphrase = read = home_passphrase_read(file);
    if (read == NULL) return -1;
  }
  r = seal_open(seed, s, key, passphrase);
  if (r > 0)
    err_set_errno(CS_ERR_PASSPHRASE, EACCES, "the passphrase%s%s does not open identity %s; try another, or put back "
                  "a copy of the identity if it is damaged", read != NULL ? " in " : "", read != NULL ? file : "",
                  path);
  err = errno;
  sodium_free(read);
  errno = err;
  return r == 0 ? 0 : -1;
}

static int read_plain(const char *hex, uint8_t seed[ID_SEED_LEN], const char *path) {
  const char *end;
  size_t len;

  if (strlen(hex) == HEX_LEN && sodium_hex2bin(seed, ID_SEED_LEN, hex, HEX_LEN, NULL, &len, &end) == 0 &&
      len == ID_SEED_LEN)
    return 0;
  return damaged(path, "its secret is not 64 hex digits");
}

/* The third line, and nothing after it: 0 when it is plain and the seed is read, 1 when it is sealed, -1. */
static int read_secret(char *at, uint8_t seed[ID_SEED_LEN], struct seal *seal, const char *path) {
  const char *secret = after_word(next_line(&at), SECRET_WORD), *plain, *sealed, *problem;
  int shown;

  if (secret == NULL) return damaged(path, "its third line is not `" SECRET_WORD "`");
  plain = after_word(secret, PLAIN_WORD);
  sealed = after_word(secret, SEAL_WORD);
  shown = strcspn(secret, " ") < 20 ? (int)strcspn(secret, " ") : 20;
  if (plain == NULL && sealed == NULL)
    return err_set_errno(CS_ERR_IDENTITY, EBADMSG, "identity %s keeps its secret as \"%.*s\", which this program "
                         "does not know; use a newer cspace", path, shown, secret);
  if (plain != NULL && read_plain(plain, seed, path) != 0) return -1;
  problem = sealed != NULL ? seal_parse(seal, sealed) : NULL;
  if (problem != NULL) return damaged(path, problem);
  if (*at != '\0') return damaged(path, "something follows its third line");
  return sealed != NULL;
}

int home_identity_parse(char *text, uint8_t key[ID_KEY_LEN], uint8_t seed[ID_SEED_LEN], struct seal *seal,
                        const char *path) {
  return read_head(&text, key, path) != 0 ? -1 : read_secret(text, seed, seal, path);
}

static struct identity *identity_from(struct file *f, uint8_t *seed, const char *passphrase, const char *path) {
  uint8_t key[ID_KEY_LEN];
  struct identity *id;
  struct seal seal;
  int r;

  r = home_identity_parse(f->text, key, seed, &seal, path);
  if (r < 0 || (r == 1 && unseal(&seal, key, seed, passphrase, path) != 0)) return NULL;
  id = identity_new(seed);
  if (id == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for the identity");
    return NULL;
  }
  if (memcmp(identity_key(id), key, ID_KEY_LEN) == 0) return id;
  damaged(path, "its secret does not belong to its id");
  identity_free(id);
  return NULL;
}

struct identity *home_identity_load(const char *home) { return home_identity_load_with(home, NULL); }

struct identity *home_identity_load_with(const char *home, const char *passphrase) {
  char path[HOME_PATH_MAX];
  struct identity *id = NULL;
  uint8_t *seed;
  struct file *f;
  int err;

  if (sodium_ready() != 0 || home_join(path, home, FILE_NAME) != 0) return NULL;
  f = read_file(path, home);
  if (f == NULL) return NULL;
  seed = sodium_malloc(ID_SEED_LEN);
  if (seed == NULL)
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the identity");
  else
    id = identity_from(f, seed, passphrase, path);
  err = errno;
  sodium_free(seed);
  sodium_free(f);
  errno = err;
  return id;
}

int home_identity_sealed(const char *home) {
  char path[HOME_PATH_MAX];
  uint8_t key[ID_KEY_LEN], *seed;
  struct file *f;
  struct seal seal;
  int r = -1;

  if (sodium_ready() != 0 || home_join(path, home, FILE_NAME) != 0) return -1;
  f = read_file(path, home);
  if (f == NULL) return -1;
  seed = sodium_malloc(ID_SEED_LEN);
  if (seed == NULL)
    err_set_errno(CS_ERR_MEMORY, ENOMEM, "no guarded memory for the identity");
  else
    r = home_identity_parse(f->text, key, seed, &seal, path);
  sodium_free(seed);
  sodium_free(f);
  return r;
}

int home_identity_reseal(const char *home, const char *old, const char *now) {
  char path[HOME_PATH_MAX];
  struct identity *id;
  int lock, r = -1, err;

  if (sodium_ready() != 0 || check_new(now) != 0 || home_join(path, home, FILE_NAME) != 0) return -1;
  lock = home_lock(home); /* so that of two changes at once the second must know the first's passphrase */
  if (lock < 0) return -1;
  id = home_identity_load_with(home, old);
  if (id != NULL) r = store(path, id, now, true);
  err = errno;
  identity_free(id);
  close(lock);
  errno = err;
  return r;
}
