/*
 * loop.c - the engine thread: epoll, deadlines, end-of-turn tasks, and what
 * becomes of all that in a forked child.
 *
 * A turn: sleep in epoll without the lock; take the lock; sample the clock;
 * ready fds; alarms that are due; tasks; let go of the lock. An event that
 * epoll gave out while someone else held the lock may belong to a watch that
 * is gone by the time the thread gets it. So events carry a slot of a table
 * and the slot's generation, never a pointer.
 */
#include "loop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64
#define WATCHES_MAX (1u << 22) /* above any RLIMIT_NOFILE in use; an fd has at most one watch */
#define SLOTS_FIRST 64
#define SLOT_NONE UINT32_MAX
#define TAG_WAKE UINT64_MAX
#define TAG_TIMER (UINT64_MAX - 1)
#define TIMER_SLACK_NS 5000ul /* pacing wants deadlines kept to well below 100 us; the kernel's default is 50 us */

struct slot {
  struct watch *watch; /* NULL: free, `next` is the next free one */
  uint32_t generation;
  uint32_t next;
};

/* One thread in line for the lock. */
struct waiter {
  pthread_cond_t turn;
  bool mine;
  struct waiter *next;
};

struct loop {
  unsigned refs; /* under engine_mutex */
  pthread_t thread;

  /* The lock: whoever lets go hands it to the first in line. */
  pthread_mutex_t mutex; /* guards these four only */
  bool held;
  struct waiter *first, **last;

  int epoll_fd, wake_fd, timer_fd; /* timer_fd: -1 while epoll_pwait2 works */
  uint64_t timer_at;               /* what timer_fd is set to */
  atomic_bool wake_pending, stop;

  /* Under the lock. */
  struct slot *slots;
  uint32_t nslots, free_slot;
  struct timers timers;
  struct task *tasks, **tasks_end; /* to be run */
  bool again;                      /* the next turn comes at once */
  uint64_t sleep_until;            /* what the thread sleeps for, while it sleeps */
  uint64_t now;
  uint64_t look_until;             /* no sleep before this */
};

static pthread_mutex_t engine_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct loop *engine; /* the process's one; under engine_mutex */
static atomic_bool forked;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static _Thread_local const struct loop *thread_loop; /* set in the engine thread */

/* ---- clocks ---- */

uint64_t clock_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_wall(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (uint64_t)ts.tv_sec;
}

uint64_t loop_now(const struct loop *l) {
  return loop_in_thread(l) ? l->now : clock_now();
}

