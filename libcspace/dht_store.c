/*
 * dht_store.c - storage for others: BEP 44 (items, seq, cas, salt, errors) and
 * the peers of BEP 5.
 */
#include "dht_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bencode.h"
#include "dht_id.h"
#include "identity.h"
#include "krpc.h"
#include "sha1.h"

void dht_store_init(struct dht_store *s) {
  memset(s, 0, sizeof *s);
}

void dht_store_free(struct dht_store *s) {
  for (unsigned i = 0; i < DHT_STORE_SLOTS; i++) {
    while (s->slots[i]) {
      struct dht_item *item = s->slots[i];
      s->slots[i] = item->next;
      free(item);
    }
  }
  for (unsigned i = 0; i < s->n_swarms; i++)
    free(s->swarms[i]);
  free(s->swarms);
  memset(s, 0, sizeof *s);
}

int dht_target_mutable(uint8_t target[DHT_ID_LEN], const uint8_t k[32], const uint8_t *salt, size_t salt_len) {
  uint8_t buf[32 + DHT_SALT_MAX];
  if (salt_len > DHT_SALT_MAX) {
    errno = EINVAL;
    return -1;
  }
  memcpy(buf, k, 32);
  if (salt_len > 0)
    memcpy(buf + 32, salt, salt_len);
  return sha1(target, buf, 32 + salt_len);
}

int dht_target_immutable(uint8_t target[DHT_ID_LEN], const uint8_t *v, size_t v_len) {
  return sha1(target, v, v_len);
}

size_t dht_mutable_buffer(uint8_t *out, size_t cap, const uint8_t *salt, size_t salt_len, int64_t seq, const uint8_t *v,
                          size_t v_len) {
  struct ben_out o;
  ben_out_init(&o, out, cap);
  if (salt_len > 0) {
    ben_put_text(&o, "salt");
    ben_put_str(&o, salt, salt_len);
  }
  ben_put_text(&o, "seq");
  ben_put_int(&o, seq);
  ben_put_text(&o, "v");
  ben_put_raw(&o, v, v_len);
  return o.bad ? 0 : o.len;
}

static struct dht_item **slot_of(const struct dht_store *s, const uint8_t target[DHT_ID_LEN]) {
  /* Targets are hashes, but chosen by others: a long chain is bounded by DHT_STORE_ITEMS_MAX. */
  unsigned h = (unsigned)target[18] << 8 | target[19];
  return (struct dht_item **)&s->slots[h % DHT_STORE_SLOTS];
}

const struct dht_item *dht_store_get(const struct dht_store *s, uint64_t now, const uint8_t target[DHT_ID_LEN]) {
  for (const struct dht_item *item = *slot_of(s, target); item; item = item->next)
    if (memcmp(item->target, target, DHT_ID_LEN) == 0)
      return item->expires > now ? item : NULL;
  return NULL;
}

static void remove_item(struct dht_store *s, struct dht_item *item) {
  struct dht_item **at = slot_of(s, item->target);
  while (*at != item)
    at = &(*at)->next;
  *at = item->next;
  free(item);
  s->items--;
}

/* Whether two routable sources count as one. */
static bool same_source(const struct addr *a, const struct addr *b) {
  return a->family == ADDR_V6 ? addr_same_subnet(a, b) : addr_same_ip(a, b);
}

static unsigned items_of(const struct dht_store *s, const struct addr *source) {
  unsigned n = 0;
  for (unsigned i = 0; i < DHT_STORE_SLOTS; i++)
    for (const struct dht_item *item = s->slots[i]; item; item = item->next)
      n += same_source(&item->source, source);
  return n;
}

static struct dht_item *farthest_item(struct dht_store *s, const uint8_t own[DHT_ID_LEN]) {
  struct dht_item *far = NULL;
  for (unsigned i = 0; i < DHT_STORE_SLOTS; i++)
    for (struct dht_item *item = s->slots[i]; item; item = item->next)
      if (!far || dht_id_compare(own, item->target, far->target) > 0)
        far = item;
  return far;
}

