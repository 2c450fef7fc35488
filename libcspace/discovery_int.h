/*
 * discovery_int.h - what discovery.c (finding, the engine) and
 * discovery_publish.c share. Not for others.
 */
#ifndef CSPACE_DISCOVERY_INT_H
#define CSPACE_DISCOVERY_INT_H

#include "discovery.h"
#include "rng.h"

#define DISCOVERY_DAYS_MAX 2
#define DISCOVERY_DAY 86400

/* The record as it stands under one day's key. */
struct day_record {
  uint64_t day;
  uint8_t blinded[ID_KEY_LEN];
  dht_op op;                   /* 0: none runs */
  bool have;                   /* a value with this seq opened */
  int64_t seq;
  struct record rec;           /* union of the values of seq */
};

/* One key that is looked for, on behalf of all finds of it. */
struct query {
  struct query *next;
  uint8_t key[ID_KEY_LEN];
  unsigned n_days, finds;
  struct day_record days[DISCOVERY_DAYS_MAX];
  unsigned version;            /* of what was found: finds report when it has moved */
  unsigned answered, bad;
};

struct find {
  struct find *next;
  discovery_handle handle;
  struct query *query;
  unsigned version;            /* reported */
  bool reported;
};

enum slot_state { SLOT_IDLE, SLOT_READING, SLOT_WRITING };

/* Our record under one day's key. */
struct slot {
  bool used;
  enum slot_state state;
  struct day_record at;        /* as read last */
  int64_t highest;             /* seq met or written, -1 for none */
  uint64_t next_at;            /* when idle: us */
  unsigned failures, conflicts;
  unsigned contested;          /* rounds in a row that ended in conflict */
  unsigned writing, stored_version; /* versions of our entry */
};

struct discovery {
  struct dht *dht;
  const struct identity *own;
  struct rng rng;
  uint64_t wall;               /* as of the last call, s */
  struct query *queries;
  unsigned n_queries;
  struct find *finds;
  unsigned n_finds;
  discovery_handle last_handle;
  bool active, removing;       /* there is an entry to publish, or to remove */
  struct record_endpoint entry;
  unsigned version;            /* of entry; 0: never set */
  uint64_t entry_expiry;       /* latest expiry written, s */
  struct slot slots[DISCOVERY_DAYS_MAX];
  uint64_t days_at;            /* when the days in question are looked at again, us */
  bool event_pending;
  struct discovery_event event;
};

/* discovery.c */
/* The days whose keys are in use at wall: today, and near midnight the adjacent one. */
unsigned discovery_days(uint64_t wall, uint64_t days[DISCOVERY_DAYS_MAX]);
/* Takes a value into r if it is as new as what r has; all: whatever its age, by its entries' counters. False when it
 * does not open. */
bool discovery_take(struct day_record *r, const uint8_t key[ID_KEY_LEN], const struct dht_event *ev, uint64_t wall,
                    bool all);

/* discovery_publish.c */
bool discovery_publish_event(struct discovery *d, uint64_t now, const struct dht_event *ev);
void discovery_publish_tick(struct discovery *d, uint64_t now);
uint64_t discovery_publish_deadline(const struct discovery *d);
void discovery_publish_stop(struct discovery *d);

#endif
