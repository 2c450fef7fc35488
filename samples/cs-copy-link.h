/*
 * cs-copy-link.h - a connected stream fd with a receive buffer, for both
 * sides of the copy service. Not thread-safe: one owner. The fd stays the
 * caller's.
 */
#ifndef CS_COPY_LINK_H
#define CS_COPY_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cs-copy-msg.h"

#define COPY_BUFFER (512u << 10)
#define COPY_SILENCE_MS (5 * 60 * 1000) /* waiting longer for a silent side is given up: ETIMEDOUT */

struct copy_link {
  int fd;
  size_t at, end;  /* what is buffered */
  uint8_t *buf;    /* COPY_BUFFER */
};

int copy_link_open(struct copy_link *l, int fd); /* 0, or -1 + ENOMEM */
void copy_link_close(struct copy_link *l);       /* frees the buffer; twice is legal */

/* Waits until at least n bytes (n <= COPY_BUFFER) stand at buf + at. 1; 0: the stream ended before; -1 + errno. */
int copy_link_need(struct copy_link *l, size_t n);
/* Takes what is there without waiting. 1 got some, 0 nothing there, -1 + errno; the end of the stream is EPIPE. */
int copy_link_poll(struct copy_link *l);
/* Sends all, waiting as needed. 0, or -1 + errno. No SIGPIPE. */
int copy_link_send(struct copy_link *l, const void *data, size_t len);
/* Sends what fits now. Bytes taken, 0 when full, -1 + errno. */
ssize_t copy_link_send_some(struct copy_link *l, const void *data, size_t len);

/* Waits for a whole message but leaves the body of a DATA to the caller. 1 with *h, and *body (NULL for DATA) valid
 * until the next call; 0: the stream ended; -1 + errno, EPROTO for what is no message. */
int copy_link_message(struct copy_link *l, struct copy_head *h, const uint8_t **body);

#endif
