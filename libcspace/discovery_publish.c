/*
 * discovery_publish.c - keeps our own entry in our record (PROTOCOL.md 5.5):
 * read, merge, seal, sign, write with cas, for each day's key in use. A slot
 * goes idle -> reading -> writing -> idle; what went wrong decides when next.
 */
#include <errno.h>
#include <string.h>

#include "bencode.h"
#include "discovery_int.h"

#define S UINT64_C(1000000)
#define MS UINT64_C(1000)
#define CONFLICT_PAUSE (5 * S)
#define CONFLICT_ROUNDS 9 /* the last pause is 21 minutes */
#define DAYS_CHECK (600 * S) /* how often at least the days are looked at: wall clocks jump */

static uint64_t jitter(struct discovery *d, uint64_t span) {
  return rng_below(&d->rng, (uint32_t)span);
}

/* One slot for every day in use; a slot of a day gone by is dropped. */
static void update_days(struct discovery *d, uint64_t now) {
  uint64_t days[DISCOVERY_DAYS_MAX], into = d->wall % DISCOVERY_DAY;
  unsigned n = discovery_days(d->wall, days);
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
    struct slot *s = &d->slots[i];
    bool keep = false;
    for (unsigned j = 0; j < n; j++)
      keep = keep || s->at.day == days[j];
    if (s->used && !keep) {
      dht_cancel(d->dht, s->at.op);
      memset(s, 0, sizeof *s);
    }
  }
  for (unsigned j = 0; j < n; j++) {
    struct slot *free_slot = NULL;
    bool there = false;
    for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
      there = there || (d->slots[i].used && d->slots[i].at.day == days[j]);
      if (!d->slots[i].used)
        free_slot = &d->slots[i];
    }
    if (there || !free_slot)
      continue;
    memset(free_slot, 0, sizeof *free_slot);
    free_slot->used = true;
    free_slot->highest = -1;
    free_slot->next_at = now;
    free_slot->at.day = days[j];
    id_blind(free_slot->at.blinded, identity_key(d->own), days[j]); /* our own key is valid */
  }
  uint64_t next = into < DISCOVERY_OVERLAP                   ? DISCOVERY_OVERLAP
                  : into < DISCOVERY_DAY - DISCOVERY_OVERLAP ? DISCOVERY_DAY - DISCOVERY_OVERLAP
                                                             : DISCOVERY_DAY;
  uint64_t wait = (next - into) * S;
  d->days_at = now + (wait < DAYS_CHECK ? wait : DAYS_CHECK);
}

void discovery_publish_stop(struct discovery *d) {
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
    dht_cancel(d->dht, d->slots[i].at.op);
    memset(&d->slots[i], 0, sizeof d->slots[i]);
  }
  d->active = d->removing = false;
  d->days_at = UINT64_MAX;
}

void discovery_republish(struct discovery *d, uint64_t now, uint64_t wall) {
  d->wall = wall;
  if (!d->active)
    return;
  update_days(d, now);
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
    d->slots[i].next_at = now; /* one that runs looks at its version when it is through */
    d->slots[i].failures = 0;
    d->slots[i].conflicts = 0;
  }
}

/* Whether a record with this entry alone can be sealed. */
static bool entry_good(struct discovery *d, const struct record_endpoint *entry, uint64_t wall) {
  uint8_t sealed[RECORD_SEALED_LEN], nonce[24] = {0};
  struct record rec = {.n = 1};
  unsigned left_out = 0;
  rec.endpoints[0] = *entry;
  rec.endpoints[0].counter = 1;
  rec.endpoints[0].expiry = wall + RECORD_LIFETIME_MAX;
  rec.endpoints[0].tombstone = false;
  const uint8_t *key = identity_key(d->own);
  return record_seal(sealed, &rec, key, key, 1, nonce, &left_out) == 0 && left_out == 0;
}

int discovery_publish(struct discovery *d, uint64_t now, uint64_t wall, const struct record_endpoint *entry) {
  d->wall = wall;
  if (!d->own || (entry && !entry_good(d, entry, wall))) {
    errno = EINVAL;
    return -1;
  }
  if (!entry && (!d->active || d->removing))
    return 0;
  d->version++;
  d->removing = !entry;
  if (entry) {
    uint32_t counter = d->entry.counter;
    bool same_endpoint = memcmp(d->entry.id, entry->id, sizeof entry->id) == 0;
    d->entry = *entry;
    d->entry.counter = same_endpoint ? counter : 0;
    d->active = true;
  }
  discovery_republish(d, now, wall);
  return 0;
}

