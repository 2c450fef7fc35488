/*
 * timers.c - deadlines in a binary heap.
 *
 * timer->slot is the timer's place plus one, so a zeroed timer is one that is
 * not armed, and moving or cancelling needs no search.
 */
#include "timers.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAP 16

void timers_init(struct timers *t) {
  t->heap = NULL;
  t->len = t->cap = 0;
}

void timers_free(struct timers *t) {
  if (t == NULL) return;
  for (size_t i = 0; i < t->len; i++) t->heap[i]->slot = 0;
  free(t->heap);
  timers_init(t);
}

static void place(struct timers *t, size_t i, struct timer *timer) {
  t->heap[i] = timer;
  timer->slot = i + 1;
}

static void sift_up(struct timers *t, size_t i) {
  struct timer *moving = t->heap[i];

  while (i > 0) {
    size_t parent = (i - 1) / 2;

    if (t->heap[parent]->at <= moving->at) break;
    place(t, i, t->heap[parent]);
    i = parent;
  }
  place(t, i, moving);
}

static void sift_down(struct timers *t, size_t i) {
  struct timer *moving = t->heap[i];

  for (;;) {
    size_t child = 2 * i + 1;

    if (child >= t->len) break;
    if (child + 1 < t->len && t->heap[child + 1]->at < t->heap[child]->at) child++;
    if (t->heap[child]->at >= moving->at) break;
    place(t, i, t->heap[child]);
    i = child;
  }
  place(t, i, moving);
}

static int grow(struct timers *t) {
  size_t cap = t->cap != 0 ? 2 * t->cap : FIRST_CAP;
  struct timer **heap;

  if (t->len < t->cap) return 0;
  heap = reallocarray(t->heap, cap, sizeof *heap);
  if (heap == NULL) {
    errno = ENOMEM;
    return -1;
  }
  t->heap = heap;
  t->cap = cap;
  return 0;
}

int timers_set(struct timers *t, struct timer *timer, uint64_t at) {
  if (at == TIMER_NEVER) {
    timers_cancel(t, timer);
    return 0;
  }
  if (timer->slot == 0) {
    if (grow(t) != 0) return -1;
    timer->at = at;
    place(t, t->len++, timer);
    sift_up(t, t->len - 1);
  } else if (at < timer->at) {
    timer->at = at;
    sift_up(t, timer->slot - 1);
  } else {
    timer->at = at;
    sift_down(t, timer->slot - 1);
  }
  return 0;
}

void timers_cancel(struct timers *t, struct timer *timer) {
  struct timer *last;
  size_t hole;

  if (timer->slot == 0) return;
  hole = timer->slot - 1;
  timer->slot = 0;
  last = t->heap[--t->len];
  if (last == timer) return;
  place(t, hole, last);
  /* The last one may belong above the hole or below it: it comes from another branch. */
  sift_up(t, hole);
  sift_down(t, last->slot - 1);
}

uint64_t timers_next(const struct timers *t) { return t->len != 0 ? t->heap[0]->at : TIMER_NEVER; }

struct timer *timers_pop(struct timers *t, uint64_t now) {
  struct timer *first;

  if (t->len == 0 || t->heap[0]->at > now) return NULL;
  first = t->heap[0];
  timers_cancel(t, first);
  return first;
}