static struct timespec to_timespec(uint64_t us) {
  return (struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
}

/* ---- the lock ---- */

/* The mutex is held. */
static void take(struct loop *l) {
  if (!l->held) {
    l->held = true;
    return;
  }
  struct waiter w = {.turn = PTHREAD_COND_INITIALIZER};
  *l->last = &w;
  l->last = &w.next;
  while (!w.mine)
    pthread_cond_wait(&w.turn, &l->mutex);
  pthread_cond_destroy(&w.turn);
}

/* The mutex is held. */
static void give(struct loop *l) {
  struct waiter *w = l->first;
  if (!w) {
    l->held = false;
    return;
  }
  l->first = w->next;
  if (!l->first)
    l->last = &l->first;
  w->mine = true;
  pthread_cond_signal(&w->turn);
}

void loop_lock(struct loop *l) {
  pthread_mutex_lock(&l->mutex);
  take(l);
  pthread_mutex_unlock(&l->mutex);
}

void loop_unlock(struct loop *l) {
  pthread_mutex_lock(&l->mutex);
  give(l);
  pthread_mutex_unlock(&l->mutex);
}

int loop_cond_wait(struct loop *l, pthread_cond_t *cond, uint64_t until) {
  int rc;
  struct timespec ts = to_timespec(until);
  pthread_mutex_lock(&l->mutex);
  give(l);
  if (until == TIMER_NEVER)
    rc = pthread_cond_wait(cond, &l->mutex);
  else
    rc = pthread_cond_clockwait(cond, &l->mutex, CLOCK_MONOTONIC, &ts);
  take(l);
  pthread_mutex_unlock(&l->mutex);
  if (!rc)
    return 0;
  errno = rc;
  return -1;
}

bool loop_in_thread(const struct loop *l) {
  return thread_loop == l;
}

bool loop_forked(void) {
  return atomic_load(&forked);
}

void loop_wake(struct loop *l) {
  uint64_t one = 1;
  if (loop_in_thread(l))
    l->again = true;
  else if (!loop_forked() && !atomic_exchange(&l->wake_pending, true))
    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
      ;
}

/* ---- watches ---- */

static int slots_grow(struct loop *l) {
  uint32_t n = l->nslots ? l->nslots * 2 : SLOTS_FIRST;
  if (n > WATCHES_MAX) {
    errno = ENOMEM;
    return -1;
  }
  struct slot *slots = realloc(l->slots, n * sizeof *slots);
  if (!slots)
    return -1;
  for (uint32_t i = l->nslots; i < n; i++)
    slots[i] = (struct slot){.next = i + 1 < n ? i + 1 : SLOT_NONE};
  l->slots = slots;
  l->free_slot = l->nslots;
  l->nslots = n;
  return 0;
}

static uint64_t slot_tag(const struct loop *l, uint32_t slot) {
  return (uint64_t)l->slots[slot].generation << 32 | slot;
}

static void slot_release(struct loop *l, uint32_t slot) {
  l->slots[slot] = (struct slot){.generation = l->slots[slot].generation + 1, .next = l->free_slot};
  l->free_slot = slot;
}

int watch_add(struct loop *l, struct watch *w, uint32_t epoll_events) {
  if (loop_forked()) {
    errno = ENOTSUP;
    return -1;
  }
  if (l->free_slot == SLOT_NONE && slots_grow(l))
    return -1;
  uint32_t slot = l->free_slot;
  struct epoll_event ev = {.events = epoll_events, .data.u64 = slot_tag(l, slot)};
  if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev))
    return -1;
  l->free_slot = l->slots[slot].next;
  l->slots[slot].watch = w;
  w->slot = slot;
  w->loop = l;
  return 0;
}

int watch_mod(struct watch *w, uint32_t epoll_events) {
  if (!w->loop || loop_forked()) {
    errno = w->loop ? ENOTSUP : ENOENT;
    return -1;
  }
  struct epoll_event ev = {.events = epoll_events, .data.u64 = slot_tag(w->loop, w->slot)};
  return epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void watch_del(struct watch *w) {
  struct loop *l = w->loop;
  if (!l)
    return;
  /* Needed though the fd is closed next: a dup in another process would keep it in the epoll set. */
  if (!loop_forked())
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
  slot_release(l, w->slot);
  w->loop = NULL;
}

/* ---- alarms and tasks ---- */

int alarm_set(struct loop *l, struct alarm *a, uint64_t at) {
  a->timer.owner = a;
  if (timers_set(&l->timers, &a->timer, at))
    return -1;
  a->loop = l;
  if (!loop_in_thread(l) && at < l->sleep_until)
    loop_wake(l);
  return 0;
}

void alarm_cancel(struct alarm *a) {
  if (a->loop)
    timers_cancel(&a->loop->timers, &a->timer);
}

void task_queue(struct loop *l, struct task *t) {
  if (t->queued)
    return;
  t->queued = true;
  t->next = NULL;
  t->link = l->tasks_end;
  *l->tasks_end = t;
  l->tasks_end = &t->next;
  if (!loop_in_thread(l))
    loop_wake(l);
}

void task_cancel(struct loop *l, struct task *t) {
  if (!t->queued)
    return;
  *t->link = t->next;
  if (t->next)
    t->next->link = t->link;
  else
    l->tasks_end = t->link;
  t->queued = false;
}

/* Those queued meanwhile come behind the mark and are left for the next turn: fds must not starve. The mark is a task
 * of its own, so that any other one may be cancelled while we run. */
static void run_tasks(struct loop *l) {
  if (!l->tasks)
    return;
  struct task mark = {0};
  task_queue(l, &mark);
  while (l->tasks != &mark) {
    struct task *t = l->tasks;
    task_cancel(l, t);
    t->run(t, l->now);
  }
  task_cancel(l, &mark);
}

/* At most as many as are armed now: one that is set again to the past must not keep the turn from ending. */
static void run_alarms(struct loop *l) {
  struct timer *t;
  for (size_t n = l->timers.len; n && (t = timers_pop(&l->timers, l->now)); n--) {
    struct alarm *a = t->owner;
    a->fire(a, l->now);
  }
}

/* ---- the thread ---- */

/* Without epoll_pwait2 (before Linux 5.11, or in a sandbox that does not know it) a timerfd in the set wakes us. */
static int timer_fd_make(struct loop *l) {
  struct epoll_event ev = {.events = EPOLLIN, .data.u64 = TAG_TIMER};
  l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (l->timer_fd < 0)
    return -1;
  l->timer_at = TIMER_NEVER;
  if (!epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->timer_fd, &ev))
    return 0;
  close(l->timer_fd);
  l->timer_fd = -1;
  return -1;
}

