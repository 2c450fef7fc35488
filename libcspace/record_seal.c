/*
 * record_seal.c - a record as bytes: layout, padding to one fixed length and
 * the seal (PROTOCOL.md 4.2).
 *
 * plaintext  version(1) count(1) entry* zeroes
 * entry      length(2) flags(1) tags(1) families(1) id(8) counter(4) expiry(5)
 *            relay* address* tag(4)* and what later versions add
 */
#include "record.h"

#include "wire.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_LEN crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLAIN_LEN (RECORD_SEALED_LEN - NONCE_LEN - SEAL_LEN)
#define AD_LEN (ID_KEY_LEN + 8)

#define RECORD_VERSION 1
#define HEAD_LEN 2
#define ENTRY_FIXED 22 /* with its length field */
#define EXPIRY_MAX (((uint64_t)1 << 40) - 1)
#define CLOCK_SLACK 600 /* seconds a writer's clock may be ahead of the reader's */

#define FLAG_TOMBSTONE 0x80
#define RELAYS_SHIFT 3 /* flags: tombstone(1) zero(2) relays(2) addresses(3) */
#define RELAYS_MASK 3
#define ADDRS_MASK 7
#define TAGS_MASK 15

static const char key_label[] = "cspace record v1";

/* What a datagram can be sent to at all: the rest is refused here and dropped from others' records. */
static bool addr_usable(const struct addr *a) {
  return addr_ip_len(a) != 0 && a->port != 0 && !addr_is_unspecified(a) && !addr_is_multicast_or_broadcast(a);
}

static void record_key(uint8_t out[crypto_aead_xchacha20poly1305_ietf_KEYBYTES], const uint8_t key[ID_KEY_LEN]) {
  uint8_t text[sizeof key_label - 1 + ID_KEY_LEN];

  memcpy(text, key_label, sizeof key_label - 1);
  memcpy(text + sizeof key_label - 1, key, ID_KEY_LEN);
  crypto_generichash(out, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, text, sizeof text, NULL, 0);
}

static void record_ad(uint8_t ad[AD_LEN], const uint8_t blinded[ID_KEY_LEN], int64_t seq) {
  struct wire_out w;

  wire_out_init(&w, ad, AD_LEN);
  wire_put_bytes(&w, blinded, ID_KEY_LEN);
  wire_put_u64(&w, (uint64_t)seq);
}

static bool entry_valid(const struct record_endpoint *e) {
  if (e->expiry > EXPIRY_MAX || e->n_relays > RECORD_RELAYS_MAX || e->n_addrs > RECORD_ADDRS_MAX ||
      e->n_tags > RECORD_TAGS_MAX)
    return false;
  if (e->tombstone && (e->n_relays | e->n_addrs | e->n_tags) != 0) return false;
  for (uint8_t i = 0; i < e->n_relays; i++)
    if (!addr_usable(&e->relays[i].addr)) return false;
  for (uint8_t i = 0; i < e->n_addrs; i++)
    if (!addr_usable(&e->addrs[i])) return false;
  return true;
}

static bool id_repeats(const struct record *rec, uint8_t i) {
  for (uint8_t j = 0; j < i; j++)
    if (memcmp(rec->endpoints[i].id, rec->endpoints[j].id, RECORD_ENDPOINT_ID_LEN) == 0) return true;
  return false;
}

static bool record_valid(const struct record *rec) {
  if (rec->n > RECORD_ENDPOINTS_MAX) return false;
  for (uint8_t i = 0; i < rec->n; i++)
    if (!entry_valid(&rec->endpoints[i]) || id_repeats(rec, i)) return false;
  return true;
}

static size_t entry_len(const struct record_endpoint *e) {
  size_t n = ENTRY_FIXED + 4u * e->n_tags;

  for (uint8_t i = 0; i < e->n_relays; i++)
    n += addr_ip_len(&e->relays[i].addr) + 2 + ID_KEY_LEN + RECORD_MAILBOX_LEN;
  for (uint8_t i = 0; i < e->n_addrs; i++) n += addr_ip_len(&e->addrs[i]) + 2;
  return n;
}

static void put_addr(struct wire_out *w, const struct addr *a) {
  uint8_t compact[18];

  wire_put_bytes(w, compact, addr_to_compact(a, compact));
}

