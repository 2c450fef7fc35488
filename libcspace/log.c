/*
 * log.c - formats one line and hands it to the sink.
 *
 * The level and the sink are the only globals of the library below the API.
 * Both are atomic: a change while other threads log loses no more than a line.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_MAX 512

static atomic_int log_level_now = LOG_LEVEL_NONE;
static _Atomic(log_sink) log_sink_now; /* NULL */

void log_setup(enum log_level level, log_sink sink) {
  atomic_store(&log_level_now, LOG_LEVEL_NONE); /* nobody sees the new level with the old sink */
  atomic_store(&log_sink_now, sink);
  atomic_store(&log_level_now, (int)level);
}

int log_level_parse(enum log_level *out, const char *text) {
  static const char *const names[] = {"none", "error", "warn", "info", "debug"};

  for (size_t i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++)
    if (strcmp(text, names[i]) == 0) {
      *out = (enum log_level)i;
      return 0;
    }
  errno = EINVAL;
  return -1;
}

bool log_enabled(enum log_level level) {
  return level != LOG_LEVEL_NONE && (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_write(enum log_level level, const char *fmt, ...) {
  int saved = errno;
  char line[LOG_LINE_MAX];
  log_sink sink;
  va_list ap;

  if (!log_enabled(level) || (sink = atomic_load(&log_sink_now)) == NULL) return;
  va_start(ap, fmt);
  if (vsnprintf(line, sizeof line, fmt, ap) < 0) line[0] = '\0';
  va_end(ap);
  /* A name from outside must not start a line of its own or move the cursor. */
  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  sink(level, line);
  errno = saved;
}
