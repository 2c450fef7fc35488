/*
 * fuzz_bencode.c - the bencoding reader. Whatever is taken, walked and written
 * again gives the same bytes when its integers fit; and nothing is read outside.
 */
#include <stdlib.h>
#include <string.h>

#include "bencode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies a value part by part; false when a part has no other form than its own (an integer too big). */
static bool copy(struct ben_out *o, const struct ben *v) {
  struct ben_iter it;
  struct ben item;
  const uint8_t *s;
  size_t n;
  int64_t i;
  if (v->len == 0 || ben_length(v->p, v->len) != v->len) abort();
  if (ben_str(v, &s, &n)) {
    if (s < v->p || s + n != v->p + v->len) abort();
    ben_put_str(o, s, n);
    return true;
  }
  if (ben_iter_init(&it, v)) {
    bool whole = true;
    ben_put_raw(o, v->p, 1);
    while (ben_list_next(&it, &item))
      whole = copy(o, &item) && whole;
    if (it.left != 0) abort();
    ben_put_end(o);
    return whole;
  }
  if (v->p[0] != 'i') abort();
  if (!ben_int(v, &i)) return false;
  ben_put_int(o, i);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ben v;
  struct ben_out o;
  uint8_t *buf = malloc(size + 1);
  if (!buf) return 0;
  ben_out_init(&o, buf, size);
  size_t n = ben_length(data, size);
  if (n > size) abort();
  if (ben_parse(&v, data, size) == 0) {
    struct ben key;
    if (n != size) abort();
    if (copy(&o, &v) && (o.bad || o.len != size || memcmp(buf, data, size) != 0)) abort();
    if (ben_get(&v, "a", &key) && (key.p <= v.p || key.p + key.len >= v.p + v.len)) abort();
  }
  free(buf);
  return 0;
}
