/*
 * test_idtable.c - the hash table against a plain array, random operations.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "idtable.h"
#include "rng.h"

#define KEYS 700

static struct {
  uint8_t key[20];
  size_t len;
  void *value;
} model[KEYS];

static unsigned visited;

static void visit(void *value, void *ctx) {
  (void)value;
  (void)ctx;
  visited++;
}

static void equals_an_array(void) {
  struct idtable t;
  struct rng rng;
  uint8_t seed[RNG_SEED_LEN] = {2}, hash_key[16] = {3};
  unsigned present = 0;

  rng_init(&rng, seed);
  CU_ASSERT_EQUAL_FATAL(idtable_init(&t, hash_key), 0);
  for (int i = 0; i < KEYS; i++) {
    model[i].len = 1 + rng_below(&rng, 20);
    rng_bytes(&rng, model[i].key, model[i].len);
    memcpy(model[i].key, &i, model[i].len < 2 ? 1 : 2); /* distinct but for one-byte keys */
    if (model[i].len < 2) model[i].len = 2, model[i].key[1] = (uint8_t)(i >> 8);
  }
  for (int round = 0; round < 20000; round++) {
    unsigned i = rng_below(&rng, KEYS);

    if (rng_below(&rng, 3) == 0) {
      idtable_del(&t, model[i].key, model[i].len);
      present -= model[i].value != NULL;
      model[i].value = NULL;
    } else {
      present += model[i].value == NULL;
      model[i].value = &model[rng_below(&rng, KEYS)];
      CU_ASSERT_EQUAL_FATAL(idtable_put(&t, model[i].key, model[i].len, model[i].value), 0);
    }
    i = rng_below(&rng, KEYS);
    CU_ASSERT_PTR_EQUAL_FATAL(idtable_get(&t, model[i].key, model[i].len), model[i].value);
    CU_ASSERT_EQUAL_FATAL(t.count, present);
  }
  idtable_each(&t, visit, NULL);
  CU_ASSERT_EQUAL(visited, present);
  idtable_free(&t);
}

static void refuses_long_keys(void) {
  struct idtable t;
  uint8_t key[IDTABLE_KEY_MAX + 1] = {0}, hash_key[16] = {0};

  CU_ASSERT_EQUAL_FATAL(idtable_init(&t, hash_key), 0);
  errno = 0;
  CU_ASSERT_EQUAL(idtable_put(&t, key, sizeof key, &t), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_PTR_NULL(idtable_get(&t, key, sizeof key));
  idtable_del(&t, key, sizeof key);
  CU_ASSERT_EQUAL(idtable_put(&t, key, IDTABLE_KEY_MAX, &t), 0);
  CU_ASSERT_PTR_EQUAL(idtable_get(&t, key, IDTABLE_KEY_MAX), &t);
  CU_ASSERT_PTR_NULL(idtable_get(&t, key, IDTABLE_KEY_MAX - 1)); /* length counts */
  idtable_free(&t);
}

int main(void) {
  static const struct check_test tests[] = {
      {"equals an array under random operations", equals_an_array},
      {"refuses keys that are too long", refuses_long_keys},
  };

  return check_main("idtable", tests, sizeof tests / sizeof tests[0]);
}
