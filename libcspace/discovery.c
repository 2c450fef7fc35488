/*
 * discovery.c - finding records (PROTOCOL.md 5.4) and the engine's entry
 * points. Events are not queued: each find remembers what it has reported, so
 * none is lost for want of memory.
 */
#include "discovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bencode.h"
#include "discovery_int.h"

struct discovery *discovery_new(struct dht *dht, const struct identity *own, const uint8_t seed[32]) {
  struct discovery *d = calloc(1, sizeof *d);
  if (!d)
    return NULL;
  d->dht = dht;
  d->own = own;
  d->days_at = UINT64_MAX;
  rng_init(&d->rng, seed);
  return d;
}

static void free_query(struct discovery *d, struct query *q) {
  struct query **at = &d->queries;
  while (*at != q)
    at = &(*at)->next;
  *at = q->next;
  d->n_queries--;
  for (unsigned i = 0; i < q->n_days; i++)
    dht_cancel(d->dht, q->days[i].op);
  free(q);
}

static void free_find(struct discovery *d, struct find *f) {
  struct find **at = &d->finds;
  while (*at != f)
    at = &(*at)->next;
  *at = f->next;
  d->n_finds--;
  if (--f->query->finds == 0)
    free_query(d, f->query);
  free(f);
}

void discovery_free(struct discovery *d) {
  if (!d)
    return;
  while (d->finds)
    free_find(d, d->finds);
  discovery_publish_stop(d);
  rng_wipe(&d->rng);
  free(d);
}

unsigned discovery_days(uint64_t wall, uint64_t days[DISCOVERY_DAYS_MAX]) {
  uint64_t day = wall / DISCOVERY_DAY, into = wall % DISCOVERY_DAY;
  days[0] = day;
  if (into < DISCOVERY_OVERLAP && day > 0) {
    days[1] = day - 1;
    return 2;
  }
  if (into >= DISCOVERY_DAY - DISCOVERY_OVERLAP) {
    days[1] = day + 1;
    return 2;
  }
  return 1;
}

bool discovery_take(struct day_record *r, const uint8_t key[ID_KEY_LEN], const struct dht_event *ev, uint64_t wall,
                    bool all) {
  struct ben v = {ev->v, ev->v_len};
  const uint8_t *sealed;
  struct record rec;
  if (!ben_str_n(&v, &sealed, RECORD_SEALED_LEN) ||
      record_open(&rec, sealed, RECORD_SEALED_LEN, key, r->blinded, ev->seq, wall) != 0)
    return false;
  bool newer = !r->have || ev->seq > r->seq;
  if (!r->have || (newer && !all))
    r->rec = rec;
  else if (all || ev->seq == r->seq)
    record_merge(&r->rec, &rec, wall); /* two writers met: the truth is both */
  r->have = true;
  if (newer)
    r->seq = ev->seq;
  return true;
}

/* ---- finding ---- */

/* Starts the lookups of one key. NULL + errno. */
static struct query *new_query(struct discovery *d, uint64_t now, uint64_t wall, const uint8_t key[ID_KEY_LEN]) {
  uint64_t days[DISCOVERY_DAYS_MAX];
  struct query *q = d->n_queries < DISCOVERY_KEYS_MAX ? calloc(1, sizeof *q) : NULL;
  if (!q) {
    errno = d->n_queries < DISCOVERY_KEYS_MAX ? ENOMEM : ENOBUFS;
    return NULL;
  }
  memcpy(q->key, key, ID_KEY_LEN);
  q->next = d->queries;
  d->queries = q;
  d->n_queries++;
  q->n_days = discovery_days(wall, days);
  for (unsigned i = 0; i < q->n_days; i++) {
    struct day_record *r = &q->days[i];
    r->day = days[i];
    if (id_blind(r->blinded, key, r->day) != 0 || (r->op = dht_get(d->dht, now, r->blinded, NULL, 0)) == 0) {
      int err = errno;
      free_query(d, q);
      errno = err;
      return NULL;
    }
  }
  return q;
}

static bool running(const struct query *q) {
  for (unsigned i = 0; i < q->n_days; i++)
    if (q->days[i].op)
      return true;
  return false;
}

