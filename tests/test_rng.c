/* test_rng.c - the seeded stream: the same everywhere, uniform, wiped. */
#include "check.h"
#include "rng.h"

#include <sodium.h>
#include <string.h>

/* The ChaCha20 stream for a key and nonce of zeroes (RFC 8439 A.1, blocks 0 and 1). */
static void first_bytes_are_chacha20(void) {
  static const uint8_t want[8] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90};
  static const uint8_t want_next[8] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a};
  static const uint8_t seed[RNG_SEED_LEN];
  struct rng rng;
  uint8_t out[72];

  rng_init(&rng, seed);
  rng_bytes(&rng, out, sizeof out);
  CU_ASSERT_EQUAL(memcmp(out, want, sizeof want), 0);
  CU_ASSERT_EQUAL(memcmp(out + 64, want_next, sizeof want_next), 0);
  rng_init(&rng, seed);
  CU_ASSERT_EQUAL(rng_u32(&rng), 0xade0b876);
}

static void pieces_make_the_same_stream(void) {
  uint8_t seed[RNG_SEED_LEN] = {7}, whole[1000], pieces[1000];
  struct rng rng;
  size_t at = 0;

  rng_init(&rng, seed);
  rng_bytes(&rng, whole, sizeof whole);
  rng_init(&rng, seed);
  for (size_t n = 0; at < sizeof pieces; n++) {
    size_t take = n < sizeof pieces - at ? n : sizeof pieces - at;

    rng_bytes(&rng, pieces + at, take);
    at += take;
  }
  CU_ASSERT_EQUAL(memcmp(whole, pieces, sizeof whole), 0);
  seed[31] = 1;
  rng_init(&rng, seed);
  rng_bytes(&rng, pieces, sizeof pieces);
  CU_ASSERT_NOT_EQUAL(memcmp(whole, pieces, 16), 0);
}

static void below_is_in_range_and_even(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {1};
  static const uint32_t bounds[] = {1, 2, 3, 10, 0x80000001u, UINT32_MAX};
  unsigned count[10] = {0};
  struct rng rng;

  rng_init(&rng, seed);
  for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
    for (int n = 0; n < 100; n++) CU_ASSERT_TRUE(rng_below(&rng, bounds[i]) < bounds[i]);
  for (int n = 0; n < 100000; n++) count[rng_below(&rng, 10)]++;
  /* 10,000 expected each, standard deviation 95: the fixed seed makes the outcome fixed. */
  for (int i = 0; i < 10; i++) CU_ASSERT_TRUE(count[i] > 9600 && count[i] < 10400);
}

/* For 0x80000001 half of all 32-bit values must be thrown away: the mean tells whether they are. */
static void below_has_no_modulo_bias(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {2};
  struct rng rng;
  int low = 0;

  rng_init(&rng, seed);
  for (int n = 0; n < 10000; n++) low += rng_below(&rng, 0xc0000000u) < 0x40000000u;
  CU_ASSERT_TRUE(low > 3100 && low < 3560); /* a third; with the bias it is a half */
}

static void wipe_leaves_nothing(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {3};
  static const struct rng zero;
  struct rng rng;
  uint8_t b;

  rng_init(&rng, seed);
  rng_bytes(&rng, &b, 1);
  rng_wipe(&rng);
  CU_ASSERT_EQUAL(memcmp(&rng, &zero, sizeof rng), 0);
}

static const struct check_test tests[] = {
    {"the stream is ChaCha20", first_bytes_are_chacha20},
    {"pieces of any size make one stream", pieces_make_the_same_stream},
    {"numbers below a bound are in range and even", below_is_in_range_and_even},
    {"no modulo bias", below_has_no_modulo_bias},
    {"wiping leaves nothing", wipe_leaves_nothing},
};

int main(void) { return sodium_init() < 0 ? 1 : check_main("rng", tests, sizeof tests / sizeof tests[0]); }
