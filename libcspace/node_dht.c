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

void node_dht_kick(struct cs_node *n) { mainline_kick(&n->dht); }

void node_dht_input(struct cs_node *n, const struct addr *from, const uint8_t *p, size_t len) {
  mainline_input(&n->dht, from, p, len);
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

/* ---- the engine ---- */

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

static void on_turn(void *ctx, uint64_t now) {
  struct cs_node *n = ctx;
  struct dht_event ev;

  if (n->discovery == NULL) return;
  while (dht_next_event(n->dht.dht, &ev)) {
    if (ev.type == DHT_EV_READY) n->dht_answered = true;
    discovery_dht_event(n->discovery, now, clock_wall(), &ev);
  }
  discovery_events(n, now);
  alarm_set(n->loop, &n->discovery_alarm, discovery_deadline(n->discovery));
}

static void on_discovery_alarm(struct alarm *a, uint64_t now) {
  struct cs_node *n = a->owner;

  discovery_tick(n->discovery, now, clock_wall());
  node_dht_kick(n);
}

int node_dht_open(struct cs_node *n) {
  uint8_t seed[32];

  n->discovery_alarm.fire = on_discovery_alarm;
  n->discovery_alarm.owner = n;
  endpoint_random(&n->slot);
  memcpy(n->endpoint_id, n->slot.id, sizeof n->endpoint_id);
  /* Read-only (BEP 43): a user's node asks and does not answer; `cspace node` and relays carry the network. */
  if (mainline_open(&n->dht, n->loop, n->udp, true, conf_get(n->conf, "bootstrap"), on_turn, n) != 0)
    return err_set(CS_ERR_SYSTEM, "cannot start the DHT: %m");
  randombytes_buf(seed, sizeof seed);
  n->discovery = discovery_new(n->dht.dht, n->identity, seed);
  sodium_memzero(seed, sizeof seed);
  return n->discovery != NULL ? 0 : err_set(CS_ERR_MEMORY, "out of memory");
}

void node_dht_close(struct cs_node *n) {
  alarm_cancel(&n->discovery_alarm);
  discovery_free(n->discovery);
  n->discovery = NULL;
  mainline_close(&n->dht);
  endpoint_release(&n->slot);
}
