/*
 * bench-peer.c - cspace, measured through its public header alone.
 *
 *   bench-peer HOME BOOTSTRAP MAX-DATAGRAM WHAT ...
 *     serve ID               services sink, echo and hold for ID, a contact, and for anyone; prints "ready"
 *     send ID BYTES          prints "SECONDS CPU-SEND CPU-RECEIVE"
 *     rtt ID N               prints "cs P50 P99 MAX", microseconds for 64 bytes there and back
 *     cold ID                prints the moment (bench_ns) when the first byte came back
 *     warm ID N              prints "warm P50 P99 MAX": cs_connect to the first byte back, session up
 *     idle                   listens and publishes, prints its resident KiB
 *     peers ID N             N nodes, homes HOME/0 to HOME/N-1, one connection each; see hold()
 *     streams ID N           N connections of one node; see hold()
 */
#include <cspace/cspace.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PING_BYTES 64
#define WARM_UP 200     /* round trips before the ones that count */
#define PEERS_MAX 1000

static cs_config *config(const char *home, char **argv) {
  cs_config *c = cs_config_new();

  if (c == NULL || cs_config_set(c, "home", home) != 0 || cs_config_set(c, "listen", "127.0.0.1:0") != 0 ||
      cs_config_set(c, "bootstrap", argv[2]) != 0 || cs_config_set(c, "max-datagram", argv[3]) != 0 ||
      cs_config_set(c, "access", "anyone") != 0)
    bench_die("%s", cs_last_error_text());
  return c;
}

static cs_node *open_node(const char *home, char **argv) {
  cs_config *c = config(home, argv);
  cs_node *n = cs_open(c);

  if (n == NULL) bench_die("%s", cs_last_error_text());
  cs_config_free(c);
  return n;
}

static int dial(cs_node *n, const char *id, const char *service) {
  int fd = cs_connect(n, id, service, NULL);

  if (fd < 0) bench_die("%s", cs_last_error_text());
  return fd;
}

/* ---- the serving side ---- */

static void *echo_one(void *arg) {
  int fd = (int)(intptr_t)arg;
  char buf[4096];
  ssize_t n;

  while ((n = read(fd, buf, sizeof buf)) > 0)
    if (write(fd, buf, (size_t)n) != n) break;
  close(fd);
  return NULL;
}

static void *sink_one(void *arg) {
  int fd = (int)(intptr_t)arg;
  char *buf = malloc(BENCH_BLOCK);
  struct bench_receipt r = {0};
  double cpu = bench_cpu();
  ssize_t n;

  if (buf == NULL) bench_die("out of memory");
  while ((n = read(fd, buf, BENCH_BLOCK)) > 0) r.bytes += (uint64_t)n;
  r.cpu = bench_cpu() - cpu;
  if (n == 0) bench_write(fd, &r, sizeof r);
  free(buf);
  close(fd);
  return NULL;
}

/* What serves a connection; NULL: nothing does, it is only kept. */
static void *(*handler_of(const char *service))(void *) {
  if (strcmp(service, "echo") == 0) return echo_one;
  return strcmp(service, "sink") == 0 ? sink_one : NULL;
}

struct service {
  const char *name;
  int listener;
};

static void *accept_all(void *arg) {
  struct service *sv = arg;

  for (;;) {
    void *(*handle)(void *) = handler_of(sv->name);
    int fd = cs_accept(sv->listener, NULL, 0);
    pthread_t t;

    if (fd < 0) bench_die("accept %s: %s", sv->name, cs_last_error_text());
    if (handle == NULL) continue; /* hold: it stays open until this process ends */
    if (pthread_create(&t, NULL, handle, (void *)(intptr_t)fd) != 0) bench_die("no thread");
    pthread_detach(t);
  }
  return NULL;
}

/* id becomes a contact: strangers may have only so many streams. */
static void serve(cs_node *n, const char *id) {
  static struct service services[] = {{"sink", -1}, {"echo", -1}, {"hold", -1}};
  pthread_t t;

  if (cs_contact_add(n, "caller", id) != 0) bench_die("%s", cs_last_error_text());
  for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
    services[i].listener = cs_listen(n, services[i].name, NULL);
    if (services[i].listener < 0 || pthread_create(&t, NULL, accept_all, &services[i]) != 0)
      bench_die("listen: %s", cs_last_error_text());
  }
  if (cs_published(n, 20000) != 0) bench_die("%s", cs_last_error_text());
  printf("ready\n");
  fflush(stdout);
  pthread_join(t, NULL);
}

/* ---- the calling side ---- */

