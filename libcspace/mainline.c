/*
 * mainline.c - a DHT core in the engine.
 */
#include "mainline.h"

#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>

#define RECV_ROUNDS 16 /* then the other things of the turn have theirs */

static void drop_events(struct dht *d) {
  struct dht_event ev;

  while (dht_next_event(d, &ev)) continue;
}

static void pump(struct mainline *h, uint64_t now) {
  uint8_t buf[DHT_DATAGRAM_MAX];
  struct addr to;
  size_t len, sent;

  if (h->turn != NULL)
    h->turn(h->ctx, now);
  else
    drop_events(h->dht);
  /* A datagram that the socket does not take is lost, as any may be; the DHT asks again. */
  while (dht_output(h->dht, &to, buf, &len)) (void)udp_send(h->udp, &to, buf, len, len, &sent);
  (void)alarm_set(h->loop, &h->alarm, dht_deadline(h->dht));
}

static void on_alarm(struct alarm *a, uint64_t now) {
  struct mainline *h = a->owner;

  dht_tick(h->dht, now, clock_wall());
  pump(h, now);
}

static void on_task(struct task *t, uint64_t now) { pump(t->owner, now); }

static void on_bootstrap(void *ctx, const struct addr *a) {
  struct mainline *h = ctx;

  (void)dht_add_bootstrap(h->dht, a); /* one too many is one too many */
  mainline_kick(h);
}

int mainline_open(struct mainline *h, struct loop *l, struct udp *u, bool read_only, const char *bootstrap,
                  void (*turn)(void *ctx, uint64_t now), void *ctx) {
  struct dht_config cfg = {.read_only = read_only, .ipv4 = udp_has_v4(u), .ipv6 = udp_has_v6(u)};
  uint8_t seed[32];

  h->loop = l;
  h->udp = u;
  h->turn = turn;
  h->ctx = ctx;
  h->watch.fd = udp_fd(u);
  h->alarm.fire = on_alarm;
  h->task.run = on_task;
  h->alarm.owner = h->task.owner = h->watch.owner = h;
  randombytes_buf(seed, sizeof seed);
  h->dht = dht_new(&cfg, seed, loop_now(l));
  sodium_memzero(seed, sizeof seed);
  if (h->dht == NULL) return -1;
  h->bootstrap = bootstrap_start(l, bootstrap, on_bootstrap, h);
  if (h->bootstrap == NULL) return -1;
  mainline_kick(h);
  return 0;
}

static void on_datagrams(struct watch *w, uint32_t events) {
  struct mainline *h = w->owner;
  struct udp_in in[UDP_RUNS_MAX];

  (void)events;
  for (int round = 0; round < RECV_ROUNDS; round++) {
    int cnt = udp_recv(h->udp, in, UDP_RUNS_MAX);

    for (int i = 0; i < cnt; i++)
      for (size_t at = 0; at < in[i].len; at += in[i].segment)
        mainline_input(h, &in[i].from, in[i].data + at,
                       in[i].len - at < in[i].segment ? in[i].len - at : in[i].segment);
    if (cnt < UDP_RUNS_MAX) break;
  }
}

int mainline_serve(struct mainline *h) {
  h->watch.ready = on_datagrams;
  return watch_add(h->loop, &h->watch, EPOLLIN);
}

void mainline_input(struct mainline *h, const struct addr *from, const uint8_t *p, size_t len) {
  if (h->dht == NULL) return;
  dht_input(h->dht, loop_now(h->loop), clock_wall(), from, p, len);
  mainline_kick(h);
}

void mainline_kick(struct mainline *h) { task_queue(h->loop, &h->task); }

void mainline_close(struct mainline *h) {
  if (h->loop == NULL) return;
  bootstrap_stop(h->bootstrap);
  watch_del(&h->watch);
  alarm_cancel(&h->alarm);
  task_cancel(h->loop, &h->task);
  dht_free(h->dht);
  memset(h, 0, sizeof *h);
}
