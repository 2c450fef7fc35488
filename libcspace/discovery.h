/*
 * discovery.h - finds people's records in the DHT and keeps our own there:
 * record.h and identity.h on top of dht.h. PROTOCOL.md 5.
 *
 * Sans-IO. now: monotonic us. wall: Unix seconds. One owner, no locking. It
 * starts operations on the owner's struct dht and never sends anything itself:
 *
 *   - after any call here, pull dht_output as after calls on the dht;
 *   - hand every event of the dht to discovery_dht_event, which says whether
 *     it was one of discovery's own operations;
 *   - call discovery_tick at discovery_deadline;
 *   - pull discovery_next_event after each of these.
 */
#ifndef CSPACE_DISCOVERY_H
#define CSPACE_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dht.h"
#include "identity.h"
#include "record.h"

#define DISCOVERY_FINDS_MAX 1024          /* finds that run; those of one key share one lookup */
#define DISCOVERY_KEYS_MAX 100            /* keys looked for at once */
#define DISCOVERY_OVERLAP 7200            /* s around midnight UTC in which two days' keys are used */
#define DISCOVERY_REPUBLISH_S 2400        /* every 40 min, +- 10 % */
#define DISCOVERY_CONFLICTS_MAX 5         /* rewrites in a row when others write at the same time */

struct discovery;

/* dht and own are borrowed and outlive it; own is whose record discovery_publish keeps, NULL when it only finds.
 * NULL + ENOMEM. */
struct discovery *discovery_new(struct dht *dht, const struct identity *own, const uint8_t seed[32]);
void discovery_free(struct discovery *d); /* cancels its dht operations; NULL is legal */

/* ---- finding ---- */

typedef uint32_t discovery_handle;

/* Looks for the record of `key`, once (repeating is the caller's business). A handle > 0; or 0 + errno: EINVAL for a
 * key that is none, ENOBUFS, ENOMEM. Events: FOUND for the first record and each newer one, then FIND_DONE. */
discovery_handle discovery_find(struct discovery *d, uint64_t now, uint64_t wall, const uint8_t key[ID_KEY_LEN]);
void discovery_cancel(struct discovery *d, discovery_handle find); /* no more events of it; unknown is legal */

/* ---- publishing ---- */

/* Sets our own entry and publishes at once, then again every DISCOVERY_REPUBLISH_S until it is replaced or removed.
 * Copied; counter and expiry are set here (counter: above whatever the DHT holds of this endpoint id; expiry: 2 h
 * ahead). Other endpoints' entries in the record are kept. Calling it again with other content publishes at once.
 * NULL removes: the record gets a tombstone for our endpoint id, once, retried until stored; with none set, nothing.
 * 0, or -1 + EINVAL (no identity given, fields out of range). Events: PUBLISHED. */
int discovery_publish(struct discovery *d, uint64_t now, uint64_t wall, const struct record_endpoint *entry);
/* Whether the entry given last (or its removal) is stored somewhere, under today's key. True when there is none. */
bool discovery_published(const struct discovery *d);
/* The network changed (address, sleep): publish again now, without waiting for the next turn. */
void discovery_republish(struct discovery *d, uint64_t now, uint64_t wall);

/* ---- the engine ---- */

/* True when the event was of an operation of discovery's (or DHT_EV_READY, which is everybody's: returns false). */
bool discovery_dht_event(struct discovery *d, uint64_t now, uint64_t wall, const struct dht_event *ev);
uint64_t discovery_deadline(const struct discovery *d); /* UINT64_MAX: never */
void discovery_tick(struct discovery *d, uint64_t now, uint64_t wall);

enum discovery_event_type {
  DISCOVERY_EV_NONE,
  DISCOVERY_EV_FOUND,      /* find, record, seq */
  DISCOVERY_EV_FIND_DONE,  /* find, reason */
  DISCOVERY_EV_PUBLISHED   /* stored, answered; one for every attempt at today's key */
};

enum discovery_reason {
  DISCOVERY_FOUND,         /* FOUND was reported, with at least one live entry */
  DISCOVERY_NOT_PUBLISHED, /* nodes answered; none has a record, or it has no live entry */
  DISCOVERY_BAD_RECORD,    /* only records that do not verify or open */
  DISCOVERY_NO_NETWORK     /* nobody answered */
};

struct discovery_event {
  enum discovery_event_type type;
  discovery_handle find;
  enum discovery_reason reason;
  /* FOUND: the union of the newest values of the days in question (entries that have expired are gone, tombstones
   * are still in it), and the highest seq among them. */
  struct record record;
  int64_t seq;
  /* PUBLISHED: nodes that took the record. 0: the attempt failed and is repeated after 500 ms, 1 s, 2 s, 5 s ... 60 s;
   * answered 0 then says that there is no network. */
  unsigned stored, answered;
  bool removed;            /* it was the removal of our entry */
};
bool discovery_next_event(struct discovery *d, struct discovery_event *ev);

#endif
