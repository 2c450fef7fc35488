/*
 * cspace.h - connect to a person, not to an address.
 *
 * cs_connect(node, "alice", "chat", NULL) finds alice by her public key in a DHT and returns an
 * ordinary file descriptor whose bytes are encrypted end to end. Each call has a man page, cs_open(3)
 * and so on; cspace(7) is the overview.
 *
 * Conventions of every call here: -1 (or NULL) and errno on failure, as connect(2) does, and the
 * stage and cause from cs_last_error() and cs_last_error_text(). Any thread may call with a node.
 * Strings are NUL-terminated UTF-8 and are copied. The library raises and handles no signals, calls
 * no exit, prints nothing unless log-level asks for it. After fork only the fds are usable in the
 * child: a call there with a node fails with ENOTSUP.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef CSPACE_CSPACE_H
#define CSPACE_CSPACE_H

#include <stdint.h>
#include <sys/socket.h> /* SOCK_NONBLOCK, for cs_accept */

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define CS_API __attribute__((visibility("default")))
#else
#define CS_API
#endif

typedef struct cs_config cs_config;   /* opaque; NULL means defaults everywhere */
typedef struct cs_node cs_node;       /* one identity, attached to the network */
typedef struct cs_options cs_options; /* opaque per-call options; NULL means defaults */

#define CS_ID_LEN 56
#define CS_NAME_MAX 32    /* petnames: [a-z0-9_.-] */
#define CS_SERVICE_MAX 32 /* services: [A-Za-z0-9_.-] */

struct cs_peer {
  char id[CS_ID_LEN + 1];            /* who, verified */
  char name[CS_NAME_MAX + 1];        /* our petname for them, "" for a stranger */
  char service[CS_SERVICE_MAX + 1];
  char reserved[128];                /* zero; room to grow without an ABI break */
};

/* One code per stage and cause; errno in brackets. */
enum cs_err {
  CS_OK = 0,
  CS_ERR_ARGUMENT,      /* [EINVAL] an argument is NULL, out of range or malformed */
  CS_ERR_NAME,          /* [EINVAL] not a possible petname */
  CS_ERR_ID,            /* [EINVAL] an id with a typing error, of another version, or of a weak key */
  CS_ERR_SERVICE,       /* [EINVAL] not a possible service name */
  CS_ERR_KEY,           /* [EINVAL] unknown configuration or option key, or a bad value for it */
  CS_ERR_USER_UNKNOWN,  /* [ENOENT] no contact of that name */
  CS_ERR_EXISTS,        /* [EEXIST] that petname or id is there already */
  CS_ERR_HOME,          /* [as the system said] the home or a file in it cannot be used */
  CS_ERR_NO_IDENTITY,   /* [ENOENT] the home holds no identity */
  CS_ERR_IDENTITY,      /* [EACCES, EBADMSG] the identity file is open to others, or damaged */
  CS_ERR_PASSPHRASE,    /* [EACCES] the identity is sealed and the passphrase is missing or wrong */
  CS_ERR_NETWORK,       /* [ENETUNREACH] no bootstrap node answers, or there is no network */
  CS_ERR_NOT_PUBLISHED, /* [EHOSTUNREACH] the DHT holds no record of this user */
  CS_ERR_RECORD,        /* [EBADMSG] only records that do not verify were found */
  CS_ERR_LOOKUP,        /* [ETIMEDOUT] the time was over before the lookup was */
  CS_ERR_NO_ANSWER,     /* [ETIMEDOUT] a record was found; none of its addresses answered */
  CS_ERR_HANDSHAKE,     /* [EPROTO] someone answered and the secure handshake failed */
  CS_ERR_PROTOCOL,      /* [EPROTO] the peer speaks another version, or broke the protocol */
  CS_ERR_REFUSED,       /* [ECONNREFUSED] no such service, or we may not use it */
  CS_ERR_BACKLOG,       /* [ETIMEDOUT] the session is up; the service did not answer in time */
  CS_ERR_QUOTA,         /* [EDQUOT] a relay's quota is used up */
  CS_ERR_CANCELED,      /* [ECANCELED] the call was cancelled */
  CS_ERR_CLOSED,        /* [ESHUTDOWN] the node or listener was closed meanwhile */
  CS_ERR_IN_USE,        /* [EADDRINUSE] a service listened to already, or a port in use */
  CS_ERR_RESET,         /* [ECONNRESET] the peer reset the connection */
  CS_ERR_LOST,          /* [ECONNRESET] the peer fell silent for idle-timeout, or the session died */
  CS_ERR_FORKED,        /* [ENOTSUP] a node used in a forked child */
  CS_ERR_NOT_CSPACE,    /* [ENOTSOCK, EBADMSG] not one of our fds, or its name does not authenticate */
  CS_ERR_LIMIT,         /* [EMFILE, ENFILE, ENOBUFS] out of descriptors or another limit */
  CS_ERR_MEMORY,        /* [ENOMEM] */
  CS_ERR_SYSTEM         /* [as the system said] a system call failed */
};

/* ---- configuration ---- */

