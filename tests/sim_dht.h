/*
 * sim_dht.h - many DHT nodes in one process under a virtual clock: links with
 * latency, loss and, as latencies differ, reordering. One seed decides all, so
 * a run replays; the trace hash covers every datagram with its time.
 */
#ifndef CSPACE_SIM_DHT_H
#define CSPACE_SIM_DHT_H

#include <stdbool.h>
#include <stdint.h>

#include "dht.h"
#include "rng.h"

struct sim_packet {
  uint64_t at, order;
  unsigned from;
  struct addr from_addr, to;
  size_t len;
  uint8_t *data;
};

struct sim_node {
  struct dht *d;
  struct addr addr;
  bool down;          /* nothing reaches it, nothing leaves it */
  uint64_t deadline;
  uint64_t sent, sent_bytes;
};

struct sim {
  struct rng rng;
  uint64_t now;       /* us */
  uint64_t wall;      /* Unix seconds at time 0 of the simulation */
  uint64_t latency_min, latency_max; /* us, one way */
  unsigned loss_percent;
  uint64_t trace;     /* hash of everything sent so far */
  struct sim_node *nodes;
  unsigned n_nodes, cap_nodes;
  struct sim_packet *heap;
  size_t n_packets, cap_packets;
  uint64_t order;
  /* Every event of every node; user is the test's. */
  void (*on_event)(struct sim *s, unsigned node, const struct dht_event *ev);
  /* When set, sees each datagram before it is queued and may change it; false drops it. */
  bool (*on_packet)(struct sim *s, unsigned from, const struct addr *to, uint8_t *data, size_t len);
  /* What runs on top of a node: called with its ticks, and its own deadline. */
  void (*on_tick)(struct sim *s, unsigned node);
  uint64_t (*deadline)(struct sim *s, unsigned node);
  void *user;
};

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s);
/* A node at 10.x.y.z, port 6881, or at `addr` if not NULL. Its index. */
unsigned sim_add(struct sim *s, bool read_only, const struct addr *addr);
void sim_bootstrap(struct sim *s, unsigned node, unsigned from);
/* Takes what a node wants to send and say; after every call on a node's dht from outside. */
void sim_flush(struct sim *s, unsigned node);
/* Runs until `done` is true (NULL: never) or the clock reaches `until`. Returns whether done was true. */
bool sim_run(struct sim *s, uint64_t until, bool (*done)(struct sim *s));
/* Hands a datagram to a node at once, as if from `from`. */
void sim_inject(struct sim *s, unsigned node, const struct addr *from, const void *p, size_t len);
uint64_t sim_wall(const struct sim *s); /* Unix seconds now */

#endif
