/*
 * cs-copy-progress.h - the progress line. Pure.
 */
#ifndef CS_COPY_PROGRESS_H
#define CS_COPY_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define COPY_LINE_MAX 1024
#define COPY_SIZE_TEXT 16

/* "17 B", "1.5 kB", "64.0 MB": powers of 1000. Returns buf. */
char *copy_format_size(char buf[COPY_SIZE_TEXT], double bytes);
/* "0:07", "1:02:03"; "-:--" above 99 hours. Returns buf. */
char *copy_format_time(char buf[COPY_SIZE_TEXT], double seconds);

struct copy_progress {
  const char *name;      /* UTF-8 */
  uint64_t done, total;
  double rate;           /* bytes/s, 0: not known yet */
};

/* name, percent, a bar, bytes, rate and time left in fewer than `columns` columns; what does not fit is left out from
 * the right, long names are cut. Returns out. */
char *copy_progress_line(char out[COPY_LINE_MAX], const struct copy_progress *p, unsigned columns);

#endif
