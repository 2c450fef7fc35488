/*
 * remote.c - from a user's key to a session with one of their endpoints.
 */
#include "remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "node_impl.h"
#include "request.h"
#include "session_impl.h"

static void on_task(struct task *t, uint64_t now);
static void on_alarm(struct alarm *a, uint64_t now);

struct remote *remote_new(struct cs_node *n, const uint8_t key[ID_KEY_LEN]) {
  struct remote *r = calloc(1, sizeof *r);

  if (r == NULL) return NULL;
  r->node = n;
  memcpy(r->key, key, ID_KEY_LEN);
  r->find_pause = REMOTE_FIND_MIN_US;
  r->round_pause = REMOTE_TRY_US;
  r->task.run = on_task;
  r->task.owner = r;
  r->alarm.fire = on_alarm;
  r->alarm.owner = r;
  return r;
}

void remote_free(struct remote *r) {
  if (r == NULL) return;
  alarm_cancel(&r->alarm);
  task_cancel(r->node->loop, &r->task);
  if (r->find != 0) node_cancel_find(r->node, r);
  free(r);
}

void remote_kick(struct remote *r) { task_queue(r->node->loop, &r->task); }

/* ---- who waits ---- */

void remote_add(struct remote *r, struct request *q) {
  if (r->wait_head == NULL) { /* what went wrong for earlier ones is no reason for this one's failure */
    r->was_found = r->has_record;
    r->was_tried = r->tls_failed = r->bad_record = r->no_network = false;
  }
  if (!q->waiting) {
    q->wait_next = NULL;
    q->waiting = true;
    if (r->wait_tail != NULL)
      r->wait_tail->wait_next = q;
    else
      r->wait_head = q;
    r->wait_tail = q;
  }
  remote_kick(r);
}

static void dequeue(struct remote *r, struct request *q) {
  struct request *prev = NULL, *p = r->wait_head;

  while (p != NULL && p != q) {
    prev = p;
    p = p->wait_next;
  }
  if (p == NULL) return;
  if (prev != NULL)
    prev->wait_next = q->wait_next;
  else
    r->wait_head = q->wait_next;
  if (r->wait_tail == q) r->wait_tail = prev;
  q->waiting = false;
}

void remote_remove(struct remote *r, struct request *q) {
  for (struct session *s = r->sessions; s != NULL; s = s->remote_next) session_forget_request(s, q);
  dequeue(r, q);
  remote_kick(r); /* it may be unused now */
}

/* Every endpoint's turn is open again. */
static void new_round(struct remote *r, uint64_t now) {
  r->tried = 0;
  r->next_round = now;
  r->round_pause = REMOTE_TRY_US;
}

/* ---- sessions ---- */

void remote_link_session(struct remote *r, struct session *s) {
  s->remote_next = r->sessions;
  r->sessions = s;
}

void remote_unlink_session(struct remote *r, struct session *s) {
  struct session **p = &r->sessions;

  while (*p != NULL && *p != s) p = &(*p)->remote_next;
  if (*p == s) *p = s->remote_next;
  remote_kick(r);
}

unsigned remote_sessions(const struct remote *r) {
  unsigned n = 0;

  for (const struct session *s = r->sessions; s != NULL; s = s->remote_next) n++;
  return n;
}

void remote_session_up(struct remote *r) {
  uint64_t now = loop_now(r->node->loop);

  for (struct request *q = r->wait_head; q != NULL; q = q->wait_next)
    if (q->up_at == 0) q->up_at = now;
  r->try_until = 0;
  r->find_pause = REMOTE_FIND_MIN_US;
  new_round(r, now);
  remote_kick(r);
}

void remote_session_over(struct remote *r, bool tls_failed) {
  if (tls_failed) r->tls_failed = true;
  r->try_until = 0;
  remote_kick(r);
}

static struct session *find_session(const struct remote *r, bool (*is)(const struct session *)) {
  for (struct session *s = r->sessions; s != NULL; s = s->remote_next)
    if (is(s)) return s;
  return NULL;
}

static bool session_fits(const struct session *s, const struct request *q) {
  return session_up(s) && !request_was_refused(q, s->endpoint_id);
}

/* Hands a waiting request to a session. False: there is none for it; those that take no more just now count. */
static bool serve_one(struct remote *r, struct request *q) {
  bool fits = false;

  for (struct session *s = r->sessions; s != NULL; s = s->remote_next) {
    if (!session_fits(s, q)) continue;
    fits = true;
    if ((q->kind == REQUEST_PING ? session_ping(s, q) : session_open_stream(s, q)) != 0) continue;
    dequeue(r, q);
    break;
  }
  return fits;
}

/* ---- being refused ---- */

