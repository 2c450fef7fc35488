/*
 * wire.c - checked reading and writing of big-endian fields.
 *
 * Both directions fail once and stay failed: after the first short read every
 * later one yields zeroes, after the first write that does not fit nothing
 * more is written. So a caller checks `bad` once, at the end.
 */
#include "wire.h"

#include <string.h>

void wire_in_init(struct wire_in *in, const void *buf, size_t len) {
  static const uint8_t nothing[1];

  in->at = buf != NULL ? buf : nothing;
  in->left = buf != NULL ? len : 0;
  in->bad = false;
}

const uint8_t *wire_get_bytes(struct wire_in *in, size_t n) {
  const uint8_t *p = in->at;

  if (in->bad || n > in->left) {
    in->bad = true;
    return NULL;
  }
  in->at += n;
  in->left -= n;
  return p;
}

void wire_get_copy(struct wire_in *in, void *out, size_t n) {
  const uint8_t *p = wire_get_bytes(in, n);

  if (n == 0) return;
  if (p != NULL)
    memcpy(out, p, n);
  else
    memset(out, 0, n);
}

static uint64_t get_be(struct wire_in *in, size_t n) {
  const uint8_t *p = wire_get_bytes(in, n);
  uint64_t v = 0;

  if (p == NULL) return 0;
  for (size_t i = 0; i < n; i++) v = v << 8 | p[i];
  return v;
}

uint8_t wire_get_u8(struct wire_in *in) { return (uint8_t)get_be(in, 1); }

uint16_t wire_get_u16(struct wire_in *in) { return (uint16_t)get_be(in, 2); }

uint32_t wire_get_u32(struct wire_in *in) { return (uint32_t)get_be(in, 4); }

uint64_t wire_get_u64(struct wire_in *in) { return get_be(in, 8); }

bool wire_in_done(const struct wire_in *in) { return !in->bad && in->left == 0; }

void wire_out_init(struct wire_out *out, void *buf, size_t cap) {
  out->buf = buf;
  out->cap = buf != NULL ? cap : 0;
  out->len = 0;
  out->bad = false;
}

void wire_put_bytes(struct wire_out *out, const void *p, size_t n) {
  if (out->bad || n > out->cap - out->len) {
    out->bad = true;
    return;
  }
  if (n != 0) memcpy(out->buf + out->len, p, n);
  out->len += n;
}

static void put_be(struct wire_out *out, uint64_t v, size_t n) {
  uint8_t b[8];

  for (size_t i = 0; i < n; i++) b[i] = (uint8_t)(v >> 8 * (n - 1 - i));
  wire_put_bytes(out, b, n);
}

void wire_put_u8(struct wire_out *out, uint8_t v) { put_be(out, v, 1); }

void wire_put_u16(struct wire_out *out, uint16_t v) { put_be(out, v, 2); }

void wire_put_u32(struct wire_out *out, uint32_t v) { put_be(out, v, 4); }

void wire_put_u64(struct wire_out *out, uint64_t v) { put_be(out, v, 8); }
