/*
 * contacts.c - the table of petnames and its file. cspace-contacts(5) is the
 * manual of the file; edits of it are in contacts_file.c.
 */
#include "contacts.h"

#include "contacts_line.h"
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct contacts {
  struct contact *list;            /* sorted by name */
  const struct contact **by_key;   /* into list, sorted by key */
  size_t n;
};

/* A contact while the file is read: its line is for errors. */
struct row {
  struct contact contact;
  size_t line;
};

bool contact_name_valid(const char *name) {
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-");

  if (n == 0 || n > CS_NAME_MAX || name[n] != '\0' || name[0] == '-' || name[0] == '.') return false;
  return strcmp(name, "contacts") != 0 && strcmp(name, "anyone") != 0; /* words of access rules */
}

struct contacts *contacts_new(void) { return calloc(1, sizeof(struct contacts)); }

void contacts_free(struct contacts *c) {
  if (c == NULL) return;
  free(c->list);
  free(c->by_key);
  free(c);
}

/* ---- looking up ---- */

size_t contacts_count(const struct contacts *c) { return c->n; }

/* The first place in list whose name is not before `name`. */
static size_t lower_bound(const struct contacts *c, const char *name) {
  size_t lo = 0, hi = c->n;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;

    if (strcmp(c->list[mid].name, name) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

const struct contact *contacts_by_name(const struct contacts *c, const char *name) {
  size_t i = lower_bound(c, name);

  return i < c->n && strcmp(c->list[i].name, name) == 0 ? &c->list[i] : NULL;
}

const struct contact *contacts_after(const struct contacts *c, const char *after) {
  size_t i = lower_bound(c, after);

  if (i < c->n && strcmp(c->list[i].name, after) == 0) i++;
  return i < c->n ? &c->list[i] : NULL;
}

const struct contact *contacts_by_key(const struct contacts *c, const uint8_t key[ID_KEY_LEN]) {
  size_t lo = 0, hi = c->n;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int order = memcmp(c->by_key[mid]->key, key, ID_KEY_LEN);

    if (order == 0) return c->by_key[mid];
    if (order < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return NULL;
}

/* ---- reading the file ---- */

static int bad_file(const char *file, size_t line, const char *what) {
  return err_set_errno(CS_ERR_HOME, EBADMSG, "%s line %zu: %s", file, line, what);
}

static bool blank(char c) { return c == ' ' || c == '\t'; }

static const char *word_end(const char *p, const char *end) {
  while (p < end && !blank(*p)) p++;
  return p;
}

static const char *blanks_end(const char *p, const char *end) {
  while (p < end && blank(*p)) p++;
  return p;
}

bool contacts_next_line(const char *text, size_t len, struct contacts_line *line) {
  size_t start = line->end, number = line->number + 1;
  const char *p = text + start, *lf, *end;

  if (start >= len) return false;
  lf = memchr(p, '\n', len - start);
  end = lf != NULL ? lf : text + len;
  *line = (struct contacts_line){.number = number, .start = start};
  line->end = (size_t)(end - text) + (lf != NULL);
  if (end > p && end[-1] == '\r') end--;
  p = blanks_end(p, end);
  if (p == end || *p == '#') return true; /* BLANK */
  line->name = p;
  p = word_end(p, end);
  line->name_len = (size_t)(p - line->name);
  line->id = blanks_end(p, end);
  p = word_end(line->id, end);
  line->id_len = (size_t)(p - line->id);
  line->kind = line->id_len > 0 && blanks_end(p, end) == end ? CONTACTS_LINE_CONTACT : CONTACTS_LINE_BAD;
  return true;
}

static int parse_row(struct row *row, const struct contacts_line *l, const char *file) {
  char what[256], id[ID_TEXT_LEN + 1];
  enum id_problem p = ID_BAD_LENGTH;

  row->line = l->number;
  if (l->kind == CONTACTS_LINE_BAD)
    return bad_file(file, l->number, "a line is NAME ID, or a comment that starts with #");
  if (l->name_len <= CS_NAME_MAX) {
    memcpy(row->contact.name, l->name, l->name_len);
    row->contact.name[l->name_len] = '\0';
  }
  if (l->name_len > CS_NAME_MAX || strlen(row->contact.name) != l->name_len ||
      !contact_name_valid(row->contact.name)) {
    snprintf(what, sizeof what, "\"%.*s\" cannot be a petname: 1 to %d of a-z 0-9 _ . - and neither . nor - first",
             (int)(l->name_len > 64 ? 64 : l->name_len), l->name, CS_NAME_MAX);
    return bad_file(file, l->number, what);
  }
  if (l->id_len == ID_TEXT_LEN) {
    memcpy(id, l->id, ID_TEXT_LEN);
    id[ID_TEXT_LEN] = '\0';
    p = id_parse(row->contact.key, id);
  }
  if (p == ID_OK) return 0;
  snprintf(what, sizeof what, "the id of %s %s; ask %s for it again", row->contact.name, id_problem_text(p),
           row->contact.name);
  return bad_file(file, l->number, what);
}

/* All rows of the text; *n of them. NULL with err_set. */
static struct row *parse_rows(const char *text, size_t len, const char *file, size_t *n) {
  struct contacts_line line = {0};
  struct row *rows, *fit;
  size_t room = 1;

  while (contacts_next_line(text, len, &line)) room += line.kind != CONTACTS_LINE_BLANK;
  if (room > CONTACTS_MAX + 1) {
    err_set_errno(CS_ERR_HOME, EFBIG, "%s has more than %d contacts", file, CONTACTS_MAX);
    return NULL;
  }
  rows = calloc(room, sizeof *rows);
  if (rows == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for the contacts of %s", file);
    return NULL;
  }
  fit = rows;
  line = (struct contacts_line){0};
  while (contacts_next_line(text, len, &line)) {
    if (line.kind == CONTACTS_LINE_BLANK) continue;
    if (parse_row(fit++, &line, file) == 0) continue;
    free(rows);
    return NULL;
  }
  *n = (size_t)(fit - rows);
  return rows;
}

/* ---- building the table ---- */

static int row_by_name(const void *a, const void *b) {
  const struct row *x = a, *y = b;
  int order = strcmp(x->contact.name, y->contact.name);

  return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int row_by_key(const void *a, const void *b) {
  const struct row *x = a, *y = b;
  int order = memcmp(x->contact.key, y->contact.key, ID_KEY_LEN);

  return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int twice(const char *file, const struct row *first, const struct row *second, bool same_name) {
  char what[256];

  if (same_name)
    snprintf(what, sizeof what, "the name %s stands on line %zu already; remove one", second->contact.name,
             first->line);
  else
    snprintf(what, sizeof what, "%s has the same id as %s on line %zu; remove one", second->contact.name,
             first->contact.name, first->line);
  return bad_file(file, second->line, what);
}

/* Sorts the rows by name; a name or a key that comes twice is an error. */
static int check_twice(struct row *rows, size_t n, const char *file) {
  qsort(rows, n, sizeof *rows, row_by_key);
  for (size_t i = 1; i < n; i++)
    if (memcmp(rows[i - 1].contact.key, rows[i].contact.key, ID_KEY_LEN) == 0) {
      /* the very same line twice is a name that comes twice */
      bool same = strcmp(rows[i - 1].contact.name, rows[i].contact.name) == 0;
      return twice(file, &rows[i - 1], &rows[i], same);
    }
  qsort(rows, n, sizeof *rows, row_by_name);
  for (size_t i = 1; i < n; i++)
    if (strcmp(rows[i - 1].contact.name, rows[i].contact.name) == 0) return twice(file, &rows[i - 1], &rows[i], true);
  return 0;
}

static int contact_by_key(const void *a, const void *b) {
  const struct contact *const *x = a, *const *y = b;

  return memcmp((*x)->key, (*y)->key, ID_KEY_LEN);
}

int contacts_parse(struct contacts *c, const char *text, size_t len, const char *file_name) {
  struct contacts fresh = {0};
  struct row *rows;

  rows = parse_rows(text, len, file_name, &fresh.n);
  if (rows == NULL || check_twice(rows, fresh.n, file_name) != 0) goto fail;
  fresh.list = calloc(fresh.n + 1, sizeof *fresh.list);
  fresh.by_key = calloc(fresh.n + 1, sizeof *fresh.by_key);
  if (fresh.list == NULL || fresh.by_key == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for the contacts of %s", file_name);
    goto fail;
  }
  for (size_t i = 0; i < fresh.n; i++) {
    fresh.list[i] = rows[i].contact;
    fresh.by_key[i] = &fresh.list[i];
  }
  qsort(fresh.by_key, fresh.n, sizeof *fresh.by_key, contact_by_key);
  free(rows);
  free(c->list);
  free(c->by_key);
  *c = fresh;
  return 0;
fail:
  free(rows);
  free(fresh.list);
  free(fresh.by_key);
  return -1;
}

bool contacts_same(const struct contacts *a, const struct contacts *b) {
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++)
    if (strcmp(a->list[i].name, b->list[i].name) != 0 || memcmp(a->list[i].key, b->list[i].key, ID_KEY_LEN) != 0)
      return false;
  return true;
}

void contacts_swap(struct contacts *a, struct contacts *b) {
  struct contacts t = *a;

  *a = *b;
  *b = t;
}
