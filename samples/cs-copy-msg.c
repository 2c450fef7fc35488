/*
 * cs-copy-msg.c - encode and decode the messages of the copy service.
 * PROTOCOL.md 10.2.
 */
#include "cs-copy-msg.h"

#include <stdbool.h>
#include <string.h>

#define FILE_FIXED 24 /* size(8) mtime(8) mtime-ns(4) mode(2) target-length(2) */
#define NS_PER_S 1000000000u
#define MODE_BITS 0700

static const uint8_t magic[6] = {'c', 's', 'c', 'o', 'p', 'y'};

/* A cursor over a body: short reads set bad and yield zeroes. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool bad;
};

static uint64_t get(struct reader *r, size_t n) {
  uint64_t v = 0;

  if (r->left < n) {
    r->bad = true;
    r->left = 0;
    return 0;
  }
  for (size_t i = 0; i < n; i++) v = v << 8 | r->at[i];
  r->at += n;
  r->left -= n;
  return v;
}

/* A string of n bytes, none of them NUL, into out, which holds max + 1. */
static void get_text(struct reader *r, char *out, size_t n, size_t max) {
  out[0] = '\0';
  if (n > max || r->left < n || memchr(r->at, '\0', n) != NULL) {
    r->bad = true;
    return;
  }
  memcpy(out, r->at, n);
  out[n] = '\0';
  r->at += n;
  r->left -= n;
}

static uint8_t *put(uint8_t *p, uint64_t v, size_t n) {
  for (size_t i = n; i-- > 0; v >>= 8) p[i] = (uint8_t)v;
  return p + n;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n) {
  memcpy(p, bytes, n);
  return p + n;
}

void copy_hello_encode(uint8_t out[COPY_HELLO_LEN]) {
  memcpy(out, magic, sizeof magic);
  out[6] = COPY_VERSION;
  out[7] = 0;
}

int copy_hello_decode(const uint8_t p[COPY_HELLO_LEN]) {
  if (memcmp(p, magic, sizeof magic) != 0 || p[6] == 0) return -1;
  return p[6];
}

void copy_head_encode(uint8_t out[COPY_HEAD_LEN], enum copy_type type, uint32_t length) {
  put(put(out, type, 1), length, 4);
}

static bool length_fits(uint8_t type, uint32_t length) {
  switch (type) {
    case COPY_DATA:
      return length > 0 && length <= COPY_DATA_MAX;
    case COPY_END:
      return length == COPY_SUM_LEN;
    case COPY_DONE:
      return length == 0;
    case COPY_FILE:
    case COPY_ABORT:
    case COPY_RESULT:
      return length <= COPY_CONTROL_MAX;
    default:
      return false;
  }
}

int copy_head_decode(struct copy_head *h, const uint8_t p[COPY_HEAD_LEN]) {
  struct reader r = {p, COPY_HEAD_LEN, false};
  uint8_t type = (uint8_t)get(&r, 1);
  uint32_t length = (uint32_t)get(&r, 4);

  if (!length_fits(type, length)) return -1;
  h->type = type;
  h->length = length;
  return 0;
}

static bool file_fields_ok(const struct copy_file *f) {
  return f->size <= INT64_MAX && f->mtime_ns < NS_PER_S && (f->mode & ~MODE_BITS) == 0 && f->name[0] != '\0';
}

size_t copy_file_encode(uint8_t *out, size_t cap, const struct copy_file *f) {
  size_t target = strnlen(f->target, sizeof f->target), name = strnlen(f->name, sizeof f->name);
  size_t body = FILE_FIXED + target + 1 + name;
  uint8_t *p = out + COPY_HEAD_LEN;

  if (target > COPY_TARGET_MAX || name > COPY_NAME_MAX || !file_fields_ok(f) || cap < COPY_HEAD_LEN + body) return 0;
  copy_head_encode(out, COPY_FILE, (uint32_t)body);
  p = put(p, f->size, 8);
  p = put(p, (uint64_t)f->mtime, 8);
  p = put(p, f->mtime_ns, 4);
  p = put(p, f->mode, 2);
  p = put(p, target, 2);
  p = put_bytes(p, f->target, target);
  p = put(p, name, 1);
  put_bytes(p, f->name, name);
  return COPY_HEAD_LEN + body;
}

