/* test_record.c - sealing, opening, expiry, merging and the sequence number. */
#include "check.h"
#include "record.h"
#include "rng.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WALL 1728000000u /* day 20000 */
#define SEQ 113246208004660

static struct identity *owner;
static const uint8_t *key;
static uint8_t blinded[ID_KEY_LEN];
static uint8_t nonce[24];

static int setup(void) {
  uint8_t seed[ID_SEED_LEN];

  for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)i;
  for (size_t i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)(0x40 + i);
  if (identity_init() != 0 || (owner = identity_new(seed)) == NULL) return -1;
  key = identity_key(owner);
  return id_blind(blinded, key, 20000);
}

static struct record_endpoint entry(uint8_t n, uint32_t counter, uint64_t expiry) {
  struct record_endpoint e = {.counter = counter, .expiry = expiry};

  memset(e.id, n, sizeof e.id);
  return e;
}

static struct addr v6(uint8_t last, uint16_t port) {
  uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};

  return addr_from_ip(ip, sizeof ip, port);
}

static struct record_relay relay(struct addr a, uint8_t fill) {
  struct record_relay r = {.addr = a};

  memset(r.key, fill, sizeof r.key);
  memset(r.mailbox, fill + 0x11, sizeof r.mailbox);
  return r;
}

static void expect_same(const struct record *a, const struct record *b) {
  CU_ASSERT_EQUAL_FATAL(a->n, b->n);
  for (int i = 0; i < a->n; i++) {
    const struct record_endpoint *x = &a->endpoints[i], *y = &b->endpoints[i];

    CU_ASSERT_EQUAL(memcmp(x->id, y->id, sizeof x->id), 0);
    CU_ASSERT_EQUAL(x->counter, y->counter);
    CU_ASSERT_EQUAL(x->expiry, y->expiry);
    CU_ASSERT_EQUAL(x->tombstone, y->tombstone);
    CU_ASSERT_EQUAL_FATAL(x->n_relays, y->n_relays);
    CU_ASSERT_EQUAL_FATAL(x->n_addrs, y->n_addrs);
    CU_ASSERT_EQUAL_FATAL(x->n_tags, y->n_tags);
    for (int k = 0; k < x->n_relays; k++) {
      CU_ASSERT_TRUE(addr_equal(&x->relays[k].addr, &y->relays[k].addr));
      CU_ASSERT_EQUAL(memcmp(x->relays[k].key, y->relays[k].key, ID_KEY_LEN), 0);
      CU_ASSERT_EQUAL(memcmp(x->relays[k].mailbox, y->relays[k].mailbox, RECORD_MAILBOX_LEN), 0);
    }
    for (int k = 0; k < x->n_addrs; k++) CU_ASSERT_TRUE(addr_equal(&x->addrs[k], &y->addrs[k]));
    for (int k = 0; k < x->n_tags; k++) CU_ASSERT_EQUAL(x->tags[k], y->tags[k]);
  }
}

/* The record of PROTOCOL.md 4.6. */
static struct record vector_record(void) {
  struct record rec = {.n = 2};
  struct record_endpoint *e = &rec.endpoints[0];

  *e = entry(0, 7, WALL + 3600);
  for (uint8_t i = 0; i < 8; i++) e->id[i] = (uint8_t)(i + 1);
  e->n_relays = 1;
  e->relays[0] = relay(addr_v4(192, 0, 2, 1, 443), 0x11);
  e->n_addrs = 2;
  e->addrs[0] = addr_v4(198, 51, 100, 2, 4000);
  e->addrs[1] = v6(5, 4001);
  e->n_tags = 1;
  e->tags[0] = record_tag(key, "chat");
  rec.endpoints[1] = entry(0xaa, 3, WALL + 600);
  rec.endpoints[1].tombstone = true;
  return rec;
}