static const struct slot *slot_of_today(const struct discovery *d) {
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++)
    if (d->slots[i].used && d->slots[i].at.day == d->wall / DISCOVERY_DAY)
      return &d->slots[i];
  return NULL;
}

bool discovery_published(const struct discovery *d) {
  const struct slot *s = slot_of_today(d);
  return !d->active || (s && s->stored_version == d->version);
}

/* ---- one slot ---- */

static void report(struct discovery *d, const struct slot *s, unsigned stored, unsigned answered) {
  if (s != slot_of_today(d))
    return;
  memset(&d->event, 0, sizeof d->event);
  d->event.type = DISCOVERY_EV_PUBLISHED;
  d->event.stored = stored;
  d->event.answered = answered;
  d->event.removed = d->removing;
  d->event_pending = true;
}

static void rest(struct slot *s, uint64_t next_at) {
  s->state = SLOT_IDLE;
  s->at.op = 0;
  s->next_at = next_at;
}

static void failed(struct discovery *d, uint64_t now, struct slot *s, unsigned answered) {
  static const unsigned pauses_ms[] = {500, 1000, 2000, 5000, 10000, 20000, 40000, 60000};
  unsigned last = sizeof pauses_ms / sizeof pauses_ms[0] - 1;
  uint64_t pause = pauses_ms[s->failures < last ? s->failures : last] * MS;
  s->failures++;
  s->conflicts = 0;
  dht_cancel(d->dht, s->at.op); /* one that was opened and not written */
  rest(s, now + pause + (s->failures > 1 ? jitter(d, pause / 8) : 0));
  report(d, s, 0, answered);
}

static void read_record(struct discovery *d, uint64_t now, struct slot *s) {
  s->at.have = false;
  s->at.rec.n = 0;
  s->at.seq = -1;
  s->at.op = dht_open(d->dht, now, s->at.blinded, NULL, 0);
  if (s->at.op == 0)
    failed(d, now, s, 0);
  else
    s->state = SLOT_READING;
}

/* Our entry as it is to stand in the record: above the counter of whatever is there of this endpoint. */
static void put_entry(struct discovery *d, struct record *rec) {
  struct record_endpoint entry = d->entry;
  for (unsigned i = 0; i < rec->n; i++) {
    const struct record_endpoint *e = &rec->endpoints[i];
    if (memcmp(e->id, entry.id, sizeof entry.id) != 0)
      continue;
    if (e->counter > entry.counter)
      entry.counter = e->counter;
    if (e->expiry > d->entry_expiry)
      d->entry_expiry = e->expiry;
  }
  if (entry.counter < UINT32_MAX)
    entry.counter++;
  d->entry.counter = entry.counter;
  entry.expiry = d->wall + RECORD_LIFETIME_MAX;
  entry.tombstone = false;
  if (d->removing) {
    struct record_endpoint tombstone = {.counter = entry.counter, .tombstone = true};
    memcpy(tombstone.id, entry.id, sizeof entry.id);
    /* It has to outlive the entry it removes, wherever that still stands. */
    tombstone.expiry = d->entry_expiry > d->wall ? d->entry_expiry : entry.expiry;
    if (tombstone.expiry > entry.expiry)
      tombstone.expiry = entry.expiry;
    entry = tombstone;
  }
  if (entry.expiry > d->entry_expiry)
    d->entry_expiry = entry.expiry;
  record_put(rec, &entry, d->wall);
}