static void put_entry(struct wire_out *w, const struct record_endpoint *e) {
  uint8_t families = 0;

  for (uint8_t i = 0; i < e->n_relays; i++)
    if (e->relays[i].addr.family == ADDR_V6) families |= (uint8_t)(1 << i);
  for (uint8_t i = 0; i < e->n_addrs; i++)
    if (e->addrs[i].family == ADDR_V6) families |= (uint8_t)(1 << (RECORD_RELAYS_MAX + i));
  wire_put_u16(w, (uint16_t)(entry_len(e) - 2));
  wire_put_u8(w, (uint8_t)((e->tombstone ? FLAG_TOMBSTONE : 0) | e->n_relays << RELAYS_SHIFT | e->n_addrs));
  wire_put_u8(w, e->n_tags);
  wire_put_u8(w, families);
  wire_put_bytes(w, e->id, RECORD_ENDPOINT_ID_LEN);
  wire_put_u32(w, e->counter);
  wire_put_u8(w, (uint8_t)(e->expiry >> 32));
  wire_put_u32(w, (uint32_t)e->expiry);
  for (uint8_t i = 0; i < e->n_relays; i++) {
    put_addr(w, &e->relays[i].addr);
    wire_put_bytes(w, e->relays[i].key, ID_KEY_LEN);
    wire_put_bytes(w, e->relays[i].mailbox, RECORD_MAILBOX_LEN);
  }
  for (uint8_t i = 0; i < e->n_addrs; i++) put_addr(w, &e->addrs[i]);
  for (uint8_t i = 0; i < e->n_tags; i++) wire_put_u32(w, e->tags[i]);
}

/* Marks in keep[] what fits, giving up those that expire first; returns how many were given up. */
static uint8_t choose(bool keep[RECORD_ENDPOINTS_MAX], const struct record *rec) {
  size_t total = HEAD_LEN;
  uint8_t dropped = 0;

  for (uint8_t i = 0; i < rec->n; i++) {
    keep[i] = true;
    total += entry_len(&rec->endpoints[i]);
  }
  while (total > PLAIN_LEN) {
    uint8_t first = RECORD_ENDPOINTS_MAX;

    for (uint8_t i = 0; i < rec->n; i++)
      if (keep[i] && (first == RECORD_ENDPOINTS_MAX ||
                      rec->endpoints[i].expiry <= rec->endpoints[first].expiry))
        first = i;
    keep[first] = false;
    total -= entry_len(&rec->endpoints[first]);
    dropped++;
  }
  return dropped;
}

int record_seal(uint8_t out[RECORD_SEALED_LEN], const struct record *rec, const uint8_t key[ID_KEY_LEN],
                const uint8_t blinded[ID_KEY_LEN], int64_t seq, const uint8_t nonce[24], unsigned *left_out) {
  uint8_t plain[PLAIN_LEN] = {0}, secret[crypto_aead_xchacha20poly1305_ietf_KEYBYTES], ad[AD_LEN];
  bool keep[RECORD_ENDPOINTS_MAX];
  struct wire_out w;
  uint8_t dropped;

  if (seq < 0 || !record_valid(rec)) {
    errno = EINVAL;
    return -1;
  }
  dropped = choose(keep, rec);
  wire_out_init(&w, plain, sizeof plain);
  wire_put_u8(&w, RECORD_VERSION);
  wire_put_u8(&w, (uint8_t)(rec->n - dropped));
  for (uint8_t i = 0; i < rec->n; i++)
    if (keep[i]) put_entry(&w, &rec->endpoints[i]);
  record_key(secret, key);
  record_ad(ad, blinded, seq);
  memcpy(out, nonce, NONCE_LEN);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_LEN, NULL, plain, sizeof plain, ad, sizeof ad, NULL, nonce,
                                             secret);
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(plain, sizeof plain);
  if (left_out != NULL) *left_out = dropped;
  return 0;
}

static struct addr get_addr(struct wire_in *in, bool v6) {
  size_t len = v6 ? 18 : 6;
  const uint8_t *p = wire_get_bytes(in, len);
  struct addr a = {0};

