/*
 * cs-copy-serve.c - receiving: one thread a sender, at most CALLERS_MAX; the
 * others wait in the listener's backlog. SIGINT and SIGTERM end it: transfers
 * under way are cut, and leave nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ask.h"
#include "cs-copy-app.h"
#include "cs-copy-transfer.h"

#define CALLERS_MAX 64

struct service;

struct caller {
  struct service *service;
  pthread_t thread;
  int fd;                     /* under the lock; -1 when closed */
  enum { CALLER_FREE, CALLER_RUNS, CALLER_OVER } state;
  struct cs_peer peer;
};

struct service {
  const struct copy_app *app;
  cs_node *node;
  struct copy_store store;
  int listener, signals, over; /* over: an eventfd, a caller's thread is done */
  pthread_mutex_t lock;        /* guards what follows, and the output */
  struct caller callers[CALLERS_MAX];
  unsigned running, served;
  bool stopping;
  unsigned files, failed, bad_senders;
  uint64_t bytes;
  double first, last;          /* a sender came; one was done */
};

static const char *peer_name(const struct cs_peer *p) { return p->name[0] != '\0' ? p->name : p->id; }

static void on_result(void *ctx, const struct copy_received *r) {
  struct caller *c = ctx;
  struct service *s = c->service;

  pthread_mutex_lock(&s->lock);
  if (r->status != COPY_OK) {
    s->failed++;
    copy_app_error("%s: %s: %s: %s", peer_name(&c->peer), r->path, copy_status_text(r->status), r->text);
  } else {
    s->files++;
    s->bytes += r->bytes;
    if (!s->app->quiet)
      fprintf(s->app->json ? stderr : stdout, "%s: %s (%llu bytes)\n", peer_name(&c->peer), r->path,
              (unsigned long long)r->bytes);
    fflush(stdout);
  }
  pthread_mutex_unlock(&s->lock);
}

static void *serve(void *arg) {
  struct caller *c = arg;
  struct service *s = c->service;
  struct copy_receive_watch watch = {on_result, c};
  char why[COPY_WHY_MAX];
  int rc = copy_receive(c->fd, &s->store, &watch, why);

  pthread_mutex_lock(&s->lock);
  if (rc < 0) copy_app_error("%s: %s", peer_name(&c->peer), s->stopping ? "stopped" : why);
  if (rc != 0) s->bad_senders++;
  close(c->fd);
  c->fd = -1;
  c->state = CALLER_OVER;
  s->last = copy_app_now();
  pthread_mutex_unlock(&s->lock);
  (void)!write(s->over, &(uint64_t){1}, sizeof(uint64_t));
  return NULL;
}

/* Takes nobody any more, and cuts what is under way. */
static void stop(struct service *s) {
  struct signalfd_siginfo si;

  (void)!read(s->signals, &si, sizeof si);
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  for (size_t i = 0; i < CALLERS_MAX; i++)
    if (s->callers[i].state == CALLER_RUNS && s->callers[i].fd >= 0) shutdown(s->callers[i].fd, SHUT_RDWR);
  pthread_mutex_unlock(&s->lock);
}

/* A free slot, marked as taken; there is one while running < CALLERS_MAX. */
static struct caller *take_slot(struct service *s, int fd, const struct cs_peer *peer) {
  struct caller *c = s->callers;

  pthread_mutex_lock(&s->lock);
  while (c->state != CALLER_FREE) c++;
  c->state = CALLER_RUNS;
  c->service = s;
  c->fd = fd;
  c->peer = *peer;
  pthread_mutex_unlock(&s->lock);
  return c;
}

static void accept_one(struct service *s) {
  struct cs_peer peer;
  struct caller *c;
  int fd = cs_accept(s->listener, &peer, 0), err;

  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    err = errno;
    copy_app_error("%s", cs_last_error_text());
    if (err == ESHUTDOWN) stop(s);
    return;
  }
  if (s->served++ == 0) s->first = copy_app_now();
  c = take_slot(s, fd, &peer);
  err = pthread_create(&c->thread, NULL, serve, c);
  if (err == 0) {
    s->running++;
    return;
  }
  copy_app_error("%s: no thread for this sender: %s", peer_name(&peer), strerror(err));
  close(fd);
  pthread_mutex_lock(&s->lock);
  s->bad_senders++;
  c->state = CALLER_FREE;
  pthread_mutex_unlock(&s->lock);
}