static int timer_fd_wait(struct loop *l, struct epoll_event *ev, uint64_t until) {
  if (until == 0)
    return epoll_wait(l->epoll_fd, ev, EVENTS_PER_TURN, 0);
  if (until != l->timer_at) {
    struct itimerspec at = {.it_value = to_timespec(until == TIMER_NEVER ? 0 : until)};
    timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    l->timer_at = until;
  }
  return epoll_wait(l->epoll_fd, ev, EVENTS_PER_TURN, -1);
}

/* Sleeps until something is ready or the clock has come to `until` (0: not at all). */
static int wait_events(struct loop *l, struct epoll_event *ev, uint64_t until) {
  if (l->timer_fd < 0) {
    uint64_t now = until == 0 || until == TIMER_NEVER ? 0 : clock_now();
    struct timespec ts = to_timespec(until > now ? until - now : 0);
    int n = epoll_pwait2(l->epoll_fd, ev, EVENTS_PER_TURN, until == TIMER_NEVER ? NULL : &ts, NULL);
    if (n >= 0 || errno == EINTR)
      return n;
    /* Out of fds: coarse deadlines are better than none. */
    if (timer_fd_make(l))
      return epoll_wait(l->epoll_fd, ev, EVENTS_PER_TURN, 1);
  }
  return timer_fd_wait(l, ev, until);
}

void loop_look(struct loop *l, uint64_t us) {
  l->look_until = l->now + us;
}

/* To sleep and be woken costs more than a few looks, where something is to come at once. */
static int look_and_wait(struct loop *l, struct epoll_event *ev, uint64_t until, uint64_t look_until) {
  if (look_until > until)
    look_until = until;
  while (look_until > clock_now()) {
    int n = epoll_wait(l->epoll_fd, ev, EVENTS_PER_TURN, 0);
    if (n != 0)
      return n;
    sched_yield(); /* what we wait for may need this processor */
  }
  return wait_events(l, ev, until);
}

