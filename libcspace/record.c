/*
 * record.c - what stands in a record: tags, which entries win when records
 * meet, and the sequence number (PROTOCOL.md 4.1, 4.3, 4.4). The bytes are in
 * record_seal.c.
 */
#include "record.h"

#include "wire.h"

#include <sodium.h>
#include <string.h>

#define SEQ_RANDOM_BITS 16
#define SEQ_CLOCK_MAX (((uint64_t)1 << 46) - 1) /* a clock gone wild still leaves half of all seqs */

static const char tag_label[] = "cspace tag v1";

uint32_t record_tag(const uint8_t key[ID_KEY_LEN], const char *service) {
  uint8_t hash[crypto_generichash_BYTES];
  crypto_generichash_state st;
  struct wire_in in;

  crypto_generichash_init(&st, NULL, 0, sizeof hash);
  crypto_generichash_update(&st, (const uint8_t *)tag_label, sizeof tag_label - 1);
  crypto_generichash_update(&st, key, ID_KEY_LEN);
  crypto_generichash_update(&st, (const uint8_t *)service, strlen(service));
  crypto_generichash_final(&st, hash, sizeof hash);
  wire_in_init(&in, hash, sizeof hash);
  return wire_get_u32(&in);
}

static void purge(struct record *rec, uint64_t wall) {
  uint8_t kept = 0;

  for (uint8_t i = 0; i < rec->n; i++)
    if (rec->endpoints[i].expiry > wall) {
      if (kept != i) rec->endpoints[kept] = rec->endpoints[i];
      kept++;
    }
  rec->n = kept;
}

/* The entry that expires first; of equals the last, so that entries do not change places. */
static uint8_t first_to_expire(const struct record *rec) {
  uint8_t first = 0;

  for (uint8_t i = 1; i < rec->n; i++)
    if (rec->endpoints[i].expiry <= rec->endpoints[first].expiry) first = i;
  return first;
}

static bool newer(const struct record_endpoint *a, const struct record_endpoint *b) {
  if (a->counter != b->counter) return a->counter > b->counter;
  return a->expiry > b->expiry;
}

static void put_one(struct record *rec, const struct record_endpoint *entry, uint64_t wall) {
  uint8_t i;

  for (i = 0; i < rec->n; i++)
    if (memcmp(rec->endpoints[i].id, entry->id, RECORD_ENDPOINT_ID_LEN) == 0) break;
  if (i < rec->n) {
    /* Even one that has expired supersedes what it replaced; purge takes it away after. */
    if (newer(entry, &rec->endpoints[i])) rec->endpoints[i] = *entry;
    return;
  }
  if (entry->expiry <= wall) return;
  if (rec->n < RECORD_ENDPOINTS_MAX) {
    rec->endpoints[rec->n++] = *entry;
    return;
  }
  i = first_to_expire(rec);
  if (entry->expiry <= rec->endpoints[i].expiry) return;
  memmove(&rec->endpoints[i], &rec->endpoints[i + 1], (size_t)(rec->n - 1 - i) * sizeof rec->endpoints[0]);
  rec->endpoints[rec->n - 1] = *entry;
}

void record_merge(struct record *into, const struct record *from, uint64_t wall) {
  purge(into, wall);
  for (uint8_t i = 0; i < from->n; i++) put_one(into, &from->endpoints[i], wall);
  purge(into, wall);
}

void record_put(struct record *rec, const struct record_endpoint *entry, uint64_t wall) {
  purge(rec, wall);
  put_one(rec, entry, wall);
  purge(rec, wall);
}

int64_t record_next_seq(uint64_t wall, int64_t highest_seen, uint16_t random) {
  int64_t clock, room, step = 1 + (int64_t)random;

  if (wall > SEQ_CLOCK_MAX) wall = SEQ_CLOCK_MAX;
  clock = (int64_t)(wall << SEQ_RANDOM_BITS | random);
  if (clock > highest_seen) return clock;
  room = INT64_MAX - highest_seen; /* highest_seen >= clock >= 0 here */
  return highest_seen + (step < room ? step : room);
}
