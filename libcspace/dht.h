/*
 * dht.h - a BitTorrent Mainline DHT node as a sans-IO core: BEP 5, 32, 42,
 * 43, 44. No sockets, clocks, threads or globals; the caller feeds datagrams
 * and time and pulls datagrams and events. now: monotonic us. wall: Unix s.
 *
 * dht_lookup.c walks towards a target, dht_table.c holds the routing tables
 * (one per family), dht_store.c what others put here, krpc.c the messages.
 */
#ifndef CSPACE_DHT_H
#define CSPACE_DHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

#define DHT_ID_LEN 20
#define DHT_VALUE_MAX 1000     /* bencoded length of v, BEP 44 */
#define DHT_DATAGRAM_MAX 1400  /* largest datagram sent or read */
#define DHT_SALT_MAX 64

struct dht_config {
  bool read_only;              /* BEP 43: ask, never answer */
  bool ipv4, ipv6;             /* families of the socket */
};

struct dht;

struct dht *dht_new(const struct dht_config *config, const uint8_t seed[32], uint64_t now); /* NULL + ENOMEM */
void dht_free(struct dht *d);

/* A node to start from; it is asked until something answers (every 100 ms at first, then backing off), and
 * again whenever the table is empty. At most DHT_BOOTSTRAP_MAX (64) are kept. */
int dht_add_bootstrap(struct dht *d, const struct addr *node);

void dht_input(struct dht *d, uint64_t now, uint64_t wall, const struct addr *from, const uint8_t *p, size_t len);
/* Next datagram to send: true with *to, buf and *len (buf holds DHT_DATAGRAM_MAX); false when there is none. */
bool dht_output(struct dht *d, struct addr *to, uint8_t *buf, size_t *len);
uint64_t dht_deadline(const struct dht *d); /* when dht_tick is wanted next, UINT64_MAX never */
void dht_tick(struct dht *d, uint64_t now, uint64_t wall);

/* Operations return a handle > 0, or 0 + errno (EINVAL, ENOBUFS when too many run). Results are events. */
typedef uint32_t dht_op;

/* Mutable get (BEP 44). key: 32-byte public key; salt may be NULL with salt_len 0. Yields DHT_EV_VALUE for each valid
 * value newer than those this op has seen, and for other values (a few at most) of the newest seq; then DHT_EV_DONE. */
dht_op dht_get(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len);
/* Read, modify, write. dht_open is a dht_get that also reports older values that some nodes still hold (a few at most),
 * since another writer's may be among them; after its DHT_EV_DONE it stays until dht_write or dht_cancel. dht_write
 * puts to the closest nodes of that very lookup, with cas what each of them held when it was read (0: nothing), so
 * that whoever has written since makes a conflict; a second DHT_EV_DONE ends the op. 0, or -1 + EINVAL (and the op
 * stays). Write within 5 minutes: tokens grow old. */
dht_op dht_open(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len);
int dht_write(struct dht *d, uint64_t now, dht_op op, int64_t seq, const uint8_t sig[64], const uint8_t *v,
              size_t v_len);
/* Mutable put: looks up the closest nodes, then puts there. v is bencoded, v_len <= DHT_VALUE_MAX; sig is over the
 * BEP 44 buffer (dht_mutable_buffer). has_cas: every node is sent cas. Ends with DHT_EV_DONE: stored = nodes that took it. */
dht_op dht_put(struct dht *d, uint64_t now, const uint8_t key[32], const uint8_t *salt, size_t salt_len, int64_t seq,
               const uint8_t sig[64], const uint8_t *v, size_t v_len, bool has_cas, int64_t cas);
/* Immutable items, by SHA-1 of the bencoded value. */
dht_op dht_get_immutable(struct dht *d, uint64_t now, const uint8_t target[DHT_ID_LEN]);
dht_op dht_put_immutable(struct dht *d, uint64_t now, const uint8_t *v, size_t v_len);
/* BEP 5: peers of an infohash; port 0 with announce means implied_port. */
dht_op dht_get_peers(struct dht *d, uint64_t now, const uint8_t infohash[DHT_ID_LEN]);
dht_op dht_announce(struct dht *d, uint64_t now, const uint8_t infohash[DHT_ID_LEN], uint16_t port);
void dht_cancel(struct dht *d, dht_op op); /* no more events of it; 0 and unknown are legal */

enum dht_event_type { DHT_EV_NONE, DHT_EV_READY /* the first node answered */, DHT_EV_VALUE, DHT_EV_PEER, DHT_EV_DONE };
struct dht_event {
  enum dht_event_type type;
  dht_op op;
  /* DHT_EV_VALUE: */
  int64_t seq;
  uint8_t sig[64];
  size_t v_len;
  uint8_t v[DHT_VALUE_MAX];  /* bencoded */
  /* DHT_EV_PEER: */
  struct addr peer;
  /* DHT_EV_DONE: */
  unsigned answered;         /* nodes that answered: 0 means there is no network */
  unsigned stored;           /* puts: nodes that said yes */
  unsigned refused;          /* puts: nodes that said no */
  unsigned conflicts;        /* of these because of cas or seq: someone else has written */
  unsigned invalid;          /* gets and puts: values met that did not verify */
  /* seq: the newest valid seq met, -1 when none was; also of puts. */
};
bool dht_next_event(struct dht *d, struct dht_event *ev);

/* The buffer that a mutable item's signature covers (BEP 44). Returns its length, 0 when cap is short. */
size_t dht_mutable_buffer(uint8_t *out, size_t cap, const uint8_t *salt, size_t salt_len, int64_t seq, const uint8_t *v,
                          size_t v_len);

struct dht_stats {
  unsigned nodes_v4, nodes_v6, stored_items, lookups_running;
  uint64_t queries_in, queries_out, bytes_in, bytes_out, dropped;
};
void dht_get_stats(const struct dht *d, struct dht_stats *out);
const uint8_t *dht_id(const struct dht *d, enum addr_family family);

#endif
