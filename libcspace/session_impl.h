/*
 * session_impl.h - the inside of a session, for session.c (life and packets)
 * and session_stream.c (streams and the control stream) alone.
 */
#ifndef CSPACE_SESSION_IMPL_H
#define CSPACE_SESSION_IMPL_H

#include "session.h"

enum session_state {
  SESSION_HANDSHAKE,
  SESSION_UP,
  SESSION_CLOSING, /* over; still in the tables to repeat its CONNECTION_CLOSE */
  SESSION_GONE
};

#define SESSION_CIDS_MAX 12 /* ids of ours at one time: the first one, and what ngtcp2 issues */

struct session_cid {
  uint8_t len; /* 0: free */
  uint8_t bytes[QUIC_CID_MAX];
};

struct session {
  struct cs_node *node;
  struct remote *remote;            /* NULL for a server before its handshake */
  struct session *prev, *next;      /* the node's list */
  struct session *remote_next;      /* the remote's list */
  struct session *half_prev, *half_next;
  bool half_open;                   /* in the node's list of these */
  struct quic *quic;
  struct paths *paths;
  enum session_state state;
  bool client, draining, was_up;
  bool peer_known;                  /* a contact, or ourselves */
  bool stranger, too_many;          /* counted as one; over the limit for them */
  struct session_cid cids[SESSION_CIDS_MAX];
  bool keyed;                       /* own_id stands in the node's table */
  uint8_t own_id[PATH_ID_LEN];
  uint8_t endpoint_id[8];           /* of the other side, when known */
  uint64_t started, last_heard, unused_since;
  unsigned pto_seen;
  bool flushing;
  unsigned unanswered;              /* datagrams in since QUIC last had its turn to write */
  uint64_t ack_at;                  /* it waits with that until then; 0: it does not */
  struct alarm alarm;
  struct task flush;
  struct stream *streams;           /* list */
  unsigned n_streams, n_headers;    /* of these, with a header to come */
  struct stream *send_head, *send_tail; /* ring of what has something to send */
  struct stream *pulled;            /* the head that quic_write works on */
  struct stream *dirty;
  size_t parked, queued;
  size_t tx_limit;                  /* refreshed once a turn */
  int64_t control_sid;              /* ours, -1 before it is open */
  uint8_t control_out[64];
  size_t control_len, control_sent;
  int64_t control_in_sid;           /* the peer's */
  uint8_t control_in[CONTROL_BODY_MAX + 3];
  size_t control_in_len;
  struct request *pinger;
  uint8_t *close_pkt;               /* repeated while closing */
  size_t close_len;
  uint32_t close_asked;             /* runs that came since */
  struct path_target close_to;
  bool tls_failed;
};

extern const struct quic_callbacks session_quic_callbacks;
void session_open_control(struct session *s);
void session_drop_streams(struct session *s);

#endif