static void send_bulk(cs_node *n, const char *id, uint64_t bytes) {
  static char buf[BENCH_BLOCK];
  struct bench_receipt r;
  int fd = dial(n, id, "sink");
  double cpu = bench_cpu();
  uint64_t start = bench_ns();

  for (uint64_t left = bytes; left > 0; left -= left < sizeof buf ? left : sizeof buf)
    bench_write(fd, buf, left < sizeof buf ? left : sizeof buf);
  shutdown(fd, SHUT_WR);
  if (bench_read(fd, &r, sizeof r) != 0 || r.bytes != bytes) bench_die("cs: bytes were lost: %s", strerror(errno));
  printf("%.6f %.6f %.6f\n", (double)(bench_ns() - start) / 1e9, bench_cpu() - cpu, r.cpu);
  close(fd);
}

static void ping_once(int fd, size_t len) {
  char buf[PING_BYTES] = "";

  bench_write(fd, buf, len);
  if (bench_read(fd, buf, len) != 0) bench_die("echo ended: %s", strerror(errno));
}

static void rtt(cs_node *n, const char *id, size_t count) {
  uint64_t *times = calloc(count, sizeof *times);
  int fd = dial(n, id, "echo");

  for (size_t i = 0; i < WARM_UP; i++) ping_once(fd, PING_BYTES);
  for (size_t i = 0; i < count; i++) {
    uint64_t start = bench_ns();

    ping_once(fd, PING_BYTES);
    times[i] = bench_ns() - start;
  }
  bench_print_times("cs", times, count);
  free(times);
  close(fd);
}

static void cold(cs_node *n, const char *id) {
  int fd = dial(n, id, "echo");

  ping_once(fd, 1);
  printf("%llu\n", (unsigned long long)bench_ns());
  fflush(stdout);
  close(fd);
}

static void warm(cs_node *n, const char *id, size_t count) {
  uint64_t *times = calloc(count, sizeof *times);
  int first = dial(n, id, "echo");

  ping_once(first, 1);
  for (size_t i = 0; i < count; i++) {
    uint64_t start = bench_ns();
    int fd = dial(n, id, "echo");

    ping_once(fd, 1);
    times[i] = bench_ns() - start;
    close(fd);
  }
  bench_print_times("warm", times, count);
  free(times);
  close(first);
}

static void idle(cs_node *n) {
  if (cs_listen(n, "idle", NULL) < 0 || cs_published(n, 20000) != 0) bench_die("%s", cs_last_error_text());
  printf("%ld\n", bench_rss_kib(0));
}

/* Says how much memory this process uses, waits until its input ends (the other side is looked at meanwhile). */
static void hold(long before, size_t n) {
  char byte;

  printf("%ld %zu\n", bench_rss_kib(0) - before, n);
  fflush(stdout);
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

static void streams(cs_node *n, const char *id, size_t count) {
  long before;

  dial(n, id, "hold");
  before = bench_rss_kib(0);
  for (size_t i = 0; i < count; i++) dial(n, id, "hold");
  hold(before, count);
}

static void peers(char **argv, const char *id, size_t count) {
  static cs_node *nodes[PEERS_MAX];
  long before = bench_rss_kib(0);

  if (count > PEERS_MAX) bench_die("at most %d peers", PEERS_MAX);
  for (size_t i = 0; i < count; i++) {
    char home[4096];

    snprintf(home, sizeof home, "%s/%zu", argv[1], i);
    nodes[i] = open_node(home, argv);
    dial(nodes[i], id, "hold");
  }
  hold(before, count);
  for (size_t i = 0; i < count; i++) cs_close(nodes[i]);
}

int main(int argc, char **argv) {
  const char *what = argc > 4 ? argv[4] : "", *id = argc > 5 ? argv[5] : "";
  size_t n = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
  cs_node *node;

  if (argc < 5) bench_die("usage: see the head of bench-peer.c");
  bench_many_fds();
  if (strcmp(what, "peers") == 0) {
    peers(argv, id, n);
    return 0;
  }
  node = open_node(argv[1], argv);
  if (strcmp(what, "serve") == 0)
    serve(node, id);
  else if (strcmp(what, "send") == 0)
    send_bulk(node, id, n);
  else if (strcmp(what, "rtt") == 0)
    rtt(node, id, n);
  else if (strcmp(what, "cold") == 0)
    cold(node, id);
  else if (strcmp(what, "warm") == 0)
    warm(node, id, n);
  else if (strcmp(what, "idle") == 0)
    idle(node);
  else if (strcmp(what, "streams") == 0)
    streams(node, id, n);
  else
    bench_die("usage: see the head of bench-peer.c");
  cs_close(node);
  return 0;
}
