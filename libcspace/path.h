/*
 * path.h - where one QUIC session's datagrams go. PROTOCOL.md 7.
 *
 * A sans-IO core: QUIC sees one constant path, this file knows the real ones,
 * chooses among them, finds their MTU and moves the session. The caller feeds
 * what arrived and when, and pulls datagrams to send and events.
 *
 * In three stages:
 *  - a client races its candidates until one answers; a server answers on
 *    every path that delivered a valid packet, at most 3 bytes for 1;
 *  - paths_keyed, when the handshake is complete: the path it completed on is
 *    the current one, and probes under exported keys flow from here on;
 *  - then data goes to the current path alone, and to another one only after
 *    it echoed a challenge.
 *
 * A path is the same path when addr and via are the same; kind is its rank.
 * now: monotonic us, never going back. One owner, no locking.
 */
#ifndef CSPACE_PATH_H
#define CSPACE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "path_msg.h"

#define PATHS_MAX 8             /* paths of one session, tried or in use */
#define PATHS_DIRECT_MAX 4      /* of these added as PATH_DIRECT or PATH_LAN by paths_add */
#define PATH_UNANSWERED_MAX 3   /* datagrams to an added address that never answered, Initials and probes together */
#define PATH_AMPLIFICATION 3    /* bytes out for a byte in while an address is not validated */
#define PATH_MTU_MIN 1200       /* QUIC's floor: every path carries this or is no path */
#define PATH_PROVE_US 3000000   /* a current path that echoed no probe for so long gets no more data */
#define PATH_UNPROVEN_MAX 98304 /* nor after so many bytes: a first flight of ten datagrams of 8,900 fits, and its
                                 * acknowledgement comes with the echo */

enum path_kind { PATH_LAN, PATH_DIRECT, PATH_ICE, PATH_RELAY };

struct path_target {
  uint8_t kind;      /* enum path_kind; on datagrams that come in PATH_DIRECT will do for any known path */
  struct addr addr;
  uint32_t via;      /* the shell's socket or relay; 0 is the main UDP socket */
};

struct paths;

/* max_datagram: the largest UDP payload the shell sends and takes, at least PATH_MTU_MIN; PATH_MTU_MIN when below.
 * NULL + ENOMEM. */
struct paths *paths_new(bool client, const uint8_t seed[32], uint64_t now, uint16_t max_datagram);
void paths_free(struct paths *p); /* wipes the keys; NULL is legal */

/* A target to try. Before the handshake (client) it gets Initials, after it a probe at once. 0 (also when it is known
 * already), -1 + EINVAL: not an address to send to (multicast, broadcast, unspecified, port 0, for kinds but
 * PATH_RELAY and PATH_ICE without an address), -1 + ENOSPC: PATHS_MAX or PATHS_DIRECT_MAX reached. */
int paths_add(struct paths *p, uint64_t now, const struct path_target *t);

/* A QUIC datagram of `bytes` came from t; valid: QUIC decrypted it. Call after QUIC has read it and before asking
 * QUIC for answers; the handshake's last datagram before paths_keyed. Not for path datagrams. */
void paths_received(struct paths *p, uint64_t now, const struct path_target *t, size_t bytes, bool valid);

/* A QUIC datagram (or a GSO run) of `bytes` in all is to go now: fills out[] with where to, each gets a copy; the
 * bytes are charged. 0: nowhere, drop it (budget spent, all candidates tried, current path unproven): QUIC sends
 * again later. max PATHS_MAX takes all; after paths_keyed at most one. */
size_t paths_send(struct paths *p, uint64_t now, size_t bytes, struct path_target *out, size_t max);

/* A send to t of one datagram of `size` failed locally with err. EMSGSIZE: that size is above the path's MTU.
 * EHOSTUNREACH, ENETUNREACH, EPERM, EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, ENETDOWN: the path is left when another one
 * answers. Others (EAGAIN, ENOBUFS) are ignored. Also for datagrams from paths_output. */
void paths_send_failed(struct paths *p, uint64_t now, const struct path_target *t, size_t size, int err);

/* The handshake is complete. From here path datagrams flow; the shell's demux knows the session by keys->own_id
 * (path_msg_is and path_msg_id). The keys are copied. Call once; later calls are ignored. */
void paths_keyed(struct paths *p, uint64_t now, const struct path_keys *keys);

/* A path datagram for own_id came. True when it authenticated and was not a replay: count it as a sign of life. */
bool paths_input(struct paths *p, uint64_t now, const struct path_target *from, const uint8_t *data, size_t len);
/* Next path datagram to send; buf has room for max_datagram bytes. False when there is none. Send what QUIC has ready
 * first: the peer can read no probe before it has the end of the handshake. */
bool paths_output(struct paths *p, uint64_t now, struct path_target *to, uint8_t *buf, size_t *len);

/* The target in use. False before a client's first answer or a server's first valid packet. */
bool paths_current(const struct paths *p, struct path_target *out);
size_t paths_mtu(const struct paths *p);        /* UDP payload to use now; PATH_MTU_MIN before a probe came back */
uint64_t paths_rtt(const struct paths *p);      /* smoothed, us, of the current path by probes; 0 unknown */
size_t paths_count(const struct paths *p);      /* paths that are validated now */

/* QUIC's probe timeout fired: the current path is checked at once, at its MTU and at PATH_MTU_MIN. Calls while a
 * check runs are ignored. */
void paths_suspect(struct paths *p, uint64_t now);
/* One probe on the current path; PATH_EV_PONG when it comes back. 0, or -1 + EAGAIN: not keyed, or one is under
 * way. A ping that is not answered in 3 s is forgotten without an event. */
int paths_ping(struct paths *p, uint64_t now);

enum path_event_type {
  PATH_EV_NONE,
  PATH_EV_SWITCHED,  /* to paths_current(); comes before the PATH_EV_MTU of the new path */
  PATH_EV_MTU,       /* mtu is what paths_mtu() says now */
  PATH_EV_PONG,      /* rtt_us */
  PATH_EV_DEAD       /* no path answers now. Not final: a path that answers later is switched to. Before the
                        handshake: no candidate can be sent to at all */
};
struct path_event {
  enum path_event_type type;
  uint64_t rtt_old_us, rtt_new_us; /* SWITCHED; 0 unknown */
  uint64_t rtt_us;
  size_t mtu;
};
/* Pulls one event; false when there is none. Events of one kind are merged into the newest, so nothing queues up. */
bool paths_next_event(struct paths *p, struct path_event *ev);

uint64_t paths_deadline(const struct paths *p); /* when paths_tick is wanted; UINT64_MAX never (idle) */
void paths_tick(struct paths *p, uint64_t now);

/* Whether an address out of a peer's record may be tried at all. Pure. */
struct path_prefix {
  struct addr addr;  /* of an interface of ours */
  uint8_t bits;      /* length of the attached prefix */
};
struct path_policy {
  const struct path_prefix *attached; /* n_attached of them */
  size_t n_attached;
  bool allow_loopback;                /* every bootstrap node is on loopback, or the user named the address */
  const struct addr *reflexive;       /* our own address as seen from outside, or NULL */
  const struct addr *peer_reflexive;  /* a global address out of the same record, or NULL */
};
/* Never multicast, broadcast, unspecified, port 0 or reserved space; loopback when allowed; private and link-local
 * ones inside an attached prefix, private ones also when both reflexive addresses are one; global ones always. */
bool path_target_allowed(const struct addr *a, const struct path_policy *policy);

#endif
