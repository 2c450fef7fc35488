/*
 * node.c - an embedded node: opens the home and the network, keeps the
 * tables, and stands behind the public API as its backend.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "chunks.h"
#include "conf.h"
#include "err.h"
#include "gate.h"
#include "listener.h"
#include "log.h"
#include "node_impl.h"
#include "options.h"
#include "pair.h"
#include "remote.h"
#include "request.h"
#include "session.h"
#include "session_impl.h"
#include "stream.h"

#define CLOSE_POLL_US 20000

static const struct backend_ops ops;

struct cs_node *node_of(struct backend *b) { return (struct cs_node *)b; }

/* ---- lists ---- */

void node_link_session(struct cs_node *n, struct session *s) {
  s->prev = NULL;
  s->next = n->sessions;
  if (s->next != NULL) s->next->prev = s;
  n->sessions = s;
  n->handshakes++;
}

void node_unlink_session(struct cs_node *n, struct session *s) {
  node_unlink_half_open(n, s);
  if (s->prev != NULL)
    s->prev->next = s->next;
  else
    n->sessions = s->next;
  if (s->next != NULL) s->next->prev = s->prev;
  if (!s->was_up) n->handshakes--;
  pthread_cond_broadcast(&n->changed);
}

void node_link_half_open(struct cs_node *n, struct session *s) {
  s->half_open = true;
  s->half_next = NULL;
  s->half_prev = n->half_open_tail;
  if (s->half_prev != NULL)
    s->half_prev->half_next = s;
  else
    n->half_open = s;
  n->half_open_tail = s;
}

void node_unlink_half_open(struct cs_node *n, struct session *s) {
  if (!s->half_open) return;
  s->half_open = false;
  if (s->half_prev != NULL)
    s->half_prev->half_next = s->half_next;
  else
    n->half_open = s->half_next;
  if (s->half_next != NULL)
    s->half_next->half_prev = s->half_prev;
  else
    n->half_open_tail = s->half_prev;
}

struct session *node_next_session(struct session *s) { return s->next; }

void node_session_over(struct cs_node *n) { pthread_cond_broadcast(&n->changed); }

void node_link_orphan(struct cs_node *n, struct stream *st) {
  st->prev = NULL;
  st->next = n->orphans;
  if (st->next != NULL) st->next->prev = st;
  n->orphans = st;
}

void node_unlink_orphan(struct cs_node *n, struct stream *st) {
  if (st->prev != NULL)
    st->prev->next = st->next;
  else if (n->orphans == st)
    n->orphans = st->next;
  if (st->next != NULL) st->next->prev = st->prev;
  st->prev = st->next = NULL;
}

/* ---- resets ---- */

struct node_reset {
  struct cs_node *node;
  struct node_reset *prev, *next;
  struct watch watch; /* so that a forked child closes it as well */
  struct alarm alarm;
};

static void on_nothing(struct watch *w, uint32_t events) {
  (void)w;
  (void)events;
}

static void reset_finish(struct node_reset *r) {
  watch_del(&r->watch);
  pair_close_reset(r->watch.fd);
  alarm_cancel(&r->alarm);
  if (r->prev != NULL)
    r->prev->next = r->next;
  else
    r->node->resets = r->next;
  if (r->next != NULL) r->next->prev = r->prev;
  free(r);
}

static void on_reset_due(struct alarm *a, uint64_t now) {
  (void)now;
  reset_finish(a->owner);
}

/* The kernel tells ECONNRESET once: a writer blocked at that moment would eat it, and the reader find a clean end. So
 * writers are sent away first. */
void node_reset_fd(struct cs_node *n, int fd) {
  struct node_reset *r = calloc(1, sizeof *r);

  pair_reset_begin(fd);
  if (r == NULL) goto fail;
  r->node = n;
  r->watch.fd = fd;
  r->watch.ready = on_nothing;
  r->alarm.fire = on_reset_due;
  r->alarm.owner = r;
  if (watch_add(n->loop, &r->watch, EPOLLET) != 0) goto fail;
  if (alarm_set(n->loop, &r->alarm, loop_now(n->loop) + PAIR_RESET_US) != 0) {
    watch_del(&r->watch);
    goto fail;
  }
  r->next = n->resets;
  if (r->next != NULL) r->next->prev = r;
  n->resets = r;
  return;
fail:
  free(r);
  pair_close_reset(fd);
}

