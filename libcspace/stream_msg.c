/*
 * stream_msg.c - the header and answer of a stream, and the messages of the
 * control stream (PROTOCOL.md 6.5 and 6.6).
 */
#include "stream_msg.h"

#include "wire.h"

#include <errno.h>
#include <string.h>

#define HEADER_FIXED 5
#define STRIPES_MAX 4
#define CONTROL_FIXED 3

static bool service_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-';
}

bool service_name_valid(const char *name) {
  size_t n;

  if (name == NULL) return false;
  for (n = 0; name[n] != '\0'; n++)
    if (n == STREAM_SERVICE_MAX || !service_letter(name[n])) return false;
  return n > 0;
}

static bool header_fields_valid(const struct stream_header *h) {
  return (h->kind == STREAM_KIND_STREAM || h->kind == STREAM_KIND_DATAGRAM) && h->stripes >= 1 &&
         h->stripes <= STRIPES_MAX;
}

size_t stream_header_encode(uint8_t *out, size_t cap, const struct stream_header *h) {
  struct wire_out w;
  size_t n;

  if (!header_fields_valid(h) || memchr(h->service, '\0', sizeof h->service) == NULL ||
      !service_name_valid(h->service))
    return 0;
  n = strlen(h->service);
  wire_out_init(&w, out, cap);
  wire_put_u8(&w, STREAM_VERSION);
  wire_put_u8(&w, h->kind);
  wire_put_u8(&w, h->stripes);
  wire_put_u8(&w, h->flags);
  wire_put_u8(&w, (uint8_t)n);
  wire_put_bytes(&w, h->service, n);
  return w.bad ? 0 : w.len;
}

static int protocol_error(void) {
  errno = EPROTO;
  return -1;
}

int stream_header_decode(struct stream_header *h, const uint8_t *p, size_t len) {
  struct stream_header got = {0};
  struct wire_in in;
  size_t n;

  if (len >= 1 && p[0] != STREAM_VERSION) return protocol_error();
  if (len < HEADER_FIXED) return 0;
  wire_in_init(&in, p + 1, len - 1);
  got.kind = wire_get_u8(&in);
  got.stripes = wire_get_u8(&in);
  got.flags = wire_get_u8(&in);
  n = wire_get_u8(&in);
  if (!header_fields_valid(&got) || n == 0 || n > STREAM_SERVICE_MAX) return protocol_error();
  if (in.left < n) return 0;
  wire_get_copy(&in, got.service, n);
  /* A NUL among the n bytes would shorten the name: it is no letter of a service either. */
  if (memchr(got.service, '\0', n) != NULL || !service_name_valid(got.service)) return protocol_error();
  *h = got;
  return (int)(HEADER_FIXED + n);
}

size_t control_hello_encode(uint8_t *out, size_t cap, const struct control_hello *m) {
  struct wire_out w;

  wire_out_init(&w, out, cap);
  wire_put_u8(&w, CONTROL_HELLO);
  wire_put_u16(&w, sizeof m->endpoint_id);
  wire_put_bytes(&w, m->endpoint_id, sizeof m->endpoint_id);
  return w.bad ? 0 : w.len;
}

size_t control_goodbye_encode(uint8_t *out, size_t cap) {
  struct wire_out w;

  wire_out_init(&w, out, cap);
  wire_put_u8(&w, CONTROL_GOODBYE);
  wire_put_u16(&w, 0);
  return w.bad ? 0 : w.len;
}

int control_hello_decode(struct control_hello *m, const uint8_t *body, size_t len) {
  struct control_hello got;
  struct wire_in in;

  wire_in_init(&in, body, len);
  wire_get_copy(&in, got.endpoint_id, sizeof got.endpoint_id);
  if (in.bad) return protocol_error(); /* bytes after it are a later version's: skipped */
  *m = got;
  return 0;
}

int control_next(uint8_t *type, const uint8_t **body, size_t *body_len, const uint8_t *p, size_t len) {
  struct wire_in in;
  uint8_t t;
  size_t n;

  if (len < CONTROL_FIXED) return 0;
  wire_in_init(&in, p, len);
  t = wire_get_u8(&in);
  n = wire_get_u16(&in);
  if (n > CONTROL_BODY_MAX) return protocol_error();
  if (in.left < n) return 0;
  *type = t;
  *body = wire_get_bytes(&in, n);
  *body_len = n;
  return (int)(CONTROL_FIXED + n);
}
