/*
 * stream_msg.h - what stands at the head of a stream and on the control
 * stream of a session. PROTOCOL.md 6. Sans-IO, no allocation.
 *
 * Header, by the opener:  version(1) kind(1) stripes(1) flags(1) service-length(1) service
 * Answer, by the other:   one byte, enum stream_answer
 * Control messages:       type(1) length(2) body, on one unidirectional stream a side
 */
#ifndef CSPACE_STREAM_MSG_H
#define CSPACE_STREAM_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_VERSION 1
#define STREAM_SERVICE_MAX 32
#define STREAM_HEADER_MAX (5 + STREAM_SERVICE_MAX)

enum stream_kind { STREAM_KIND_STREAM = 1, STREAM_KIND_DATAGRAM = 2 };
enum stream_answer { STREAM_ACCEPTED = 0, STREAM_REFUSED = 1, STREAM_BAD_HEADER = 2 };

struct stream_header {
  uint8_t kind;     /* enum stream_kind */
  uint8_t stripes;  /* QUIC streams that carry this fd, 1 to 4 */
  uint8_t flags;    /* zero; unknown bits are ignored */
  char service[STREAM_SERVICE_MAX + 1];
};

/* [A-Za-z0-9_.-]{1,32} */
bool service_name_valid(const char *name);

/* Returns the length written, or 0 when a field is out of range or cap is short. */
size_t stream_header_encode(uint8_t *out, size_t cap, const struct stream_header *h);
/* > 0: bytes used; 0: more bytes are needed; -1 + EPROTO: another version or malformed. */
int stream_header_decode(struct stream_header *h, const uint8_t *p, size_t len);

#define CONTROL_BODY_MAX 1024
enum control_type { CONTROL_HELLO = 1, CONTROL_GOODBYE = 2 /* no new streams; no body */ }; /* others are skipped */

struct control_hello {
  uint8_t endpoint_id[8]; /* of the sender */
};

size_t control_hello_encode(uint8_t *out, size_t cap, const struct control_hello *m);
size_t control_goodbye_encode(uint8_t *out, size_t cap);
int control_hello_decode(struct control_hello *m, const uint8_t *body, size_t len); /* 0 or -1 + EPROTO */
/* Splits the control stream: > 0 the whole message's length, with type and body set; 0 more is needed;
 * -1 + EPROTO when the length is above CONTROL_BODY_MAX. */
int control_next(uint8_t *type, const uint8_t **body, size_t *body_len, const uint8_t *p, size_t len);

#endif
