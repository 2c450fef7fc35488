/* test_log.c - levels, the sink, and lines that stay lines. */
#include "check.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static char last[1024];
static enum log_level last_level;
static int lines;

static void keep(enum log_level level, const char *line) {
  strncpy(last, line, sizeof last - 1);
  last_level = level;
  lines++;
  errno = EIO;
}

static void silent_by_default(void) {
  CU_ASSERT_FALSE(log_enabled(LOG_LEVEL_ERROR));
  log_error("nobody hears this"); /* with no sink: must not crash */
  log_setup(LOG_LEVEL_DEBUG, NULL);
  log_error("nor this");
  log_setup(LOG_LEVEL_NONE, keep);
  lines = 0;
  log_error("nor this");
  CU_ASSERT_EQUAL(lines, 0);
}

static void levels_filter(void) {
  log_setup(LOG_LEVEL_WARN, keep);
  lines = 0;
  log_error("%d", 1);
  CU_ASSERT_EQUAL(last_level, LOG_LEVEL_ERROR);
  log_warn("%s-%d", "two", 2);
  CU_ASSERT_STRING_EQUAL(last, "two-2");
  log_info("no");
  log_debug("no");
  CU_ASSERT_EQUAL(lines, 2);
  CU_ASSERT_TRUE(log_enabled(LOG_LEVEL_WARN));
  CU_ASSERT_FALSE(log_enabled(LOG_LEVEL_INFO));
  CU_ASSERT_FALSE(log_enabled(LOG_LEVEL_NONE));
  log_setup(LOG_LEVEL_DEBUG, keep);
  log_debug("yes");
  CU_ASSERT_EQUAL(lines, 3);
  log_setup(LOG_LEVEL_NONE, NULL);
}

static void a_line_stays_a_line(void) {
  char big[2000];

  log_setup(LOG_LEVEL_INFO, keep);
  log_info("a\nb\x1b[2Jc\x7f");
  CU_ASSERT_STRING_EQUAL(last, "a?b?[2Jc?");
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  errno = EAGAIN;
  log_info("%s", big);
  CU_ASSERT_EQUAL(errno, EAGAIN); /* the caller's errno survives, whatever the sink does */
  CU_ASSERT_EQUAL(strlen(last), 511);
  log_setup(LOG_LEVEL_NONE, NULL);
}

static void names_parse(void) {
  static const char *const names[] = {"none", "error", "warn", "info", "debug"};
  enum log_level level = LOG_LEVEL_NONE;

  for (int i = 0; i < 5; i++) {
    CU_ASSERT_EQUAL(log_level_parse(&level, names[i]), 0);
    CU_ASSERT_EQUAL((int)level, i);
  }
  errno = 0;
  CU_ASSERT_EQUAL(log_level_parse(&level, "Debug"), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(log_level_parse(&level, ""), -1);
  CU_ASSERT_EQUAL(log_level_parse(&level, NULL), -1);
  CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
}

static atomic_int heard;

static void count(enum log_level level, const char *line) {
  (void)level;
  if (strncmp(line, "thread ", 7) == 0) atomic_fetch_add(&heard, 1);
}

static void *talk(void *arg) {
  for (int i = 0; i < 1000; i++) log_info("thread %d line %d", *(int *)arg, i);
  return NULL;
}

static void threads_may_log_while_it_is_set_up(void) {
  pthread_t threads[4];
  int numbers[4];

  log_setup(LOG_LEVEL_INFO, count);
  for (int i = 0; i < 4; i++) {
    numbers[i] = i;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, talk, &numbers[i]), 0);
  }
  for (int i = 0; i < 100; i++) log_setup(LOG_LEVEL_DEBUG, count);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CU_ASSERT_TRUE(atomic_load(&heard) <= 4000);
  numbers[0] = 0;
  atomic_store(&heard, 0);
  talk(&numbers[0]);
  CU_ASSERT_EQUAL(atomic_load(&heard), 1000);
  log_setup(LOG_LEVEL_NONE, NULL);
}

static const struct check_test tests[] = {
    {"silent by default", silent_by_default},
    {"levels filter", levels_filter},
    {"a line stays a line", a_line_stays_a_line},
    {"names of levels", names_parse},
    {"threads may log while it is set up", threads_may_log_while_it_is_set_up},
};

int main(void) { return check_main("log", tests, sizeof tests / sizeof tests[0]); }
