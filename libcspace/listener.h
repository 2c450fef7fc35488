/*
 * listener.h - a service on offer: its backlog, and the SOCK_SEQPACKET pair
 * over which accepted fds reach cs_accept in whatever process holds the
 * listener. PROTOCOL.md 6.5. I/O shell; the engine's lock.
 *
 * Connections wait as QUIC streams, without an fd; at most LISTENER_IN_FLIGHT
 * are under way in the socket, since fds in flight count against
 * RLIMIT_NOFILE. cs_accept says when it has one; what it never confirmed is
 * offered again.
 */
#ifndef CSPACE_LISTENER_H
#define CSPACE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <cspace/cspace.h>

#include "loop.h"
#include "options.h"

#define LISTENER_IN_FLIGHT 16
#define LISTENER_ACCESS_MAX 4096

struct cs_node;
struct stream;

struct listener {
  struct cs_node *node;
  struct listener *prev, *next; /* the node's list */
  char service[CS_SERVICE_MAX + 1];
  char *access;                 /* of the option; NULL: the configuration decides */
  unsigned backlog_max, queued, in_flight;
  uint64_t next_ticket;
  struct stream *head, *tail;   /* in order; those in flight first */
  struct stream *waiting_head, *waiting_tail; /* not answered yet: the backlog was full */
  struct watch watch;           /* our end; fd -1 once closed */
};

/* What goes over the listener's socket, with the fd: cs_accept sends the ticket back as 8 bytes. */
struct listener_offer {
  uint64_t ticket;
  struct cs_peer peer;
};

/* *app: the pollable end for cs_accept, the caller's. NULL + errno. */
struct listener *listener_new(struct cs_node *n, const char *service, const struct cs_options *options, int *app);
void listener_free(struct listener *l); /* resets what nobody accepted; NULL is legal */
bool listener_allows(const struct listener *l, const uint8_t *peer_key);
bool listener_open_to_anyone(const struct listener *l);
void listener_enqueue(struct listener *l, struct stream *st);
void listener_forget(struct listener *l, struct stream *st);   /* the stream is going */
/* Takes what cs_accept confirmed so far; their streams start. What recv said last. */
ssize_t listener_confirmed(struct listener *l);
void listener_retry(struct listener *l); /* after a want of descriptors */
void listener_returned(struct listener *l, struct stream *st); /* its fd never reached anyone: offer it again */

/* cs_accept's half; needs no node. */
int listener_accept(int fd, struct cs_peer *peer, int flags);

#endif
