/*
 * timers.h - a binary heap of deadlines, intrusive, so that arming, moving
 * and cancelling cost O(log n) and never allocate once the heap has grown.
 * The clock is the caller's: monotonic microseconds.
 */
#ifndef CSPACE_TIMERS_H
#define CSPACE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

struct timer {
  uint64_t at;  /* deadline, us */
  size_t slot;  /* place in the heap plus one; 0 when not armed */
  void *owner;  /* the caller's */
};

struct timers {
  struct timer **heap;
  size_t len, cap;
};

void timers_init(struct timers *t);
void timers_free(struct timers *t); /* the timers themselves are the callers' */
/* Arms or moves. 0, or -1 + ENOMEM (then the timer is as it was). TIMER_NEVER cancels. */
int timers_set(struct timers *t, struct timer *timer, uint64_t at);
void timers_cancel(struct timers *t, struct timer *timer); /* legal when not armed */
uint64_t timers_next(const struct timers *t);              /* TIMER_NEVER when empty */
/* Takes out and returns one timer due at `now`, the earliest first; NULL when none is due. */
struct timer *timers_pop(struct timers *t, uint64_t now);

#endif