static void write_record(struct discovery *d, uint64_t now, struct slot *s) {
  uint8_t nonce[24], sealed[RECORD_SEALED_LEN], v[DHT_VALUE_MAX], msg[DHT_VALUE_MAX + 64], sig[ID_SIG_LEN];
  int64_t seq = record_next_seq(d->wall, s->highest, (uint16_t)rng_u32(&d->rng));
  struct ben_out o;
  put_entry(d, &s->at.rec);
  rng_bytes(&d->rng, nonce, sizeof nonce);
  ben_out_init(&o, v, sizeof v);
  bool sent = false;
  if (record_seal(sealed, &s->at.rec, identity_key(d->own), s->at.blinded, seq, nonce, NULL) == 0) {
    ben_put_str(&o, sealed, sizeof sealed);
    size_t n = dht_mutable_buffer(msg, sizeof msg, NULL, 0, seq, v, o.len);
    if (n > 0 && identity_blind_sign(d->own, s->at.day, sig, msg, n) == 0)
      sent = dht_write(d->dht, now, s->at.op, seq, sig, v, o.len) == 0;
  }
  if (!sent) {
    failed(d, now, s, 0);
    return;
  }
  s->highest = seq;
  s->writing = d->version;
  s->state = SLOT_WRITING;
}

/* The removal stands under every day's key: nothing is left to do. */
static void stop_if_removed(struct discovery *d) {
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++)
    if (d->slots[i].used && d->slots[i].stored_version != d->version)
      return;
  if (d->removing)
    discovery_publish_stop(d);
}

static void written(struct discovery *d, uint64_t now, struct slot *s, const struct dht_event *ev) {
  bool newer = ev->seq > s->highest, overtaken = ev->conflicts > 0 || newer;
  if (newer)
    s->highest = ev->seq;
  if (!newer && ev->stored > ev->conflicts && s->stored_version != s->writing) {
    s->stored_version = s->writing; /* nobody has shown anything newer: readers find it, whatever single nodes say */
    report(d, s, ev->stored, ev->answered);
  }
  if (overtaken && s->conflicts < DISCOVERY_CONFLICTS_MAX) {
    /* Someone else of this identity writes: read theirs, and write both. */
    s->conflicts++;
    rest(s, now + 20 * MS + jitter(d, (UINT64_C(100) << s->conflicts) * MS));
    return;
  }
  if (ev->stored == 0) {
    failed(d, now, s, ev->answered);
    return;
  }
  s->failures = 0;
  s->conflicts = 0;
  s->stored_version = s->writing;
  /* Still in conflict after all attempts: some nodes have another's, so this round is soon repeated. Ever more rarely,
   * since a single node that always says so must not keep us busy. */
  uint64_t period = DISCOVERY_REPUBLISH_S * S;
  if (overtaken && s->contested < CONFLICT_ROUNDS)
    period = CONFLICT_PAUSE << s->contested++;
  else if (!overtaken)
    s->contested = 0;
  rest(s, s->writing == d->version ? now + period * 9 / 10 + jitter(d, period / 5) : now);
  report(d, s, ev->stored, ev->answered);
  stop_if_removed(d);
}

bool discovery_publish_event(struct discovery *d, uint64_t now, const struct dht_event *ev) {
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
    struct slot *s = &d->slots[i];
    if (ev->type == DHT_EV_READY && s->used && s->state == SLOT_IDLE && s->failures > 0)
      s->next_at = now; /* the network is back */
    if (!s->used || ev->op == 0 || s->at.op != ev->op)
      continue;
    if (ev->type == DHT_EV_VALUE && s->state == SLOT_READING) {
      if (ev->seq > s->highest)
        s->highest = ev->seq; /* also of what does not open: the next has to be above it */
      discovery_take(&s->at, identity_key(d->own), ev, d->wall, true);
    } else if (ev->type == DHT_EV_DONE && s->state == SLOT_READING) {
      if (ev->answered == 0)
        failed(d, now, s, 0);
      else
        write_record(d, now, s);
    } else if (ev->type == DHT_EV_DONE) {
      written(d, now, s, ev);
    }
    return true;
  }
  return false;
}

void discovery_publish_tick(struct discovery *d, uint64_t now) {
  if (!d->active)
    return;
  if (d->days_at <= now)
    update_days(d, now);
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX; i++) {
    struct slot *s = &d->slots[i];
    if (s->used && s->state == SLOT_IDLE && s->next_at <= now)
      read_record(d, now, s);
  }
}

uint64_t discovery_publish_deadline(const struct discovery *d) {
  uint64_t at = d->active ? d->days_at : UINT64_MAX;
  for (unsigned i = 0; i < DISCOVERY_DAYS_MAX && d->active; i++)
    if (d->slots[i].used && d->slots[i].state == SLOT_IDLE && d->slots[i].next_at < at)
      at = d->slots[i].next_at;
  return at;
}
