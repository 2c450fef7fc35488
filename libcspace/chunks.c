/*
 * chunks.c - a byte queue of chunks that stay where they are.
 */
#include "chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
  struct chunk *next;
  uint32_t start, end; /* bytes in use; a reserved tail may lie behind end */
  uint8_t data[CHUNK_BYTES];
};

static struct chunk *pool;
static unsigned pooled;

static struct chunk *chunk_get(void) {
  struct chunk *c = pool;

  if (c != NULL) {
    pool = c->next;
    pooled--;
  } else {
    c = malloc(sizeof *c);
    if (c == NULL) return NULL;
  }
  c->next = NULL;
  c->start = c->end = 0;
  return c;
}

static void chunk_put(struct chunk *c) {
  if (pooled >= CHUNK_POOL_MAX) {
    free(c);
    return;
  }
  c->next = pool;
  pool = c;
  pooled++;
}

void chunks_pool_trim(void) {
  while (pool != NULL) {
    struct chunk *c = pool;

    pool = c->next;
    free(c);
  }
  pooled = 0;
}

static struct chunk *add_tail(struct chunks *q) {
  struct chunk *c = chunk_get();

  if (c == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  if (q->tail != NULL)
    q->tail->next = c;
  else
    q->head = c;
  q->tail = c;
  return c;
}

int chunks_append(struct chunks *q, const void *p, size_t n, size_t *taken) {
  const uint8_t *from = p;

  *taken = 0;
  while (n > 0) {
    struct chunk *c = q->tail;
    size_t room = c != NULL ? CHUNK_BYTES - c->end : 0;

    if (room == 0) {
      c = add_tail(q);
      if (c == NULL) return -1;
      room = CHUNK_BYTES;
    }
    if (room > n) room = n;
    memcpy(c->data + c->end, from, room);
    c->end += (uint32_t)room;
    q->len += room;
    *taken += room;
    from += room;
    n -= room;
  }
  return 0;
}

int chunks_reserve(struct chunks *q, size_t want, struct iovec *iov, int max) {
  struct chunk *c = q->tail;
  int n = 0;

  if (c == NULL || c->end == CHUNK_BYTES) c = add_tail(q);
  while (c != NULL && n < max && want > 0) {
    size_t room = CHUNK_BYTES - c->end;

    if (room > want) room = want;
    iov[n].iov_base = c->data + c->end;
    iov[n++].iov_len = room;
    want -= room;
    if (want == 0 || n == max) break;
    c = c->next != NULL ? c->next : add_tail(q);
  }
  return n;
}

/* Takes off chunks behind the last used one that a reservation left empty. */
static void drop_unused(struct chunks *q, struct chunk *last) {
  struct chunk *c = last != NULL ? last->next : q->head;

  while (c != NULL) {
    struct chunk *next = c->next;

    chunk_put(c);
    c = next;
  }
  if (last != NULL)
    last->next = NULL;
  else
    q->head = NULL;
  q->tail = last;
}

void chunks_commit(struct chunks *q, size_t n) {
  struct chunk *c = q->head, *last = NULL;

  /* The reservation began in the last chunk that holds bytes, or in a fresh one behind it. */
  while (c != NULL && c->end == CHUNK_BYTES) {
    last = c;
    c = c->next;
  }
  while (n > 0) {
    size_t room = CHUNK_BYTES - c->end;

    if (room > n) room = n;
    c->end += (uint32_t)room;
    q->len += room;
    n -= room;
    last = c;
    c = c->next;
  }
  if (c != NULL && c->end > c->start) last = c;
  drop_unused(q, last);
}

static int collect(const struct chunk *c, uint32_t at, struct iovec *iov, int max) {
  int n = 0;

  for (; c != NULL && n < max; c = c->next, at = c != NULL ? c->start : 0) {
    if (c->end == at) continue;
    iov[n].iov_base = (void *)(uintptr_t)(c->data + at);
    iov[n++].iov_len = c->end - at;
  }
  return n;
}

int chunks_peek(const struct chunks *q, struct iovec *iov, int max) {
  return q->head == NULL ? 0 : collect(q->head, q->head->start, iov, max);
}

static void settle(const struct chunks *q, struct chunk_cursor *c) {
  if (c->chunk == NULL && q->head != NULL) {
    c->chunk = q->head;
    c->at = q->head->start;
  }
  while (c->chunk != NULL && c->at == c->chunk->end && c->chunk->next != NULL) {
    c->chunk = c->chunk->next;
    c->at = c->chunk->start;
  }
}

int chunks_peek_at(const struct chunks *q, struct chunk_cursor *c, struct iovec *iov, int max) {
  settle(q, c);
  return c->chunk == NULL ? 0 : collect(c->chunk, c->at, iov, max);
}

void chunks_advance(const struct chunks *q, struct chunk_cursor *c, size_t n) {
  settle(q, c);
  while (n > 0 && c->chunk != NULL) {
    size_t part = c->chunk->end - c->at;

    if (part > n) part = n;
    c->at += (uint32_t)part;
    n -= part;
    if (n > 0) settle(q, c);
  }
}

void chunks_consume(struct chunks *q, struct chunk_cursor *cursor, size_t n) {
  if (cursor != NULL) settle(q, cursor);
  while (n > 0 && q->head != NULL) {
    struct chunk *c = q->head;
    size_t part = c->end - c->start;

    if (part > n) part = n;
    c->start += (uint32_t)part;
    q->len -= part;
    n -= part;
    if (c->start < c->end) break;
    q->head = c->next;
    if (q->head == NULL) q->tail = NULL;
    if (cursor != NULL && cursor->chunk == c) cursor->chunk = NULL;
    chunk_put(c);
  }
}

void chunks_free(struct chunks *q) {
  while (q->head != NULL) {
    struct chunk *c = q->head;

    q->head = c->next;
    chunk_put(c);
  }
  q->tail = NULL;
  q->len = 0;
}
