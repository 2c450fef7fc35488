/*
 * test_copy_progress.c - the progress line: sizes, times, and that it never
 * takes more columns than there are.
 */
#include "check.h"

#include <string.h>

#include "cs-copy-progress.h"

static void test_sizes(void) {
  static const struct {
    double bytes;
    const char *want;
  } table[] = {{0, "0 B"},          {999, "999 B"},       {1000, "1.0 kB"},  {1499, "1.5 kB"},
               {999949, "999.9 kB"}, {999950, "1.0 MB"}, {67108864, "67.1 MB"}, {1e18, "1.0 EB"},
               {9.3e18, "9.3 EB"}};
  char buf[COPY_SIZE_TEXT];

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    CU_ASSERT_STRING_EQUAL(copy_format_size(buf, table[i].bytes), table[i].want);
}

static void test_times(void) {
  char buf[COPY_SIZE_TEXT];

  CU_ASSERT_STRING_EQUAL(copy_format_time(buf, 0), "0:00");
  CU_ASSERT_STRING_EQUAL(copy_format_time(buf, 6.2), "0:07");
  CU_ASSERT_STRING_EQUAL(copy_format_time(buf, 61), "1:01");
  CU_ASSERT_STRING_EQUAL(copy_format_time(buf, 3723), "1:02:03");
  CU_ASSERT_STRING_EQUAL(copy_format_time(buf, 1e30), "-:--");
}

static void test_line(void) {
  struct copy_progress p = {"report.pdf", 28800000, 64000000, 120300000};
  char out[COPY_LINE_MAX];

  CU_ASSERT_STRING_EQUAL(copy_progress_line(out, &p, 80),
                         "report.pdf  45% [======>        ] 28.8 MB/64.0 MB  120.3 MB/s 0:01");
  p.rate = 0;
  CU_ASSERT_STRING_EQUAL(copy_progress_line(out, &p, 80), "report.pdf  45% [======>        ] 28.8 MB/64.0 MB");
  CU_ASSERT_STRING_EQUAL(copy_progress_line(out, &p, 20), "report.pdf  45%");
  CU_ASSERT_STRING_EQUAL(copy_progress_line(out, &p, 0), "report..  45%");
  p.done = p.total = 0;
  CU_ASSERT_STRING_EQUAL(copy_progress_line(out, &p, 20), "report.pdf 100%");
}

static void test_never_too_wide(void) {
  char name[256], out[COPY_LINE_MAX];
  struct copy_progress p = {name, 0, 999900000000000, 999900000};
  unsigned wide = 0, columns_used;

  for (unsigned len = 1; len < 120; len += 7) {
    for (unsigned i = 0; i < len; i++) memcpy(name + 2 * i, "\xc3\xbc", 2);
    name[2 * len] = '\0';
    for (unsigned columns = 14; columns < 400; columns++)
      for (p.done = 0; p.done <= p.total; p.done += p.total / 3) {
        columns_used = 0;
        for (const char *s = copy_progress_line(out, &p, columns); *s != '\0'; s++)
          columns_used += (*s & 0xc0) != 0x80;
        wide += columns_used >= columns;
      }
  }
  CU_ASSERT_EQUAL(wide, 0);
}

static const struct check_test tests[] = {
    {"sizes", test_sizes},
    {"times", test_times},
    {"the line", test_line},
    {"never too wide", test_never_too_wide},
};

int main(void) { return check_main("copy_progress", tests, sizeof tests / sizeof tests[0]); }
