/*
 * wire.h - the one checked reader and writer for bytes of our own formats.
 *
 * Every parser of bytes from outside reads through wire_in: it never reads
 * past the end, and a short read sets `bad` and yields zeroes, so that a
 * parser may read a whole message and check once. Integers are big-endian.
 * Sans-IO, no allocation, any thread.
 */
#ifndef CSPACE_WIRE_H
#define CSPACE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_in {
  const uint8_t *at; /* next byte */
  size_t left;       /* bytes that remain */
  bool bad;          /* something was read past the end */
};

void wire_in_init(struct wire_in *in, const void *buf, size_t len);
uint8_t wire_get_u8(struct wire_in *in);
uint16_t wire_get_u16(struct wire_in *in);
uint32_t wire_get_u32(struct wire_in *in);
uint64_t wire_get_u64(struct wire_in *in);
/* n bytes in place, NULL (and bad) when fewer are left; n may be 0. */
const uint8_t *wire_get_bytes(struct wire_in *in, size_t n);
/* Copies n bytes to out; fills out with zeroes when fewer are left. */
void wire_get_copy(struct wire_in *in, void *out, size_t n);
/* True when nothing was short and nothing is left over. */
bool wire_in_done(const struct wire_in *in);

struct wire_out {
  uint8_t *buf; /* borrowed */
  size_t cap;
  size_t len;   /* bytes written so far; never above cap */
  bool bad;     /* something did not fit; nothing was written past cap */
};

void wire_out_init(struct wire_out *out, void *buf, size_t cap);
void wire_put_u8(struct wire_out *out, uint8_t v);
void wire_put_u16(struct wire_out *out, uint16_t v);
void wire_put_u32(struct wire_out *out, uint32_t v);
void wire_put_u64(struct wire_out *out, uint64_t v);
void wire_put_bytes(struct wire_out *out, const void *p, size_t n);

#endif