/* A set of the keys of cspace.conf(5), to be given to cs_open. NULL + ENOMEM. Owned by the caller. */
CS_API cs_config *cs_config_new(void);
/* 0, or -1 + EINVAL for an unknown key or a bad value, which cs_last_error_text() names. */
CS_API int cs_config_set(cs_config *config, const char *key, const char *value);
/* The passphrase of a sealed identity, 1 to 1024 bytes, for a program that asks for it itself: copied into guarded
 * memory, wiped by cs_config_free. NULL: none; then CSPACE_PASSPHRASE_FILE may name a file with it. 0 or -1. */
CS_API int cs_config_set_passphrase(cs_config *config, const char *passphrase);
CS_API void cs_config_free(cs_config *config); /* NULL is legal */

/* ---- the node ---- */

/* Opens the home, unlocks the identity, binds the socket and starts the engine thread. Never waits
 * for the network. The config is read, not kept. NULL + errno on failure. */
CS_API cs_node *cs_open(const cs_config *config);
/* Waits up to linger-ms until bytes already written are acknowledged, then resets what is left, wakes
 * every caller blocked with this node and waits for them. NULL is legal. errno is kept. */
CS_API void cs_close(cs_node *node);
/* Own identity as text, CS_ID_LEN characters; valid until cs_close. */
CS_API const char *cs_id(const cs_node *node);

/* ---- connections ---- */

/* Connects to a service of a user, named by petname or id. Blocks up to the option timeout-ms (30,000).
 * Returns a connected stream fd with CLOEXEC set, owned by the caller; or -1 + errno. */
CS_API int cs_connect(cs_node *node, const char *user, const char *service, const cs_options *options);
/* The same in two halves. Start returns at once a wait fd: POLLIN when it is decided; closing it cancels. Finish blocks
 * until then, consumes the wait fd whatever happens, and returns the connection or -1 + errno. */
CS_API int cs_connect_start(cs_node *node, const char *user, const char *service, const cs_options *options);
CS_API int cs_connect_finish(int waitfd);
/* Offers a service. Returns at once a pollable fd for cs_accept, owned by the caller; publishing follows.
 * close(2) ends the service. -1 + EADDRINUSE when this node offers it already. */
CS_API int cs_listen(cs_node *node, const char *service, const cs_options *options);
/* Takes one connection; blocks unless the listener is O_NONBLOCK (then EAGAIN). peer may be NULL.
 * flags: 0 or SOCK_NONBLOCK. -1 + ESHUTDOWN after cs_close. EMFILE loses no connection. */
CS_API int cs_accept(int listener, struct cs_peer *peer, int flags);
/* Who is at the other end; works in any process of the same user that holds the fd. 0 or -1. */
CS_API int cs_peer(int fd, struct cs_peer *peer);

/* Waits until the record with the services listened to so far is stored in the DHT (at once when there are
 * none). timeout_ms < 0 waits for ever, 0 only asks. 0, or -1 + ETIMEDOUT, ESHUTDOWN. */
CS_API int cs_published(cs_node *node, int timeout_ms);

/* What a session to a user looks like. */
struct cs_path {
  char kind[16];        /* "direct"; later "lan", "ice", "relay" */
  char address[64];     /* where its datagrams go, "192.0.2.1:4000" */
  uint32_t rtt_us;      /* measured by this call, microseconds */
  uint32_t mtu;         /* largest datagram in use, bytes of UDP payload */
  uint32_t find_ms;     /* milliseconds until the user's record was found (0: session was up) */
  uint32_t session_ms;  /* milliseconds until the session was up (0: it was up) */
  char reserved[128];
};
/* Reaches a user without asking for a service: sets up the session if there is none and measures one
 * round trip. Blocks up to timeout-ms. 0, or -1 + errno as cs_connect. */
CS_API int cs_ping(cs_node *node, const char *user, const cs_options *options, struct cs_path *path);

/* ---- options ---- */

CS_API cs_options *cs_options_new(void); /* NULL + ENOMEM */
/* timeout-ms (1 to 86400000); type = stream; path = auto | direct; backlog (1 to 65535);
 * access = contacts | anyone | petnames and ids separated by spaces. -1 + EINVAL names what is wrong. */
CS_API int cs_options_set(cs_options *options, const char *key, const char *value);
CS_API void cs_options_free(cs_options *options);

/* ---- contacts ---- */

/* Adds to the contacts file; -1 + EEXIST when the name or the id is there already, EINVAL when malformed. */
CS_API int cs_contact_add(cs_node *node, const char *name, const char *id);
CS_API int cs_contact_remove(cs_node *node, const char *name);                          /* ENOENT */
CS_API int cs_contact_rename(cs_node *node, const char *name, const char *new_name);    /* ENOENT, EEXIST */
/* The contact after `after` in order of names (NULL or "": the first) into name and id.
 * 1, 0 at the end, -1 + errno. A name that is gone meanwhile is no error. */
CS_API int cs_contact_next(cs_node *node, const char *after, char name[CS_NAME_MAX + 1], char id[CS_ID_LEN + 1]);

/* ---- errors ---- */

CS_API enum cs_err cs_last_error(void);          /* of this thread's last failed call */
CS_API const char *cs_last_error_text(void);     /* one sentence that names user, stage and cause; never NULL;
                                                    valid until this thread's next call */
CS_API const char *cs_strerror(enum cs_err err); /* never NULL; static */

#ifdef __cplusplus
}
#endif
#endif
