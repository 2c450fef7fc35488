/*
 * bencode.h - bencoding (BEP 3) in place: a reader that hands out slices of
 * the caller's buffer and a writer into one. No allocation, no recursion.
 *
 * A struct ben is always one well-formed value, verbatim, so that what was
 * signed is what is stored and sent on (BEP 44). Dictionaries out of order are
 * taken (some nodes send them); of two equal keys ben_get takes the first. Any thread.
 */
#ifndef CSPACE_BENCODE_H
#define CSPACE_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEN_DEPTH_MAX 32 /* nested lists and dictionaries */

struct ben {
  const uint8_t *p;
  size_t len;
};

/* The whole buffer as one value. 0, or -1 + EBADMSG. */
int ben_parse(struct ben *out, const void *buf, size_t len);
/* Bytes of the well-formed value that buf starts with, 0 when there is none. */
size_t ben_length(const void *buf, size_t len);

bool ben_is_dict(const struct ben *v);
bool ben_is_list(const struct ben *v);
/* A string's bytes; false when v is none. */
bool ben_str(const struct ben *v, const uint8_t **s, size_t *n);
/* A string of exactly n bytes. */
bool ben_str_n(const struct ben *v, const uint8_t **s, size_t n);
/* False when v is no integer or does not fit. */
bool ben_int(const struct ben *v, int64_t *out);
/* True when v is the string `text`. */
bool ben_str_is(const struct ben *v, const char *text);

/* Walks the items of a list, or the keys and values of a dictionary. */
struct ben_iter {
  const uint8_t *at;
  size_t left;
};
bool ben_iter_init(struct ben_iter *it, const struct ben *v); /* false for what holds nothing */
bool ben_list_next(struct ben_iter *it, struct ben *item);
bool ben_dict_next(struct ben_iter *it, struct ben *key, struct ben *value);
bool ben_get(const struct ben *dict, const char *key, struct ben *value);

struct ben_out {
  uint8_t *buf; /* borrowed */
  size_t cap;
  size_t len;
  bool bad;     /* something did not fit */
};

void ben_out_init(struct ben_out *o, void *buf, size_t cap);
void ben_put_int(struct ben_out *o, int64_t v);
void ben_put_str(struct ben_out *o, const void *s, size_t n);
void ben_put_text(struct ben_out *o, const char *s);
void ben_put_raw(struct ben_out *o, const void *p, size_t n); /* an encoded value, verbatim */
void ben_put_dict(struct ben_out *o);                         /* keys follow in order, then ben_put_end */
void ben_put_list(struct ben_out *o);
void ben_put_end(struct ben_out *o);

#endif
