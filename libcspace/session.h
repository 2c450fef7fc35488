/*
 * session.h - one QUIC session between our endpoint and another: its paths,
 * its streams, its place in the node's tables. PROTOCOL.md 6. I/O shell; all
 * under the engine's lock.
 */
#ifndef CSPACE_SESSION_H
#define CSPACE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fdname.h"
#include "loop.h"
#include "path.h"
#include "quic.h"
#include "stream_msg.h"

#define SESSION_PARKED_MAX (64u << 20)   /* bytes of one session that its applications have not read */
#define SESSION_QUEUED_MAX (16u << 20)   /* bytes read from its applications and not acknowledged; above, each stream */
#define SESSION_TX_FLOOR (16u << 10)     /* holds no more than this */
#define SESSION_UNUSED_US 120000000      /* a session without streams is closed by its client after this */
#define SESSION_STRANGER_US 5000000      /* and a stranger's by the server after this */
#define SESSION_STRANGER_PARKED (8u << 20) /* of a stranger's: there may be NODE_STRANGERS_MAX of them */
#define SESSION_STRANGER_STREAMS 256     /* that a stranger may have open; those only begun keep no session alive */
#define SESSION_HEADERS_MAX 256          /* streams of one session whose header has not come whole */
#define SESSION_HANDSHAKE_US 10000000    /* a server gives up on a handshake */
#define SESSION_ACK_US 100               /* how long the acknowledgement of a lone datagram waits for an answer */
#define SESSION_LOOK_US 50               /* and how long the engine stays awake for that answer */
#define SESSION_CLOSING_US 1000000       /* how long a closed session still answers with its close */

struct cs_node;
struct remote;
struct stream;
struct request;
struct session;

/* A client towards an endpoint of remote. Candidates are added with session_add_target. NULL + errno. */
struct session *session_connect(struct cs_node *n, struct remote *r, const uint8_t endpoint_id[8], uint64_t now);
int session_add_target(struct session *s, const struct path_target *t);
/* A server for a first datagram that passed the gate; p is also its first input. */
struct session *session_accept(struct cs_node *n, const struct path_target *from, const uint8_t *p, size_t len,
                               uint64_t now);

/* Datagrams for it, a run of `segment` bytes each. */
void session_input(struct session *s, const struct path_target *from, const uint8_t *p, size_t len, size_t segment,
                   uint64_t now);
void session_path_input(struct session *s, const struct path_target *from, const uint8_t *p, size_t len, uint64_t now);
/* End of turn: deliver, send, set the alarm. Queued by everything that changes a session. */
void session_flush(struct session *s, uint64_t now);
void session_kick(struct session *s); /* queue a flush */

/* Opens a stream for a request. 0, or -1 + EAGAIN (no streams left now), ENOMEM. */
int session_open_stream(struct session *s, struct request *r);
/* Ends it with a code: streams are reset, waiting requests go back to their remote. */
void session_end(struct session *s, enum quic_code code);
/* Says goodbye in a control message, so that everything received is acknowledged before the close. */
void session_goodbye(struct session *s);

bool session_up(const struct session *s);        /* handshake done and takes new streams */
bool session_pending(const struct session *s);   /* handshake under way */
bool session_idle(const struct session *s);      /* nothing unacknowledged, nothing open */
bool session_unacked(const struct session *s);
bool session_has_path_id(const struct session *s, const uint8_t *id);
const uint8_t *session_peer(const struct session *s);
int session_ping(struct session *s, struct request *r); /* 0 or -1 + EAGAIN */
struct remote *session_remote(const struct session *s);
void session_forget_request(struct session *s, struct request *r);
void session_destroy(struct session *s);      /* at once, sends nothing */

/* ---- for stream.c ---- */
void session_link_stream(struct session *s, struct stream *st);
void session_unlink_stream(struct stream *st); /* from every list, of the session, the node, a listener */
void session_orphan(struct stream *st);        /* moves it to the node's list: the session may go */
void session_want_send(struct session *s, struct stream *st);
void session_mark_dirty(struct session *s, struct stream *st);
size_t session_tx_limit(const struct session *s); /* bytes one stream may hold unacknowledged */
void session_queued(struct session *s, ssize_t change); /* counts them over all streams */
/* Counts parked bytes; false above SESSION_PARKED_MAX, for a stranger SESSION_STRANGER_PARKED. */
bool session_parked(struct session *s, ssize_t change);
struct stream *session_largest(struct session *s); /* with the most parked bytes */
void session_credit(struct session *s, struct stream *st, size_t bytes);
void session_stop_stream(struct session *s, struct stream *st, enum quic_code code);
void session_reset_stream(struct session *s, struct stream *st, enum quic_code code);
struct cs_node *session_node(const struct session *s);
void session_header_over(struct stream *st); /* it came whole, or never will */
void session_dispatch(struct stream *st, const struct stream_header *h); /* the header came */
void session_refuse(struct stream *st, enum stream_answer answer);
void session_answered(struct stream *st, uint8_t answer);
void session_stream_failed(struct stream *st);      /* cut before the application had it */
/* cs_accept's process went: true when it had not said that it has the fd, which is then offered again. */
bool session_handover_failed(struct stream *st);

#endif
