/*
 * test_loop.c - the engine: events, deadlines, tasks, the lock's fairness, and the child of a fork.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define DEADLINE_US 10000000u

/* What the handlers of a test share; under the loop's lock, `changed` says that it changed. */
struct world {
  struct loop *l;
  pthread_cond_t changed;
  int count;
  uint64_t at;
};

static struct world start(void) {
  struct world w = {.l = loop_get(), .changed = PTHREAD_COND_INITIALIZER};
  CU_ASSERT_FATAL(w.l != NULL);
  return w;
}

/* The lock is held. True when count came to `n` in time. */
static bool await(struct world *w, int n) {
  uint64_t until = clock_now() + DEADLINE_US;
  while (w->count < n && !loop_cond_wait(w->l, &w->changed, until))
    ;
  return w->count >= n;
}

static void note(struct world *w) {
  w->count++;
  w->at = loop_now(w->l);
  pthread_cond_broadcast(&w->changed);
}

/* ---- the engine itself ---- */

static void test_counted(void) {
  struct loop *a = loop_get(), *b = loop_get();
  CU_ASSERT(a != NULL && a == b);
  CU_ASSERT(!loop_in_thread(a));
  CU_ASSERT(!loop_forked());
  loop_put(b);
  loop_lock(a); /* still there */
  loop_unlock(a);
  loop_put(a);
  loop_put(NULL);
  for (int i = 0; i < 100; i++) {
    a = loop_get();
    CU_ASSERT_FATAL(a != NULL);
    loop_put(a);
  }
}

static void test_clocks(void) {
  uint64_t a = clock_now(), b = clock_now();
  CU_ASSERT(b >= a && b - a < DEADLINE_US);
  CU_ASSERT(clock_wall() > 1600000000);
}

/* ---- fds ---- */

struct echo {
  struct watch watch;
  struct world *world;
  bool in_thread;
  uint32_t events;
};

static void on_ready(struct watch *watch, uint32_t events) {
  struct echo *e = watch->owner;
  char buf[64];
  while (recv(watch->fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
    ;
  e->in_thread = loop_in_thread(watch->loop);
  e->events = events;
  note(e->world);
}

static void test_watch(void) {
  struct world w = start();
  int fd[2];
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
  struct echo e = {.watch = {.fd = fd[0], .ready = on_ready, .owner = &e}, .world = &w};
  loop_lock(w.l);
  watch_del(&e.watch); /* not added yet */
  CU_ASSERT(watch_mod(&e.watch, EPOLLIN) == -1);
  CU_ASSERT(watch_add(w.l, &e.watch, EPOLLIN | EPOLLET) == 0);
  for (int i = 1; i <= 3; i++) {
    CU_ASSERT(write(fd[1], "x", 1) == 1);
    CU_ASSERT(await(&w, i));
    CU_ASSERT(e.in_thread && (e.events & EPOLLIN));
  }
  CU_ASSERT(watch_mod(&e.watch, EPOLLOUT | EPOLLET) == 0);
  CU_ASSERT(await(&w, 4) && (e.events & EPOLLOUT));
  watch_del(&e.watch);
  watch_del(&e.watch);
  CU_ASSERT(e.watch.loop == NULL);
  e.watch.fd = -1;
  CU_ASSERT(watch_add(w.l, &e.watch, EPOLLIN) == -1 && errno == EBADF);
  CU_ASSERT(e.watch.loop == NULL);
  loop_unlock(w.l);
  close(fd[0]);
  close(fd[1]);
  loop_put(w.l);
}

#define CROWD 40

struct crowd {
  struct world *world;
  struct echo *members[CROWD];
  int fds[CROWD][2];
};

static struct crowd crowd;

/* The first to be ready takes all others away, whose events wait in the same batch, and frees them. */
static void on_ready_first(struct watch *watch, uint32_t events) {
  struct echo *self = watch->owner;
  for (int i = 0; i < CROWD; i++) {
    if (!crowd.members[i] || crowd.members[i] == self)
      continue;
    watch_del(&crowd.members[i]->watch);
    free(crowd.members[i]);
    crowd.members[i] = NULL;
  }
  /* One in the slot of one that is gone must not get the old one's event. */
  self->events = events;
  note(self->world);
}

static void on_ready_never(struct watch *watch, uint32_t events) {
  struct echo *e = watch->owner;
  e->events |= events;
}

static void test_del_of_others(void) {
  struct world w = start();
  loop_lock(w.l);
  for (int i = 0; i < CROWD; i++) {
    struct echo *e = calloc(1, sizeof *e);
    CU_ASSERT_FATAL(e && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, crowd.fds[i]) == 0);
    e->watch = (struct watch){.fd = crowd.fds[i][0], .ready = on_ready_first, .owner = e};
    e->world = &w;
    crowd.members[i] = e;
    CU_ASSERT(watch_add(w.l, &e->watch, EPOLLIN | EPOLLET) == 0);
  }
  for (int i = 0; i < CROWD; i++)
    CU_ASSERT(write(crowd.fds[i][1], "x", 1) == 1);
  CU_ASSERT(await(&w, 1));
  CU_ASSERT(w.count == 1);
  for (int i = 0; i < CROWD; i++) {
    if (crowd.members[i])
      watch_del(&crowd.members[i]->watch);
    free(crowd.members[i]);
    crowd.members[i] = NULL;
    close(crowd.fds[i][0]);
    close(crowd.fds[i][1]);
  }
  loop_unlock(w.l);
  loop_put(w.l);
}

/* An event that the thread holds while it waits for the lock, for a watch that is gone and freed meanwhile; its slot is
 * taken again by another. */
static void test_stale_events(void) {
  struct world w = start();
  for (int round = 0; round < 300; round++) {
    int a[2], b[2];
    CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) == 0);
    CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) == 0);
    struct echo *old = calloc(1, sizeof *old), *new = calloc(1, sizeof *new);
    CU_ASSERT_FATAL(old && new);
    old->watch = (struct watch){.fd = a[0], .ready = on_ready_never, .owner = old};
    new->watch = (struct watch){.fd = b[0], .ready = on_ready_never, .owner = new};
    loop_lock(w.l);
    CU_ASSERT(watch_add(w.l, &old->watch, EPOLLIN | EPOLLET) == 0);
    CU_ASSERT(write(a[1], "x", 1) == 1);
    uint64_t until = clock_now() + (uint64_t)round; /* the thread gets the event now, and waits for us */
    while (clock_now() < until)
      ;
    watch_del(&old->watch);
    free(old);
    close(a[0]);
    CU_ASSERT(watch_add(w.l, &new->watch, EPOLLIN | EPOLLET) == 0);
    loop_unlock(w.l);
    loop_lock(w.l); /* first come, first served: the thread's turn is over */
    CU_ASSERT(new->events == 0);
    watch_del(&new->watch);
    loop_unlock(w.l);
    free(new);
    close(a[1]);
    close(b[0]);
    close(b[1]);
  }
  loop_put(w.l);
}

