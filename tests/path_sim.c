/*
 * path_sim.c - see path_sim.h.
 */
#include "path_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct path_target sim_target(uint8_t kind, uint8_t host, uint16_t port) {
  struct path_target t;

  memset(&t, 0, sizeof t);
  t.kind = kind;
  t.addr = addr_v4(8, 8, 4, host, port);
  return t;
}

struct sim *sim_new(uint64_t seed, uint16_t max_datagram) {
  struct sim *s = calloc(1, sizeof *s);
  uint8_t bytes[RNG_SEED_LEN] = {0};

  if (s == NULL) abort();
  memcpy(bytes, &seed, sizeof seed);
  rng_init(&s->rng, bytes);
  s->now = 1000000;
  bytes[31] = 1;
  s->client.p = paths_new(true, bytes, s->now, max_datagram);
  bytes[31] = 2;
  s->server.p = paths_new(false, bytes, s->now, max_datagram);
  if (s->client.p == NULL || s->server.p == NULL) abort();
  s->client.mtu = s->server.mtu = PATH_MTU_MIN;
  return s;
}

void sim_free(struct sim *s) {
  for (size_t i = 0; i < s->packets; i++) free(s->packet[i].data);
  paths_free(s->client.p);
  paths_free(s->server.p);
  free(s);
}

struct sim_link *sim_link(struct sim *s, struct path_target server, struct path_target client, uint64_t latency,
                          size_t mtu) {
  struct sim_link *l = &s->link[s->links++];

  *l = (struct sim_link){.server = server, .client = client, .latency = latency, .mtu = mtu};
  return l;
}

static bool same(const struct path_target *a, const struct path_target *b) {
  return a->via == b->via && addr_equal(&a->addr, &b->addr);
}

static void put(struct sim *s, bool to_server, const struct path_target *to, const uint8_t *data, size_t len) {
  struct sim_link *l = NULL;
  struct sim_packet *k;

  for (size_t i = 0; i < s->links && l == NULL; i++)
    if (same(to, to_server ? &s->link[i].server : &s->link[i].client)) l = &s->link[i];
  if (l == NULL) {
    s->stray += len;
    return;
  }
  if (to_server) l->to_server += len, l->n_to_server++;
  else l->to_client += len, l->n_to_client++;
  if (len > l->mtu || (to_server ? l->down_up : l->down_down) || rng_below(&s->rng, 1000) < l->loss) return;
  if (s->packets == SIM_PACKETS) abort();
  k = &s->packet[s->packets++];
  *k = (struct sim_packet){.at = s->now + l->latency + (l->jitter != 0 ? rng_below(&s->rng, (uint32_t)l->jitter) : 0),
                           .to_server = to_server, .quic = data == NULL, .len = len,
                           .from = to_server ? l->client : l->server};
  if (data == NULL) return;
  k->data = malloc(len);
  if (k->data == NULL) abort();
  memcpy(k->data, data, len);
}

size_t sim_quic(struct sim *s, bool from_client, size_t bytes) {
  struct path_target to[PATHS_MAX];
  size_t n = paths_send(from_client ? s->client.p : s->server.p, s->now, bytes, to, PATHS_MAX);

  for (size_t i = 0; i < n; i++) put(s, from_client, &to[i], NULL, bytes);
  return n;
}

void sim_key(struct sim *s, bool client) {
  uint8_t exported[PATH_EXPORTER_LEN];
  struct path_keys keys;

  for (size_t i = 0; i < sizeof exported; i++) exported[i] = (uint8_t)(i * 7 + 1);
  path_keys_split(&keys, client, exported);
  paths_keyed(client ? s->client.p : s->server.p, s->now, &keys);
}

static void pump(struct sim *s, bool client) {
  static uint8_t buf[PATH_MSG_MAX];
  struct sim_end *e = client ? &s->client : &s->server;
  struct path_target to;
  struct path_event ev;
  size_t len;

  while (paths_output(e->p, s->now, &to, buf, &len)) {
    if (s->tap != NULL) s->tap(s, client, buf, len);
    e->probes++;
    put(s, client, &to, buf, len);
  }
  while (paths_next_event(e->p, &ev)) {
    if (ev.type == PATH_EV_SWITCHED) {
      e->switched++;
      e->last_switch = s->now;
      e->rtt_old = ev.rtt_old_us;
      e->rtt_new = ev.rtt_new_us;
    } else if (ev.type == PATH_EV_MTU) {
      e->mtu = ev.mtu;
      e->mtu_at = s->now;
    } else if (ev.type == PATH_EV_PONG) {
      e->pongs++;
      e->pong_rtt = ev.rtt_us;
    } else {
      e->dead++;
    }
  }
}

