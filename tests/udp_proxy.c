/*
 * udp_proxy.c - a middle box that does harm.
 */
#include "udp_proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX 65536

struct held {
  uint8_t data[DATAGRAM_MAX];
  size_t len;
};

struct udp_proxy {
  pthread_t thread;
  pthread_mutex_t lock;
  int front, back, stop; /* towards the caller, towards the callee */
  struct sockaddr_in caller;
  bool has_caller;
  struct udp_harm harm;
  uint64_t rng;
  unsigned passed, harmed;
  struct held late[2];   /* of each way: let go behind the next one */
  struct udp_copy copies[UDP_PROXY_KEEP];
  size_t n_copies;
};

static uint64_t rnd(struct udp_proxy *p) { /* xorshift64 */
  p->rng ^= p->rng << 13;
  p->rng ^= p->rng >> 7;
  p->rng ^= p->rng << 17;
  return p->rng;
}

static bool now_and_then(struct udp_proxy *p, unsigned permille) {
  bool yes = rnd(p) % 1000 < permille;

  if (yes) p->harmed++;
  return yes;
}

static void send_on(struct udp_proxy *p, bool to_callee, const uint8_t *data, size_t len) {
  if (to_callee)
    send(p->back, data, len, MSG_DONTWAIT);
  else if (p->has_caller)
    sendto(p->front, data, len, MSG_DONTWAIT, (struct sockaddr *)&p->caller, sizeof p->caller);
}

static void keep(struct udp_proxy *p, const uint8_t *data, size_t len) {
  struct udp_copy *c = &p->copies[p->n_copies];

  if (p->n_copies == UDP_PROXY_KEEP || (c->data = malloc(len)) == NULL) return;
  memcpy(c->data, data, len);
  c->len = len;
  p->n_copies++;
}

static void pass(struct udp_proxy *p, bool to_callee, uint8_t *data, size_t len) {
  struct held *late = &p->late[to_callee];

  p->passed++;
  if (to_callee) keep(p, data, len);
  if (now_and_then(p, p->harm.drop)) return;
  if (now_and_then(p, p->harm.flip)) data[rnd(p) % len] ^= (uint8_t)(1 << rnd(p) % 8);
  if (now_and_then(p, p->harm.cut)) len = 1 + rnd(p) % len;
  if (late->len == 0 && now_and_then(p, p->harm.swap)) {
    memcpy(late->data, data, len);
    late->len = len;
    return;
  }
  send_on(p, to_callee, data, len);
  if (now_and_then(p, p->harm.twice)) send_on(p, to_callee, data, len);
  if (late->len > 0) send_on(p, to_callee, late->data, late->len);
  late->len = 0;
}

static void drain(struct udp_proxy *p, bool to_callee) {
  uint8_t data[DATAGRAM_MAX];

  for (int i = 0; i < 64; i++) {
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t n = recvfrom(to_callee ? p->front : p->back, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from,
                         &from_len);

    if (n < 0) return;
    if (n == 0) continue;
    pthread_mutex_lock(&p->lock);
    if (to_callee) {
      p->caller = from;
      p->has_caller = true;
    }
    pass(p, to_callee, data, (size_t)n);
    pthread_mutex_unlock(&p->lock);
  }
}

static void *run(void *arg) {
  struct udp_proxy *p = arg;
  struct pollfd fds[3] = {{p->front, POLLIN, 0}, {p->back, POLLIN, 0}, {p->stop, POLLIN, 0}};

  while (poll(fds, 3, -1) > 0 && !(fds[2].revents & POLLIN)) {
    if (fds[0].revents) drain(p, true);
    if (fds[1].revents) drain(p, false);
  }
  return NULL;
}

struct udp_proxy *udp_proxy_new(const struct sockaddr_in *callee, uint64_t seed) {
  struct udp_proxy *p = calloc(1, sizeof *p);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int room = 4 << 20;

  if (p == NULL) return NULL;
  p->rng = seed | 1;
  pthread_mutex_init(&p->lock, NULL);
  p->front = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  p->back = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  p->stop = eventfd(0, EFD_CLOEXEC);
  setsockopt(p->front, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(p->back, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(p->front, (struct sockaddr *)&any, sizeof any) != 0 ||
      connect(p->back, (const struct sockaddr *)callee, sizeof *callee) != 0 ||
      pthread_create(&p->thread, NULL, run, p) != 0) {
    close(p->front);
    close(p->back);
    close(p->stop);
    free(p);
    return NULL;
  }
  return p;
}

void udp_proxy_free(struct udp_proxy *p) {
  uint64_t one = 1;

  if (p == NULL) return;
  if (write(p->stop, &one, sizeof one) != sizeof one) abort();
  pthread_join(p->thread, NULL);
  close(p->front);
  close(p->back);
  close(p->stop);
  for (size_t i = 0; i < p->n_copies; i++) free(p->copies[i].data);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

uint16_t udp_proxy_port(const struct udp_proxy *p) {
  struct sockaddr_in at;
  socklen_t len = sizeof at;

  return getsockname(p->front, (struct sockaddr *)&at, &len) == 0 ? ntohs(at.sin_port) : 0;
}

void udp_proxy_harm(struct udp_proxy *p, const struct udp_harm *harm) {
  pthread_mutex_lock(&p->lock);
  p->harm = *harm;
  pthread_mutex_unlock(&p->lock);
}

size_t udp_proxy_copies(struct udp_proxy *p, struct udp_copy out[UDP_PROXY_KEEP]) {
  size_t n;

  pthread_mutex_lock(&p->lock);
  n = p->n_copies;
  memcpy(out, p->copies, n * sizeof *out);
  pthread_mutex_unlock(&p->lock);
  return n;
}

void udp_proxy_counts(struct udp_proxy *p, unsigned *passed, unsigned *harmed) {
  pthread_mutex_lock(&p->lock);
  *passed = p->passed;
  *harmed = p->harmed;
  pthread_mutex_unlock(&p->lock);
}
