/*
 * cmd_node.c - cspace node: a DHT node and nothing else. It keeps what others
 * put, answers whoever asks, and has no identity.
 */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <sodium.h>

#include "bootstrap.h"
#include "conf.h"
#include "dht.h"
#include "loop.h"
#include "udp.h"

#define RECV_RUNS 16
#define RECV_ROUNDS 16 /* then the other things of the turn have theirs */

struct dht_node {
  struct loop *loop;
  struct udp *udp;
  struct dht *dht;
  struct bootstrap *bootstrap;
  struct watch watch;
  struct alarm alarm;
  struct task task;
};

static void pump(struct dht_node *n) {
  uint8_t buf[DHT_DATAGRAM_MAX];
  struct dht_event ev;
  struct addr to;
  size_t len, sent;

  while (dht_next_event(n->dht, &ev)) continue;
  /* A datagram that the socket does not take is lost, as any may be; the DHT asks again. */
  while (dht_output(n->dht, &to, buf, &len)) (void)udp_send(n->udp, &to, buf, len, len, &sent);
  (void)alarm_set(n->loop, &n->alarm, dht_deadline(n->dht));
}

static void on_datagrams(struct watch *w, uint32_t events) {
  struct dht_node *n = w->owner;
  struct udp_in in[RECV_RUNS];
  uint64_t now = loop_now(n->loop), wall = clock_wall();

  (void)events;
  for (int round = 0; round < RECV_ROUNDS; round++) {
    int cnt = udp_recv(n->udp, in, RECV_RUNS);

    if (cnt <= 0) break;
    for (int i = 0; i < cnt; i++)
      for (size_t at = 0; at < in[i].len; at += in[i].segment)
        dht_input(n->dht, now, wall, &in[i].from, in[i].data + at,
                  in[i].len - at < in[i].segment ? in[i].len - at : in[i].segment);
    pump(n);
  }
}

static void on_alarm(struct alarm *a, uint64_t now) {
  struct dht_node *n = a->owner;

  dht_tick(n->dht, now, clock_wall());
  pump(n);
}

static void on_task(struct task *t, uint64_t now) {
  (void)now;
  pump(t->owner);
}

static void on_bootstrap(void *ctx, const struct addr *a) {
  struct dht_node *n = ctx;

  (void)dht_add_bootstrap(n->dht, a);
  task_queue(n->loop, &n->task);
}

/* Under the engine's lock. 0 or -1 + errno. */
static int start(struct dht_node *n, const char *bootstrap) {
  struct dht_config cfg = {.read_only = false, .ipv4 = udp_has_v4(n->udp), .ipv6 = udp_has_v6(n->udp)};
  uint8_t seed[32];

  randombytes_buf(seed, sizeof seed);
  n->dht = dht_new(&cfg, seed, loop_now(n->loop));
  sodium_memzero(seed, sizeof seed);
  if (n->dht == NULL) return -1;
  n->watch.fd = udp_fd(n->udp);
  n->watch.ready = on_datagrams;
  n->alarm.fire = on_alarm;
  n->task.run = on_task;
  n->watch.owner = n->alarm.owner = n->task.owner = n;
  n->bootstrap = bootstrap_start(n->loop, bootstrap, on_bootstrap, n);
  if (n->bootstrap == NULL || watch_add(n->loop, &n->watch, EPOLLIN) != 0) return -1;
  task_queue(n->loop, &n->task);
  return 0;
}

static void stop(struct dht_node *n) {
  bootstrap_stop(n->bootstrap);
  watch_del(&n->watch);
  alarm_cancel(&n->alarm);
  task_cancel(n->loop, &n->task);
  dht_free(n->dht);
}

static int run(struct dht_node *n, const char *bootstrap, const sigset_t *mask) {
  char text[ADDR_TEXT_MAX];
  struct addr local = udp_local(n->udp);
  int rc, sig;

  loop_lock(n->loop);
  rc = start(n, bootstrap);
  if (rc != 0) rc = tool_error("the DHT node does not start: %s", strerror(errno));
  loop_unlock(n->loop);
  if (rc == TOOL_DONE) {
    printf("ready %s\n", addr_format(&local, text));
    if (fflush(stdout) != 0) rc = tool_error("stdout: %s", strerror(errno));
  }
  if (rc == TOOL_DONE) sigwait(mask, &sig);
  loop_lock(n->loop);
  stop(n);
  loop_unlock(n->loop);
  return rc;
}

static int open_and_run(const cs_config *config) {
  struct dht_node n = {.loop = NULL};
  struct addr at;
  sigset_t mask;
  int rc;

  if (sodium_init() < 0) return tool_error("libsodium does not start");
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGTERM);
  sigprocmask(SIG_BLOCK, &mask, NULL); /* before the engine's thread is there */
  if (addr_parse(&at, conf_get(config, "listen")) != 0) return tool_error("listen: not an address and port");
  n.udp = udp_open(&at);
  if (n.udp == NULL) return tool_error("cannot listen on %s: %s", conf_get(config, "listen"), strerror(errno));
  n.loop = loop_get();
  if (n.loop == NULL) {
    rc = tool_error("the engine does not start: %s", strerror(errno));
  } else {
    rc = run(&n, conf_get(config, "bootstrap"), &mask);
    loop_put(n.loop);
  }
  udp_close(n.udp);
  return rc;
}

int cmd_node(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {TOOL_OPTIONS};
  char home[HOME_PATH_MAX];
  cs_config *config;
  int rc;

  if (tool_option(t, argc, argv, options) == 0) return t->status;
  if (tool_want(t, argc, 0, 0) != TOOL_DONE) return TOOL_USAGE;
  config = tool_config(t, home);
  if (config == NULL) return TOOL_FAILED;
  rc = home_create(home) == 0 ? open_and_run(config) : tool_failed();
  cs_config_free(config);
  return rc;
}
