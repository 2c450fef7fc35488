/*
 * quic.h - one QUIC connection (RFC 9000) between two identities. The only
 * file that knows ngtcp2 (0.12) is quic.c; a move to another version touches
 * it alone. PROTOCOL.md 6.
 *
 * It moves bytes between datagrams and streams: no sockets, no addresses.
 * ngtcp2 sees one constant path; path.c knows the real ones. now: monotonic
 * microseconds. The owner's lock guards it. Callbacks run inside quic_read,
 * quic_write and quic_expire, and must not free the connection.
 */
#ifndef CSPACE_QUIC_H
#define CSPACE_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "identity.h"
#include "tls.h"

#define QUIC_CID_LEN 8             /* of every connection id that we choose */
#define QUIC_CID_MAX 20
#define QUIC_STREAM_WINDOW_MIN (256u << 10)  /* receive window of a fresh stream */
#define QUIC_STREAM_WINDOW_MAX (2u << 20)    /* above this ngtcp2 0.12.1 may see 1000 gaps and give up */
#define QUIC_SESSION_WINDOW (16u << 20)
#define QUIC_STREAMS_MAX 16384     /* bidirectional streams a peer may hold open */
#define QUIC_DATAGRAM_MIN 1200

/* Application error codes in CONNECTION_CLOSE, RESET_STREAM and STOP_SENDING. PROTOCOL.md 6.6. */
enum quic_code {
  QUIC_CODE_DONE = 0,        /* clean close of a session */
  QUIC_CODE_RESET = 1,       /* the application, or what held its fd, is gone */
  QUIC_CODE_REFUSED = 2,
  QUIC_CODE_PROTOCOL = 3,
  QUIC_CODE_LIMIT = 4,       /* too many bytes parked */
  QUIC_CODE_LOST = 5
};

struct quic;

struct quic_callbacks {
  /* The other side opened a stream; set a handle with quic_stream_set. */
  void (*opened)(void *ctx, int64_t sid, bool bidi);
  void (*data)(void *ctx, int64_t sid, void *stream, const uint8_t *p, size_t len, bool fin);
  void (*acked)(void *ctx, void *stream, uint64_t bytes); /* 0: an end of stream sent without bytes */
  void (*reset)(void *ctx, int64_t sid, void *stream, uint64_t code); /* peer's RESET_STREAM */
  void (*stopped)(void *ctx, int64_t sid, void *stream, uint64_t code); /* peer's STOP_SENDING, when we send next */
  void (*closed)(void *ctx, int64_t sid, void *stream);  /* both directions are over; sid is dead */
  void (*unblocked)(void *ctx, void *stream);            /* flow control lets it send again */
  void (*streams_left)(void *ctx);                       /* more streams may be opened */
  void (*connected)(void *ctx);                          /* handshake complete: the peer is who quic_peer says */
  void (*cid_new)(void *ctx, const uint8_t *cid, size_t len);
  void (*cid_gone)(void *ctx, const uint8_t *cid, size_t len);
  /* What to send next: a stream with bytes or an end to send. Up to *n iovs (in: room, out: used). false: none. */
  bool (*pull)(void *ctx, int64_t *sid, void **stream, struct iovec *iov, int *n, bool *fin);
  /* The pulled stream sent `bytes`, and its end if fin; blocked: flow control; -1 bytes: it can send no more. */
  void (*sent)(void *ctx, void *stream, ssize_t bytes, bool fin, bool blocked);
};

struct quic_config {
  const struct tls_creds *creds;
  const struct quic_callbacks *callbacks;
  void *ctx;
  uint64_t idle_us;          /* max_idle_timeout */
  uint64_t keepalive_us;     /* a PING after this long without traffic */
  uint16_t max_datagram;     /* largest UDP payload ever used */
  void (*random)(void *out, size_t len);
};

/* A client towards `callee`. NULL + errno. */
struct quic *quic_connect(const struct quic_config *cfg, const uint8_t callee[ID_KEY_LEN], uint64_t now);
/* A server for a first datagram that gate_check passed; own: our identity key. The datagram is then to be given to
 * quic_read. NULL + errno. */
struct quic *quic_accept(const struct quic_config *cfg, const uint8_t own[ID_KEY_LEN], const uint8_t *p, size_t len,
                         uint64_t now);
void quic_free(struct quic *q); /* sends nothing; NULL is legal */

/* One datagram. *valid: something in it decrypted. 0, or -1: the connection is over (see quic_over). */
int quic_read(struct quic *q, uint64_t now, const uint8_t *p, size_t len, bool *valid);
/* A run of datagrams of *segment bytes each (the last may be shorter), each at most mtu, into buf; room at least mtu.
 * Length written; 0 nothing (more) to send now; -1: the connection is over. */
ssize_t quic_write(struct quic *q, uint64_t now, uint8_t *buf, size_t room, size_t mtu, size_t *segment);
uint64_t quic_deadline(const struct quic *q);     /* UINT64_MAX: none */
int quic_expire(struct quic *q, uint64_t now);    /* at the deadline. 0, or -1: over */
/* The CONNECTION_CLOSE datagram of a connection that is over through us, or that we end now with code. Length or 0. */
size_t quic_close(struct quic *q, uint64_t now, enum quic_code code, uint8_t *buf, size_t room, size_t mtu);

enum quic_end { QUIC_ALIVE, QUIC_END_PEER, QUIC_END_IDLE, QUIC_END_TLS, QUIC_END_PROTOCOL };
/* How it ended; code: the peer's application code if QUIC_END_PEER and it gave one, else UINT64_MAX. */
enum quic_end quic_over(const struct quic *q, uint64_t *code);

bool quic_connected(const struct quic *q);
bool quic_is_client(const struct quic *q);
const uint8_t *quic_peer(const struct quic *q);   /* verified key; valid once connected */
/* Keying material bound to this handshake (RFC 8446 section 7.5). 0 or -1. */
int quic_export(struct quic *q, const char *label, uint8_t *out, size_t len);
/* Once connected, and exported what was to be: frees TLS's own state, 12 KiB and the handshake's secrets. The packet
 * keys stay. quic_export fails from here. Not from a callback. */
void quic_drop_tls(struct quic *q);

/* Opens a stream. 0, or -1 + EAGAIN: the peer's limit; streams_left tells when. */
int quic_stream_open(struct quic *q, bool bidi, void *stream, int64_t *sid);
void quic_stream_set(struct quic *q, int64_t sid, void *stream);
void quic_stream_credit(struct quic *q, int64_t sid, uint64_t bytes); /* the application took this many */
void quic_stream_reset(struct quic *q, int64_t sid, enum quic_code code); /* both directions at once */
void quic_stream_stop(struct quic *q, int64_t sid, enum quic_code code);  /* STOP_SENDING: read no more */
size_t quic_streams_left(const struct quic *q);

struct quic_info {
  uint64_t rtt_us, cwnd, in_flight;
  unsigned pto_count;       /* probe timeouts in a row: the path may be dead */
};
void quic_get_info(const struct quic *q, struct quic_info *info);
/* The path changed: longer says the new round trip is longer, then congestion control starts afresh. */
void quic_path_changed(struct quic *q, uint64_t now, bool longer);

#endif
