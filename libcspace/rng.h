/*
 * rng.h - injected randomness: a ChaCha20 stream from a 32-byte seed.
 *
 * The shell seeds it from the kernel, the simulator from its one seed, and a
 * run replays. Sans-IO; one owner, no locking.
 */
#ifndef CSPACE_RNG_H
#define CSPACE_RNG_H

#include <stddef.h>
#include <stdint.h>

#define RNG_SEED_LEN 32

struct rng {
  uint8_t key[RNG_SEED_LEN];
  uint64_t block;   /* next 64-byte block of the stream */
  uint8_t buf[64];  /* the current block */
  size_t used;      /* bytes of buf already given out */
};

void rng_init(struct rng *rng, const uint8_t seed[RNG_SEED_LEN]);
void rng_bytes(struct rng *rng, void *out, size_t n);
uint32_t rng_u32(struct rng *rng);
/* Uniform in [0, bound); bound > 0. */
uint32_t rng_below(struct rng *rng, uint32_t bound);
void rng_wipe(struct rng *rng);

#endif