static void deliver(struct sim *s, size_t i) {
  struct sim_packet k = s->packet[i];
  struct sim_end *e = k.to_server ? &s->server : &s->client;

  s->packet[i] = s->packet[--s->packets];
  if (k.quic) {
    paths_received(e->p, s->now, &k.from, k.len, true);
    e->got += k.len;
    e->got_at = s->now;
    if (k.to_server && k.len < 1200 && !s->server_keyed) {
      s->server_keyed = true;
      sim_key(s, false);
    }
  } else {
    paths_input(e->p, s->now, &k.from, k.data, k.len);
    free(k.data);
  }
}

void sim_run(struct sim *s, uint64_t until) {
  unsigned still = 0;

  for (;;) {
    uint64_t next = until, c, d;
    size_t first = SIZE_MAX;

    pump(s, true);
    pump(s, false);
    for (size_t i = 0; i < s->packets; i++)
      if (s->packet[i].at <= next && (first == SIZE_MAX || s->packet[i].at < s->packet[first].at)) {
        first = i;
        next = s->packet[i].at;
      }
    c = paths_deadline(s->client.p);
    d = paths_deadline(s->server.p);
    if (c < next || d < next) {
      first = SIZE_MAX;
      next = c < d ? c : d;
    }
    still = next > s->now ? 0 : still + 1;
    if (still > 10000) abort(); /* a deadline that a tick does not move */
    if (next > s->now) s->now = next;
    if (c <= s->now) paths_tick(s->client.p, s->now);
    if (d <= s->now) paths_tick(s->server.p, s->now);
    if (first != SIZE_MAX) deliver(s, first);
    else if (next == until && c > until && d > until) break;
  }
}

void sim_handshake(struct sim *s) {
  uint64_t slow = 1;

  for (size_t i = 0; i < s->links; i++)
    if (s->link[i].latency + s->link[i].jitter > slow) slow = s->link[i].latency + s->link[i].jitter;
  sim_quic(s, true, 1200);
  sim_run(s, s->now + slow);
  sim_quic(s, false, 1200);
  sim_run(s, s->now + slow);
  sim_quic(s, true, 300);
  sim_key(s, true);
  for (int i = 0; i < 20 && !s->server_keyed; i++) {
    sim_run(s, s->now + slow);
    if (!s->server_keyed) sim_quic(s, true, 300);
  }
}

struct sim *sim_joined(uint64_t seed, size_t mtu, uint64_t latency, uint16_t max_datagram) {
  struct sim *s = sim_new(seed, max_datagram);
  struct path_target server = sim_target(PATH_DIRECT, 1, 1000), client = sim_target(PATH_DIRECT, 2, 2000);

  sim_link(s, server, client, latency, mtu);
  if (paths_add(s->client.p, s->now, &server) != 0) abort();
  sim_handshake(s);
  return s;
}

bool sim_on(struct paths *p, const struct path_target *t) {
  struct path_target c;

  return paths_current(p, &c) && c.via == t->via && addr_equal(&c.addr, &t->addr);
}

void sim_flow(struct sim *s, uint64_t us) {
  uint64_t end = s->now + us, pto_c = s->now, pto_s = s->now;

  while (s->now < end) {
    sim_quic(s, true, paths_mtu(s->client.p));
    sim_quic(s, false, paths_mtu(s->server.p));
    sim_run(s, s->now + 5 * MS);
    if (s->server.got_at > pto_c) pto_c = s->server.got_at;
    if (s->client.got_at > pto_s) pto_s = s->client.got_at;
    if (s->now > pto_c + 100 * MS) paths_suspect(s->client.p, pto_c = s->now);
    if (s->now > pto_s + 100 * MS) paths_suspect(s->server.p, pto_s = s->now);
  }
}

struct sim *sim_twofold(uint64_t seed, uint8_t kind2, uint64_t latency2) {
  struct sim *s = sim_new(seed, 8900);
  struct path_target a = sim_target(PATH_DIRECT, 1, 1), b = sim_target(kind2, 2, 2);

  sim_link(s, a, sim_target(PATH_DIRECT, 11, 11), 5 * MS, 1500);
  sim_link(s, b, sim_target(kind2, 12, 12), latency2, 1452);
  if (paths_add(s->client.p, s->now, &a) != 0 || paths_add(s->client.p, s->now, &b) != 0) abort();
  sim_handshake(s);
  sim_flow(s, 2 * S);
  return s;
}
