/*
 * rng.c - a random stream from a seed: ChaCha20 (RFC 8439's block function,
 * with the original 64-bit counter and a zero nonce), so one seed gives one
 * stream on every machine.
 */
#include "rng.h"

#include <sodium.h>
#include <string.h>

void rng_init(struct rng *rng, const uint8_t seed[RNG_SEED_LEN]) {
  memcpy(rng->key, seed, RNG_SEED_LEN);
  rng->block = 0;
  memset(rng->buf, 0, sizeof rng->buf);
  rng->used = sizeof rng->buf;
}

static void next_block(struct rng *rng) {
  static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

  memset(rng->buf, 0, sizeof rng->buf);
  crypto_stream_chacha20_xor_ic(rng->buf, rng->buf, sizeof rng->buf, nonce, rng->block, rng->key);
  rng->block++;
  rng->used = 0;
}

void rng_bytes(struct rng *rng, void *out, size_t n) {
  uint8_t *p = out;

  while (n > 0) {
    size_t take;

    if (rng->used == sizeof rng->buf) next_block(rng);
    take = sizeof rng->buf - rng->used;
    if (take > n) take = n;
    memcpy(p, rng->buf + rng->used, take);
    sodium_memzero(rng->buf + rng->used, take); /* what was given out is not kept */
    rng->used += take;
    p += take;
    n -= take;
  }
}

uint32_t rng_u32(struct rng *rng) {
  uint8_t b[4];

  rng_bytes(rng, b, sizeof b);
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint32_t rng_below(struct rng *rng, uint32_t bound) {
  uint32_t skip, v;

  if (bound < 2) return 0;
  skip = -bound % bound; /* 2^32 mod bound: below it values would come once too often */
  do v = rng_u32(rng);
  while (v < skip);
  return v % bound;
}

void rng_wipe(struct rng *rng) { sodium_memzero(rng, sizeof *rng); }