static bool endpoint_live(const struct record_endpoint *e) { return !e->tombstone && e->expiry > clock_wall(); }

static bool has_session(const struct remote *r, const uint8_t endpoint_id[8], bool (*is)(const struct session *)) {
  for (const struct session *s = r->sessions; s != NULL; s = s->remote_next)
    if (is(s) && memcmp(s->endpoint_id, endpoint_id, sizeof s->endpoint_id) == 0) return true;
  return false;
}

/* The attempt under way is over: who was refused elsewhere does not wait for that endpoint again. */
static void end_try(struct remote *r, uint64_t now) {
  if (r->trying_until == 0 || (now < r->trying_until && has_session(r, r->trying_id, session_pending))) return;
  r->trying_until = 0;
  if (has_session(r, r->trying_id, session_up)) return;
  for (struct request *q = r->wait_head; q != NULL; q = q->wait_next)
    if (q->n_refused > 0) request_note_refused(q, r->trying_id);
}

/* Refused by every endpoint that a lookup of its own time brought. */
static bool refused_by_all(const struct remote *r, const struct request *q) {
  if (q->n_refused == REQUEST_REFUSED_MAX) return true;
  if (q->n_refused == 0 || !q->looked_up) return false;
  for (int i = 0; i < r->record.n; i++)
    if (endpoint_live(&r->record.endpoints[i]) && !request_was_refused(q, r->record.endpoints[i].id)) return false;
  return true;
}

/* Serves who can be served and fails who was refused by all. How many are left that no session serves; *at: when the
 * first of those who pause wants its turn. */
static unsigned serve(struct remote *r, uint64_t now, uint64_t *at) {
  unsigned left = 0;
  struct request *q, *next;

  for (q = r->wait_head; q != NULL; q = next) {
    next = q->wait_next;
    if (now < q->not_before) {
      if (q->not_before < *at) *at = q->not_before;
      continue;
    }
    if (serve_one(r, q)) continue;
    if (refused_by_all(r, q)) request_fail_refused(q);
    else left++;
  }
  return left;
}

static bool someone_was_refused(const struct remote *r) {
  for (const struct request *q = r->wait_head; q != NULL; q = q->wait_next)
    if (q->n_refused > 0) return true;
  return false;
}

/* A refused request has one lookup of its own, without a pause before it. */
static bool refused_and_uninformed(const struct remote *r) {
  for (const struct request *q = r->wait_head; q != NULL; q = q->wait_next)
    if (q->n_refused > 0 && !q->looked_up) return true;
  return false;
}

static void lookup_is_over(struct remote *r) {
  for (struct request *q = r->node->requests; q != NULL; q = q->next)
    if (q->remote == r && q->started <= r->find_began) q->looked_up = true;
}

/* ---- trying endpoints ---- */

/* Somebody waits whom it has not refused, and there is no session with it. */
static bool endpoint_wanted(const struct remote *r, const struct record_endpoint *e) {
  if (has_session(r, e->id, session_up)) return false;
  for (const struct request *q = r->wait_head; q != NULL; q = q->wait_next)
    if (!request_was_refused(q, e->id)) return true;
  return false;
}

/* The endpoint whose turn it is: freshest first. -1 when all had one. */
static int next_endpoint(const struct remote *r) {
  int best = -1;

  for (int i = 0; i < r->record.n; i++) {
    const struct record_endpoint *e = &r->record.endpoints[i];

    if ((r->tried & 1u << i) || !endpoint_live(e) || !endpoint_wanted(r, e)) continue;
    if (best < 0 || e->expiry > r->record.endpoints[best].expiry) best = i;
  }
  return best;
}

static bool try_endpoint(struct remote *r, const struct record_endpoint *e, uint64_t now) {
  struct session *s = NULL;
  unsigned added = 0;

  for (int i = 0; i < e->n_addrs; i++) {
    struct path_target t = {.kind = PATH_DIRECT, .addr = e->addrs[i]};

    if (!node_may_send(r->node, &t.addr, e)) continue;
    if (s == NULL) s = session_connect(r->node, r, e->id, now);
    if (s == NULL) return false;
    if (session_add_target(s, &t) == 0) added++;
  }
  return added > 0;
}

static bool try_next(struct remote *r, uint64_t now) {
  int i;

  while ((i = next_endpoint(r)) >= 0) {
    r->tried |= 1u << i;
    if (!try_endpoint(r, &r->record.endpoints[i], now)) continue;
    r->was_tried = true;
    r->try_until = now + REMOTE_TRY_US;
    r->trying_until = r->try_until;
    memcpy(r->trying_id, r->record.endpoints[i].id, sizeof r->trying_id);
    return true;
  }
  return false;
}

