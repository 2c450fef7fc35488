/*
 * home_seal.h - the word after `secret` in the file `identity`, when a passphrase is around the seed:
 *
 *   argon2id <salt: 32 hex digits> <passes> <memory in KiB> <nonce: 48 hex digits> <sealed seed: 96 hex digits>
 *
 * Key = Argon2id(passphrase, salt), 32 bytes; the seed is sealed with XChaCha20-Poly1305, the public key as
 * associated data. Reading a file costs at most SEAL_MEM_MAX and SEAL_OPS_MAX, whoever wrote it.
 */
#ifndef CSPACE_HOME_SEAL_H
#define CSPACE_HOME_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity.h"

#define SEAL_WORD "argon2id "
#define SEAL_SALT 16
#define SEAL_NONCE 24
#define SEAL_BYTES (ID_SEED_LEN + 16)
#define SEAL_OPS_MAX 10
#define SEAL_MEM_MIN 8u         /* KiB */
#define SEAL_MEM_MAX (1u << 20) /* KiB: 1 GiB */
#define SEAL_TEXT_MAX 256       /* of the line after SEAL_WORD, with its NUL */

struct seal {
  uint8_t salt[SEAL_SALT], nonce[SEAL_NONCE], sealed[SEAL_BYTES];
  unsigned ops, mem; /* mem in KiB */
};

/* What follows SEAL_WORD, strictly. NULL, or what is wrong with it. */
const char *seal_parse(struct seal *s, const char *text);
void seal_format(char out[SEAL_TEXT_MAX], const struct seal *s);

/* Seals with fresh salt and nonce, 256 MiB and 0.5 s of this processor at least. 0, or -1 with err_set. */
int seal_close(struct seal *s, const uint8_t seed[ID_SEED_LEN], const uint8_t key[ID_KEY_LEN],
               const char *passphrase);
/* 0; -1 with err_set: out of memory; 1: not this passphrase, or the file is damaged. */
int seal_open(uint8_t seed[ID_SEED_LEN], const struct seal *s, const uint8_t key[ID_KEY_LEN],
              const char *passphrase);

/* For tests: seals made from now on cost this, not more. ops 0: the real cost again. Not for several threads. */
void seal_test_cost(unsigned ops, unsigned mem);

#endif
