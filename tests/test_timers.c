/* test_timers.c - the heap of deadlines, against a brute-force twin. */
#include "check.h"
#include "rng.h"
#include "timers.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define N 64

static void heap_holds(const struct timers *t) {
  for (size_t i = 0; i < t->len; i++) {
    CU_ASSERT_EQUAL(t->heap[i]->slot, i + 1);
    if (i > 0) CU_ASSERT_TRUE(t->heap[(i - 1) / 2]->at <= t->heap[i]->at);
  }
}

/* The twin: an array searched from end to end; never-armed ones are TIMER_NEVER. */
static size_t twin_first(const uint64_t at[N]) {
  size_t first = 0;

  for (size_t i = 1; i < N; i++)
    if (at[i] < at[first]) first = i;
  return first;
}

static void random_operations_match_the_twin(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {42};
  struct timer timer[N];
  uint64_t twin[N], now = 0;
  struct timers t;
  struct rng rng;
  unsigned popped = 0;

  memset(timer, 0, sizeof timer);
  memset(twin, 0xff, sizeof twin);
  timers_init(&t);
  rng_init(&rng, seed);
  for (int step = 0; step < 50000; step++) {
    size_t i = rng_below(&rng, N);
    unsigned what = rng_below(&rng, 8);

    if (what < 4) {
      twin[i] = now + rng_below(&rng, 100);
      CU_ASSERT_EQUAL(timers_set(&t, &timer[i], twin[i]), 0);
    } else if (what == 4) {
      twin[i] = TIMER_NEVER;
      timers_cancel(&t, &timer[i]);
    } else if (what == 5) {
      twin[i] = TIMER_NEVER;
      CU_ASSERT_EQUAL(timers_set(&t, &timer[i], TIMER_NEVER), 0);
    } else {
      struct timer *due;

      now += rng_below(&rng, 20);
      while ((due = timers_pop(&t, now)) != NULL) {
        size_t k = (size_t)(due - timer);

        CU_ASSERT_EQUAL(due->at, twin[twin_first(twin)]); /* equal deadlines may come in any order */
        CU_ASSERT_EQUAL(due->at, twin[k]);
        CU_ASSERT_EQUAL(due->slot, 0);
        twin[k] = TIMER_NEVER;
        popped++;
      }
      CU_ASSERT_TRUE(twin[twin_first(twin)] > now);
    }
    CU_ASSERT_EQUAL(timers_next(&t), twin[twin_first(twin)]);
    if (step % 100 == 0) heap_holds(&t);
  }
  CU_ASSERT_TRUE(popped > 1000);
  timers_free(&t);
  for (size_t i = 0; i < N; i++) CU_ASSERT_EQUAL(timer[i].slot, 0);
}

static bool no_memory;

/* Stands in for libc's in this program. */
void *reallocarray(void *p, size_t n, size_t size) {
  if (no_memory || (size != 0 && n > SIZE_MAX / size)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(p, n * size);
}

static void out_of_memory_changes_nothing(void) {
  static struct timer timer[100];
  struct timers t;
  size_t n = 0;

  timers_init(&t);
  no_memory = true;
  CU_ASSERT_EQUAL(timers_set(&t, &timer[0], 5), -1);
  CU_ASSERT_EQUAL(errno, ENOMEM);
  CU_ASSERT_EQUAL(timer[0].slot, 0);
  CU_ASSERT_EQUAL(timers_next(&t), TIMER_NEVER);
  no_memory = false;
  CU_ASSERT_EQUAL(timers_set(&t, &timer[n++], 1000), 0);
  no_memory = true; /* what has grown may be filled */
  while (n < 100 && timers_set(&t, &timer[n], 1000 - n) == 0) n++;
  CU_ASSERT_EQUAL(n, t.cap);
  CU_ASSERT_TRUE(n < 100);
  CU_ASSERT_EQUAL(timer[n].slot, 0);
  CU_ASSERT_EQUAL(timers_next(&t), 1000 - (n - 1));
  CU_ASSERT_EQUAL(timers_set(&t, &timer[0], 1), 0); /* moving needs no memory */
  CU_ASSERT_PTR_EQUAL(timers_pop(&t, 1), &timer[0]);
  CU_ASSERT_EQUAL(timers_set(&t, &timer[n], 2), 0);
  no_memory = false;
  timers_free(&t);
}

static void edges(void) {
  struct timer a = {0}, b = {0};
  struct timers t;

  timers_init(&t);
  CU_ASSERT_EQUAL(timers_next(&t), TIMER_NEVER);
  CU_ASSERT_PTR_NULL(timers_pop(&t, UINT64_MAX));
  timers_cancel(&t, &a);
  CU_ASSERT_EQUAL(timers_set(&t, &a, 10), 0);
  CU_ASSERT_PTR_NULL(timers_pop(&t, 9));
  CU_ASSERT_EQUAL(timers_set(&t, &b, 0), 0);
  CU_ASSERT_EQUAL(timers_next(&t), 0);
  CU_ASSERT_PTR_EQUAL(timers_pop(&t, 10), &b);
  CU_ASSERT_PTR_EQUAL(timers_pop(&t, 10), &a);
  CU_ASSERT_PTR_NULL(timers_pop(&t, 10));
  CU_ASSERT_EQUAL(timers_set(&t, &a, TIMER_NEVER), 0);
  CU_ASSERT_EQUAL(t.len, 0);
  timers_free(&t);
  timers_free(&t);
  timers_free(NULL);
}

static const struct check_test tests[] = {
    {"random operations match the brute-force twin", random_operations_match_the_twin},
    {"out of memory changes nothing", out_of_memory_changes_nothing},
    {"empty heap, equal deadlines, cancelling twice", edges},
};

int main(void) { return sodium_init() < 0 ? 1 : check_main("timers", tests, sizeof tests / sizeof tests[0]); }
