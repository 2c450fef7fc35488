/*
 * record.h - the one record an identity keeps in the DHT: its endpoints, each
 * with relays, direct addresses, service tags and an expiry; sealed so that
 * only those who know the identity can read it. PROTOCOL.md 4.
 *
 * Sans-IO, no allocation: a record is a fixed-size struct.
 */
#ifndef CSPACE_RECORD_H
#define CSPACE_RECORD_H

#include "addr.h"
#include "identity.h"

#define RECORD_ENDPOINTS_MAX 6
#define RECORD_RELAYS_MAX 3
#define RECORD_ADDRS_MAX 4
#define RECORD_TAGS_MAX 8
#define RECORD_SEALED_LEN 996     /* always exactly this: one fixed length */
#define RECORD_LIFETIME_MAX 7200  /* seconds an entry may be valid ahead of the writer's clock */
#define RECORD_ENDPOINT_ID_LEN 8
#define RECORD_MAILBOX_LEN 16

struct record_relay {
  struct addr addr;
  uint8_t key[ID_KEY_LEN];              /* the relay's own Ed25519 key */
  uint8_t mailbox[RECORD_MAILBOX_LEN];
};

struct record_endpoint {
  uint8_t id[RECORD_ENDPOINT_ID_LEN];   /* random, of a device or process */
  uint32_t counter;                     /* of this entry; the higher one is the newer */
  uint64_t expiry;                      /* Unix seconds */
  bool tombstone;                       /* removed on purpose: nothing else is set */
  uint8_t n_relays, n_addrs, n_tags;
  struct record_relay relays[RECORD_RELAYS_MAX];
  struct addr addrs[RECORD_ADDRS_MAX];
  uint32_t tags[RECORD_TAGS_MAX];       /* record_tag() of services open to anyone */
};

struct record {
  uint8_t n;
  struct record_endpoint endpoints[RECORD_ENDPOINTS_MAX];
};

/* Tag of a service under its owner's key: says "offered" only to who knows key and name. */
uint32_t record_tag(const uint8_t key[ID_KEY_LEN], const char *service);

/* Seals for the DHT: out gets RECORD_SEALED_LEN bytes to be stored under `blinded` with `seq`.
 * When the entries do not fit, those that expire first are left out and *left_out counts them (may be NULL).
 * 0, or -1 + EINVAL: a field out of range, an address with port 0 or one that is unspecified or multicast,
 * an endpoint id twice. Scopes are not carried. nonce: 24 random bytes. */
int record_seal(uint8_t out[RECORD_SEALED_LEN], const struct record *rec, const uint8_t key[ID_KEY_LEN],
                const uint8_t blinded[ID_KEY_LEN], int64_t seq, const uint8_t nonce[24], unsigned *left_out);
/* Opens and checks every field. 0, or -1 + EBADMSG and rec is untouched. Entries that have expired at
 * `wall` (Unix seconds) or expire more than RECORD_LIFETIME_MAX + 10 min ahead are dropped. */
int record_open(struct record *rec, const uint8_t *sealed, size_t len, const uint8_t key[ID_KEY_LEN],
                const uint8_t blinded[ID_KEY_LEN], int64_t seq, uint64_t wall);
/* Adds from's entries to into: by endpoint id the higher counter stays; entries that have expired at
 * `wall` go; when full those that expire first go. */
void record_merge(struct record *into, const struct record *from, uint64_t wall);
/* Puts or replaces one entry, like record_merge of a record with just that entry. */
void record_put(struct record *rec, const struct record_endpoint *entry, uint64_t wall);

/* The seq to publish next: max(clock, highest seen + 1), random low bits (PROTOCOL.md 4.4). */
int64_t record_next_seq(uint64_t wall, int64_t highest_seen, uint16_t random);

#endif
