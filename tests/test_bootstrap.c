/*
 * test_bootstrap.c - bootstrap lists: numbers at once, names from a thread,
 * and stopping while a name is being resolved.
 */
#include <string.h>

#include "bootstrap.h"
#include "check.h"

static unsigned n_found;
static struct addr last;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void found(void *ctx, const struct addr *a) {
  (void)ctx;
  n_found++;
  last = *a;
  pthread_cond_broadcast(&changed);
}

static unsigned start(const char *list) {
  struct loop *l = loop_get();
  struct bootstrap *b;
  unsigned n;

  CU_ASSERT_PTR_NOT_NULL_FATAL(l);
  loop_lock(l);
  n_found = 0;
  b = bootstrap_start(l, list, found, NULL);
  CU_ASSERT_PTR_NOT_NULL(b);
  n = n_found;
  bootstrap_stop(b);
  loop_unlock(l);
  loop_put(l);
  return n;
}

static void numbers_come_at_once(void) {
  CU_ASSERT_EQUAL(start("none"), 0);
  CU_ASSERT_EQUAL(start("127.0.0.1:4001"), 1);
  CU_ASSERT_EQUAL(last.port, 4001);
  CU_ASSERT_EQUAL(start("127.0.0.1:4001 [::1]:4002  127.0.0.2:4003"), 3);
  CU_ASSERT_EQUAL(last.ip[3], 2);
}

static void names_come_from_a_thread(void) {
  struct loop *l = loop_get();
  struct bootstrap *b;
  uint64_t until = clock_now() + 10000000;

  CU_ASSERT_PTR_NOT_NULL_FATAL(l);
  loop_lock(l);
  n_found = 0;
  b = bootstrap_start(l, "localhost:4004", found, NULL);
  CU_ASSERT_EQUAL(n_found, 0);
  while (n_found == 0 && clock_now() < until) loop_cond_wait(l, &changed, until);
  CU_ASSERT(n_found >= 1);
  CU_ASSERT_EQUAL(last.port, 4004);
  CU_ASSERT(addr_is_loopback(&last));
  bootstrap_stop(b);
  loop_unlock(l);
  loop_put(l);
}

static void stopping_does_not_wait(void) {
  for (int i = 0; i < 20; i++) start("localhost:1");
}

static void loopback_lists_are_told(void) {
  CU_ASSERT_TRUE(bootstrap_is_loopback("127.0.0.1:1"));
  CU_ASSERT_TRUE(bootstrap_is_loopback("127.0.0.1:1 [::1]:2 localhost:3"));
  CU_ASSERT_FALSE(bootstrap_is_loopback("127.0.0.1:1 192.0.2.1:2"));
  CU_ASSERT_FALSE(bootstrap_is_loopback("mainline"));
  CU_ASSERT_FALSE(bootstrap_is_loopback("none"));
  CU_ASSERT_FALSE(bootstrap_is_loopback(""));
}

int main(void) {
  static const struct check_test tests[] = {
      {"addresses in numbers come at once", numbers_come_at_once},
      {"names are resolved in a thread", names_come_from_a_thread},
      {"stopping does not wait for a name server", stopping_does_not_wait},
      {"a list of loopback nodes is known as one", loopback_lists_are_told},
  };

  return check_main("bootstrap", tests, sizeof tests / sizeof tests[0]);
}
