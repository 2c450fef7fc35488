/*
 * bootstrap.c - bootstrap nodes by number and by name.
 */
#include "bootstrap.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf.h"
#include "log.h"
#include "udp.h"

#define WORD_MAX 300
#define NAMES_MAX 16
#define RETRY_S 5 /* between tries while names cannot be resolved */

struct bootstrap {
  struct loop *loop;
  void (*found)(void *ctx, const struct addr *a);
  void *ctx;
  bool stopped, running;       /* under the engine's lock */
  pthread_cond_t wake;
  unsigned n_names;
  char names[NAMES_MAX][WORD_MAX];
};

static void bootstrap_free(struct bootstrap *b) {
  pthread_cond_destroy(&b->wake);
  free(b);
}

/* "localhost" is a name and still loopback. */
static bool is_localhost(const char *word) { return strncmp(word, "localhost:", 10) == 0; }

bool bootstrap_is_loopback(const char *list) {
  char word[WORD_MAX];
  bool any = false;

  while (conf_word(&list, word, sizeof word)) {
    struct addr a;

    any = true;
    if (is_localhost(word)) continue;
    if (addr_parse(&a, word) != 0 || !addr_is_loopback(&a)) return false;
  }
  return any;
}

/* Resolves without the lock, reports with it. True when something was found. */
static bool resolve(struct bootstrap *b, const char *word) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV}, *list;
  char host[WORD_MAX], *colon;
  bool any = false;

  strcpy(host, word);
  colon = strrchr(host, ':');
  if (colon == NULL) return false;
  *colon = '\0';
  if (getaddrinfo(host, colon + 1, &hints, &list) != 0) return false;
  loop_lock(b->loop);
  for (struct addrinfo *ai = list; ai != NULL && !b->stopped; ai = ai->ai_next) {
    struct sockaddr_storage ss;
    struct addr a;

    memset(&ss, 0, sizeof ss);
    memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
    udp_from_sockaddr(&a, &ss);
    if (a.family == ADDR_NONE) continue;
    b->found(b->ctx, &a);
    any = true;
  }
  loop_unlock(b->loop);
  freeaddrinfo(list);
  return any;
}

static void *resolver(void *arg) {
  struct bootstrap *b = arg;
  struct loop *l = b->loop;
  bool any = false;

  for (;;) {
    for (unsigned i = 0; i < b->n_names; i++) any |= resolve(b, b->names[i]);
    loop_lock(l);
    if (!any && !b->stopped) loop_cond_wait(l, &b->wake, clock_now() + RETRY_S * 1000000ull);
    if (any || b->stopped) break;
    loop_unlock(l);
  }
  b->running = false;
  if (b->stopped) bootstrap_free(b);
  loop_unlock(l);
  loop_put(l);
  return NULL;
}

static int start_thread(struct bootstrap *b) {
  pthread_attr_t attr;
  pthread_t thread;
  int rc;

  if (loop_get() == NULL) return -1; /* the thread's own hold on the engine */
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  b->running = true;
  rc = pthread_create(&thread, &attr, resolver, b);
  pthread_attr_destroy(&attr);
  if (rc == 0) return 0;
  b->running = false;
  loop_put(b->loop);
  errno = rc;
  return -1;
}

struct bootstrap *bootstrap_start(struct loop *l, const char *list, void (*found)(void *ctx, const struct addr *a),
                                  void *ctx) {
  struct bootstrap *b = calloc(1, sizeof *b);
  char word[WORD_MAX];
  struct addr a;

  if (b == NULL) return NULL;
  b->loop = l;
  b->found = found;
  b->ctx = ctx;
  pthread_cond_init(&b->wake, NULL);
  if (strcmp(list, "none") == 0) return b;
  if (strcmp(list, "mainline") == 0) list = CONF_MAINLINE;
  while (conf_word(&list, word, sizeof word)) {
    if (addr_parse(&a, word) == 0)
      found(ctx, &a);
    else if (b->n_names < NAMES_MAX)
      strcpy(b->names[b->n_names++], word);
  }
  if (b->n_names > 0 && start_thread(b) != 0) {
    bootstrap_free(b);
    return NULL;
  }
  return b;
}

void bootstrap_stop(struct bootstrap *b) {
  if (b == NULL) return;
  b->stopped = true;
  if (b->running)
    pthread_cond_broadcast(&b->wake);
  else
    bootstrap_free(b);
}
