/*
 * chunks.h - a byte queue of fixed chunks whose bytes never move, so that
 * QUIC may refer to them until they are acknowledged. An empty queue holds
 * no memory. Empty chunks go to a small pool of the process; the engine's lock
 * guards it.
 */
#ifndef CSPACE_CHUNKS_H
#define CSPACE_CHUNKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CHUNK_BYTES ((64u << 10) - 32)
#define CHUNK_POOL_MAX 24 /* empty chunks kept for reuse */

struct chunk;

struct chunks {
  struct chunk *head, *tail;
  size_t len; /* bytes queued */
};

/* A place in the queue; stays valid while bytes before it are consumed and others are appended. */
struct chunk_cursor {
  struct chunk *chunk; /* NULL: at the end of an empty queue */
  uint32_t at;
};

/* Copies in. 0, or -1 + ENOMEM and the queue is as it was or holds a part: *taken says how many bytes. */
int chunks_append(struct chunks *q, const void *p, size_t n, size_t *taken);
/* Room at the end for up to `want` bytes as at most max iovs; allocates. Count of iovs, 0 + ENOMEM. The bytes count
 * only after chunks_commit. */
int chunks_reserve(struct chunks *q, size_t want, struct iovec *iov, int max);
void chunks_commit(struct chunks *q, size_t n);
/* The first bytes, as at most max iovs. Count. */
int chunks_peek(const struct chunks *q, struct iovec *iov, int max);
/* The bytes from the cursor on. Count; the cursor is made valid for chunks_advance. */
int chunks_peek_at(const struct chunks *q, struct chunk_cursor *c, struct iovec *iov, int max);
void chunks_advance(const struct chunks *q, struct chunk_cursor *c, size_t n);
/* Drops n bytes at the head; n <= len. A cursor, if there is one, is kept valid and must not be before the new head. */
void chunks_consume(struct chunks *q, struct chunk_cursor *cursor, size_t n);
void chunks_free(struct chunks *q);
/* Gives the pool's memory back (the last node closes). */
void chunks_pool_trim(void);

#endif
