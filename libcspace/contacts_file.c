/*
 * contacts_file.c - edits of the file `contacts`, and rereading it when it
 * changed. Every edit holds the home's lock, checks the whole file before and
 * after, and leaves all other lines as they are, byte for byte.
 */
#include "contacts.h"

#include "contacts_line.h"
#include "err.h"
#include "home.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "contacts"
/* A file changed this recently may change again without a trace in its stamp: times are as coarse as a clock tick. */
#define RACY_NS 50000000
#define NS_PER_S 1000000000

/* The file under edit. */
struct edit {
  const char *home;
  int lock;
  char path[HOME_PATH_MAX];
  char *text; /* "" for a file that is not there */
  size_t len;
  struct contacts *table;
};

static int file_path(char path[HOME_PATH_MAX], const char *home) {
  int n = snprintf(path, HOME_PATH_MAX, "%s/" FILE_NAME, home);

  if (n > 0 && n < HOME_PATH_MAX) return 0;
  return err_set_errno(CS_ERR_HOME, ENAMETOOLONG, "the path of the home is longer than %d bytes", HOME_PATH_MAX);
}

/* *text NULL for a file that is not there. 0, or -1 with err_set. */
static int file_read(const char *home, char **text, size_t *len) {
  *text = NULL;
  *len = 0;
  return home_read(home, FILE_NAME, CONTACTS_FILE_MAX, text, len) == 0 || errno == ENOENT ? 0 : -1;
}

static void edit_end(struct edit *e) {
  int err = errno;

  contacts_free(e->table);
  free(e->text);
  if (e->lock >= 0) close(e->lock);
  errno = err;
}

static int edit_begin(struct edit *e, const char *home) {
  *e = (struct edit){.home = home, .lock = -1};
  if (file_path(e->path, home) != 0) return -1;
  e->lock = home_lock(home);
  if (e->lock < 0) return -1;
  if (file_read(home, &e->text, &e->len) != 0) goto fail;
  e->table = contacts_new();
  if (e->table == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for the contacts of %s", e->path);
    goto fail;
  }
  if (contacts_parse(e->table, e->text != NULL ? e->text : "", e->len, e->path) == 0) return 0;
fail:
  edit_end(e);
  return -1;
}

/* Writes the file with the bytes from..to replaced by `with`. */
static int edit_write(struct edit *e, size_t from, size_t to, const char *with) {
  size_t with_len = strlen(with), len = e->len - (to - from) + with_len;
  char *text;
  int r;

  if (len > CONTACTS_FILE_MAX)
    return err_set_errno(CS_ERR_LIMIT, ENOBUFS, "%s would be longer than %u bytes", e->path, CONTACTS_FILE_MAX);
  text = malloc(len + 1);
  if (text == NULL) return err_set(CS_ERR_MEMORY, "no memory for the contacts of %s", e->path);
  if (from > 0) memcpy(text, e->text, from);
  memcpy(text + from, with, with_len);
  if (e->len > to) memcpy(text + from + with_len, e->text + to, e->len - to);
  r = contacts_parse(e->table, text, len, e->path);
  if (r == 0) r = home_write(e->home, FILE_NAME, text, len, 0600);
  free(text);
  return r;
}

static bool find_line(const struct edit *e, const char *name, struct contacts_line *line) {
  *line = (struct contacts_line){0};
  while (e->text != NULL && contacts_next_line(e->text, e->len, line))
    if (line->kind == CONTACTS_LINE_CONTACT && line->name_len == strlen(name) &&
        memcmp(line->name, name, line->name_len) == 0)
      return true;
  return false;
}

static int bad_name(const char *name) {
  return err_set(CS_ERR_NAME, "\"%.80s\" cannot be a petname: 1 to %d of a-z 0-9 _ . - and neither . nor - first; "
                 "contacts and anyone are taken", name, CS_NAME_MAX);
}

static int unknown(const char *name) {
  return err_set(CS_ERR_USER_UNKNOWN, "there is no contact \"%.80s\"; `cspace contact list` shows all", name);
}