/* A place for a new item, NULL when there is none for it. */
static struct dht_item *make_room(struct dht_store *s, uint64_t now, const struct addr *source,
                                  const uint8_t own[DHT_ID_LEN], const uint8_t target[DHT_ID_LEN]) {
  if (addr_is_global(source) && items_of(s, source) >= DHT_STORE_ITEMS_PER_SOURCE)
    return NULL;
  if (s->items >= DHT_STORE_ITEMS_MAX)
    dht_store_expire(s, now);
  if (s->items >= DHT_STORE_ITEMS_MAX) {
    struct dht_item *far = farthest_item(s, own);
    if (dht_id_compare(own, target, far->target) >= 0)
      return NULL;
    remove_item(s, far);
  }
  struct dht_item *item = calloc(1, sizeof *item), **at = slot_of(s, target);
  if (!item)
    return NULL;
  memcpy(item->target, target, DHT_ID_LEN);
  item->next = *at;
  *at = item;
  s->items++;
  return item;
}

static bool signature_good(const struct dht_put_args *put) {
  uint8_t buf[DHT_VALUE_MAX + DHT_SALT_MAX + 64];
  size_t n = dht_mutable_buffer(buf, sizeof buf, put->salt, put->salt_len, put->seq, put->v, put->v_len);
  return n > 0 && id_verify(put->k, put->sig, buf, n);
}

/* BEP 44: cas, then the order of seq; an equal seq only refreshes the same value. The very same put once more is
 * a resent one whose answer was lost, whatever its cas. */
static int may_replace(const struct dht_item *old, const struct dht_put_args *put) {
  bool same = put->v_len == old->v_len && memcmp(put->v, old->v, put->v_len) == 0;
  if (put->has_cas && put->cas != old->seq && !(same && put->seq == old->seq))
    return KRPC_E_CAS;
  if (put->seq < old->seq || (put->seq == old->seq && !same))
    return KRPC_E_SEQ;
  return 0;
}

int dht_store_put(struct dht_store *s, uint64_t now, const struct addr *source, const uint8_t own[DHT_ID_LEN],
                  const struct dht_put_args *put) {
  uint8_t target[DHT_ID_LEN];
  if (put->v_len > DHT_VALUE_MAX)
    return KRPC_E_TOO_BIG;
  if (put->salt_len > DHT_SALT_MAX)
    return KRPC_E_SALT;
  if (put->k && put->seq < 0)
    return KRPC_E_PROTOCOL; /* BEP 44 lets us refuse it; nobody means it */
  if ((put->k ? dht_target_mutable(target, put->k, put->salt, put->salt_len)
              : dht_target_immutable(target, put->v, put->v_len)) != 0)
    return KRPC_E_SERVER;
  struct dht_item *item = (struct dht_item *)dht_store_get(s, now, target);
  bool same = item && put->k && item->seq == put->seq && memcmp(item->sig, put->sig, sizeof item->sig) == 0 &&
              item->v_len == put->v_len && memcmp(item->v, put->v, put->v_len) == 0;
  if (put->k && !same && !signature_good(put))
    return KRPC_E_SIGNATURE;
  int refused = item && put->k ? may_replace(item, put) : 0;
  if (refused)
    return refused;
  if (!item) {
    for (struct dht_item *old = *slot_of(s, target); old; old = old->next) {
      if (memcmp(old->target, target, DHT_ID_LEN) == 0) {
        remove_item(s, old); /* expired */
        break;
      }
    }
    item = make_room(s, now, source, own, target);
    if (!item)
      return KRPC_E_SERVER;
  }
  item->source = *source;
  item->expires = now + DHT_STORE_LIFETIME;
  item->is_mutable = put->k != NULL;
  item->v_len = put->v_len;
  memcpy(item->v, put->v, put->v_len);
  if (put->k) {
    item->seq = put->seq;
    memcpy(item->k, put->k, sizeof item->k);
    memcpy(item->sig, put->sig, sizeof item->sig);
  }
  return 0;
}

