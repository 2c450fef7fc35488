/*
 * log.h - log lines with a level, to a sink that the shell sets. The library
 * prints nothing by default: level none. Never log who talked to whom above
 * debug, and never secrets at all.
 */
#ifndef CSPACE_LOG_H
#define CSPACE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_NONE, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

typedef void (*log_sink)(enum log_level level, const char *line);

/* Set once before threads start, or while they are quiet; NULL sink discards. */
void log_setup(enum log_level level, log_sink sink);
/* "none", "error", "warn", "info", "debug"; 0, or -1 + EINVAL. */
int log_level_parse(enum log_level *out, const char *text);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)

#endif
