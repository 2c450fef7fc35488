/*
 * check.h - a test program: a table of named tests, run by CUnit.
 *
 *   static const struct check_test tests[] = {{"says what it shows", test_function}, ...};
 *   int main(void) { return check_main("wire", tests, sizeof tests / sizeof tests[0]); }
 */
#ifndef CSPACE_CHECK_H
#define CSPACE_CHECK_H

#include <CUnit/Basic.h>
#include <stddef.h>

struct check_test {
  const char *name;
  void (*run)(void);
};

/* Runs all, prints CUnit's summary; 0 when every assertion held and at least one ran. */
int check_main(const char *suite, const struct check_test *tests, size_t n);

#endif