  if (p != NULL) (void)addr_from_compact(&a, p, len); /* the length is one of the two it takes */
  return a;
}

/* One entry from its body; what follows the fields of this version is skipped. */
static int get_entry(struct record_endpoint *e, struct wire_in *in) {
  uint8_t flags = wire_get_u8(in), tags = wire_get_u8(in) & TAGS_MASK, families = wire_get_u8(in);
  uint8_t relays = flags >> RELAYS_SHIFT & RELAYS_MASK, addrs = flags & ADDRS_MASK;

  memset(e, 0, sizeof *e);
  e->tombstone = (flags & FLAG_TOMBSTONE) != 0;
  if (addrs > RECORD_ADDRS_MAX || tags > RECORD_TAGS_MAX || (e->tombstone && (relays | addrs | tags) != 0))
    return -1;
  wire_get_copy(in, e->id, sizeof e->id);
  e->counter = wire_get_u32(in);
  e->expiry = (uint64_t)wire_get_u8(in) << 32;
  e->expiry |= wire_get_u32(in);
  for (uint8_t i = 0; i < relays; i++) {
    struct record_relay *r = &e->relays[e->n_relays];

    r->addr = get_addr(in, (families >> i & 1) != 0);
    wire_get_copy(in, r->key, sizeof r->key);
    wire_get_copy(in, r->mailbox, sizeof r->mailbox);
    if (addr_usable(&r->addr))
      e->n_relays++;
    else
      memset(r, 0, sizeof *r);
  }
  for (uint8_t i = 0; i < addrs; i++) {
    struct addr a = get_addr(in, (families >> (RECORD_RELAYS_MAX + i) & 1) != 0);

    if (addr_usable(&a)) e->addrs[e->n_addrs++] = a;
  }
  for (; e->n_tags < tags; e->n_tags++) e->tags[e->n_tags] = wire_get_u32(in);
  return in->bad ? -1 : 0;
}

static int get_record(struct record *rec, const uint8_t plain[PLAIN_LEN]) {
  struct wire_in in, body;
  uint8_t n;

  memset(rec, 0, sizeof *rec);
  wire_in_init(&in, plain, PLAIN_LEN);
  if (wire_get_u8(&in) != RECORD_VERSION) return -1;
  n = wire_get_u8(&in);
  if (n > RECORD_ENDPOINTS_MAX) return -1;
  for (; rec->n < n; rec->n++) {
    size_t len = wire_get_u16(&in);
    const uint8_t *p = wire_get_bytes(&in, len);

    if (p == NULL) return -1;
    wire_in_init(&body, p, len);
    if (get_entry(&rec->endpoints[rec->n], &body) != 0 || id_repeats(rec, rec->n)) return -1;
  }
  return 0;
}

static void drop_out_of_time(struct record *rec, uint64_t wall) {
  uint8_t kept = 0;

  for (uint8_t i = 0; i < rec->n; i++) {
    uint64_t expiry = rec->endpoints[i].expiry;

    if (expiry <= wall || expiry - wall > RECORD_LIFETIME_MAX + CLOCK_SLACK) continue;
    if (kept != i) rec->endpoints[kept] = rec->endpoints[i];
    kept++;
  }
  memset(&rec->endpoints[kept], 0, (size_t)(rec->n - kept) * sizeof rec->endpoints[0]);
  rec->n = kept;
}

int record_open(struct record *rec, const uint8_t *sealed, size_t len, const uint8_t key[ID_KEY_LEN],
                const uint8_t blinded[ID_KEY_LEN], int64_t seq, uint64_t wall) {
  uint8_t plain[PLAIN_LEN], secret[crypto_aead_xchacha20poly1305_ietf_KEYBYTES], ad[AD_LEN];
  struct record got;
  int result = -1;

  if (len == RECORD_SEALED_LEN) {
    record_key(secret, key);
    record_ad(ad, blinded, seq);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed + NONCE_LEN, len - NONCE_LEN, ad,
                                                   sizeof ad, sealed, secret) == 0)
      result = get_record(&got, plain);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(plain, sizeof plain);
  }
  if (result != 0) {
    errno = EBADMSG;
    return -1;
  }
  drop_out_of_time(&got, wall);
  *rec = got;
  return 0;
}
