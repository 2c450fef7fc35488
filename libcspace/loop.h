/*
 * loop.h - the engine: one thread with epoll for all nodes of the process.
 *
 * One lock guards everything the engine owns. The thread holds it while it works and lets go of it only in
 * epoll_wait. API calls take it, change state, and wake the thread. Handlers run in the thread with the lock held.
 * Cost per event does not depend on the number of idle fds. I/O shell.
 */
#ifndef CSPACE_LOOP_H
#define CSPACE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "timers.h"

struct loop;

/* The process's engine, started on first use, counted. NULL + errno (ENOTSUP in a forked child). */
struct loop *loop_get(void);
void loop_put(struct loop *l); /* the last one stops and joins the thread; not from the thread itself */

/* First come, first served: neither a busy engine nor busy callers starve the others. Not recursive. A thread that
 * forks must not hold it. */
void loop_lock(struct loop *l);
void loop_unlock(struct loop *l);
/* For a holder of the lock: gives it up until `cond` is signalled (by a holder of the lock) or the clock has come to
 * `until` (TIMER_NEVER: no limit), and takes it again. 0 or -1 + ETIMEDOUT; wakes up for nothing now and then. */
int loop_cond_wait(struct loop *l, pthread_cond_t *cond, uint64_t until);
void loop_wake(struct loop *l);             /* any thread: one more turn soon */
bool loop_in_thread(const struct loop *l);
bool loop_forked(void);                     /* this process is a fork's child of one that had an engine */

/* A watched fd. The struct is the owner's, zeroed before first use; watch_add enters it, watch_del before closing the
 * fd. All three below need the lock. In a forked child every watched fd is closed and `fd` is -1. */
struct watch {
  int fd;
  void (*ready)(struct watch *w, uint32_t epoll_events);
  void *owner;
  struct loop *loop;           /* NULL while not added */
  uint32_t slot;               /* the engine's, place in its table */
};
int watch_add(struct loop *l, struct watch *w, uint32_t epoll_events);  /* EPOLLET as the caller says; 0 or -1 */
int watch_mod(struct watch *w, uint32_t epoll_events);
void watch_del(struct watch *w);            /* legal when not added; safe inside handlers, also of other watches */

/* A deadline. fire runs once in the thread when `at` has come; set again to repeat. Zeroed before first use. */
struct alarm {
  struct timer timer;
  void (*fire)(struct alarm *a, uint64_t now);
  void *owner;
  struct loop *loop;
};
/* TIMER_NEVER cancels. 0, or -1 + ENOMEM and the alarm is as it was: only arming can fail, never moving. */
int alarm_set(struct loop *l, struct alarm *a, uint64_t at);
void alarm_cancel(struct alarm *a);

/* Work to do at the end of this turn, once, after all ready fds and alarms were handled (flush of queued packets). One
 * that is queued by a task runs in the next turn, which comes at once. */
struct task {
  void (*run)(struct task *t, uint64_t now);
  void *owner;
  struct task *next, **link;   /* the engine's */
  bool queued;
};
void task_queue(struct loop *l, struct task *t); /* any holder of the lock; wakes the thread when not in it */
void task_cancel(struct loop *l, struct task *t);

/* In the thread: something is expected within us microseconds, so look for it that long before sleeping. */
void loop_look(struct loop *l, uint64_t us);
uint64_t loop_now(const struct loop *l);   /* monotonic us: in the thread sampled once per turn, elsewhere now */
uint64_t clock_now(void);                  /* monotonic us, sampled now */
uint64_t clock_wall(void);                 /* Unix seconds */

#endif
