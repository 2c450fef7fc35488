/*
 * krpc.h - the messages of the BitTorrent DHT: KRPC (BEP 5) with the fields of
 * BEP 32, 42, 43 and 44. One struct serves decoding and encoding; its pointers
 * go into the caller's buffers. No allocation. Any thread.
 */
#ifndef CSPACE_KRPC_H
#define CSPACE_KRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bencode.h"

#define KRPC_ID_LEN 20
#define KRPC_TID_MAX 32    /* longest transaction id taken from others */
#define KRPC_READ_MAX 2048 /* longest message read; others send full nodes beside a full value */
#define KRPC_NODE4_LEN 26
#define KRPC_NODE6_LEN 38

enum krpc_type { KRPC_QUERY, KRPC_REPLY, KRPC_ERROR };
enum krpc_method { KRPC_UNKNOWN, KRPC_PING, KRPC_FIND_NODE, KRPC_GET_PEERS, KRPC_ANNOUNCE_PEER, KRPC_GET, KRPC_PUT };
enum { KRPC_WANT4 = 1, KRPC_WANT6 = 2 };
enum krpc_code {
  KRPC_E_GENERIC = 201, KRPC_E_SERVER = 202, KRPC_E_PROTOCOL = 203, KRPC_E_METHOD = 204, /* BEP 5 */
  KRPC_E_TOO_BIG = 205, KRPC_E_SIGNATURE = 206, KRPC_E_SALT = 207, KRPC_E_CAS = 301, KRPC_E_SEQ = 302 /* BEP 44 */
};

/* Absent pointers are NULL; struct ben fields are a string's bytes unless they say raw. */
struct krpc {
  enum krpc_type type;
  enum krpc_method method;  /* queries */
  bool malformed;           /* a query with a transaction id whose arguments are not usable: error 203 */
  bool ro;                  /* BEP 43 */
  unsigned want;            /* KRPC_WANT*, BEP 32 */
  struct ben t;             /* transaction id */
  const uint8_t *id;        /* KRPC_ID_LEN bytes */
  const uint8_t *target;    /* KRPC_ID_LEN bytes: target, or info_hash of get_peers and announce_peer */
  struct ben token;
  struct ben nodes, nodes6; /* compact, any multiple of the node length */
  struct ben values;        /* raw: a list of compact peers */
  struct ben ip;            /* the asker as the answerer sees it: compact address, BEP 42 */
  bool implied_port, has_port;
  uint16_t port;
  const uint8_t *k, *sig;   /* 32 and 64 bytes */
  struct ben salt;
  struct ben v;             /* raw */
  bool has_seq, has_cas;
  int64_t seq, cas;
  int64_t code;             /* errors */
  struct ben text;
};

/* 0, or -1 + EBADMSG for what gets no answer. */
int krpc_decode(struct krpc *m, const uint8_t *p, size_t len);
/* Returns the length, 0 when it does not fit. For queries `target` is written under the name the method has for it. */
size_t krpc_encode(uint8_t *out, size_t cap, const struct krpc *m);

#endif