static void test_many_watches(void) {
  enum { N = 400 };
  static struct echo e[N];
  static int fd[N][2];
  struct world w = start();
  loop_lock(w.l);
  for (int i = 0; i < N; i++) {
    CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd[i]) == 0);
    e[i] = (struct echo){.watch = {.fd = fd[i][0], .ready = on_ready, .owner = &e[i]}, .world = &w};
    CU_ASSERT(watch_add(w.l, &e[i].watch, EPOLLIN | EPOLLET) == 0);
  }
  for (int i = 0; i < N; i += 2)
    CU_ASSERT(write(fd[i][1], "x", 1) == 1);
  CU_ASSERT(await(&w, N / 2));
  CU_ASSERT(w.count == N / 2);
  for (int i = 0; i < N; i++) {
    CU_ASSERT(!e[i].in_thread == i % 2);
    watch_del(&e[i].watch);
    close(fd[i][0]);
    close(fd[i][1]);
  }
  loop_unlock(w.l);
  loop_put(w.l);
}

/* ---- deadlines ---- */

struct bell {
  struct alarm alarm;
  struct world *world;
  uint64_t late, again;
  int left;
};

static void on_bell(struct alarm *a, uint64_t now) {
  struct bell *b = a->owner;
  uint64_t real = clock_now();
  b->late = real - b->again;
  note(b->world);
  if (b->left-- > 0) {
    b->again = now + 200;
    alarm_set(a->loop, a, b->again);
  }
}

