/*
 * identity.h - who someone is: Ed25519 keys, their text form, and the keys
 * blinded per day under which records stand in the DHT. PROTOCOL.md 2 and 3.
 *
 * Private keys live in sodium_malloc memory only and are never copied out.
 * Several threads may use one identity at once, but for identity_free.
 * Sans-IO. sodium_init() must have succeeded (identity_init does that).
 */
#ifndef CSPACE_IDENTITY_H
#define CSPACE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_KEY_LEN 32
#define ID_SEED_LEN 32
#define ID_SIG_LEN 64
#define ID_TEXT_LEN 56 /* base32 of key(32) | check(2) | version(1) */
#define ID_VERSION 1

enum id_problem { ID_OK, ID_BAD_LENGTH, ID_BAD_LETTER, ID_BAD_CHECK, ID_BAD_VERSION, ID_BAD_KEY };

/* Once per process, before anything else here: starts libsodium and tests that it refuses
 * points of small and of mixed order (CVE-2025-69277). 0, or -1 + ENOTSUP. Any thread. */
int identity_init(void);

/* Lower-case base32 text of a key; always succeeds. */
void id_format(char out[ID_TEXT_LEN + 1], const uint8_t key[ID_KEY_LEN]);
/* Reads an id (upper case is taken too). ID_OK, or what is wrong and key is untouched. */
enum id_problem id_parse(uint8_t key[ID_KEY_LEN], const char *text);
/* "has a typing error (the check does not match)" and the like. */
const char *id_problem_text(enum id_problem p);
/* True for a canonical point of prime order, not the identity. */
bool id_key_valid(const uint8_t key[ID_KEY_LEN]);

struct identity; /* a private key, in guarded memory */

struct identity *identity_new(const uint8_t seed[ID_SEED_LEN]); /* NULL + ENOMEM */
struct identity *identity_generate(void);                       /* from the kernel's randomness */
void identity_free(struct identity *id);                        /* wipes; NULL is legal */
const uint8_t *identity_key(const struct identity *id);         /* public key, 32 bytes, lives as long as id */
/* The 32-byte seed, for writing the key file; the caller's buffer must be guarded and wiped. */
void identity_seed(const struct identity *id, uint8_t seed[ID_SEED_LEN]);
void identity_sign(const struct identity *id, uint8_t sig[ID_SIG_LEN], const void *msg, size_t len);
bool id_verify(const uint8_t key[ID_KEY_LEN], const uint8_t sig[ID_SIG_LEN], const void *msg, size_t len);

/* Blinding (PROTOCOL.md 3.1). day = Unix seconds / 86400. k' = h*A with
 * h = BLAKE2b-512("cspace blind v1" | A | day as u64) mod L. 0, or -1 + EINVAL for a bad key. */
int id_blind(uint8_t out[ID_KEY_LEN], const uint8_t key[ID_KEY_LEN], uint64_t day);
/* Signs under the day's blinded key; verifies as plain Ed25519 with id_verify. 0 or -1. */
int identity_blind_sign(const struct identity *id, uint64_t day, uint8_t sig[ID_SIG_LEN], const void *msg,
                        size_t len);

#endif
