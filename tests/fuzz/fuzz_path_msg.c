/*
 * fuzz_path_msg.c - path datagrams and the core behind them. The input is a
 * script for one keyed end: datagrams as they stand, datagrams sealed with the
 * peer's key, QUIC datagrams, time, calls. Checked throughout: nothing goes to
 * an address beyond its budget, and the current path is one that may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_DATAGRAM 9000

struct world {
  struct paths *p;
  struct path_keys peer;
  uint64_t now, counter, last_challenge;
  uint64_t in[256], out[256];  /* by last byte of the address */
  uint8_t buf[MAX_DATAGRAM];
};

static struct path_target target(uint8_t n) {
  struct path_target t;

  memset(&t, 0, sizeof t);
  t.kind = n % 4;
  t.addr = addr_v4(8, 8, 4, n, 9);
  return t;
}

static void drain(struct world *w) {
  struct path_target to;
  struct path_event ev;
  struct path_msg m;
  size_t len = 0, n = 0;
  uint64_t counter;

  while (paths_output(w->p, w->now, &to, w->buf, &len)) {
    if (len < PATH_MSG_MIN || len > MAX_DATAGRAM || ++n > 64) abort();
    if (path_msg_open(&m, &counter, w->buf, len, &w->peer) != 0) abort();
    if (m.type == PATH_MSG_PROBE) w->last_challenge = m.challenge;
    w->out[to.addr.ip[3]] += len;
  }
  for (n = 0; paths_next_event(w->p, &ev); n++) {
    if (n > 4) abort();
    if (ev.type == PATH_EV_MTU && ev.mtu != paths_mtu(w->p)) abort();
  }
  if (paths_mtu(w->p) < PATH_MTU_MIN || paths_mtu(w->p) > MAX_DATAGRAM) abort();
  /* Address 0 completed the handshake; the others answer a challenge only by the "echo" step, which pays in `in`. */
  for (size_t i = 1; i < 256; i++)
    if (w->out[i] > PATH_AMPLIFICATION * w->in[i]) abort();
}

static void sealed(struct world *w, struct wire_in *in, const struct path_target *from) {
  struct path_msg m = {.type = wire_get_u8(in) % 3};
  size_t len;

  m.size = wire_get_u16(in) % MAX_DATAGRAM;
  m.reason = wire_get_u8(in);
  m.challenge = w->last_challenge;
  if (m.type == PATH_MSG_REPLY) w->in[from->addr.ip[3]] += UINT32_MAX; /* may validate it */
  len = path_msg_seal(w->buf, sizeof w->buf, &m, &w->peer, ++w->counter);
  if (len == 0) return;
  w->in[from->addr.ip[3]] += len;
  if (!paths_input(w->p, w->now, from, w->buf, len)) abort();
  if (paths_input(w->p, w->now, from, w->buf, len)) abort();
}

static void raw(struct world *w, struct wire_in *in, const struct path_target *from) {
  size_t len = wire_get_u8(in);
  const uint8_t *p;

  if (len > in->left) len = in->left;
  p = wire_get_bytes(in, len);
  /* Nobody forges a datagram without the key. */
  if (paths_input(w->p, w->now, from, p, len)) abort();
}

static void step(struct world *w, struct wire_in *in) {
  uint8_t op = wire_get_u8(in), n = wire_get_u8(in);
  struct path_target t = target(n), to[PATHS_MAX];
  size_t bytes;

  switch (op % 8) {
  case 0: raw(w, in, &t); break;
  case 1: sealed(w, in, &t); break;
  case 2:
    bytes = wire_get_u16(in);
    w->in[n] += bytes;
    paths_received(w->p, w->now, &t, bytes, true);
    break;
  case 3:
    w->now += wire_get_u16(in) * UINT64_C(1000);
    for (int i = 0; paths_deadline(w->p) <= w->now; i++) {
      if (i > 1000) abort();
      paths_tick(w->p, w->now);
    }
    break;
  case 4: paths_suspect(w->p, w->now); break;
  case 5: paths_send_failed(w->p, w->now, &t, wire_get_u16(in), wire_get_u8(in) % 2 ? EMSGSIZE : ENETUNREACH); break;
  case 6: (void)paths_ping(w->p, w->now); break;
  default:
    bytes = wire_get_u16(in);
    if (paths_send(w->p, w->now, bytes, to, PATHS_MAX) == 1) w->out[to[0].addr.ip[3]] += bytes;
    break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct world w;
  uint8_t exported[PATH_EXPORTER_LEN] = {1}, seed[32] = {2};
  struct path_target first = target(0);
  struct path_keys keys;
  struct wire_in in;

  memset(&w, 0, sizeof w);
  w.now = 1000000;
  exported[64] = 0x55;
  path_keys_split(&keys, false, exported);
  path_keys_split(&w.peer, true, exported);
  w.p = paths_new(false, seed, w.now, MAX_DATAGRAM);
  if (w.p == NULL) return 0;
  paths_received(w.p, w.now, &first, 1200, true);
  paths_keyed(w.p, w.now, &keys);
  wire_in_init(&in, data, size);
  while (in.left > 0 && !in.bad) {
    step(&w, &in);
    drain(&w);
  }
  paths_free(w.p);
  return 0;
}