static void test_alarm(void) {
  struct world w = start();
  struct bell never = {.alarm = {.fire = on_bell, .owner = &never}, .world = &w};
  struct bell b = {.alarm = {.fire = on_bell, .owner = &b}, .world = &w};
  loop_lock(w.l);
  alarm_cancel(&never.alarm); /* not set yet */
  uint64_t now = loop_now(w.l);
  CU_ASSERT(alarm_set(w.l, &never.alarm, now + 20000) == 0);
  b.again = now + 10000;
  CU_ASSERT(alarm_set(w.l, &b.alarm, b.again) == 0);
  CU_ASSERT(await(&w, 1));
  CU_ASSERT(w.at >= now + 10000);
  alarm_cancel(&never.alarm);
  b.again = loop_now(w.l) + 15000; /* beyond never's */
  CU_ASSERT(alarm_set(w.l, &b.alarm, b.again) == 0);
  CU_ASSERT(await(&w, 2));
  CU_ASSERT(w.count == 2);
  CU_ASSERT(alarm_set(w.l, &b.alarm, 0) == 0); /* the past: at once */
  CU_ASSERT(await(&w, 3));
  CU_ASSERT(alarm_set(w.l, &b.alarm, loop_now(w.l) + 1000) == 0);
  CU_ASSERT(alarm_set(w.l, &b.alarm, TIMER_NEVER) == 0);
  CU_ASSERT(loop_cond_wait(w.l, &w.changed, clock_now() + 3000) == -1 && errno == ETIMEDOUT);
  CU_ASSERT(w.count == 3);
  loop_unlock(w.l);
  loop_put(w.l);
}

/* 200 us apart: at most twice that on average says that nothing rounds to milliseconds. */
static bool fine_deadlines(void) {
  enum { N = 500 };
  struct world w = start();
  struct bell b = {.alarm = {.fire = on_bell, .owner = &b}, .world = &w, .left = N - 1};
  loop_lock(w.l);
  uint64_t begin = b.again = loop_now(w.l);
  alarm_set(w.l, &b.alarm, begin);
  bool all = await(&w, N);
  uint64_t took = clock_now() - begin;
  loop_unlock(w.l);
  loop_put(w.l);
  return all && took >= (N - 1) * 200u && took < N * 400u;
}

static void test_fine_deadlines(void) {
  bool ok = false;
  for (int i = 0; i < 5 && !ok; i++) /* the machine may be busy */
    ok = fine_deadlines();
  CU_ASSERT(ok);
}

static void on_past(struct alarm *a, uint64_t now) {
  struct bell *b = a->owner;
  note(b->world);
  alarm_set(a->loop, a, now ? now - 1 : 0);
}

/* One that is always due lets fds and the lock have their turn. */
static void test_alarm_in_the_past(void) {
  struct world w = start(), other = w;
  int fd[2];
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
  struct bell b = {.alarm = {.fire = on_past, .owner = &b}, .world = &w};
  struct echo e = {.watch = {.fd = fd[0], .ready = on_ready, .owner = &e}, .world = &other};
  loop_lock(w.l);
  CU_ASSERT(watch_add(w.l, &e.watch, EPOLLIN | EPOLLET) == 0);
  CU_ASSERT(alarm_set(w.l, &b.alarm, 0) == 0);
  CU_ASSERT(await(&w, 10));
  CU_ASSERT(write(fd[1], "x", 1) == 1);
  CU_ASSERT(await(&other, 1));
  alarm_cancel(&b.alarm);
  watch_del(&e.watch);
  loop_unlock(w.l);
  close(fd[0]);
  close(fd[1]);
  loop_put(w.l);
}

/* ---- tasks ---- */

struct job {
  struct task task;
  struct world *world;
  struct job *queue, *cancel;
  int runs, order;
};

static void on_job(struct task *t, uint64_t now) {
  struct job *j = t->owner;
  j->runs++;
  j->order = j->world->count;
  if (j->queue)
    task_queue(j->world->l, &j->queue->task);
  if (j->cancel)
    task_cancel(j->world->l, &j->cancel->task);
  note(j->world);
}

static struct job job(struct world *w) {
  return (struct job){.task = {.run = on_job}, .world = w};
}

static void test_tasks(void) {
  struct world w = start();
  struct job a = job(&w), b = job(&w), c = job(&w), d = job(&w);
  a.task.owner = &a, b.task.owner = &b, c.task.owner = &c, d.task.owner = &d;
  loop_lock(w.l);
  task_cancel(w.l, &a.task);
  a.queue = &d;
  a.cancel = &b;
  task_queue(w.l, &a.task);
  task_queue(w.l, &a.task); /* once is enough */
  task_queue(w.l, &b.task);
  task_queue(w.l, &c.task);
  CU_ASSERT(a.task.queued);
  CU_ASSERT(await(&w, 3));
  CU_ASSERT(a.runs == 1 && b.runs == 0 && c.runs == 1 && d.runs == 1);
  CU_ASSERT(a.order == 0 && c.order == 1 && d.order == 2);
  task_queue(w.l, &a.task);
  task_queue(w.l, &b.task);
  task_cancel(w.l, &b.task); /* the last of the list */
  a.cancel = a.queue = NULL;
  task_queue(w.l, &c.task);
  task_cancel(w.l, &a.task); /* the first */
  CU_ASSERT(await(&w, 4));
  CU_ASSERT(a.runs == 1 && b.runs == 0 && c.runs == 2);
  loop_unlock(w.l);
  loop_put(w.l);
}

