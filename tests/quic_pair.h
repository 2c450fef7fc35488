/*
 * quic_pair.h - two QUIC connections that exchange packets in memory under a
 * virtual clock: no sockets, no waiting.
 */
#ifndef CSPACE_TESTS_QUIC_PAIR_H
#define CSPACE_TESTS_QUIC_PAIR_H

#include <stdbool.h>

#include "quic.h"

struct quic_side {
  struct quic *q;
  struct identity *id;
  struct tls_creds *creds;
  struct quic_config cfg;
  bool connected;
  unsigned cids, opened, closed, resets, stops;
  int64_t sid;          /* of the stream under test */
  const uint8_t *out;   /* what to send on it */
  size_t out_len, out_sent, acked;
  bool out_end, out_end_sent, blocked;
  uint8_t *in;          /* what came */
  size_t in_len, in_cap;
  bool in_end, hold_credit;
};

struct quic_pair {
  struct quic_side client, server;
  uint64_t now, delay_us;
  unsigned drop_every;  /* every nth datagram is lost; 0 none */
  unsigned sent, dropped;
  size_t mtu;
};

/* The client looks for `expected` (NULL: the server's own key). */
struct quic_pair *quic_pair_new(const uint8_t *expected);
void quic_pair_free(struct quic_pair *p);
/* The client's first datagram reaches a server that passes the gate. False: the gate refused it. */
bool quic_pair_meet(struct quic_pair *p);
/* Runs until `until` holds or `us` of virtual time have passed; true when it held. */
bool quic_pair_run(struct quic_pair *p, bool (*until)(struct quic_pair *p), uint64_t us);

#endif
