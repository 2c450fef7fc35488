/*
 * node_impl.h - the inside of an embedded node: one identity, its socket, its
 * tables. node.c opens and closes it, node_net.c moves datagrams, node_dht.c
 * finds and publishes. All under the engine's lock.
 */
#ifndef CSPACE_NODE_IMPL_H
#define CSPACE_NODE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cspace/cspace.h>

#include "backend.h"
#include "contacts.h"
#include "mainline.h"
#include "discovery.h"
#include "endpoint.h"
#include "fdname.h"
#include "home.h"
#include "identity.h"
#include "idtable.h"
#include "loop.h"
#include "path.h"
#include "tls.h"
#include "udp.h"

#define NODE_HANDSHAKES_MAX 256   /* of strangers' and contacts' sessions coming up at once */
#define NODE_HALF_OPEN_US 500000  /* above that, one that called us and is older than this makes way for the next */
#define NODE_STRANGERS_MAX 256    /* sessions of those we do not know */
#define NODE_PREFIXES_MAX 32
#define NODE_RETRY_US 100000      /* a listener that was out of descriptors */

struct listener;
struct remote;
struct request;
struct session;
struct stream;

struct cs_node {
  struct backend backend;         /* first: cspace.c sees this alone */
  struct loop *loop;
  cs_config *conf;
  struct identity *identity;
  char id_text[CS_ID_LEN + 1];
  uint8_t gate_salt[20];
  char home[HOME_PATH_MAX];
  struct contacts *contacts;
  struct contacts_stamp contacts_stamp;
  struct tls_creds *creds;
  uint8_t fd_key[FDNAME_KEY_LEN];
  uint64_t idle_us, linger_us;
  uint16_t max_datagram;
  bool closing;

  /* node_net.c */
  struct udp *udp;
  struct watch udp_watch;
  uint8_t *send_buf;              /* UDP_BATCH_BYTES, shared by all sessions */
  uint8_t *stalled_buf;           /* what the socket had no room for */
  size_t stalled_len, stalled_segment;
  struct path_target stalled_to;
  struct idtable ids;             /* connection ids and probe ids -> session */
  struct path_prefix prefixes[NODE_PREFIXES_MAX];
  size_t n_prefixes;
  bool loopback_only;             /* every bootstrap node is on loopback */

  /* node_dht.c */
  struct mainline dht;
  bool dht_answered;              /* some node of it, once */
  struct discovery *discovery;
  struct alarm discovery_alarm;
  struct endpoint_slot slot;
  uint8_t endpoint_id[8];
  bool published;

  struct session *sessions;
  struct stream *orphans;         /* streams whose session is gone, with bytes for the application */
  struct idtable remotes;         /* key -> remote */
  struct remote *remote_list;
  struct idtable services;        /* name -> listener */
  struct listener *listeners;
  struct request *requests;
  struct alarm retry_alarm;
  unsigned handshakes, strangers;
  struct session *half_open, *half_open_tail; /* called us, handshake not complete: oldest first */
  struct node_reset *resets;      /* fds on their way to ECONNRESET */
  atomic_uint callers;            /* threads inside a call */
  pthread_cond_t changed;         /* for cs_close: sessions and callers went */
};

struct cs_node *node_of(struct backend *b);

/* node_net.c */
int node_net_open(struct cs_node *n);
void node_net_close(struct cs_node *n);
/* Sends a run on a path. 0, or an errno for paths_send_failed. A full socket keeps the run and blocks further sends. */
int node_send(struct cs_node *n, const struct path_target *to, const uint8_t *buf, size_t len, size_t segment);
bool node_send_blocked(const struct cs_node *n);
int node_know_id(struct cs_node *n, const uint8_t *id, size_t len, struct session *s);
void node_forget_id(struct cs_node *n, const uint8_t *id, size_t len, const struct session *s);
/* May an address of a peer's record be sent to? */
bool node_may_send(struct cs_node *n, const struct addr *a, const struct record_endpoint *e);

/* node_dht.c */
int node_dht_open(struct cs_node *n);
void node_dht_close(struct cs_node *n);
void node_dht_input(struct cs_node *n, const struct addr *from, const uint8_t *p, size_t len);
void node_dht_kick(struct cs_node *n);
uint32_t node_find(struct cs_node *n, struct remote *r);
void node_cancel_find(struct cs_node *n, struct remote *r);
void node_publish(struct cs_node *n); /* what is offered changed */

/* node.c */
void node_link_session(struct cs_node *n, struct session *s);
void node_unlink_session(struct cs_node *n, struct session *s);
void node_link_half_open(struct cs_node *n, struct session *s);
void node_unlink_half_open(struct cs_node *n, struct session *s); /* legal when it is not in the list */
struct session *node_next_session(struct session *s);
void node_session_over(struct cs_node *n);
void node_link_orphan(struct cs_node *n, struct stream *st);
void node_unlink_orphan(struct cs_node *n, struct stream *st);
/* Takes fd (our end of a pair, no longer watched): the application reads what is queued and then ECONNRESET. */
void node_reset_fd(struct cs_node *n, int fd);
struct remote *node_remote(struct cs_node *n, const uint8_t key[ID_KEY_LEN]); /* made if new; NULL + ENOMEM */
void node_drop_remote(struct cs_node *n, struct remote *r);
void node_keep_request(struct cs_node *n, struct request *r);
void node_forget_request(struct cs_node *n, struct request *r);
struct listener *node_listener(struct cs_node *n, const char *service);
void node_listener_closed(struct cs_node *n, struct listener *l);
void node_retry_listener(struct cs_node *n);
const struct contacts *node_contacts(struct cs_node *n); /* reread when the file changed */
bool node_knows(struct cs_node *n, const uint8_t key[ID_KEY_LEN]); /* a contact, or ourselves */
void node_describe(struct cs_node *n, const uint8_t key[ID_KEY_LEN], const char *service, struct cs_peer *peer);
void node_fd_names(struct cs_node *n, const uint8_t key[ID_KEY_LEN], const char *service, struct fdname *names);

#endif
