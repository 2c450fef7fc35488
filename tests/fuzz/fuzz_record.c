/*
 * fuzz_record.c - records from a hostile owner: the input is the head of the
 * plaintext, sealed as an owner would, so the parser behind the seal is what
 * gets fuzzed. The input as it is stands for what a storer could return.
 */
#include "record.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WALL 1728000000u
#define SEQ 5
#define PLAIN_LEN (RECORD_SEALED_LEN - 40)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[ID_KEY_LEN] = "a fixed key; no point is needed", blinded[ID_KEY_LEN] = "another", nonce[24];

static void seal_plain(uint8_t sealed[RECORD_SEALED_LEN], const uint8_t *data, size_t size) {
  uint8_t plain[PLAIN_LEN] = {0}, secret[32], ad[ID_KEY_LEN + 8] = {0}, label[16 + ID_KEY_LEN] = "cspace record v1";

  memcpy(label + 16, key, ID_KEY_LEN);
  crypto_generichash(secret, sizeof secret, label, sizeof label, NULL, 0);
  if (size > 0) memcpy(plain, data, size < sizeof plain ? size : sizeof plain);
  memcpy(ad, blinded, ID_KEY_LEN);
  ad[sizeof ad - 1] = SEQ;
  memcpy(sealed, nonce, sizeof nonce);
  crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + sizeof nonce, NULL, plain, sizeof plain, ad, sizeof ad, NULL,
                                             nonce, secret);
}

static void check_addr(const struct addr *a) {
  if (addr_ip_len(a) == 0 || a->port == 0 || addr_is_unspecified(a) || addr_is_multicast_or_broadcast(a)) abort();
}

static void check_record(const struct record *rec) {
  if (rec->n > RECORD_ENDPOINTS_MAX) abort();
  for (uint8_t i = 0; i < rec->n; i++) {
    const struct record_endpoint *e = &rec->endpoints[i];

    if (e->n_relays > RECORD_RELAYS_MAX || e->n_addrs > RECORD_ADDRS_MAX || e->n_tags > RECORD_TAGS_MAX) abort();
    if (e->expiry <= WALL || e->expiry > WALL + RECORD_LIFETIME_MAX + 600) abort();
    if (e->tombstone && (e->n_relays | e->n_addrs | e->n_tags) != 0) abort();
    for (uint8_t k = 0; k < e->n_relays; k++) check_addr(&e->relays[k].addr);
    for (uint8_t k = 0; k < e->n_addrs; k++) check_addr(&e->addrs[k]);
  }
}

/* What was opened can be sealed again and opens as the same bytes of content. */
static void check_again(const struct record *rec) {
  uint8_t one[RECORD_SEALED_LEN], two[RECORD_SEALED_LEN];
  struct record got, merged;
  unsigned left;

  if (record_seal(one, rec, key, blinded, SEQ, nonce, &left) != 0 || left != 0) abort();
  if (record_open(&got, one, sizeof one, key, blinded, SEQ, WALL) != 0 || got.n != rec->n) abort();
  if (record_seal(two, &got, key, blinded, SEQ, nonce, &left) != 0 || memcmp(one, two, sizeof one) != 0) abort();
  merged = *rec;
  record_merge(&merged, &got, WALL); /* with itself: nothing changes */
  if (merged.n != rec->n) abort();
  record_merge(&merged, &got, UINT64_MAX);
  if (merged.n != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t sealed[RECORD_SEALED_LEN];
  struct record rec;

  if (sodium_init() < 0) abort();
  if (record_open(&rec, data, size, key, blinded, SEQ, WALL) == 0) check_record(&rec);
  seal_plain(sealed, data, size);
  if (record_open(&rec, sealed, sizeof sealed, key, blinded, SEQ, WALL) == 0) {
    check_record(&rec);
    check_again(&rec);
  }
  return 0;
}
