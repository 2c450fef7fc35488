/*
 * request.h - a call that waits: cs_connect, cs_ping, cs_published. Its
 * result comes over a SOCK_SEQPACKET pair, the fd of a connection with it, so
 * that the waiting side is itself an fd: pollable, and closing it cancels.
 * I/O shell; the engine's lock, but for request_wait.
 */
#ifndef CSPACE_REQUEST_H
#define CSPACE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <cspace/cspace.h>

#include "identity.h"
#include "loop.h"
#include "path.h"

#define REQUEST_TEXT_MAX 400
#define REQUEST_USER_MAX 64
#define REQUEST_PAUSE_US 100000 /* before a stream that was cut unanswered is asked for again, doubling ... */
#define REQUEST_PAUSES_MAX 5   /* ... so often */
#define REQUEST_REFUSED_MAX 16 /* endpoints that refused one request, or were silent after another refused it */

struct cs_node;
struct remote;
struct session;
struct stream;

enum request_kind { REQUEST_CONNECT, REQUEST_PING, REQUEST_PUBLISHED };

struct request {
  struct cs_node *node;
  struct request *prev, *next;        /* the node's list */
  struct request *wait_next;          /* the remote's queue */
  bool waiting;                       /* stands in that queue */
  enum request_kind kind;
  struct remote *remote;              /* NULL for REQUEST_PUBLISHED */
  struct stream *stream;              /* asked, not answered */
  uint64_t started, found_at, up_at;  /* us; 0 not yet */
  char user[REQUEST_USER_MAX];        /* as the caller named them */
  char service[CS_SERVICE_MAX + 1];
  uint64_t deadline;
  uint8_t refused[REQUEST_REFUSED_MAX][8]; /* endpoint ids */
  unsigned n_refused;
  uint64_t not_before;                /* us; a stream that was cut is not asked for again before this */
  unsigned cut;                       /* how often that happened */
  bool looked_up;                     /* a lookup that began after this request is over */
  struct watch watch;
  struct alarm alarm;
};

struct request_result {
  int32_t err, errnum;                /* CS_OK, or what err_set is to be given */
  char text[REQUEST_TEXT_MAX];
  struct cs_path path;
};

/* timeout_us TIMER_NEVER: none. *wait_fd is the caller's. NULL + errno. */
struct request *request_new(struct cs_node *n, enum request_kind kind, const char *user, const char *service,
                            uint64_t timeout_us, int *wait_fd);
/* Each of these ends it and frees it. */
void request_done(struct request *r, int app_fd);  /* app_fd is sent and closed here; -1 for none */
void request_pong(struct request *r, const struct path_target *at, uint32_t rtt_us, uint32_t mtu);
void request_fail(struct request *r, enum cs_err err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void request_bad_answer(struct request *r); /* the other side does not understand our header */
void request_fail_refused(struct request *r);
/* An endpoint refused: another one of the same user may offer the service, so it goes back to the queue. */
void request_refused(struct request *r, const uint8_t endpoint_id[8]);
void request_note_refused(struct request *r, const uint8_t endpoint_id[8]);
bool request_was_refused(const struct request *r, const uint8_t endpoint_id[8]);
/* Its session or stream died before the answer: from the start again, until the deadline. */
void request_requeue(struct request *r);

/* Blocks until the result is there; consumes wait_fd. The fd (>= 0; 0 for calls without one), or -1 with err_set. */
int request_wait(int wait_fd, struct cs_path *path);

#endif