/* The node goes: what waits has the same time to leave, and no more. */
static void finish_resets(struct cs_node *n) {
  uint64_t until = clock_now() + PAIR_RESET_US;

  while (n->resets != NULL && clock_now() < until) loop_cond_wait(n->loop, &n->changed, until);
  while (n->resets != NULL) reset_finish(n->resets);
}

void node_keep_request(struct cs_node *n, struct request *r) {
  r->prev = NULL;
  r->next = n->requests;
  if (r->next != NULL) r->next->prev = r;
  n->requests = r;
}

void node_forget_request(struct cs_node *n, struct request *r) {
  if (r->prev != NULL)
    r->prev->next = r->next;
  else if (n->requests == r)
    n->requests = r->next;
  if (r->next != NULL) r->next->prev = r->prev;
}

struct remote *node_remote(struct cs_node *n, const uint8_t key[ID_KEY_LEN]) {
  struct remote *r = idtable_get(&n->remotes, key, ID_KEY_LEN);

  if (r != NULL) return r;
  r = remote_new(n, key);
  if (r == NULL) return NULL;
  if (idtable_put(&n->remotes, key, ID_KEY_LEN, r) != 0) {
    remote_free(r);
    return NULL;
  }
  r->next = n->remote_list;
  if (r->next != NULL) r->next->prev = r;
  n->remote_list = r;
  return r;
}

void node_drop_remote(struct cs_node *n, struct remote *r) {
  idtable_del(&n->remotes, r->key, ID_KEY_LEN);
  if (r->prev != NULL)
    r->prev->next = r->next;
  else
    n->remote_list = r->next;
  if (r->next != NULL) r->next->prev = r->prev;
  remote_free(r);
}

/* ---- listeners ---- */

struct listener *node_listener(struct cs_node *n, const char *service) {
  struct listener *l = idtable_get(&n->services, service, strlen(service));

  if (l == NULL || listener_confirmed(l) != 0) return l;
  node_listener_closed(n, l); /* by the application: its event is on the way */
  return NULL;
}

void node_listener_closed(struct cs_node *n, struct listener *l) {
  idtable_del(&n->services, l->service, strlen(l->service));
  if (l->prev != NULL)
    l->prev->next = l->next;
  else
    n->listeners = l->next;
  if (l->next != NULL) l->next->prev = l->prev;
  listener_free(l);
  if (!n->closing) node_publish(n);
}

static void on_retry(struct alarm *a, uint64_t now) {
  struct cs_node *n = a->owner;

  (void)now;
  for (struct listener *l = n->listeners; l != NULL; l = l->next) listener_retry(l);
}

void node_retry_listener(struct cs_node *n) { alarm_set(n->loop, &n->retry_alarm, clock_now() + NODE_RETRY_US); }

/* ---- who is who ---- */

const struct contacts *node_contacts(struct cs_node *n) {
  if (contacts_reload(n->contacts, n->home, &n->contacts_stamp) < 0)
    log_warn("contacts: %s; the table as it was stays in force", cs_last_error_text());
  return n->contacts;
}

bool node_knows(struct cs_node *n, const uint8_t key[ID_KEY_LEN]) {
  return memcmp(key, identity_key(n->identity), ID_KEY_LEN) == 0 ||
         contacts_by_key(node_contacts(n), key) != NULL;
}

void node_describe(struct cs_node *n, const uint8_t key[ID_KEY_LEN], const char *service, struct cs_peer *peer) {
  const struct contact *c = contacts_by_key(node_contacts(n), key);

  memset(peer, 0, sizeof *peer);
  id_format(peer->id, key);
  if (c != NULL) strcpy(peer->name, c->name);
  snprintf(peer->service, sizeof peer->service, "%s", service);
}

