/* test_options.c - the options of one call: defaults, checks, readers. */
#include "check.h"
#include "err.h"
#include "options.h"
#include "value.h"

#include <errno.h>
#include <string.h>

static void defaults(void) {
  cs_options *o = cs_options_new();
  const cs_options *both[] = {NULL, o};

  CU_ASSERT_PTR_NOT_NULL_FATAL(o);
  for (int i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL(options_timeout_ms(both[i]), 30000);
    CU_ASSERT_EQUAL(options_backlog(both[i]), 1024);
    CU_ASSERT_EQUAL(options_path(both[i]), OPTIONS_PATH_AUTO);
    CU_ASSERT_PTR_NULL(options_access(both[i]));
  }
  cs_options_free(o);
  cs_options_free(NULL);
}

static void values_are_taken(void) {
  cs_options *o = cs_options_new();
  char rule[] = "alice bob";

  CU_ASSERT_EQUAL(cs_options_set(o, "timeout-ms", "1"), 0);
  CU_ASSERT_EQUAL(options_timeout_ms(o), 1);
  CU_ASSERT_EQUAL(cs_options_set(o, "timeout-ms", "86400000"), 0);
  CU_ASSERT_EQUAL(options_timeout_ms(o), 86400000);
  CU_ASSERT_EQUAL(cs_options_set(o, "backlog", "1"), 0);
  CU_ASSERT_EQUAL(options_backlog(o), 1);
  CU_ASSERT_EQUAL(cs_options_set(o, "backlog", "65535"), 0);
  CU_ASSERT_EQUAL(options_backlog(o), 65535);
  CU_ASSERT_EQUAL(cs_options_set(o, "type", "stream"), 0);
  CU_ASSERT_EQUAL(cs_options_set(o, "path", "direct"), 0);
  CU_ASSERT_EQUAL(options_path(o), OPTIONS_PATH_DIRECT);
  CU_ASSERT_EQUAL(cs_options_set(o, "path", "relay"), 0);
  CU_ASSERT_EQUAL(options_path(o), OPTIONS_PATH_RELAY);
  CU_ASSERT_EQUAL(cs_options_set(o, "path", "auto"), 0);
  CU_ASSERT_EQUAL(options_path(o), OPTIONS_PATH_AUTO);
  CU_ASSERT_EQUAL(cs_options_set(o, "access", rule), 0);
  rule[0] = 'x'; /* it is copied */
  CU_ASSERT_STRING_EQUAL(options_access(o), "alice bob");
  CU_ASSERT_EQUAL(cs_options_set(o, "access", "anyone"), 0);
  CU_ASSERT_STRING_EQUAL(options_access(o), "anyone");
  cs_options_free(o);
}

static void bad_values_are_refused_and_named(void) {
  static const char *const bad[][2] = {
    {"timeout-ms", "0"}, {"timeout-ms", "86400001"}, {"timeout-ms", "-1"}, {"timeout-ms", ""}, {"timeout-ms", "1s"},
    {"timeout-ms", " 1"}, {"backlog", "0"}, {"backlog", "65536"}, {"backlog", "many"}, {"type", "datagram"},
    {"type", ""}, {"path", "ice"}, {"path", "DIRECT"}, {"access", ""}, {"access", "Alice"}, {"access", "anyone bob"},
    {"colour", "red"}, {"", "x"}, {"timeout", "5"}, {"Backlog", "5"},
  };
  cs_options *o = cs_options_new();

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CU_ASSERT_EQUAL(cs_options_set(o, bad[i][0], bad[i][1]), -1);
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_KEY);
    CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), bad[i][0]));
  }
  CU_ASSERT_EQUAL(options_timeout_ms(o), 30000);
  CU_ASSERT_EQUAL(options_backlog(o), 1024);
  CU_ASSERT_PTR_NULL(options_access(o));
  cs_options_set(o, "backlog", "none");
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "option backlog = \"none\": give a number from 1 to 65535");
  cs_options_set(o, "type", "datagram");
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), "not offered yet"));
  cs_options_free(o);
}

static void null_arguments(void) {
  cs_options *o = cs_options_new();

  CU_ASSERT_EQUAL(cs_options_set(NULL, "backlog", "1"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_ARGUMENT);
  CU_ASSERT_EQUAL(cs_options_set(o, NULL, "1"), -1);
  CU_ASSERT_EQUAL(cs_options_set(o, "backlog", NULL), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  cs_options_free(o);
}

int main(void) {
  static const struct check_test tests[] = {
    {"defaults, with and without an object", defaults},
    {"values are taken and copied", values_are_taken},
    {"bad values are refused and named", bad_values_are_refused_and_named},
    {"null arguments", null_arguments},
  };

  return check_main("options", tests, sizeof tests / sizeof tests[0]);
}