static void fixed_vector(void) {
  static const char want_hash[] = "e975132ae9a868370cc024937e94b3f0cebc5f0498631da09f4e129405a17f84";
  static const char want_head[] = "404142434445464748494a4b4c4d4e4f5051525354555657"
                                  "5a104d4fe93325f8b35f39067ec416e3404ce51ac9a47eb300c637b8be6564bffdc6a0187486e5f7";
  struct record rec = vector_record(), got;
  uint8_t sealed[RECORD_SEALED_LEN], hash[32];
  char text[129];
  unsigned left = 9;

  CU_ASSERT_EQUAL(record_tag(key, "chat"), 0xef2981da);
  CU_ASSERT_NOT_EQUAL(record_tag(key, "chat"), record_tag(key, "chaT"));
  CU_ASSERT_NOT_EQUAL(record_tag(key, "chat"), record_tag(blinded, "chat"));
  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, &left), 0);
  CU_ASSERT_EQUAL(left, 0);
  sodium_bin2hex(text, sizeof text, sealed, 64);
  CU_ASSERT_STRING_EQUAL(text, want_head);
  crypto_generichash(hash, sizeof hash, sealed, sizeof sealed, NULL, 0);
  sodium_bin2hex(text, sizeof text, hash, sizeof hash);
  CU_ASSERT_STRING_EQUAL(text, want_hash);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
  expect_same(&got, &rec);
}

static void empty_record(void) {
  struct record rec = {.n = 0}, got;
  uint8_t sealed[RECORD_SEALED_LEN];

  memset(&got, 0xff, sizeof got);
  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, 0, nonce, NULL), 0);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, 0, WALL), 0);
  CU_ASSERT_EQUAL(got.n, 0);
}

static void any_change_is_refused(void) {
  struct record rec = vector_record(), got = {.n = 77};
  uint8_t sealed[RECORD_SEALED_LEN], other[ID_KEY_LEN];

  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, NULL), 0);
  for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
    sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    errno = 0;
    CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), -1);
    CU_ASSERT_EQUAL(errno, EBADMSG);
    sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ + 1, WALL), -1);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, -SEQ, WALL), -1);
  CU_ASSERT_EQUAL(id_blind(other, key, 20001), 0);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, other, SEQ, WALL), -1);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, blinded, blinded, SEQ, WALL), -1);
  for (size_t n = 0; n < sizeof sealed; n++) {
    uint8_t *cut = malloc(n > 0 ? n : 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
    memcpy(cut, sealed, n);
    CU_ASSERT_EQUAL(record_open(&got, cut, n, key, blinded, SEQ, WALL), -1);
    free(cut);
  }
  CU_ASSERT_EQUAL(got.n, 77); /* untouched by all of them */
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
}

/* Seals a plaintext of the test's own making, as an owner with a strange program could. */
static int open_plain(struct record *rec, const uint8_t *head, size_t len) {
  uint8_t plain[RECORD_SEALED_LEN - 40] = {0}, sealed[RECORD_SEALED_LEN], secret[32], ad[40] = {0};
  uint8_t text[16 + ID_KEY_LEN] = "cspace record v1";

  memcpy(text + 16, key, ID_KEY_LEN);
  crypto_generichash(secret, sizeof secret, text, sizeof text, NULL, 0);
  memcpy(plain, head, len);
  memcpy(ad, blinded, ID_KEY_LEN);
  ad[39] = 5;
  memcpy(sealed, nonce, sizeof nonce);
  crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 24, NULL, plain, sizeof plain, ad, sizeof ad, NULL, nonce,
                                             secret);
  return record_open(rec, sealed, sizeof sealed, key, blinded, 5, WALL);
}

#define EXPIRY 0x00, 0x66, 0xff, 0x3e, 0x10 /* WALL + 3600 */
#define ID_A 1, 2, 3, 4, 5, 6, 7, 8
#define COUNTER 0, 0, 0, 7