int copy_file_decode(struct copy_file *f, const uint8_t *body, size_t len) {
  struct reader r = {body, len, false};
  struct copy_file v;

  memset(&v, 0, sizeof v);
  v.size = get(&r, 8);
  v.mtime = (int64_t)get(&r, 8);
  v.mtime_ns = (uint32_t)get(&r, 4);
  v.mode = (uint16_t)get(&r, 2);
  get_text(&r, v.target, (size_t)get(&r, 2), COPY_TARGET_MAX);
  get_text(&r, v.name, (size_t)get(&r, 1), COPY_NAME_MAX);
  if (r.bad || r.left != 0 || !file_fields_ok(&v)) return -1;
  *f = v;
  return 0;
}

size_t copy_end_encode(uint8_t *out, size_t cap, const uint8_t sum[COPY_SUM_LEN]) {
  if (cap < COPY_HEAD_LEN + COPY_SUM_LEN) return 0;
  copy_head_encode(out, COPY_END, COPY_SUM_LEN);
  memcpy(out + COPY_HEAD_LEN, sum, COPY_SUM_LEN);
  return COPY_HEAD_LEN + COPY_SUM_LEN;
}

size_t copy_abort_encode(uint8_t *out, size_t cap, const char *text) {
  size_t n = strnlen(text, COPY_TEXT_MAX);

  if (cap < COPY_HEAD_LEN + n) return 0;
  copy_head_encode(out, COPY_ABORT, (uint32_t)n);
  memcpy(out + COPY_HEAD_LEN, text, n);
  return COPY_HEAD_LEN + n;
}

int copy_abort_decode(char text[COPY_TEXT_MAX + 1], const uint8_t *body, size_t len) {
  struct reader r = {body, len, false};

  get_text(&r, text, len, COPY_TEXT_MAX);
  return r.bad ? -1 : 0;
}

size_t copy_done_encode(uint8_t *out, size_t cap) {
  if (cap < COPY_HEAD_LEN) return 0;
  copy_head_encode(out, COPY_DONE, 0);
  return COPY_HEAD_LEN;
}

size_t copy_result_encode(uint8_t *out, size_t cap, const struct copy_result *r) {
  size_t n = strnlen(r->text, COPY_TEXT_MAX);
  uint8_t *p = out + COPY_HEAD_LEN;

  if (r->status > COPY_FAILED || cap < COPY_HEAD_LEN + 5 + n) return 0;
  copy_head_encode(out, COPY_RESULT, (uint32_t)(5 + n));
  p = put(p, r->index, 4);
  p = put(p, r->status, 1);
  put_bytes(p, r->text, n);
  return COPY_HEAD_LEN + 5 + n;
}

int copy_result_decode(struct copy_result *r, const uint8_t *body, size_t len) {
  struct reader in = {body, len, false};
  struct copy_result v;

  memset(&v, 0, sizeof v);
  v.index = (uint32_t)get(&in, 4);
  v.status = (uint8_t)get(&in, 1);
  if (v.status > COPY_FAILED) v.status = COPY_FAILED;
  get_text(&in, v.text, in.left, COPY_TEXT_MAX);
  if (in.bad) return -1;
  *r = v;
  return 0;
}

const char *copy_status_text(uint8_t status) {
  static const char *const text[] = {"copied",          "refused",         "no space", "checksum mismatch",
                                     "length mismatch", "given up", "failed"};

  return text[status < sizeof text / sizeof text[0] ? status : COPY_FAILED];
}
