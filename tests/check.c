#include "check.h"

#include <stdio.h>

int check_main(const char *suite, const struct check_test *tests, size_t n) {
  CU_pSuite s;
  int failed = 1;

  setvbuf(stdout, NULL, _IOLBF, 0);
  if (CU_initialize_registry() != CUE_SUCCESS) return 1;
  s = CU_add_suite(suite, NULL, NULL);
  if (s == NULL) goto out;
  for (size_t i = 0; i < n; i++)
    if (CU_add_test(s, tests[i].name, tests[i].run) == NULL) goto out;
  CU_basic_set_mode(CU_BRM_VERBOSE);
  if (CU_basic_run_tests() != CUE_SUCCESS) goto out;
  failed = CU_get_number_of_failures() != 0 || CU_get_number_of_asserts() == 0;
out:
  CU_cleanup_registry();
  return failed;
}