static void test_task_again(void) {
  struct world w = start(), other = w;
  int fd[2];
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
  struct job a = job(&w);
  struct echo e = {.watch = {.fd = fd[0], .ready = on_ready, .owner = &e}, .world = &other};
  a.task.owner = a.queue = &a; /* for ever */
  loop_lock(w.l);
  CU_ASSERT(watch_add(w.l, &e.watch, EPOLLIN | EPOLLET) == 0);
  task_queue(w.l, &a.task);
  CU_ASSERT(await(&w, 100));
  CU_ASSERT(write(fd[1], "x", 1) == 1);
  CU_ASSERT(await(&other, 1));
  task_cancel(w.l, &a.task);
  watch_del(&e.watch);
  loop_unlock(w.l);
  close(fd[0]);
  close(fd[1]);
  loop_put(w.l);
}

/* ---- the lock ---- */

struct caller {
  struct world *world;
  atomic_bool *stop;
  long turns;
};

static void *call_often(void *arg) {
  struct caller *c = arg;
  while (!atomic_load(c->stop)) {
    loop_lock(c->world->l);
    c->turns++;
    loop_unlock(c->world->l);
  }
  return NULL;
}

static void on_busy(struct alarm *a, uint64_t now) {
  struct bell *b = a->owner;
  while (clock_now() < now + 1000) /* a busy engine: 1 ms of work each turn, at once again */
    ;
  note(b->world);
  alarm_set(a->loop, a, now);
}

/* A busy thread and busy callers: all get their turns, within twice of each other. */
static void test_fair(void) {
  enum { CALLERS = 3, TURNS = 100 };
  struct world w = start();
  struct bell b = {.alarm = {.fire = on_busy, .owner = &b}, .world = &w};
  atomic_bool stop = false;
  struct caller callers[CALLERS];
  pthread_t threads[CALLERS];
  for (int i = 0; i < CALLERS; i++) {
    callers[i] = (struct caller){.world = &w, .stop = &stop};
    CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, call_often, &callers[i]) == 0);
  }
  loop_lock(w.l);
  alarm_set(w.l, &b.alarm, 0);
  CU_ASSERT(await(&w, TURNS));
  loop_unlock(w.l);
  atomic_store(&stop, true);
  for (int i = 0; i < CALLERS; i++) {
    pthread_join(threads[i], NULL);
    CU_ASSERT(callers[i].turns > TURNS / 2);
  }
  loop_lock(w.l);
  alarm_cancel(&b.alarm);
  loop_unlock(w.l);
  loop_put(w.l);
}

/* loop_wake alone gives a turn, from any number of threads. */
static void *wake_often(void *arg) {
  struct world *w = arg;
  for (int i = 0; i < 2000; i++)
    loop_wake(w->l);
  return NULL;
}

static void test_wake(void) {
  struct world w = start();
  pthread_t threads[3];
  for (int i = 0; i < 3; i++)
    CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, wake_often, &w) == 0);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  struct job a = job(&w);
  a.task.owner = &a;
  loop_lock(w.l);
  task_queue(w.l, &a.task);
  CU_ASSERT(await(&w, 1)); /* no wake was lost */
  loop_unlock(w.l);
  loop_put(w.l);
}

/* ---- signals ---- */

static volatile sig_atomic_t signal_tid;

static void on_signal(int sig) {
  signal_tid = (sig_atomic_t)gettid();
}

static void test_signals(void) {
  struct sigaction act = {.sa_handler = on_signal}, old;
  sigset_t block, before;
  struct world w = start();
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  sigaction(SIGUSR1, &act, &old);
  pthread_sigmask(SIG_BLOCK, &block, &before);
  CU_ASSERT(!sigismember(&before, SIGTERM)); /* starting the thread left our mask alone */
  signal_tid = 0;
  kill(getpid(), SIGUSR1); /* any thread that does not block it would take it now */
  struct job a = job(&w);
  a.task.owner = &a;
  loop_lock(w.l);
  task_queue(w.l, &a.task);
  CU_ASSERT(await(&w, 1));
  loop_unlock(w.l);
  CU_ASSERT(signal_tid == 0);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  CU_ASSERT(signal_tid == gettid());
  sigaction(SIGUSR1, &old, NULL);
  loop_put(w.l);
}

/* ---- fork ---- */