static int add(struct edit *e, const char *name, const char *id, const uint8_t *key) {
  char line[CS_NAME_MAX + ID_TEXT_LEN + 8], lower[ID_TEXT_LEN + 1];
  const struct contact *same = contacts_by_key(e->table, key);

  if (contacts_by_name(e->table, name) != NULL)
    return err_set(CS_ERR_EXISTS, "there is a contact %s already; remove or rename it first", name);
  if (same != NULL) return err_set(CS_ERR_EXISTS, "the id %.56s is your contact %s already", id, same->name);
  if (contacts_count(e->table) >= CONTACTS_MAX)
    return err_set_errno(CS_ERR_LIMIT, ENOBUFS, "%s holds %d contacts, the most there can be", e->path, CONTACTS_MAX);
  id_format(lower, key);
  snprintf(line, sizeof line, "%s%s %s\n", e->len > 0 && e->text[e->len - 1] != '\n' ? "\n" : "", name, lower);
  return edit_write(e, e->len, e->len, line);
}

int contacts_file_add(const char *home, const char *name, const char *id) {
  uint8_t key[ID_KEY_LEN];
  enum id_problem p = id_parse(key, id);
  struct edit e;
  int r;

  if (!contact_name_valid(name)) return bad_name(name);
  if (p != ID_OK) return err_set(CS_ERR_ID, "the id \"%.80s\" for %s %s", id, name, id_problem_text(p));
  if (edit_begin(&e, home) != 0) return -1;
  r = add(&e, name, id, key);
  edit_end(&e);
  return r;
}

int contacts_file_remove(const char *home, const char *name) {
  struct contacts_line line;
  struct edit e;
  int r;

  if (!contact_name_valid(name)) return bad_name(name);
  if (edit_begin(&e, home) != 0) return -1;
  r = find_line(&e, name, &line) ? edit_write(&e, line.start, line.end, "") : unknown(name);
  edit_end(&e);
  return r;
}

static int rename_line(struct edit *e, const char *name, const char *new_name) {
  struct contacts_line line;
  size_t at;

  if (!find_line(e, name, &line)) return unknown(name);
  if (contacts_by_name(e->table, new_name) != NULL)
    return err_set(CS_ERR_EXISTS, "there is a contact %s already", new_name);
  at = (size_t)(line.name - e->text);
  return edit_write(e, at, at + line.name_len, new_name);
}

int contacts_file_rename(const char *home, const char *name, const char *new_name) {
  struct edit e;
  int r;

  if (!contact_name_valid(name)) return bad_name(name);
  if (!contact_name_valid(new_name)) return bad_name(new_name);
  if (edit_begin(&e, home) != 0) return -1;
  r = rename_line(&e, name, new_name);
  edit_end(&e);
  return r;
}

/* ---- rereading ---- */

/* The stamp of the file as it is; of one that is not there all zero. mtime_ns 0 matches no file: read again. */
static int take_stamp(struct contacts_stamp *stamp, const char *path) {
  struct timespec now;
  struct stat st;
  int64_t age;

  *stamp = (struct contacts_stamp){.set = true};
  if (stat(path, &st) != 0)
    return errno == ENOENT ? 0 : err_set(CS_ERR_HOME, "cannot look at %s: %m", path);
  stamp->dev = st.st_dev;
  stamp->ino = st.st_ino;
  stamp->size = (uint64_t)st.st_size;
  stamp->mtime_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
  clock_gettime(CLOCK_REALTIME, &now);
  age = (now.tv_sec - st.st_mtim.tv_sec) * NS_PER_S + now.tv_nsec - st.st_mtim.tv_nsec;
  if (age > -RACY_NS && age < RACY_NS) stamp->mtime_ns = 0;
  return 0;
}

static bool unchanged(const struct contacts_stamp *old, const struct contacts_stamp *now) {
  if (!old->set || old->dev != now->dev || old->ino != now->ino || old->size != now->size) return false;
  return old->mtime_ns == now->mtime_ns && (now->mtime_ns != 0 || now->ino == 0);
}

int contacts_reload(struct contacts *c, const char *home, struct contacts_stamp *stamp) {
  struct contacts_stamp now; /* taken before the read: a change meanwhile is seen next time */
  struct contacts *fresh = NULL;
  char path[HOME_PATH_MAX], *text = NULL;
  size_t len;
  int r = -1;

  if (file_path(path, home) != 0 || take_stamp(&now, path) != 0) return -1;
  if (unchanged(stamp, &now)) return 0;
  if (file_read(home, &text, &len) != 0) return -1;
  fresh = contacts_new();
  if (fresh == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for the contacts of %s", path);
    goto out;
  }
  if (contacts_parse(fresh, text != NULL ? text : "", len, path) != 0) goto out;
  r = !stamp->set || !contacts_same(c, fresh);
  *stamp = now;
  if (r) contacts_swap(c, fresh);
out:
  contacts_free(fresh);
  free(text);
  return r;
}