static void look_up(struct remote *r, uint64_t now) {
  if (r->find != 0 || (now < r->next_find && !refused_and_uninformed(r))) return;
  r->find = node_find(r->node, r);
  r->find_began = now;
  r->next_find = now + r->find_pause;
  if (r->find_pause < REMOTE_FIND_MAX_US) r->find_pause *= 2;
}

static void advance(struct remote *r, uint64_t now) {
  uint64_t at = TIMER_NEVER;
  unsigned left;

  end_try(r, now);
  left = serve(r, now, &at);
  if (r->wait_head == NULL) {
    if (r->sessions == NULL) node_drop_remote(r->node, r); /* frees r */
    else alarm_cancel(&r->alarm);
    return;
  }
  if (left == 0) { /* their sessions serve them when they can */
    alarm_set(r->node->loop, &r->alarm, at);
    return;
  }
  if (now >= r->try_until || find_session(r, session_pending) == NULL) {
    r->try_until = 0;
    if (!try_next(r, now)) look_up(r, now);
  }
  if (r->try_until != 0 && r->try_until < at) at = r->try_until;
  else if (r->try_until == 0 && r->find == 0 && r->next_find < at) at = r->next_find;
  alarm_set(r->node->loop, &r->alarm, at);
}

static void on_task(struct task *t, uint64_t now) { advance(t->owner, now); }

static void on_alarm(struct alarm *a, uint64_t now) { advance(a->owner, now); }

/* ---- what the lookup brings ---- */

void remote_event(struct remote *r, const struct discovery_event *ev, uint64_t now) {
  if (ev->type == DISCOVERY_EV_FOUND) {
    r->was_found = true;
    for (struct request *q = r->wait_head; q != NULL; q = q->wait_next)
      if (q->found_at == 0) q->found_at = now;
    if (!r->has_record || ev->seq >= r->seq) {
      bool news = !r->has_record || ev->seq > r->seq || memcmp(&r->record, &ev->record, sizeof r->record) != 0;

      r->record = ev->record;
      r->seq = ev->seq;
      r->has_record = true;
      if (news) new_round(r, now);
    }
  } else if (ev->type == DISCOVERY_EV_FIND_DONE) {
    r->find = 0;
    r->no_network = ev->reason == DISCOVERY_NO_NETWORK;
    if (ev->reason == DISCOVERY_BAD_RECORD) r->bad_record = true;
    if (now >= r->next_round) { /* every endpoint gets another turn; ever more rarely while the record is the same */
      r->tried = 0;
      r->next_round = now + r->round_pause;
      if (r->round_pause < REMOTE_ROUND_MAX_US) r->round_pause *= 2;
    }
    lookup_is_over(r);
    if (!someone_was_refused(r) && r->has_record && find_session(r, session_pending) == NULL && r->next_find > now) {
      alarm_set(r->node->loop, &r->alarm, r->next_find);
      return;
    }
  }
  remote_kick(r);
}

void remote_fail_request(struct remote *r, struct request *q) {
  double s = (double)(clock_now() - q->started) / 1e6;

  if (q->n_refused > 0)
    request_fail_refused(q);
  else if (find_session(r, session_up) != NULL)
    request_fail(q, CS_ERR_BACKLOG, ETIMEDOUT,
                 "%s: the session is up, but it takes no more connections now: too many are open", q->user);
  else if (r->tls_failed)
    request_fail(q, CS_ERR_HANDSHAKE, EPROTO,
                 "%s: the secure handshake failed: whoever answered could not prove to be this user", q->user);
  else if (r->was_found && r->was_tried)
    request_fail(q, CS_ERR_NO_ANSWER, ETIMEDOUT,
                 "%s: found, but none of their addresses answered in %.1f s (offline, or behind a NAT or firewall)",
                 q->user, s);
  else if (r->was_found)
    request_fail(q, CS_ERR_NO_ANSWER, ETIMEDOUT,
                 "%s: found, but their record holds no address that can be reached from here", q->user);
  else if (r->bad_record)
    request_fail(q, CS_ERR_RECORD, EBADMSG, "%s: only records that do not verify were found in the DHT", q->user);
  else if (r->no_network || !r->node->dht_answered)
    request_fail(q, CS_ERR_NETWORK, ENETUNREACH,
                 "%s: no DHT node answers: is there a network, and is the key bootstrap right?", q->user);
  else if (r->find == 0 || r->find_pause > 2 * REMOTE_FIND_MIN_US)
    request_fail(q, CS_ERR_NOT_PUBLISHED, EHOSTUNREACH,
                 "%s: not found: the DHT holds no record of this user; nobody listens as them now (tried for %.1f s)",
                 q->user, s);
  else
    request_fail(q, CS_ERR_LOOKUP, ETIMEDOUT, "%s: the lookup in the DHT took longer than %.1f s", q->user, s);
}