void node_fd_names(struct cs_node *n, const uint8_t key[ID_KEY_LEN], const char *service, struct fdname *names) {
  const struct contact *c = contacts_by_key(node_contacts(n), key);

  memset(names, 0, sizeof *names);
  names->user_key = n->fd_key;
  memcpy(names->peer_key, key, ID_KEY_LEN);
  memcpy(names->own_key, identity_key(n->identity), ID_KEY_LEN);
  snprintf(names->service, sizeof names->service, "%s", service);
  if (c != NULL) strcpy(names->petname, c->name);
  names->clear = strcmp(conf_get(n->conf, "peer-names"), "clear") == 0;
}

/* A petname or an id to a key. 0, or -1 with err_set. Under the lock. */
static int resolve_user(struct cs_node *n, const char *user, uint8_t key[ID_KEY_LEN]) {
  const struct contact *c;

  if (strlen(user) == CS_ID_LEN) {
    enum id_problem p = id_parse(key, user);

    if (p != ID_OK) return err_set(CS_ERR_ID, "%s: this id %s", user, id_problem_text(p));
    return 0;
  }
  if (!contact_name_valid(user))
    return err_set(CS_ERR_NAME, "%s: neither a petname (1 to %d of a-z 0-9 _ . -) nor an id (%d letters)", user,
                   CS_NAME_MAX, CS_ID_LEN);
  c = contacts_by_name(node_contacts(n), user);
  if (c == NULL)
    return err_set(CS_ERR_USER_UNKNOWN, "%s: no such contact; add it with: cspace contact add %s ID", user, user);
  memcpy(key, c->key, ID_KEY_LEN);
  return 0;
}

/* ---- calls ---- */

static bool in_child(void) {
  if (!loop_forked()) return false;
  err_set(CS_ERR_FORKED, "a node cannot be used in a forked child; exec a program that opens its own");
  return true;
}

/* Every call runs between enter and leave; cs_close waits for those inside. */
static void leave(struct cs_node *n) {
  if (--n->callers == 0) pthread_cond_broadcast(&n->changed);
  loop_unlock(n->loop);
}

static int enter(struct cs_node *n) {
  if (in_child()) return -1;
  n->callers++; /* before the lock: cs_close waits for those on the way in, too */
  loop_lock(n->loop);
  if (!n->closing) return 0;
  leave(n);
  return err_set(CS_ERR_CLOSED, "the node was closed");
}

static int user_request(struct cs_node *n, enum request_kind kind, const char *user, const char *service,
                        const cs_options *options) {
  struct request *r = NULL;
  struct remote *remote;
  uint8_t key[ID_KEY_LEN];
  int fd = -1;

  if (enter(n) != 0) return -1;
  if (resolve_user(n, user, key) != 0) goto out;
  remote = node_remote(n, key);
  if (remote == NULL) {
    err_set(CS_ERR_MEMORY, "out of memory");
    goto out;
  }
  r = request_new(n, kind, user, service, options_timeout_ms(options) * 1000ull, &fd);
  if (r == NULL) {
    fd = err_set(errno == EMFILE || errno == ENFILE ? CS_ERR_LIMIT : CS_ERR_SYSTEM, "%s: cannot start: %m", user);
    remote_kick(remote);
    goto out;
  }
  r->remote = remote;
  remote_add(remote, r);
out:
  leave(n);
  return fd;
}

static int op_connect_start(struct backend *b, const char *user, const char *service, const cs_options *options) {
  return user_request(node_of(b), REQUEST_CONNECT, user, service, options);
}

static int op_ping_start(struct backend *b, const char *user, const cs_options *options) {
  return user_request(node_of(b), REQUEST_PING, user, NULL, options);
}

static int op_published_start(struct backend *b, int timeout_ms) {
  struct cs_node *n = node_of(b);
  struct request *r;
  int fd = -1;

  if (enter(n) != 0) return -1;
  r = request_new(n, REQUEST_PUBLISHED, NULL, NULL, timeout_ms < 0 ? TIMER_NEVER : (uint64_t)timeout_ms * 1000, &fd);
  if (r == NULL)
    err_set(CS_ERR_SYSTEM, "cannot wait for the record: %m");
  else if (n->published || n->listeners == NULL) /* nothing offered is stored at once */
    request_done(r, -1);
  leave(n);
  return fd;
}