static int open_fds(void) {
  int n = 0;
  for (int fd = 0; fd < 1024; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

/* 0, or the line that is wrong. */
#define CHILD_CHECK(x) \
  do \
    if (!(x)) \
      return __LINE__ & 127; \
  while (0)

static int in_child(struct world *w, struct echo *e, int fds_before) {
  CHILD_CHECK(loop_forked());
  CHILD_CHECK(e->watch.fd == -1);
  CHILD_CHECK(open_fds() == fds_before); /* the engine's and all watched ones are gone */
  errno = 0;
  CHILD_CHECK(loop_get() == NULL && errno == ENOTSUP);
  loop_lock(w->l);
  CHILD_CHECK(watch_mod(&e->watch, EPOLLIN) == -1);
  watch_del(&e->watch);
  CHILD_CHECK(watch_add(w->l, &e->watch, EPOLLIN) == -1 && errno == ENOTSUP);
  loop_wake(w->l);
  loop_unlock(w->l);
  loop_put(w->l);
  pid_t pid = fork(); /* and its children */
  if (pid == 0)
    _exit(loop_forked() && !loop_get() ? 0 : 1);
  int status = -1;
  CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  return 0;
}

static void test_fork(void) {
  atomic_bool stop = false;
  int fd[2], before, status = -1;
  CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
  before = open_fds() - 1; /* without the watched one */
  struct world w = start();
  struct caller caller = {.world = &w, .stop = &stop};
  struct echo e = {.watch = {.fd = fd[0], .ready = on_ready, .owner = &e}, .world = &w};
  struct bell b = {.alarm = {.fire = on_busy, .owner = &b}, .world = &(struct world){.l = w.l}};
  pthread_t thread;
  pthread_cond_init(&b.world->changed, NULL);
  loop_lock(w.l);
  CU_ASSERT(watch_add(w.l, &e.watch, EPOLLIN | EPOLLET) == 0);
  alarm_set(w.l, &b.alarm, 0); /* the lock is in use while we fork */
  loop_unlock(w.l);
  CU_ASSERT_FATAL(pthread_create(&thread, NULL, call_often, &caller) == 0);
  for (int i = 0; i < 20; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      alarm(10);
      _exit(in_child(&w, &e, before));
    }
    CU_ASSERT(waitpid(pid, &status, 0) == pid);
    CU_ASSERT(status == 0);
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  loop_lock(w.l);
  alarm_cancel(&b.alarm);
  CU_ASSERT(write(fd[1], "x", 1) == 1);
  CU_ASSERT(await(&w, 1)); /* the parent's went on as before */
  watch_del(&e.watch);
  loop_unlock(w.l);
  loop_put(w.l);
  close(fd[0]);
  close(fd[1]);
}

/* A child made before there was an engine, or after the last is gone, may have its own. */
static void test_fork_without_engine(void) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    struct loop *l = loop_get();
    loop_put(l);
    _exit(l && !loop_forked() ? 0 : 1);
  }
  CU_ASSERT(waitpid(pid, &status, 0) == pid);
  CU_ASSERT(status == 0);
}

/* ---- a kernel without epoll_pwait2 ---- */

static int forbid_epoll_pwait2(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog prog = {sizeof code / sizeof code[0], code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static void test_old_kernel(void) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    bool ok = false;
    if (forbid_epoll_pwait2())
      _exit(2);
    for (int i = 0; i < 5 && !ok; i++)
      ok = fine_deadlines();
    _exit(ok ? 0 : 1);
  }
  CU_ASSERT(waitpid(pid, &status, 0) == pid);
  CU_ASSERT(status == 0);
}

int main(void) {
  static const struct check_test tests[] = {
      {"one engine, counted", test_counted},
      {"clocks", test_clocks},
      {"watch: added, changed, taken away", test_watch},
      {"a handler takes others of its batch away", test_del_of_others},
      {"no event for a watch that is gone, nor for the next in its slot", test_stale_events},
      {"400 watches", test_many_watches},
      {"alarms: set, moved, cancelled", test_alarm},
      {"deadlines 200 us apart", test_fine_deadlines},
      {"an alarm in the past starves nobody", test_alarm_in_the_past},
      {"tasks: order, once, cancelled", test_tasks},
      {"a task that queues itself starves nobody", test_task_again},
      {"the lock is fair", test_fair},
      {"no wake is lost", test_wake},
      {"signals stay with the application", test_signals},
      {"fork", test_fork},
      {"fork without an engine", test_fork_without_engine},
      {"without epoll_pwait2", test_old_kernel},
  };
  return check_main("loop", tests, sizeof tests / sizeof tests[0]);
}