static void malformed_plaintext_is_refused(void) {
  static const struct {
    const char *what;
    uint8_t bytes[80];
  } bad[] = {
      {"version 0", {0, 0}},
      {"version 2", {2, 0}},
      {"seven entries", {1, 7}},
      {"an entry past the end", {1, 1, 0xff, 0xff}},
      {"an empty entry", {1, 1, 0, 0}},
      {"an entry one byte short", {1, 1, 0, 19, 0, 0, 0, ID_A, COUNTER, EXPIRY}},
      {"an address that is not in it", {1, 1, 0, 20, 1, 0, 0, ID_A, COUNTER, EXPIRY, 1, 2, 3, 4, 5, 6}},
      {"a relay that is not in it", {1, 1, 0, 20, 8, 0, 0, ID_A, COUNTER, EXPIRY}},
      {"a tag that is not in it", {1, 1, 0, 23, 0, 1, 0, ID_A, COUNTER, EXPIRY, 1, 2, 3, 4}},
      {"five addresses", {1, 1, 0, 50, 5, 0, 0, ID_A, COUNTER, EXPIRY, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}},
      {"nine tags", {1, 1, 0, 60, 0, 9, 0, ID_A, COUNTER, EXPIRY}},
      {"a tombstone with a tag", {1, 1, 0, 24, 0x80, 1, 0, ID_A, COUNTER, EXPIRY, 1, 2, 3, 4}},
      {"an id twice", {1, 2, 0, 20, 0, 0, 0, ID_A, COUNTER, EXPIRY, 0, 20, 0, 0, 0, ID_A, COUNTER, EXPIRY}},
  };
  struct record got = {.n = 77};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    if (open_plain(&got, bad[i].bytes, sizeof bad[i].bytes) == 0) fprintf(stderr, "taken: %s\n", bad[i].what);
    CU_ASSERT_EQUAL(errno, EBADMSG);
    CU_ASSERT_EQUAL(got.n, 77);
    got.n = 77;
  }
}

static void later_versions_fields_are_skipped(void) {
  static const uint8_t plain[] = {1, 2,
                                  /* reserved bits set, one tag, three bytes more than this version knows */
                                  0, 27, 0x60, 0xf1, 0x80, ID_A, COUNTER, EXPIRY, 0xca, 0xfe, 0, 1, 0xee, 0xee, 0xee,
                                  0, 20, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, COUNTER, EXPIRY,
                                  /* and something after the last entry */
                                  0xee, 0xee, 0xee};
  struct record got;

  CU_ASSERT_EQUAL_FATAL(open_plain(&got, plain, sizeof plain), 0);
  CU_ASSERT_EQUAL_FATAL(got.n, 2);
  CU_ASSERT_EQUAL(got.endpoints[0].n_tags, 1);
  CU_ASSERT_EQUAL(got.endpoints[0].tags[0], 0xcafe0001);
  CU_ASSERT_EQUAL(got.endpoints[0].expiry, WALL + 3600);
  CU_ASSERT_EQUAL(got.endpoints[0].counter, 7);
  CU_ASSERT_FALSE(got.endpoints[0].tombstone);
  CU_ASSERT_EQUAL(got.endpoints[1].id[0], 8);
}

static void bad_addresses_are_dropped(void) {
  static const uint8_t addrs[] = {1, 1, 0, 20 + 24, 4, 0, 0, ID_A, COUNTER, EXPIRY, 9, 9, 9, 9, 0, 0, /* port 0 */
                                  0, 0, 0, 0, 1, 1, 8, 8, 8, 8, 1, 1, 224, 0, 0, 1, 1, 1};
  static const uint8_t more[] = {1, 1, 0, 20 + 24, 4, 0, 0, ID_A, COUNTER, EXPIRY, 255, 255, 255, 255, 1, 1,
                                 0, 9, 9, 9, 1, 1, 10, 0, 0, 1, 1, 1, 127, 0, 0, 1, 1, 1};
  uint8_t relays[22 + 2 + 2 * 54] = {1, 1, 0, 20 + 108, 2 << 3, 0, 0, ID_A, COUNTER, EXPIRY, 0, 0, 0, 0, 1, 1};
  struct record got;

  CU_ASSERT_EQUAL_FATAL(open_plain(&got, addrs, sizeof addrs), 0);
  CU_ASSERT_EQUAL_FATAL(got.endpoints[0].n_addrs, 1);
  CU_ASSERT_EQUAL(got.endpoints[0].addrs[0].ip[0], 8);
  CU_ASSERT_EQUAL(got.endpoints[0].addrs[0].port, 257);
  CU_ASSERT_EQUAL_FATAL(open_plain(&got, more, sizeof more), 0);
  CU_ASSERT_EQUAL(got.endpoints[0].n_addrs, 2); /* private and loopback ones are the session's to judge */
  memset(relays + 24 + 54, 5, 54);
  CU_ASSERT_EQUAL_FATAL(open_plain(&got, relays, sizeof relays), 0);
  CU_ASSERT_EQUAL_FATAL(got.endpoints[0].n_relays, 1);
  CU_ASSERT_EQUAL(got.endpoints[0].relays[0].key[0], 5);
  CU_ASSERT_EQUAL(got.endpoints[0].relays[0].addr.ip[0], 5);
}