static struct dht_swarm *find_swarm(const struct dht_store *s, const uint8_t infohash[DHT_ID_LEN]) {
  for (unsigned i = 0; i < s->n_swarms; i++)
    if (memcmp(s->swarms[i]->target, infohash, DHT_ID_LEN) == 0)
      return s->swarms[i];
  return NULL;
}

static struct dht_swarm *add_swarm(struct dht_store *s, uint64_t now, const uint8_t infohash[DHT_ID_LEN]) {
  if (!s->swarms)
    s->swarms = calloc(DHT_STORE_SWARMS_MAX, sizeof *s->swarms);
  if (s->n_swarms >= DHT_STORE_SWARMS_MAX)
    dht_store_expire(s, now);
  if (!s->swarms || s->n_swarms >= DHT_STORE_SWARMS_MAX)
    return NULL;
  struct dht_swarm *swarm = calloc(1, sizeof *swarm);
  if (!swarm)
    return NULL;
  memcpy(swarm->target, infohash, DHT_ID_LEN);
  s->swarms[s->n_swarms++] = swarm;
  return swarm;
}

static unsigned peers_of(const struct dht_store *s, const struct addr *source) {
  unsigned n = 0;
  for (unsigned i = 0; i < s->n_swarms; i++)
    for (unsigned j = 0; j < s->swarms[i]->n; j++)
      n += same_source(&s->swarms[i]->peers[j].source, source);
  return n;
}

int dht_store_announce(struct dht_store *s, uint64_t now, const struct addr *source,
                       const uint8_t infohash[DHT_ID_LEN], const struct addr *peer) {
  struct dht_swarm *swarm = find_swarm(s, infohash);
  struct dht_peer *place = NULL;
  for (unsigned i = 0; swarm && i < swarm->n; i++)
    if (addr_equal(&swarm->peers[i].addr, peer))
      place = &swarm->peers[i];
  if (!place) {
    if (addr_is_global(source) && peers_of(s, source) >= DHT_STORE_PEERS_PER_SOURCE)
      return KRPC_E_SERVER;
    if (!swarm)
      swarm = add_swarm(s, now, infohash);
    if (!swarm)
      return KRPC_E_SERVER;
    place = &swarm->peers[0];
    if (swarm->n < DHT_STORE_PEERS_MAX) {
      place = &swarm->peers[swarm->n++];
    } else {
      for (unsigned i = 1; i < swarm->n; i++) /* full: the one announced longest ago goes */
        if (swarm->peers[i].expires < place->expires)
          place = &swarm->peers[i];
    }
  }
  *place = (struct dht_peer){.addr = *peer, .source = *source, .expires = now + DHT_STORE_LIFETIME};
  return 0;
}

unsigned dht_store_peers(const struct dht_store *s, uint64_t now, const uint8_t infohash[DHT_ID_LEN],
                         enum addr_family family, uint32_t random, struct addr *out, unsigned max) {
  const struct dht_swarm *swarm = find_swarm(s, infohash);
  unsigned n = 0;
  for (unsigned i = 0; swarm && i < swarm->n && n < max; i++) {
    const struct dht_peer *peer = &swarm->peers[(i + random) % swarm->n];
    if (peer->expires > now && peer->addr.family == family)
      out[n++] = peer->addr;
  }
  return n;
}

void dht_store_expire(struct dht_store *s, uint64_t now) {
  for (unsigned i = 0; i < DHT_STORE_SLOTS; i++) {
    for (struct dht_item **at = &s->slots[i]; *at;) {
      struct dht_item *item = *at;
      if (item->expires > now) {
        at = &item->next;
        continue;
      }
      *at = item->next;
      free(item);
      s->items--;
    }
  }
  for (unsigned i = 0; i < s->n_swarms;) {
    struct dht_swarm *swarm = s->swarms[i];
    for (unsigned j = 0; j < swarm->n;) {
      if (swarm->peers[j].expires > now)
        j++;
      else
        swarm->peers[j] = swarm->peers[--swarm->n];
    }
    if (swarm->n > 0) {
      i++;
    } else {
      free(swarm);
      s->swarms[i] = s->swarms[--s->n_swarms];
    }
  }
}
