/*
 * dht_lookup.c - the iterative lookup of Kademlia (BEP 5), as a sorted list of
 * candidates. It ends when the k closest that are alive have all answered; ids
 * that do not belong to their address (BEP 42) are asked but do not count.
 */
#include "dht_lookup.h"

#include <string.h>

#include "dht_id.h"

void dht_lookup_init(struct dht_lookup *l, const uint8_t target[DHT_ID_LEN], unsigned k, unsigned alpha) {
  memset(l, 0, sizeof *l);
  memcpy(l->target, target, DHT_ID_LEN);
  l->k = k;
  l->alpha = alpha;
}

struct dht_cand *dht_lookup_find(struct dht_lookup *l, const struct addr *addr) {
  for (unsigned i = 0; i < l->n; i++)
    if (addr_equal(&l->cand[i].addr, addr))
      return &l->cand[i];
  return NULL;
}

/* Index where c belongs; candidates without an id come first. */
static unsigned place_of(const struct dht_lookup *l, const struct dht_cand *c) {
  unsigned at = l->n;
  while (at > 0) {
    const struct dht_cand *before = &l->cand[at - 1];
    if (!before->has_id || (c->has_id && dht_id_compare(l->target, before->id, c->id) <= 0))
      break;
    at--;
  }
  return at;
}

static struct dht_cand *insert(struct dht_lookup *l, const struct dht_cand *c) {
  unsigned at = place_of(l, c);
  memmove(&l->cand[at + 1], &l->cand[at], (l->n - at) * sizeof l->cand[0]);
  l->cand[at] = *c;
  l->n++;
  return &l->cand[at];
}

static void take_out(struct dht_lookup *l, unsigned at) {
  l->n--;
  memmove(&l->cand[at], &l->cand[at + 1], (l->n - at) * sizeof l->cand[0]);
}

/* Of routable addresses an IP is asked once, whatever ids it claims. An id may stand at two addresses, so that a liar
 * who names it first does not hide the node it belongs to. */
static bool known(struct dht_lookup *l, const uint8_t *id, const struct addr *addr) {
  bool global = addr_is_global(addr);
  unsigned same_id = 0;
  for (unsigned i = 0; i < l->n; i++) {
    const struct dht_cand *c = &l->cand[i];
    if (addr_equal(&c->addr, addr) || (global && addr_same_ip(&c->addr, addr)))
      return true;
    same_id += id && c->has_id && memcmp(c->id, id, DHT_ID_LEN) == 0;
  }
  return same_id >= 2;
}

/* Room for one more: the farthest that nobody waits for goes. */
static bool make_room(struct dht_lookup *l, const struct dht_cand *newcomer) {
  if (l->n < DHT_LOOKUP_CANDIDATES)
    return true;
  unsigned place = place_of(l, newcomer);
  for (unsigned i = l->n; i-- > place;) {
    if (l->cand[i].state == DHT_CAND_NEW || l->cand[i].state == DHT_CAND_GONE) {
      take_out(l, i);
      return true;
    }
  }
  return false;
}

bool dht_lookup_add(struct dht_lookup *l, const uint8_t *id, const struct addr *addr) {
  struct dht_cand c = {.addr = *addr, .has_id = id != NULL, .belongs = !id || dht_id_belongs(id, addr)};
  if (known(l, id, addr))
    return false;
  if (id)
    memcpy(c.id, id, DHT_ID_LEN);
  if (!make_room(l, &c))
    return false;
  insert(l, &c);
  return true;
}

struct dht_cand *dht_lookup_next(struct dht_lookup *l) {
  unsigned busy = 0, start = 0, closest = 0;
  bool answered = false;
  for (unsigned i = 0; i < l->n; i++) {
    const struct dht_cand *c = &l->cand[i];
    busy += c->state == DHT_CAND_ASKED && c->has_id;
    start += c->state == DHT_CAND_ASKED && !c->has_id;
    answered = answered || c->state == DHT_CAND_ANSWERED;
  }
  for (unsigned i = 0; i < l->n && closest < l->k; i++) {
    struct dht_cand *c = &l->cand[i];
    if (c->state == DHT_CAND_NEW) {
      if (!c->has_id && answered)
        continue; /* the network is reached: no more bootstrap nodes */
      if (c->has_id ? busy >= l->alpha : start >= DHT_LOOKUP_START_MAX)
        return NULL;
      c->state = DHT_CAND_ASKED;
      return c;
    }
    closest += c->has_id && c->belongs && c->state != DHT_CAND_GONE;
  }
  return NULL;
}

/* Gives c an id and a state, and with the id another place. */
static struct dht_cand *place_anew(struct dht_lookup *l, struct dht_cand *c, const uint8_t id[DHT_ID_LEN],
                                   enum dht_cand_state state) {
  struct dht_cand moved = *c;
  take_out(l, (unsigned)(c - l->cand));
  memcpy(moved.id, id, DHT_ID_LEN);
  moved.has_id = true;
  moved.belongs = dht_id_belongs(id, &moved.addr);
  moved.state = state;
  return insert(l, &moved);
}

struct dht_cand *dht_lookup_answered(struct dht_lookup *l, struct dht_cand *c, const uint8_t id[DHT_ID_LEN]) {
  return place_anew(l, c, id, DHT_CAND_ANSWERED);
}

void dht_lookup_revive(struct dht_lookup *l, struct dht_cand *c, const uint8_t id[DHT_ID_LEN]) {
  if (c->state == DHT_CAND_GONE || c->state == DHT_CAND_STALLED)
    place_anew(l, c, id, DHT_CAND_NEW);
}

bool dht_lookup_done(const struct dht_lookup *l) {
  unsigned closest = 0;
  bool answered = false;
  for (unsigned i = 0; i < l->n; i++)
    answered = answered || l->cand[i].state == DHT_CAND_ANSWERED;
  for (unsigned i = 0; i < l->n && closest < l->k; i++) {
    const struct dht_cand *c = &l->cand[i];
    if (c->state == DHT_CAND_GONE)
      continue;
    if (!c->has_id) {
      /* Slow bootstrap nodes hold nothing up once another has answered. */
      if (c->state == DHT_CAND_ASKED || !answered)
        return false;
      continue;
    }
    if (c->state != DHT_CAND_ANSWERED)
      return false;
    closest += c->belongs;
  }
  return true;
}

unsigned dht_lookup_storers(struct dht_lookup *l, struct dht_cand **out, unsigned max) {
  unsigned n = 0;
  if (max > l->k)
    max = l->k;
  for (int pass = 0; pass < 2; pass++) {
    for (unsigned i = 0; i < l->n && n < max; i++) {
      struct dht_cand *c = &l->cand[i];
      if (c->state == DHT_CAND_ANSWERED && c->token_len > 0 && c->belongs == (pass == 0))
        out[n++] = c;
    }
  }
  return n;
}