static int op_listen(struct backend *b, const char *service, const cs_options *options) {
  struct cs_node *n = node_of(b);
  struct listener *l;
  int fd = -1;

  if (enter(n) != 0) return -1;
  if (node_listener(n, service) != NULL) {
    err_set(CS_ERR_IN_USE, "the service %s is offered by this node already", service);
    goto out;
  }
  l = listener_new(n, service, options, &fd);
  if (l == NULL) {
    fd = err_set(errno == EMFILE || errno == ENFILE ? CS_ERR_LIMIT : CS_ERR_SYSTEM, "cannot offer %s: %m", service);
    goto out;
  }
  if (idtable_put(&n->services, service, strlen(service), l) != 0) {
    listener_free(l);
    close(fd);
    fd = err_set(CS_ERR_MEMORY, "out of memory");
    goto out;
  }
  l->next = n->listeners;
  if (l->next != NULL) l->next->prev = l;
  n->listeners = l;
  node_publish(n);
out:
  leave(n);
  return fd;
}

static int op_contact_add(struct backend *b, const char *name, const char *id) {
  return in_child() ? -1 : contacts_file_add(node_of(b)->home, name, id);
}

static int op_contact_remove(struct backend *b, const char *name) {
  return in_child() ? -1 : contacts_file_remove(node_of(b)->home, name);
}

static int op_contact_rename(struct backend *b, const char *name, const char *new_name) {
  return in_child() ? -1 : contacts_file_rename(node_of(b)->home, name, new_name);
}

static int op_contact_next(struct backend *b, const char *after, char *name, char *id) {
  struct cs_node *n = node_of(b);
  const struct contact *c;

  if (enter(n) != 0) return -1;
  c = contacts_after(node_contacts(n), after);
  if (c != NULL) {
    strcpy(name, c->name);
    id_format(id, c->key);
  }
  leave(n);
  return c != NULL;
}

static const char *op_id(const struct backend *b) { return ((const struct cs_node *)b)->id_text; }

/* ---- open ---- */

static void on_log(enum log_level level, const char *line) {
  static const char *const names[] = {"", "error", "warn", "info", "debug"};

  fprintf(stderr, "cspace: %s: %s\n", names[level], line);
}

static int open_conf(struct cs_node *n, const cs_config *config) {
  enum log_level level;
  char *text = NULL;
  size_t len = 0;
  int rc;

  n->conf = conf_copy(config);
  if (n->conf == NULL) return err_set(CS_ERR_MEMORY, "out of memory");
  if (conf_environment(n->conf) != 0) return -1;
  if (home_path(n->home, conf_get(n->conf, "home")) != 0) return -1;
  rc = home_read(n->home, "cspace.conf", 1 << 20, &text, &len);
  if (rc != 0 && errno != ENOENT) return -1;
  if (rc == 0) {
    char name[HOME_PATH_MAX + 16];

    snprintf(name, sizeof name, "%s/cspace.conf", n->home);
    rc = conf_parse(n->conf, text, len, name);
    free(text);
    if (rc != 0) return -1;
  }
  if (log_level_parse(&level, conf_get(n->conf, "log-level")) == 0) log_setup(level, on_log);
  n->idle_us = (uint64_t)conf_number(n->conf, "idle-timeout") * 1000;
  n->linger_us = (uint64_t)conf_number(n->conf, "linger-ms") * 1000;
  n->max_datagram = (uint16_t)conf_number(n->conf, "max-datagram");
  return 0;
}

static int open_identity(struct cs_node *n) {
  uint8_t seed[16];

  n->identity = home_identity_load_with(n->home, conf_passphrase(n->conf));
  if (n->identity == NULL) return -1;
  (void)cs_config_set_passphrase(n->conf, NULL); /* not kept for longer than it is needed */
  id_format(n->id_text, identity_key(n->identity));
  gate_salt(n->gate_salt, identity_key(n->identity));
  n->creds = tls_creds_new(n->identity);
  n->contacts = contacts_new();
  if (n->creds == NULL || n->contacts == NULL) return err_set(CS_ERR_MEMORY, "out of memory");
  if (contacts_reload(n->contacts, n->home, &n->contacts_stamp) < 0) return -1;
  randombytes_buf(seed, sizeof seed);
  if (idtable_init(&n->remotes, seed) != 0 || idtable_init(&n->services, seed) != 0)
    return err_set(CS_ERR_MEMORY, "out of memory");
  return fdname_key(n->fd_key);
}