static void out_of_range_is_not_sealed(void) {
  static const struct addr none;
  struct record good = vector_record(), rec;
  uint8_t sealed[RECORD_SEALED_LEN];
  struct addr bad[] = {none, addr_v4(0, 0, 0, 0, 1), addr_v4(8, 8, 8, 8, 0), addr_v4(224, 0, 0, 1, 1)};

#define REFUSED() CU_ASSERT_EQUAL((errno = 0, record_seal(sealed, &rec, key, blinded, SEQ, nonce, NULL)), -1); \
  CU_ASSERT_EQUAL(errno, EINVAL)
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    rec = good, rec.endpoints[0].addrs[1] = bad[i];
    REFUSED();
    rec = good, rec.endpoints[0].relays[0].addr = bad[i];
    REFUSED();
  }
  rec = good, rec.n = 7;
  REFUSED();
  rec = good, rec.endpoints[0].n_relays = 4;
  REFUSED();
  rec = good, rec.endpoints[0].n_addrs = 5;
  REFUSED();
  rec = good, rec.endpoints[0].n_tags = 9;
  REFUSED();
  rec = good, rec.endpoints[0].expiry = (uint64_t)1 << 40;
  REFUSED();
  rec = good, rec.endpoints[0].tombstone = true;
  REFUSED();
  rec = good, memcpy(rec.endpoints[1].id, rec.endpoints[0].id, 8);
  REFUSED();
  CU_ASSERT_EQUAL(record_seal(sealed, &good, key, blinded, -1, nonce, NULL), -1);
  CU_ASSERT_EQUAL(record_seal(sealed, &good, key, blinded, INT64_MAX, nonce, NULL), 0);
}

static void expiry_rules(void) {
  static const struct {
    uint64_t expiry;
    bool kept;
  } rules[] = {{0, false},          {WALL - 1, false},    {WALL, false},        {WALL + 1, true}, {WALL + 7200, true},
               {WALL + 7800, true}, {WALL + 7801, false}, {0xffffffffff, false}};
  struct record got;
  uint8_t sealed[RECORD_SEALED_LEN];

  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    struct record rec = {.n = 2};

    rec.endpoints[0] = entry(1, 1, rules[i].expiry);
    rec.endpoints[1] = entry(2, 1, WALL + 100);
    CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, NULL), 0);
    CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
    CU_ASSERT_EQUAL(got.n, rules[i].kept ? 2 : 1);
    CU_ASSERT_EQUAL(got.endpoints[got.n - 1].id[0], 2);
  }
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, UINT64_MAX), 0);
  CU_ASSERT_EQUAL(got.n, 0);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, 0), 0); /* a clock at 1970 */
  CU_ASSERT_EQUAL(got.n, 0);
}

static struct record full_record(unsigned relays, unsigned v4_addrs, unsigned v6_addrs, unsigned tags) {
  struct record rec = {.n = RECORD_ENDPOINTS_MAX};

  for (uint8_t i = 0; i < rec.n; i++) {
    struct record_endpoint *e = &rec.endpoints[i];

    *e = entry((uint8_t)(i + 1), i, WALL + 1000 - i); /* the last expires first */
    for (; e->n_relays < relays; e->n_relays++)
      e->relays[e->n_relays] = relay(addr_v4(1, 2, 3, (uint8_t)(e->n_relays + 1), 443), i);
    for (; e->n_addrs < v4_addrs; e->n_addrs++) e->addrs[e->n_addrs] = addr_v4(10, 0, i, e->n_addrs, 1);
    for (; e->n_addrs < v4_addrs + v6_addrs; e->n_addrs++) e->addrs[e->n_addrs] = v6(i, 1);
    for (; e->n_tags < tags; e->n_tags++) e->tags[e->n_tags] = i * 100u + e->n_tags;
  }
  return rec;
}

static void six_endpoints_fit(void) {
  struct record rec, got;
  uint8_t sealed[RECORD_SEALED_LEN];
  unsigned left = 9;

  rec = full_record(1, 4, 0, 8);
  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, &left), 0);
  CU_ASSERT_EQUAL(left, 0);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
  expect_same(&got, &rec);
  rec = full_record(1, 2, 2, 8);
  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, &left), 0);
  CU_ASSERT_EQUAL(left, 0);
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
  expect_same(&got, &rec);
}

