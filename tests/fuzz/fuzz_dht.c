/*
 * fuzz_dht.c - a whole node. The input is a script: datagrams from several
 * addresses, answers to what the node has asked, time, operations. Checked: what
 * it sends is well-formed, bounded and goes to a possible address, a source
 * without a token changes no store, errors are no longer than what they answer,
 * and every operation ends once.
 */
#include <stdlib.h>
#include <string.h>

#include "dht_int.h"
#include "identity.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ASKED_MAX 16

struct world {
  struct dht *d;
  uint64_t now;
  struct addr asked[ASKED_MAX];       /* its latest queries: whom, and under which id */
  uint8_t tid[ASKED_MAX][DHT_TID_LEN];
  unsigned n_asked;
  unsigned started, ended;
  uint8_t buf[KRPC_READ_MAX];
};

static struct addr address(uint8_t n) {
  struct addr a = n & 1 ? addr_v4(127, 0, 0, 1, (uint16_t)(1000 + n)) : addr_v4((uint8_t)(20 + n % 100), 1, n, 1, 6881);
  if (n % 16 == 7) a.port = 0;
  if (n % 16 == 9) a = addr_v4(239, 1, 1, n, 5);
  if (n % 16 == 11) a = addr_from_ip((const uint8_t[16]){0x26, 0x06, n, [15] = 1}, 16, 7);
  return a;
}

/* What comes out; asked_len is the datagram that caused it, 0 for none. */
static void drain(struct world *w, size_t asked_len) {
  struct addr to;
  struct krpc m;
  struct dht_event ev;
  uint8_t out[DHT_DATAGRAM_MAX];
  size_t len;
  unsigned guard = 0;
  while (dht_output(w->d, &to, out, &len)) {
    if (++guard > DHT_OUT_MAX || len > DHT_DATAGRAM_MAX) abort();
    if (to.port == 0 || addr_is_multicast_or_broadcast(&to) || addr_is_unspecified(&to)) abort();
    if (krpc_decode(&m, out, len) != 0 || m.malformed) abort();
    if (m.type == KRPC_ERROR && len > asked_len) abort();
    if (m.type == KRPC_QUERY) {
      unsigned i = w->n_asked++ % ASKED_MAX;
      w->asked[i] = to;
      memcpy(w->tid[i], m.t.p, DHT_TID_LEN);
    }
  }
  while (dht_next_event(w->d, &ev)) {
    if (ev.type == DHT_EV_NONE || (ev.type == DHT_EV_VALUE && ben_length(ev.v, ev.v_len) != ev.v_len)) abort();
    w->ended += ev.type == DHT_EV_DONE;
  }
  if (w->ended > w->started) abort();
}

static void datagram(struct world *w, const struct addr *from, size_t len) {
  struct dht_stats before, after;
  struct krpc m;
  dht_get_stats(w->d, &before);
  bool token = krpc_decode(&m, w->buf, len) == 0 && m.type == KRPC_QUERY && m.token.len == DHT_TOKEN_LEN;
  dht_input(w->d, w->now, w->now / 1000000, from, w->buf, len);
  dht_get_stats(w->d, &after);
  if (after.stored_items != before.stored_items && !token) abort();
  drain(w, len);
}

/* The input's text as an answer to what the node asked: its id put in place of "TTTT". */
static void answer(struct world *w, struct wire_in *in, size_t len) {
  if (w->n_asked == 0) return;
  unsigned i = wire_get_u8(in) % (w->n_asked < ASKED_MAX ? w->n_asked : ASKED_MAX);
  uint8_t *t = memmem(w->buf, len, "TTTT", 4);
  struct addr from = w->asked[i];
  if (t) memcpy(t, w->tid[i], DHT_TID_LEN);
  datagram(w, &from, len);
}

static void operation(struct world *w, struct wire_in *in) {
  uint8_t key[32] = {0}, sig[64] = {0}, what = wire_get_u8(in);
  struct addr boot = address(what);
  dht_op op = 0;
  key[0] = what >> 4;
  switch (what % 8) {
  case 0: op = dht_get(w->d, w->now, key, NULL, 0); break;
  case 1: op = dht_put(w->d, w->now, key, NULL, 0, what, sig, (const uint8_t *)"1:x", 3, true, 1); break;
  case 2: op = dht_get_immutable(w->d, w->now, key); break;
  case 3: op = dht_put_immutable(w->d, w->now, (const uint8_t *)"i3e", 3); break;
  case 4: op = dht_get_peers(w->d, w->now, key); break;
  case 5: op = dht_announce(w->d, w->now, key, what); break;
  case 6: op = dht_open(w->d, w->now, key, NULL, 0); break;
  default: dht_add_bootstrap(w->d, &boot); break;
  }
  w->started += op != 0;
  drain(w, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct dht_config config = {.ipv4 = true, .ipv6 = true, .read_only = size > 0 && data[0] & 1};
  static const uint8_t seed[32] = "fuzz";
  struct world w = {.now = 1};
  struct wire_in in;
  if (identity_init() != 0) abort();
  w.d = dht_new(&config, seed, w.now);
  if (!w.d) return 0;
  wire_in_init(&in, data, size);
  wire_get_u8(&in);
  while (in.left > 0 && !in.bad) {
    uint8_t step = wire_get_u8(&in), from = wire_get_u8(&in);
    struct addr a = address(from);
    size_t len = 0;
    if (step % 4 < 2) {
      len = wire_get_u16(&in) % sizeof w.buf;
      if (len > in.left) len = in.left;
      wire_get_copy(&in, w.buf, len);
    }
    switch (step % 4) {
    case 0: datagram(&w, &a, len); break;
    case 1: answer(&w, &in, len); break;
    case 2: operation(&w, &in); break;
    default:
      w.now += (uint64_t)from * from * 1000;
      dht_tick(w.d, w.now, w.now / 1000000);
      drain(&w, 0);
    }
  }
  for (int i = 0; i < 200; i++) { /* silence: all that runs comes to its end */
    w.now += 100000;
    dht_tick(w.d, w.now, w.now / 1000000);
    drain(&w, 0);
  }
  if (w.ended != w.started) abort();
  dht_free(w.d);
  return 0;
}