/* Joins the threads that are done. */
static void reap(struct service *s) {
  uint64_t n;

  (void)!read(s->over, &n, sizeof n);
  for (size_t i = 0; i < CALLERS_MAX; i++) {
    struct caller *c = &s->callers[i];
    bool over;

    pthread_mutex_lock(&s->lock);
    over = c->state == CALLER_OVER;
    pthread_mutex_unlock(&s->lock);
    if (!over) continue;
    pthread_join(c->thread, NULL);
    c->state = CALLER_FREE; /* nobody else looks at one that is over */
    s->running--;
  }
}

static void serve_all(struct service *s) {
  while (s->running > 0 || !(s->stopping || (s->app->once && s->served > 0))) {
    bool take = !s->stopping && s->running < CALLERS_MAX && !(s->app->once && s->served > 0);
    struct pollfd p[3] = {{.fd = s->signals, .events = POLLIN},
                          {.fd = s->over, .events = POLLIN},
                          {.fd = take ? s->listener : -1, .events = POLLIN}};

    if (poll(p, 3, -1) < 0 && errno != EINTR) break;
    if (p[0].revents != 0) stop(s);
    if (p[1].revents != 0) reap(s);
    if (p[2].revents != 0 && !s->stopping) accept_one(s);
  }
}

/* Says once that we can be found. */
static void *announce(void *arg) {
  struct service *s = arg;

  if (cs_published(s->node, -1) == 0) fputs("ready " COPY_SERVICE "\n", stderr);
  return NULL;
}

static int run(struct service *s) {
  pthread_t announcer;
  bool announced;
  int rc = EXIT_DONE;

  s->node = ask_open(s->app->config);
  if (s->node == NULL) return copy_app_error("%s", cs_last_error_text());
  s->listener = cs_listen(s->node, COPY_SERVICE, s->app->options);
  if (s->listener < 0) {
    rc = copy_app_error("%s", cs_last_error_text());
    cs_close(s->node);
    return rc;
  }
  (void)fcntl(s->listener, F_SETFL, O_NONBLOCK); /* a caller may be gone between poll and accept */
  announced = pthread_create(&announcer, NULL, announce, s) == 0;
  serve_all(s);
  close(s->listener);
  cs_close(s->node);
  if (announced) pthread_join(announcer, NULL);
  if (s->app->json)
    printf("{\"files\":%u,\"bytes\":%llu,\"failed\":%u,\"senders\":%u,\"seconds\":%.6f}\n", s->files,
           (unsigned long long)s->bytes, s->failed, s->served, s->served > 0 ? s->last - s->first : 0);
  if (s->app->once && (s->served == 0 || s->bad_senders > 0)) rc = EXIT_FAILED;
  return rc;
}

int copy_app_receive(const struct copy_app *app, const char *dir) {
  struct service *s = calloc(1, sizeof *s);
  sigset_t mask;
  int rc;

  if (s == NULL) return copy_app_error("out of memory");
  s->app = app;
  s->store.overwrite = app->overwrite;
  s->store.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGTERM);
  signal(SIGXFSZ, SIG_IGN);                 /* a file too large is an error of its write */
  pthread_sigmask(SIG_BLOCK, &mask, NULL); /* before any thread is there */
  s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  s->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&s->lock, NULL);
  if (s->store.dir < 0 || faccessat(s->store.dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
    rc = copy_app_error("%s: %s", dir, strerror(errno));
  else if (s->signals < 0 || s->over < 0)
    rc = copy_app_error("%s", strerror(errno));
  else
    rc = run(s);
  if (s->store.dir >= 0) close(s->store.dir);
  if (s->signals >= 0) close(s->signals);
  if (s->over >= 0) close(s->over);
  pthread_mutex_destroy(&s->lock);
  free(s);
  return rc;
}