static void what_does_not_fit_goes_by_expiry(void) {
  struct record rec = full_record(3, 0, 4, 8), got;
  uint8_t sealed[RECORD_SEALED_LEN];
  unsigned left = 9;

  rec.endpoints[0].expiry = WALL + 1; /* the first now expires first of all */
  CU_ASSERT_EQUAL(record_seal(sealed, &rec, key, blinded, SEQ, nonce, &left), 0);
  CU_ASSERT_EQUAL(left, 3); /* 22 + 3*54 + 4*18 + 8*4 = 288 bytes each, 954 in all */
  CU_ASSERT_EQUAL(record_open(&got, sealed, sizeof sealed, key, blinded, SEQ, WALL), 0);
  CU_ASSERT_EQUAL_FATAL(got.n, 3);
  for (uint8_t i = 0; i < 3; i++) CU_ASSERT_EQUAL(got.endpoints[i].id[0], i + 2);
}

static void merge_takes_the_higher_counter(void) {
  struct record a = {.n = 2}, b = {.n = 2};

  a.endpoints[0] = entry(1, 5, WALL + 10);
  a.endpoints[1] = entry(2, 5, WALL + 20);
  b.endpoints[0] = entry(2, 6, WALL + 5); /* newer though it expires earlier */
  b.endpoints[1] = entry(1, 4, WALL + 500);
  record_merge(&a, &b, WALL);
  CU_ASSERT_EQUAL_FATAL(a.n, 2);
  CU_ASSERT_EQUAL(a.endpoints[0].counter, 5);
  CU_ASSERT_EQUAL(a.endpoints[0].expiry, WALL + 10);
  CU_ASSERT_EQUAL(a.endpoints[1].counter, 6);
  CU_ASSERT_EQUAL(a.endpoints[1].expiry, WALL + 5);
  b.endpoints[0] = entry(1, 5, WALL + 30); /* equal counters: the later expiry, whoever comes first */
  b.endpoints[1] = entry(2, 6, WALL + 4);
  record_merge(&a, &b, WALL);
  CU_ASSERT_EQUAL(a.endpoints[0].expiry, WALL + 30);
  CU_ASSERT_EQUAL(a.endpoints[1].expiry, WALL + 5);
}

static void tombstones_stand_until_they_expire(void) {
  struct record rec = {.n = 0}, stale = {.n = 1};
  struct record_endpoint live = entry(1, 5, WALL + 100), dead = entry(1, 6, WALL + 100);

  live.n_addrs = 1;
  live.addrs[0] = addr_v4(8, 8, 8, 8, 1);
  dead.tombstone = true;
  stale.endpoints[0] = live;
  record_put(&rec, &live, WALL);
  record_put(&rec, &dead, WALL);
  CU_ASSERT_EQUAL_FATAL(rec.n, 1);
  CU_ASSERT_TRUE(rec.endpoints[0].tombstone);
  CU_ASSERT_EQUAL(rec.endpoints[0].n_addrs, 0);
  record_merge(&rec, &stale, WALL + 99); /* a stale copy does not bring it back */
  CU_ASSERT_EQUAL_FATAL(rec.n, 1);
  CU_ASSERT_TRUE(rec.endpoints[0].tombstone);
  record_merge(&rec, &stale, WALL + 100);
  CU_ASSERT_EQUAL(rec.n, 0);
  /* one that has expired on the way still ends the entry it replaced */
  record_put(&rec, &live, WALL);
  dead.expiry = WALL;
  record_put(&rec, &dead, WALL);
  CU_ASSERT_EQUAL(rec.n, 0);
}

