/*
 * bencode.c - bencoding (BEP 3): strings "4:spam", integers "i-3e", lists
 * "l...e", dictionaries "d...e" with string keys.
 */
#include "bencode.h"

#include <errno.h>
#include <string.h>

/* Length of "N:bytes" at p, 0 when malformed; *skip is the length of "N:". */
static size_t string_length(const uint8_t *p, size_t len, size_t *skip) {
  size_t n = 0, i = 0;
  while (i < len && p[i] >= '0' && p[i] <= '9') {
    if (i == 1 && p[0] == '0')
      return 0; /* a leading zero: two spellings of one length */
    n = n * 10 + (size_t)(p[i] - '0');
    if (n > len)
      return 0;
    i++;
  }
  if (i == 0 || i >= len || p[i] != ':' || n > len - i - 1)
    return 0;
  *skip = i + 1;
  return i + 1 + n;
}

static size_t int_length(const uint8_t *p, size_t len) {
  size_t i = 1;
  bool minus = i < len && p[i] == '-';
  if (minus)
    i++;
  size_t first = i;
  while (i < len && p[i] >= '0' && p[i] <= '9')
    i++;
  if (i == first || i >= len || p[i] != 'e')
    return 0;
  if (p[first] == '0' && (minus || i - first > 1))
    return 0; /* -0 and leading zeros are not numbers (BEP 3) */
  return i + 1;
}

size_t ben_length(const void *buf, size_t len) {
  const uint8_t *p = buf;
  enum { LIST, KEY, VALUE } stack[BEN_DEPTH_MAX];
  size_t depth = 0, i = 0, skip;
  do {
    if (i >= len)
      return 0;
    uint8_t c = p[i];
    bool ends = c == 'e' && depth > 0 && stack[depth - 1] != VALUE;
    bool key = depth > 0 && stack[depth - 1] == KEY;
    if (ends) {
      depth--;
      i++;
    } else if ((c == 'l' || c == 'd') && !key) {
      if (depth == BEN_DEPTH_MAX)
        return 0;
      stack[depth++] = c == 'l' ? LIST : KEY;
      i++;
      continue; /* what holds it turns when it ends */
    } else {
      size_t n = c == 'i' && !key ? int_length(p + i, len - i) : string_length(p + i, len - i, &skip);
      if (n == 0)
        return 0;
      i += n;
    }
    if (depth > 0 && stack[depth - 1] != LIST)
      stack[depth - 1] = stack[depth - 1] == KEY ? VALUE : KEY;
  } while (depth > 0);
  return i;
}

int ben_parse(struct ben *out, const void *buf, size_t len) {
  if (len == 0 || ben_length(buf, len) != len) {
    errno = EBADMSG;
    return -1;
  }
  out->p = buf;
  out->len = len;
  return 0;
}

bool ben_is_dict(const struct ben *v) {
  return v->len > 0 && v->p[0] == 'd';
}

bool ben_is_list(const struct ben *v) {
  return v->len > 0 && v->p[0] == 'l';
}

bool ben_str(const struct ben *v, const uint8_t **s, size_t *n) {
  size_t skip, whole = v->len > 0 ? string_length(v->p, v->len, &skip) : 0;
  if (whole == 0)
    return false;
  *s = v->p + skip;
  *n = whole - skip;
  return true;
}

bool ben_str_n(const struct ben *v, const uint8_t **s, size_t n) {
  const uint8_t *p;
  size_t have;
  if (!ben_str(v, &p, &have) || have != n)
    return false;
  *s = p;
  return true;
}

bool ben_str_is(const struct ben *v, const char *text) {
  const uint8_t *p;
  return ben_str_n(v, &p, strlen(text)) && memcmp(p, text, strlen(text)) == 0;
}

bool ben_int(const struct ben *v, int64_t *out) {
  if (v->len < 3 || v->p[0] != 'i')
    return false;
  bool minus = v->p[1] == '-';
  uint64_t limit = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, n = 0;
  for (size_t i = minus ? 2 : 1; i + 1 < v->len; i++) {
    uint64_t digit = (uint64_t)(v->p[i] - '0');
    if (n > (limit - digit) / 10)
      return false;
    n = n * 10 + digit;
  }
  *out = minus ? (int64_t)(0 - n) : (int64_t)n;
  return true;
}

bool ben_iter_init(struct ben_iter *it, const struct ben *v) {
  if (!ben_is_dict(v) && !ben_is_list(v))
    return false;
  it->at = v->p + 1;
  it->left = v->len - 2;
  return true;
}

bool ben_list_next(struct ben_iter *it, struct ben *item) {
  size_t n = it->left > 0 ? ben_length(it->at, it->left) : 0;
  if (n == 0)
    return false;
  item->p = it->at;
  item->len = n;
  it->at += n;
  it->left -= n;
  return true;
}

bool ben_dict_next(struct ben_iter *it, struct ben *key, struct ben *value) {
  return ben_list_next(it, key) && ben_list_next(it, value);
}

bool ben_get(const struct ben *dict, const char *key, struct ben *value) {
  struct ben_iter it;
  struct ben k, v;
  if (!ben_is_dict(dict) || !ben_iter_init(&it, dict))
    return false;
  while (ben_dict_next(&it, &k, &v)) {
    if (ben_str_is(&k, key)) {
      *value = v;
      return true;
    }
  }
  return false;
}

void ben_out_init(struct ben_out *o, void *buf, size_t cap) {
  o->buf = buf;
  o->cap = cap;
  o->len = 0;
  o->bad = false;
}

void ben_put_raw(struct ben_out *o, const void *p, size_t n) {
  if (o->bad || n > o->cap - o->len) {
    o->bad = true;
    return;
  }
  if (n > 0)
    memcpy(o->buf + o->len, p, n);
  o->len += n;
}

/* Decimal digits of v into the end of buf; returns where they start. */
static char *digits(char *end, uint64_t v) {
  do {
    *--end = (char)('0' + v % 10);
    v /= 10;
  } while (v > 0);
  return end;
}

void ben_put_int(struct ben_out *o, int64_t v) {
  char text[24];
  char *end = text + sizeof text, *p;
  *--end = 'e';
  p = digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
  if (v < 0)
    *--p = '-';
  *--p = 'i';
  ben_put_raw(o, p, (size_t)(text + sizeof text - p));
}

void ben_put_str(struct ben_out *o, const void *s, size_t n) {
  char text[24];
  char *end = text + sizeof text, *p;
  *--end = ':';
  p = digits(end, n);
  ben_put_raw(o, p, (size_t)(text + sizeof text - p));
  ben_put_raw(o, s, n);
}

void ben_put_text(struct ben_out *o, const char *s) {
  ben_put_str(o, s, strlen(s));
}

void ben_put_dict(struct ben_out *o) {
  ben_put_raw(o, "d", 1);
}

void ben_put_list(struct ben_out *o) {
  ben_put_raw(o, "l", 1);
}

void ben_put_end(struct ben_out *o) {
  ben_put_raw(o, "e", 1);
}