/* Under the lock; everything that runs is at an end or is ended here. */
static void tear_down(struct cs_node *n) {
  while (n->requests != NULL)
    request_fail(n->requests, CS_ERR_CLOSED, ESHUTDOWN, "the node was closed meanwhile");
  while (n->listeners != NULL) node_listener_closed(n, n->listeners);
  while (n->sessions != NULL) session_destroy(n->sessions);
  while (n->orphans != NULL) stream_free(n->orphans);
  while (n->remote_list != NULL) node_drop_remote(n, n->remote_list);
  alarm_cancel(&n->retry_alarm);
  node_dht_close(n);
  node_net_close(n);
  finish_resets(n); /* lets go of the lock: nothing else is left to run */
}

static void node_free(struct cs_node *n) {
  idtable_free(&n->remotes);
  idtable_free(&n->services);
  tls_creds_free(n->creds);
  contacts_free(n->contacts);
  identity_free(n->identity);
  cs_config_free(n->conf);
  pthread_cond_destroy(&n->changed);
  sodium_memzero(n->fd_key, sizeof n->fd_key);
  free(n);
}

struct backend *node_open(const cs_config *config) {
  struct cs_node *n = calloc(1, sizeof *n);
  int rc;

  if (n == NULL) {
    err_set(CS_ERR_MEMORY, "out of memory");
    return NULL;
  }
  n->backend.ops = &ops;
  n->udp_watch.fd = -1;
  n->slot.fd = -1;
  n->retry_alarm.fire = on_retry;
  n->retry_alarm.owner = n;
  pthread_cond_init(&n->changed, NULL);
  if (open_conf(n, config) != 0 || open_identity(n) != 0) goto fail;
  n->loop = loop_get();
  if (n->loop == NULL) {
    err_set(errno == ENOTSUP ? CS_ERR_FORKED : CS_ERR_SYSTEM, "cannot start the engine: %m");
    goto fail;
  }
  loop_lock(n->loop);
  rc = node_net_open(n) != 0 || node_dht_open(n) != 0;
  if (rc != 0) tear_down(n);
  loop_unlock(n->loop);
  if (rc == 0) return &n->backend;
  loop_put(n->loop);
fail:
  rc = errno;
  node_free(n);
  errno = rc;
  return NULL;
}

/* ---- close ---- */

static bool unacked(const struct cs_node *n) {
  for (const struct session *s = n->sessions; s != NULL; s = s->next)
    if (session_unacked(s)) return true;
  return false;
}

/* Waits, at most until linger-ms are over, for what the application wrote to be acknowledged. */
static void linger(struct cs_node *n) {
  uint64_t until = clock_now() + n->linger_us;

  while (unacked(n) && clock_now() < until) {
    uint64_t next = clock_now() + CLOSE_POLL_US;

    loop_cond_wait(n->loop, &n->changed, next < until ? next : until);
  }
}

static void op_close(struct backend *b) {
  struct cs_node *n = node_of(b);
  struct loop *l = n->loop;

  if (loop_forked()) return; /* the child has nothing to close but its fds */
  loop_lock(l);
  linger(n);
  n->closing = true;
  while (n->callers > 0) loop_cond_wait(l, &n->changed, clock_now() + CLOSE_POLL_US);
  while (n->requests != NULL)
    request_fail(n->requests, CS_ERR_CLOSED, ESHUTDOWN, "the node was closed meanwhile");
  for (struct session *s = n->sessions; s != NULL; s = s->next) {
    session_goodbye(s); /* carries the acknowledgements of all that came */
    session_flush(s, clock_now());
    session_end(s, QUIC_CODE_DONE);
  }
  tear_down(n);
  chunks_pool_trim();
  loop_unlock(l);
  loop_put(l);
  node_free(n);
}

static const struct backend_ops ops = {
    .close = op_close,
    .id = op_id,
    .connect_start = op_connect_start,
    .ping_start = op_ping_start,
    .published_start = op_published_start,
    .listen = op_listen,
    .contact_add = op_contact_add,
    .contact_remove = op_contact_remove,
    .contact_rename = op_contact_rename,
    .contact_next = op_contact_next,
};