static void a_full_record_keeps_what_lasts(void) {
  struct record rec = {.n = 0};
  struct record_endpoint e;

  for (uint8_t i = 1; i <= 6; i++) {
    e = entry(i, 1, WALL + 10u * i);
    record_put(&rec, &e, WALL);
  }
  e = entry(7, 1, WALL + 10); /* no later than the earliest: not taken */
  record_put(&rec, &e, WALL);
  CU_ASSERT_EQUAL_FATAL(rec.n, 6);
  CU_ASSERT_EQUAL(rec.endpoints[0].id[0], 1);
  e = entry(8, 1, WALL + 11);
  record_put(&rec, &e, WALL);
  CU_ASSERT_EQUAL_FATAL(rec.n, 6);
  for (uint8_t i = 0; i < 5; i++) CU_ASSERT_EQUAL(rec.endpoints[i].id[0], i + 2); /* the order stays */
  CU_ASSERT_EQUAL(rec.endpoints[5].id[0], 8);
  e = entry(9, 1, WALL + 12); /* expired ones make room first: 8 is gone at WALL + 11 */
  record_put(&rec, &e, WALL + 11);
  CU_ASSERT_EQUAL_FATAL(rec.n, 6);
  CU_ASSERT_EQUAL(rec.endpoints[0].id[0], 2);
  CU_ASSERT_EQUAL(rec.endpoints[5].id[0], 9);
  e = entry(10, 1, WALL + 11);
  record_put(&rec, &e, WALL + 11); /* expired already */
  CU_ASSERT_EQUAL(rec.endpoints[5].id[0], 9);
  record_put(&rec, &e, WALL + 1000);
  CU_ASSERT_EQUAL(rec.n, 0);
}

static void seq_follows_the_clock(void) {
  int64_t s = record_next_seq(WALL, 0, 0x1234);

  CU_ASSERT_EQUAL(s, SEQ);
  CU_ASSERT_EQUAL(record_next_seq(WALL, INT64_MIN, 0), (int64_t)WALL << 16);
  CU_ASSERT_EQUAL(record_next_seq(WALL, s - 1, 0x1234), s);
  CU_ASSERT_EQUAL(record_next_seq(WALL, s, 0x1234), s + 0x1235);
  CU_ASSERT_EQUAL(record_next_seq(WALL + 1, s, 0), ((int64_t)WALL + 1) << 16);
  CU_ASSERT_EQUAL(record_next_seq(0, 0, 0), 1);
}

static void seq_never_goes_back(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {9};
  struct rng rng;
  int64_t s = 0;

  rng_init(&rng, seed);
  for (int i = 0; i < 20000; i++) {
    uint64_t wall = rng_below(&rng, 10) == 0 ? (uint64_t)rng_u32(&rng) * 2 : WALL; /* a clock that jumps about */
    int64_t next = record_next_seq(wall, s, (uint16_t)rng_u32(&rng));

    CU_ASSERT_TRUE(next > s);
    s = next;
  }
  /* The wildest clock leaves half of all numbers, and at the very end nothing overflows. */
  s = record_next_seq(UINT64_MAX, 0, 0xffff);
  CU_ASSERT_EQUAL(s, INT64_MAX / 2);
  CU_ASSERT_EQUAL(record_next_seq(UINT64_MAX, s, 0xffff), s + 65536);
  CU_ASSERT_EQUAL(record_next_seq(WALL, INT64_MAX - 1, 0xffff), INT64_MAX);
  CU_ASSERT_EQUAL(record_next_seq(WALL, INT64_MAX - 1, 0), INT64_MAX);
  CU_ASSERT_EQUAL(record_next_seq(WALL, INT64_MAX, 0xffff), INT64_MAX);
}

static const struct check_test tests[] = {
    {"the fixed vector", fixed_vector},
    {"an empty record", empty_record},
    {"any change is refused", any_change_is_refused},
    {"a malformed plaintext is refused", malformed_plaintext_is_refused},
    {"fields of later versions are skipped", later_versions_fields_are_skipped},
    {"addresses nobody can send to are dropped", bad_addresses_are_dropped},
    {"fields out of range are not sealed", out_of_range_is_not_sealed},
    {"expiry", expiry_rules},
    {"six endpoints fit", six_endpoints_fit},
    {"what does not fit goes by expiry", what_does_not_fit_goes_by_expiry},
    {"merging takes the higher counter", merge_takes_the_higher_counter},
    {"tombstones stand until they expire", tombstones_stand_until_they_expire},
    {"a full record keeps what lasts", a_full_record_keeps_what_lasts},
    {"seq follows the clock", seq_follows_the_clock},
    {"seq never goes back", seq_never_goes_back},
};

int main(void) {
  int failed;

  if (setup() != 0) return 1;
  failed = check_main("record", tests, sizeof tests / sizeof tests[0]);
  identity_free(owner);
  return failed;
}