static void clear_wake(struct loop *l) {
  uint64_t count;
  /* In this order: who finds the flag still set has changed his state before this turn takes the lock. */
  while (read(l->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
    ;
  atomic_store(&l->wake_pending, false);
}

static void clear_timer(struct loop *l) {
  uint64_t count;
  if (read(l->timer_fd, &count, sizeof count) > 0)
    l->timer_at = TIMER_NEVER;
}

static void handle(struct loop *l, const struct epoll_event *ev) {
  uint32_t slot = (uint32_t)ev->data.u64;
  if (ev->data.u64 == TAG_WAKE || ev->data.u64 == TAG_TIMER || slot >= l->nslots || !l->slots[slot].watch ||
      slot_tag(l, slot) != ev->data.u64)
    return;
  struct watch *w = l->slots[slot].watch;
  w->ready(w, ev->events);
}

static void turn(struct loop *l, const struct epoll_event *ev, int n) {
  l->now = clock_now();
  l->sleep_until = 0;
  l->again = false;
  for (int i = 0; i < n; i++)
    handle(l, &ev[i]);
  run_alarms(l);
  run_tasks(l);
  l->sleep_until = l->again || l->tasks ? 0 : timers_next(&l->timers);
}

static void *thread_main(void *arg) {
  struct loop *l = arg;
  struct epoll_event ev[EVENTS_PER_TURN];
  thread_loop = l;
  prctl(PR_SET_NAME, "cspace");
  prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
  loop_lock(l);
  turn(l, ev, 0);
  while (!atomic_load(&l->stop)) {
    uint64_t until = l->sleep_until, look_until = l->look_until;
    loop_unlock(l);
    int n = look_and_wait(l, ev, until, look_until);
    for (int i = 0; i < n; i++) {
      if (ev[i].data.u64 == TAG_WAKE)
        clear_wake(l);
      else if (ev[i].data.u64 == TAG_TIMER)
        clear_timer(l);
    }
    loop_lock(l);
    turn(l, ev, n);
  }
  loop_unlock(l);
  return NULL;
}

/* ---- fork ---- */

static void fork_prepare(void) {
  pthread_mutex_lock(&engine_mutex);
  if (engine) {
    loop_lock(engine);
    pthread_mutex_lock(&engine->mutex);
  }
}

static void fork_parent(void) {
  if (engine) {
    pthread_mutex_unlock(&engine->mutex);
    loop_unlock(engine);
  }
  pthread_mutex_unlock(&engine_mutex);
}

/* Our ends of pairs must not live on here: the application's ends would never see the reset when the parent dies. The
 * memory stays: nodes still point at it, and freeing is not the forked thread's to do. */
static void fork_child(void) {
  if (engine) {
    struct loop *l = engine;
    atomic_store(&forked, true);
    close(l->epoll_fd);
    close(l->wake_fd);
    if (l->timer_fd >= 0)
      close(l->timer_fd);
    for (uint32_t i = 0; i < l->nslots; i++) {
      if (l->slots[i].watch) {
        close(l->slots[i].watch->fd);
        l->slots[i].watch->fd = -1;
      }
    }
    l->held = false; /* those in line did not come along */
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->mutex);
  }
  pthread_mutex_unlock(&engine_mutex);
}

static void fork_register(void) {
  pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- start and stop ---- */

static void loop_free(struct loop *l) {
  if (l->epoll_fd >= 0)
    close(l->epoll_fd);
  if (l->wake_fd >= 0)
    close(l->wake_fd);
  if (l->timer_fd >= 0)
    close(l->timer_fd);
  timers_free(&l->timers);
  free(l->slots);
  pthread_mutex_destroy(&l->mutex);
  free(l);
}

/* The thread gets no signals: they are the application's. */
static int thread_start(struct loop *l) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&l->thread, NULL, thread_main, l);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (!rc)
    return 0;
  errno = rc;
  return -1;
}

static struct loop *loop_new(void) {
  struct loop *l = calloc(1, sizeof *l);
  if (!l)
    return NULL;
  pthread_mutex_init(&l->mutex, NULL);
  timers_init(&l->timers);
  l->last = &l->first;
  l->tasks_end = &l->tasks;
  l->free_slot = SLOT_NONE;
  l->timer_fd = -1;
  l->wake_fd = -1;
  l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (l->epoll_fd >= 0)
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event ev = {.events = EPOLLIN, .data.u64 = TAG_WAKE};
  if (l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) || thread_start(l)) {
    int saved = errno;
    loop_free(l);
    errno = saved;
    return NULL;
  }
  return l;
}

struct loop *loop_get(void) {
  pthread_once(&fork_once, fork_register);
  if (loop_forked()) {
    errno = ENOTSUP;
    return NULL;
  }
  pthread_mutex_lock(&engine_mutex);
  if (!engine)
    engine = loop_new();
  struct loop *l = engine;
  if (l)
    l->refs++;
  pthread_mutex_unlock(&engine_mutex);
  return l;
}

void loop_put(struct loop *l) {
  if (!l || loop_forked())
    return;
  pthread_mutex_lock(&engine_mutex);
  if (--l->refs == 0) {
    atomic_store(&l->stop, true);
    loop_wake(l);
    pthread_join(l->thread, NULL);
    loop_free(l);
    engine = NULL;
  }
  pthread_mutex_unlock(&engine_mutex);
}
