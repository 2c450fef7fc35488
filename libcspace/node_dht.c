/*
 * node_dht.c - the node's DHT core and what finds and publishes with it,
 * driven by the engine: datagrams, time and events. PROTOCOL.md 4 and 5.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "err.h"
#include "listener.h"
#include "log.h"
#include "node_impl.h"
#include "record.h"
#include "remote.h"
#include "request.h"

static void pump(struct cs_node *n, uint64_t now);

static void on_alarm(struct alarm *a, uint64_t now) {
  struct cs_node *n = a->owner;

  if (now >= dht_deadline(n->dht)) dht_tick(n->dht, now, clock_wall());
  if (now >= discovery_deadline(n->discovery)) discovery_tick(n->discovery, now, clock_wall());
  pump(n, now);
}

static void on_task(struct task *t, uint64_t now) { pump(t->owner, now); }

void node_dht_kick(struct cs_node *n) { task_queue(n->loop, &n->dht_task); }

void node_dht_input(struct cs_node *n, const struct addr *from, const uint8_t *p, size_t len) {
  if (n->dht == NULL) return;
  dht_input(n->dht, loop_now(n->loop), clock_wall(), from, p, len);
  node_dht_kick(n);
}

/* ---- finding ---- */

uint32_t node_find(struct cs_node *n, struct remote *r) {
  uint32_t h = discovery_find(n->discovery, loop_now(n->loop), clock_wall(), r->key);

  node_dht_kick(n);
  return h;
}

void node_cancel_find(struct cs_node *n, struct remote *r) {
  discovery_cancel(n->discovery, r->find);
  r->find = 0;
}

/* ---- publishing ---- */

static unsigned addr_rank(const struct addr *a) {
  if (addr_is_global(a)) return 0;
  if (addr_is_private(a)) return 1;
  return addr_is_loopback(a) ? 3 : 2;
}

/* A specific `listen` address is published whatever it is; a wildcard stands for the interfaces' addresses. */
static void own_addresses(struct cs_node *n, struct record_endpoint *e) {
  struct addr local = udp_local(n->udp), all[64];
  size_t cnt;

  if (!conf_yes(n->conf, "publish-addresses")) return;
  if (!addr_is_unspecified(&local)) {
    e->addrs[e->n_addrs++] = local;
    return;
  }
  cnt = udp_interface_addrs(all, sizeof all / sizeof all[0], local.port, n->loopback_only);
  for (unsigned rank = 0; rank <= 3; rank++)
    for (size_t i = 0; i < cnt && e->n_addrs < RECORD_ADDRS_MAX; i++)
      if (addr_rank(&all[i]) == rank && !addr_is_link_local(&all[i])) e->addrs[e->n_addrs++] = all[i];
}

static void own_tags(struct cs_node *n, struct record_endpoint *e) {
  for (struct listener *l = n->listeners; l != NULL && e->n_tags < RECORD_TAGS_MAX; l = l->next)
    if (listener_open_to_anyone(l)) e->tags[e->n_tags++] = record_tag(identity_key(n->identity), l->service);
}

void node_publish(struct cs_node *n) {
  struct record_endpoint e;
  uint64_t now = loop_now(n->loop);

  n->published = false;
  if (n->listeners == NULL) {
    discovery_publish(n->discovery, now, clock_wall(), NULL);
    node_dht_kick(n);
    return;
  }
  if (n->slot.fd < 0) {
    endpoint_take(&n->slot, n->home);
    memcpy(n->endpoint_id, n->slot.id, sizeof n->endpoint_id);
  }
  memset(&e, 0, sizeof e);
  memcpy(e.id, n->endpoint_id, sizeof e.id);
  own_addresses(n, &e);
  own_tags(n, &e);
  discovery_publish(n->discovery, now, clock_wall(), &e);
  node_dht_kick(n);
}

static void published(struct cs_node *n) {
  struct request *r, *next;

  n->published = true;
  for (r = n->requests; r != NULL; r = next) {
    next = r->next;
    if (r->kind == REQUEST_PUBLISHED) request_done(r, -1);
  }
}

/* ---- the pump ---- */

static void discovery_events(struct cs_node *n, uint64_t now) {
  struct discovery_event ev;

  while (discovery_next_event(n->discovery, &ev)) {
    if (ev.type == DISCOVERY_EV_PUBLISHED) {
      if (discovery_published(n->discovery)) published(n);
      continue;
    }
    for (struct remote *r = n->remote_list; r != NULL; r = r->next)
      if (r->find != 0 && r->find == ev.find) {
        remote_event(r, &ev, now);
        break;
      }
  }
}

static void pump(struct cs_node *n, uint64_t now) {
  struct dht_event ev;
  struct addr to;
  uint8_t buf[DHT_DATAGRAM_MAX];
  size_t len, sent;
  uint64_t at, other;

  while (dht_next_event(n->dht, &ev)) discovery_dht_event(n->discovery, now, clock_wall(), &ev);
  discovery_events(n, now);
  while (dht_output(n->dht, &to, buf, &len)) udp_send(n->udp, &to, buf, len, len, &sent);
  at = dht_deadline(n->dht);
  other = discovery_deadline(n->discovery);
  alarm_set(n->loop, &n->dht_alarm, at < other ? at : other);
}

static void on_bootstrap(void *ctx, const struct addr *a) {
  struct cs_node *n = ctx;

  dht_add_bootstrap(n->dht, a);
  node_dht_kick(n);
}

int node_dht_open(struct cs_node *n) {
  struct dht_config cfg = {.read_only = true, .ipv4 = udp_has_v4(n->udp), .ipv6 = udp_has_v6(n->udp)};
  uint8_t seed[32];

  n->dht_alarm.fire = on_alarm;
  n->dht_alarm.owner = n;
  n->dht_task.run = on_task;
  n->dht_task.owner = n;
  endpoint_random(&n->slot);
  memcpy(n->endpoint_id, n->slot.id, sizeof n->endpoint_id);
  randombytes_buf(seed, sizeof seed);
  n->dht = dht_new(&cfg, seed, loop_now(n->loop));
  randombytes_buf(seed, sizeof seed);
  if (n->dht != NULL) n->discovery = discovery_new(n->dht, n->identity, seed);
  sodium_memzero(seed, sizeof seed);
  if (n->discovery == NULL) return err_set(CS_ERR_MEMORY, "out of memory");
  n->bootstrap = bootstrap_start(n->loop, conf_get(n->conf, "bootstrap"), on_bootstrap, n);
  if (n->bootstrap == NULL) return err_set(CS_ERR_SYSTEM, "cannot start the resolver: %m");
  node_dht_kick(n);
  return 0;
}

void node_dht_close(struct cs_node *n) {
  bootstrap_stop(n->bootstrap);
  n->bootstrap = NULL;
  alarm_cancel(&n->dht_alarm);
  task_cancel(n->loop, &n->dht_task);
  discovery_free(n->discovery);
  dht_free(n->dht);
  n->discovery = NULL;
  n->dht = NULL;
  endpoint_release(&n->slot);
}
