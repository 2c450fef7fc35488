/*
 * leave.c - signals, for the commands that hold one connection.
 */
#include "leave.h"

#include <pthread.h>
#include <stdbool.h>
#include <signal.h>
#include <unistd.h>

#define GRACE_NS 500000000 /* of a signal that comes while the node is being closed anyway */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool closing; /* someone closes the node */
static bool leaving; /* because of a signal */
static bool pipe_was_ignored;
static sigset_t signals;

static void die_of(int sig) {
  sigset_t one;

  signal(sig, SIG_DFL);
  sigemptyset(&one);
  sigaddset(&one, sig);
  raise(sig);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  _exit(1);
}

static bool begin_closing(bool by_signal) {
  bool mine;

  pthread_mutex_lock(&lock);
  mine = !closing;
  closing = true;
  leaving |= by_signal;
  pthread_mutex_unlock(&lock);
  return mine;
}

static void *close_node(void *node) {
  cs_close(node);
  return NULL;
}

static void *wait_signal(void *node) {
  pthread_t closer;
  int sig, second;

  sigwait(&signals, &sig);
  if (!begin_closing(true)) {
    /* The end was near without it: let the other side hear of it. ssh hangs up on its ProxyCommand just then. */
    (void)sigtimedwait(&signals, NULL, &(struct timespec){.tv_nsec = GRACE_NS});
    die_of(sig);
  }
  if (pthread_create(&closer, NULL, close_node, node) != 0) die_of(sig);
  /* A second signal, or the closer's end, whichever comes first. */
  while (pthread_tryjoin_np(closer, NULL) != 0) {
    struct timespec turn = {.tv_nsec = 10000000};

    second = sigtimedwait(&signals, NULL, &turn);
    if (second > 0) break;
  }
  die_of(sig);
  return NULL;
}

void leave_signals(sigset_t *set) {
  static const int all[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction now;

  sigemptyset(set);
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (sigaction(all[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(set, all[i]);
}

void leave_prepare(void) {
  struct sigaction old, ignore = {.sa_handler = SIG_IGN};

  leave_signals(&signals);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  sigaction(SIGPIPE, &ignore, &old);
  pipe_was_ignored = old.sa_handler == SIG_IGN;
}

void leave_watch(cs_node *node) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, wait_signal, node) == 0)
    pthread_detach(thread);
  else
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* then they kill at once */
}

void leave_check(void) {
  bool now;

  pthread_mutex_lock(&lock);
  now = leaving;
  pthread_mutex_unlock(&lock);
  while (now) pause(); /* the signal's thread ends the process */
}

void leave_close(cs_node *node) {
  if (node == NULL) return;
  if (begin_closing(false)) {
    cs_close(node);
    return;
  }
  leave_check();
}

void leave_broken_pipe(cs_node *node) {
  if (pipe_was_ignored) return;
  leave_close(node);
  die_of(SIGPIPE);
}
