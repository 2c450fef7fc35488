/*
 * remote.h - another user as we see them: their record, the sessions with
 * them, and the requests that wait for one. Finds, tries endpoints freshest
 * first, and starts over until each request's deadline. Who is refused by one
 * endpoint asks the others before it fails: each may be another process with
 * services of its own. I/O shell; the engine's lock.
 */
#ifndef CSPACE_REMOTE_H
#define CSPACE_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "discovery.h"
#include "identity.h"
#include "loop.h"
#include "record.h"

#define REMOTE_SESSIONS_MAX 64      /* with one user: their devices and processes */
#define REMOTE_TRY_US 2000000       /* an endpoint that did not answer in this makes way for the next */
#define REMOTE_ROUND_MAX_US 16000000 /* rounds of an unchanged record: 2 s apart, doubling up to this */
#define REMOTE_FIND_MIN_US 100000   /* pause between lookups, doubling ... */
#define REMOTE_FIND_MAX_US 2000000  /* ... up to this */

struct cs_node;
struct request;
struct session;

struct remote {
  struct cs_node *node;
  struct remote *prev, *next;       /* the node's list */
  uint8_t key[ID_KEY_LEN];
  struct session *sessions;         /* by remote_next */
  struct request *wait_head, *wait_tail;
  struct record record;
  int64_t seq;
  bool has_record, tried_record;    /* tried: every endpoint of it had its turn */
  unsigned tried;                   /* bit i: endpoint i had its turn */
  uint32_t find;                    /* running lookup, 0 none */
  uint64_t next_find, find_pause;
  uint64_t next_round, round_pause; /* when all endpoints get another turn */
  uint64_t try_until;               /* the attempt under way makes way at this time; 0 none */
  uint64_t trying_until;            /* the same, whatever other sessions bring, and the endpoint; 0 none */
  uint8_t trying_id[8];
  uint64_t find_began;
  /* What went wrong so far, for the error at the deadline. */
  bool was_found, was_tried, tls_failed, bad_record, no_network;
  struct alarm alarm;
  struct task task;
};

struct remote *remote_new(struct cs_node *n, const uint8_t key[ID_KEY_LEN]);
void remote_free(struct remote *r);
void remote_add(struct remote *r, struct request *q);     /* queue it and go */
void remote_remove(struct remote *r, struct request *q);  /* legal when not queued */
void remote_kick(struct remote *r);
void remote_link_session(struct remote *r, struct session *s);
void remote_unlink_session(struct remote *r, struct session *s);
unsigned remote_sessions(const struct remote *r);
void remote_session_up(struct remote *r);
void remote_session_over(struct remote *r, bool tls_failed);
void remote_event(struct remote *r, const struct discovery_event *ev, uint64_t now);
/* The error a request gets at its deadline. */
void remote_fail_request(struct remote *r, struct request *q);

#endif
