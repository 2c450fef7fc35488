/*
 * test_chunks.c - the queue of chunks against a flat buffer, random
 * operations; bytes stay where they are until they are consumed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "chunks.h"
#include "rng.h"

#define FLAT_MAX (4u << 20)

static uint8_t *flat;          /* the model: bytes [start, end) are queued, sent of them went out */
static size_t start, end, sent;

static void check_equal(const struct chunks *q, struct chunk_cursor *c) {
  struct iovec iov[80];
  int n = chunks_peek(q, iov, 80);
  size_t at = start;

  CU_ASSERT_EQUAL_FATAL(q->len, end - start);
  for (int i = 0; i < n; i++) {
    CU_ASSERT_EQUAL_FATAL(memcmp(iov[i].iov_base, flat + at, iov[i].iov_len), 0);
    at += iov[i].iov_len;
  }
  CU_ASSERT_EQUAL_FATAL(at, end);
  n = chunks_peek_at(q, c, iov, 80);
  at = sent;
  for (int i = 0; i < n; i++) {
    CU_ASSERT_EQUAL_FATAL(memcmp(iov[i].iov_base, flat + at, iov[i].iov_len), 0);
    at += iov[i].iov_len;
  }
  CU_ASSERT_EQUAL_FATAL(at, end);
}

static void append(struct chunks *q, struct rng *rng, size_t n) {
  size_t taken;

  rng_bytes(rng, flat + end, n);
  CU_ASSERT_EQUAL_FATAL(chunks_append(q, flat + end, n, &taken), 0);
  CU_ASSERT_EQUAL_FATAL(taken, n);
  end += n;
}

static void reserve(struct chunks *q, struct rng *rng, size_t want, size_t use) {
  struct iovec iov[8];
  int n = chunks_reserve(q, want, iov, 8);
  size_t room = 0, left;

  CU_ASSERT_FATAL(n > 0);
  for (int i = 0; i < n; i++) room += iov[i].iov_len;
  CU_ASSERT_FATAL(room <= want);
  if (use > room) use = room;
  rng_bytes(rng, flat + end, use);
  left = use;
  for (int i = 0; i < n && left > 0; i++) {
    size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

    memcpy(iov[i].iov_base, flat + end + (use - left), part);
    left -= part;
  }
  chunks_commit(q, use);
  end += use;
}

static void equals_a_flat_buffer(void) {
  struct chunks q = {0};
  struct chunk_cursor c = {0};
  struct rng rng;
  uint8_t seed[RNG_SEED_LEN] = {1};

  rng_init(&rng, seed);
  flat = malloc(FLAT_MAX);
  CU_ASSERT_PTR_NOT_NULL_FATAL(flat);
  for (int round = 0; round < 4000; round++) {
    size_t n = rng_below(&rng, 10) == 0 ? rng_below(&rng, 200000) : rng_below(&rng, 3000);

    if (end + n > FLAT_MAX) { /* start over with what is queued */
      memmove(flat, flat + start, end - start);
      end -= start;
      sent -= start;
      start = 0;
      if (end + n > FLAT_MAX) continue;
    }
    switch (rng_below(&rng, 4)) {
    case 0:
      append(&q, &rng, n);
      break;
    case 1:
      if (n > 0) reserve(&q, &rng, n, rng_below(&rng, (uint32_t)n + 1));
      break;
    case 2:
      if (n > end - sent) n = end - sent;
      chunks_advance(&q, &c, n);
      sent += n;
      break;
    default:
      if (n > sent - start) n = sent - start;
      chunks_consume(&q, &c, n);
      start += n;
    }
    check_equal(&q, &c);
  }
  chunks_free(&q);
  chunks_pool_trim();
  free(flat);
}

static void bytes_do_not_move(void) {
  struct chunks q = {0};
  struct iovec before[2], after[2];
  uint8_t data[1000] = {7};
  size_t taken;

  CU_ASSERT_EQUAL(chunks_append(&q, data, sizeof data, &taken), 0);
  CU_ASSERT_EQUAL(chunks_peek(&q, before, 2), 1);
  for (int i = 0; i < 500; i++) CU_ASSERT_EQUAL_FATAL(chunks_append(&q, data, sizeof data, &taken), 0);
  CU_ASSERT(chunks_peek(&q, after, 2) >= 1);
  CU_ASSERT_PTR_EQUAL(before[0].iov_base, after[0].iov_base);
  chunks_consume(&q, NULL, 10);
  CU_ASSERT(chunks_peek(&q, after, 2) >= 1);
  CU_ASSERT_PTR_EQUAL((uint8_t *)before[0].iov_base + 10, after[0].iov_base);
  chunks_free(&q);
  chunks_pool_trim();
}

static void empty_queue_holds_nothing(void) {
  struct chunks q = {0};
  struct iovec iov[1];
  uint8_t byte = 1;
  size_t taken;

  CU_ASSERT_EQUAL(chunks_peek(&q, iov, 1), 0);
  CU_ASSERT_EQUAL(chunks_reserve(&q, 100, iov, 1), 1);
  chunks_commit(&q, 0);
  CU_ASSERT_PTR_NULL(q.head);
  CU_ASSERT_EQUAL(chunks_append(&q, &byte, 1, &taken), 0);
  chunks_consume(&q, NULL, 1);
  CU_ASSERT_PTR_NULL(q.head);
  CU_ASSERT_PTR_NULL(q.tail);
  chunks_pool_trim();
}

int main(void) {
  static const struct check_test tests[] = {
      {"equals a flat buffer under random operations", equals_a_flat_buffer},
      {"bytes do not move while they are queued", bytes_do_not_move},
      {"an empty queue holds no chunk", empty_queue_holds_nothing},
  };

  return check_main("chunks", tests, sizeof tests / sizeof tests[0]);
}
