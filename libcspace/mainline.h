/*
 * mainline.h - runs a DHT core in the engine: datagrams, time, events and
 * bootstrap nodes. A user's node feeds it from its shared socket; a plain DHT
 * node gives it the socket whole. I/O shell; the engine's lock.
 */
#ifndef CSPACE_MAINLINE_H
#define CSPACE_MAINLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "bootstrap.h"
#include "dht.h"
#include "loop.h"
#include "udp.h"

struct mainline {
  struct loop *loop;
  struct udp *udp;               /* borrowed */
  struct dht *dht;
  struct bootstrap *bootstrap;
  struct watch watch;            /* of the socket, when it is all its own */
  struct alarm alarm;
  struct task task;
  void (*turn)(void *ctx, uint64_t now); /* before datagrams are sent: takes the events; NULL drops them */
  void *ctx;
};

/* Zeroed before. bootstrap: the value of the key. 0, or -1 + errno: close it all the same. */
int mainline_open(struct mainline *h, struct loop *l, struct udp *u, bool read_only, const char *bootstrap,
                  void (*turn)(void *ctx, uint64_t now), void *ctx);
/* Reads the socket itself: for nodes that do nothing else. 0 or -1 + errno. */
int mainline_serve(struct mainline *h);
void mainline_input(struct mainline *h, const struct addr *from, const uint8_t *p, size_t len);
void mainline_kick(struct mainline *h); /* operations were started: a turn soon */
void mainline_close(struct mainline *h); /* a zeroed or half-opened one too */

#endif
