/*
 * stream.h - one connection: a QUIC stream on one side, an fd on the other,
 * and the bytes between. PROTOCOL.md 6.5. I/O shell; the engine's lock.
 *
 * Bytes towards the network are read from the application into chunks that
 * QUIC refers to until they are acknowledged; the queue's limit is what holds
 * back a fast writer. Bytes towards the application go to its socket at
 * once; what does not fit is parked, and flow control stops the peer.
 */
#ifndef CSPACE_STREAM_H
#define CSPACE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <cspace/cspace.h>

#include "chunks.h"
#include "identity.h"
#include "loop.h"
#include "stream_msg.h"

#define STREAM_TX_MIN (256u << 10) /* bytes read ahead of acknowledgement, at least */
#define STREAM_TX_MAX (4u << 20)
#define STREAM_READ_BYTES (256u << 10)

struct cs_node;
struct session;
struct listener;
struct request;

enum stream_state {
  STREAM_HEADER,  /* opened by the peer: its header has not come whole */
  STREAM_ASKING,  /* opened by us: the answer has not come */
  STREAM_QUEUED,  /* accepted, in a listener's backlog (answered or not), or on its way to cs_accept */
  STREAM_OPEN,    /* the application has the fd */
  STREAM_OVER     /* refused or given up; only QUIC has to finish */
};

struct stream {
  struct cs_node *node;
  struct session *session;      /* NULL once it or the QUIC stream is gone and the application has bytes to get */
  uint8_t peer[ID_KEY_LEN];
  struct stream *prev, *next;   /* the session's list, or the node's of orphans */
  struct stream *send_next;     /* the session's ring of streams with something to send */
  struct stream *dirty_next;    /* the session's list of streams that got bytes in this turn */
  struct stream *backlog_next;  /* the listener's queue */
  struct listener *listener;
  struct request *request;      /* who waits for the answer */
  int64_t sid;
  uint64_t ticket;              /* names a hand-over to cs_accept */
  enum stream_state state;
  bool in_send, is_dirty, answered;
  bool in_headers;              /* counted by its session */
  bool tx_end, tx_end_sent;     /* the application's end of stream: wanted, given to QUIC */
  bool tx_end_alone, tx_end_acked; /* sent in a frame without bytes; acknowledged */
  bool tx_blocked, tx_dead;     /* flow control; the peer reads no more */
  bool tx_full;                 /* stopped reading the application at the limit */
  bool rx_end, rx_end_done;     /* the peer's end of stream: came, passed on */
  bool rx_stopped;              /* we asked the peer to send no more */
  bool rx_discard;              /* the application shut its reading side */
  bool rx_reset;                /* the stream was cut: after the parked bytes comes ECONNRESET */
  bool app_gone;
  bool quic_closed;             /* sid is dead */
  struct chunks tx, rx;
  struct chunk_cursor tx_at;    /* first byte not given to QUIC */
  size_t tx_unsent;
  struct watch watch;           /* our end of the pair; fd -1 without one */
  char service[CS_SERVICE_MAX + 1];
};

struct stream *stream_new(struct session *s, int64_t sid, enum stream_state state); /* NULL + ENOMEM */
/* Closes the fd (reset unless it ended already), leaves every list and frees. */
void stream_free(struct stream *st);

/* Gives it a fresh pair; *app is the application's end, the caller's. 0, or -1 + errno. */
int stream_attach(struct stream *st, int *app);
/* The application has its fd now: pump both ways. */
void stream_start(struct stream *st);
/* Takes the pair away again (cs_accept never got it); nothing was pumped yet. */
void stream_detach(struct stream *st);

/* Bytes of our own to send first (header, answer). 0 or -1 + ENOMEM. */
int stream_put(struct stream *st, const void *p, size_t len, bool end);

/* From the session, as QUIC tells. */
void stream_received(struct stream *st, const uint8_t *p, size_t len, bool end);
void stream_acked(struct stream *st, uint64_t bytes);
bool stream_pull(struct stream *st, struct iovec *iov, int *n, bool *end); /* false: nothing to send */
void stream_sent(struct stream *st, ssize_t bytes, bool end, bool blocked);
void stream_was_reset(struct stream *st);   /* RESET_STREAM, or the session died: parked bytes, then ECONNRESET */
void stream_was_stopped(struct stream *st); /* STOP_SENDING */
/* QUIC is done with it, or the session is gone: frees it, or leaves an orphan while bytes are parked. */
void stream_was_closed(struct stream *st);

/* Passes parked bytes on to the application; at the end of the turn for every stream that got some. */
void stream_deliver(struct stream *st);
bool stream_sendable(const struct stream *st);
/* True while bytes the application wrote, or its end, are not acknowledged. */
bool stream_unacked(const struct stream *st);

#endif
