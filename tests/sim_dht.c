/*
 * sim_dht.c - a deterministic network of DHT nodes.
 */
#include "sim_dht.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

struct sim *sim_new(uint64_t seed) {
  struct sim *s = calloc(1, sizeof *s);
  uint8_t full[RNG_SEED_LEN] = "sim";
  assert(s);
  for (int i = 0; i < 8; i++)
    full[8 + i] = (uint8_t)(seed >> 8 * i);
  rng_init(&s->rng, full);
  s->now = 1000000;
  s->wall = 1750000000;
  s->latency_min = 5000;
  s->latency_max = 40000;
  s->trace = UINT64_C(0xcbf29ce484222325);
  return s;
}

void sim_free(struct sim *s) {
  if (!s)
    return;
  for (unsigned i = 0; i < s->n_nodes; i++)
    dht_free(s->nodes[i].d);
  for (size_t i = 0; i < s->n_packets; i++)
    free(s->heap[i].data);
  free(s->nodes);
  free(s->heap);
  free(s);
}

uint64_t sim_wall(const struct sim *s) {
  return s->wall + s->now / 1000000;
}

unsigned sim_add(struct sim *s, bool read_only, const struct addr *addr) {
  struct dht_config config = {.read_only = read_only, .ipv4 = true, .ipv6 = true};
  uint8_t seed[32];
  unsigned i = s->n_nodes;
  if (s->n_nodes == s->cap_nodes) {
    s->cap_nodes = s->cap_nodes ? 2 * s->cap_nodes : 64;
    s->nodes = realloc(s->nodes, s->cap_nodes * sizeof *s->nodes);
    assert(s->nodes);
  }
  rng_bytes(&s->rng, seed, sizeof seed);
  s->nodes[i] = (struct sim_node){.d = dht_new(&config, seed, s->now)};
  assert(s->nodes[i].d);
  s->nodes[i].addr = addr ? *addr : addr_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 6881);
  s->n_nodes++;
  sim_flush(s, i);
  return i;
}

void sim_bootstrap(struct sim *s, unsigned node, unsigned from) {
  dht_add_bootstrap(s->nodes[node].d, &s->nodes[from].addr);
  sim_flush(s, node);
}

static void trace(struct sim *s, const void *p, size_t len) {
  for (size_t i = 0; i < len; i++)
    s->trace = (s->trace ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
}

static bool before(const struct sim_packet *a, const struct sim_packet *b) {
  return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, const struct sim_packet *p) {
  if (s->n_packets == s->cap_packets) {
    s->cap_packets = s->cap_packets ? 2 * s->cap_packets : 1024;
    s->heap = realloc(s->heap, s->cap_packets * sizeof *s->heap);
    assert(s->heap);
  }
  size_t i = s->n_packets++;
  for (; i > 0 && before(p, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
    s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = *p;
}

static struct sim_packet pop(struct sim *s) {
  struct sim_packet first = s->heap[0], last = s->heap[--s->n_packets];
  size_t i = 0;
  for (;;) {
    size_t c = 2 * i + 1;
    if (c >= s->n_packets)
      break;
    if (c + 1 < s->n_packets && before(&s->heap[c + 1], &s->heap[c]))
      c++;
    if (before(&last, &s->heap[c]))
      break;
    s->heap[i] = s->heap[c];
    i = c;
  }
  s->heap[i] = last;
  return first;
}

static void send_packet(struct sim *s, unsigned from, const struct addr *to, const uint8_t *data, size_t len) {
  struct sim_node *n = &s->nodes[from];
  n->sent++;
  n->sent_bytes += len;
  trace(s, &s->now, sizeof s->now);
  trace(s, to->ip, sizeof to->ip);
  trace(s, data, len);
  uint64_t span = s->latency_max - s->latency_min;
  uint64_t latency = s->latency_min + (span ? rng_below(&s->rng, (uint32_t)span) : 0);
  bool lost = s->loss_percent && rng_below(&s->rng, 100) < s->loss_percent;
  struct sim_packet p = {.at = s->now + latency, .order = s->order++, .from = from, .from_addr = n->addr, .to = *to,
                         .len = len};
  if (n->down || lost)
    return;
  p.data = malloc(len);
  assert(p.data);
  memcpy(p.data, data, len);
  if (s->on_packet && !s->on_packet(s, from, to, p.data, len))
    free(p.data);
  else
    push(s, &p);
}

void sim_flush(struct sim *s, unsigned node) {
  struct dht *d = s->nodes[node].d;
  struct addr to;
  uint8_t buf[DHT_DATAGRAM_MAX];
  size_t len;
  struct dht_event ev;
  for (;;) {
    bool more = false;
    while (dht_output(d, &to, buf, &len)) {
      send_packet(s, node, &to, buf, len);
      more = true;
    }
    while (dht_next_event(d, &ev)) {
      if (s->on_event)
        s->on_event(s, node, &ev);
      more = true;
    }
    if (!more)
      break;
  }
  uint64_t above = s->deadline ? s->deadline(s, node) : UINT64_MAX;
  s->nodes[node].deadline = dht_deadline(d) < above ? dht_deadline(d) : above;
}

static unsigned node_at(const struct sim *s, const struct addr *a) {
  for (unsigned i = 0; i < s->n_nodes; i++)
    if (addr_equal(&s->nodes[i].addr, a))
      return i;
  return s->n_nodes;
}

void sim_inject(struct sim *s, unsigned node, const struct addr *from, const void *p, size_t len) {
  dht_input(s->nodes[node].d, s->now, sim_wall(s), from, p, len);
  sim_flush(s, node);
}

/* One step: the earliest of all arrivals and deadlines. False when there is nothing before `until`. */
static bool step(struct sim *s, uint64_t until) {
  uint64_t next = s->n_packets ? s->heap[0].at : UINT64_MAX;
  unsigned who = s->n_nodes;
  for (unsigned i = 0; i < s->n_nodes; i++) {
    if (!s->nodes[i].down && s->nodes[i].deadline < next) {
      next = s->nodes[i].deadline;
      who = i;
    }
  }
  if (next > until)
    return false;
  if (next > s->now)
    s->now = next;
  if (who < s->n_nodes) {
    dht_tick(s->nodes[who].d, s->now, sim_wall(s));
    if (s->on_tick)
      s->on_tick(s, who);
    sim_flush(s, who);
    return true;
  }
  struct sim_packet p = pop(s);
  unsigned to = node_at(s, &p.to);
  if (to < s->n_nodes && !s->nodes[to].down)
    sim_inject(s, to, &p.from_addr, p.data, p.len);
  free(p.data);
  return true;
}

bool sim_run(struct sim *s, uint64_t until, bool (*done)(struct sim *s)) {
  while (!done || !done(s)) {
    if (!step(s, until)) {
      s->now = until;
      return false;
    }
  }
  return true;
}