discovery_handle discovery_find(struct discovery *d, uint64_t now, uint64_t wall, const uint8_t key[ID_KEY_LEN]) {
  struct query *q = d->queries;
  d->wall = wall;
  if (d->n_finds >= DISCOVERY_FINDS_MAX) {
    errno = ENOBUFS;
    return 0;
  }
  while (q && (memcmp(q->key, key, ID_KEY_LEN) != 0 || !running(q)))
    q = q->next;
  struct find *f = calloc(1, sizeof *f);
  if (!f)
    return 0;
  if (!q)
    q = new_query(d, now, wall, key);
  if (!q) {
    free(f);
    return 0;
  }
  if (++d->last_handle == 0)
    d->last_handle = 1;
  f->handle = d->last_handle;
  f->query = q;
  q->finds++;
  f->next = d->finds;
  d->finds = f;
  d->n_finds++;
  return f->handle;
}

void discovery_cancel(struct discovery *d, discovery_handle handle) {
  for (struct find *f = d->finds; f; f = f->next) {
    if (f->handle == handle) {
      free_find(d, f);
      return;
    }
  }
}

static bool query_event(struct discovery *d, const struct dht_event *ev) {
  for (struct query *q = d->queries; q; q = q->next) {
    for (unsigned i = 0; i < q->n_days; i++) {
      struct day_record *r = &q->days[i];
      if (r->op != ev->op)
        continue;
      if (ev->type == DHT_EV_VALUE) {
        if (discovery_take(r, q->key, ev, d->wall, false))
          q->version++;
        else
          q->bad++;
      } else if (ev->type == DHT_EV_DONE) {
        r->op = 0;
        q->answered += ev->answered;
        q->bad += ev->invalid;
      }
      return true;
    }
  }
  return false;
}

/* What was found under the days' keys together; returns whether there was anything. */
static bool merged(const struct query *q, uint64_t wall, struct record *rec, int64_t *seq) {
  bool any = false;
  rec->n = 0;
  *seq = -1;
  for (unsigned i = 0; i < q->n_days; i++) {
    const struct day_record *r = &q->days[i];
    if (!r->have)
      continue;
    record_merge(rec, &r->rec, wall);
    if (r->seq > *seq)
      *seq = r->seq;
    any = true;
  }
  return any;
}

static bool live(const struct record *rec) {
  for (unsigned i = 0; i < rec->n; i++)
    if (!rec->endpoints[i].tombstone)
      return true;
  return false;
}

static bool find_event(struct discovery *d, struct find *f, struct discovery_event *ev) {
  struct query *q = f->query;
  if (f->version == q->version && running(q))
    return false;
  memset(ev, 0, sizeof *ev);
  ev->find = f->handle;
  bool any = merged(q, d->wall, &ev->record, &ev->seq), alive = live(&ev->record);
  if (f->version != q->version) {
    f->version = q->version;
    if (alive || f->reported) { /* that nobody is there any more is news only to who was told otherwise */
      f->reported = true;
      ev->type = DISCOVERY_EV_FOUND;
      return true;
    }
    if (running(q))
      return false;
  }
  ev->type = DISCOVERY_EV_FIND_DONE;
  ev->reason = any && alive             ? DISCOVERY_FOUND
               : any                    ? DISCOVERY_NOT_PUBLISHED
               : q->bad > 0             ? DISCOVERY_BAD_RECORD
               : q->answered > 0        ? DISCOVERY_NOT_PUBLISHED
                                        : DISCOVERY_NO_NETWORK;
  free_find(d, f);
  return true;
}

/* ---- the engine ---- */

bool discovery_next_event(struct discovery *d, struct discovery_event *ev) {
  if (d->event_pending) {
    d->event_pending = false;
    *ev = d->event;
    return true;
  }
  for (struct find *f = d->finds; f; f = f->next)
    if (find_event(d, f, ev))
      return true;
  return false;
}

bool discovery_dht_event(struct discovery *d, uint64_t now, uint64_t wall, const struct dht_event *ev) {
  d->wall = wall;
  if (discovery_publish_event(d, now, ev))
    return true;
  return ev->op != 0 && query_event(d, ev);
}

uint64_t discovery_deadline(const struct discovery *d) {
  return discovery_publish_deadline(d);
}

void discovery_tick(struct discovery *d, uint64_t now, uint64_t wall) {
  d->wall = wall;
  discovery_publish_tick(d, now);
}
