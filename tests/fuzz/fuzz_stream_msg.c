/*
 * fuzz_stream_msg.c - the head of a stream and the control stream, whole and
 * in every cut: a decoder never changes its mind when more bytes come.
 */
#include "stream_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(const uint8_t *data, size_t size) {
  size_t top = size < STREAM_HEADER_MAX + 3 ? size : STREAM_HEADER_MAX + 3;
  uint8_t again[STREAM_HEADER_MAX];
  struct stream_header h;
  int settled = 0;

  for (size_t n = 0; n <= top; n++) {
    int used = stream_header_decode(&h, data, n);

    if (settled != 0 && used != settled) abort();
    settled = used;
    if (used > 0) {
      if ((size_t)used > n || !service_name_valid(h.service)) abort();
      if (stream_header_encode(again, sizeof again, &h) != (size_t)used || memcmp(again, data, (size_t)used) != 0)
        abort();
    }
  }
  if (top >= STREAM_HEADER_MAX && settled == 0) abort(); /* more is never needed than the longest header */
}

static void control(const uint8_t *data, size_t size) {
  struct control_hello m;
  const uint8_t *body;
  size_t at = 0, body_len;
  uint8_t type, again[32];
  int used;

  while ((used = control_next(&type, &body, &body_len, data + at, size - at)) > 0) {
    if ((size_t)used != body_len + 3 || body != data + at + 3 || body_len > CONTROL_BODY_MAX) abort();
    if (type == CONTROL_HELLO && control_hello_decode(&m, body, body_len) == 0 &&
        (control_hello_encode(again, sizeof again, &m) != 11 || memcmp(again + 3, body, 8) != 0))
      abort();
    at += (size_t)used;
  }
  if (used == 0 && size - at >= 3 + CONTROL_BODY_MAX) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  header(data, size);
  control(data, size);
  return 0;
}
