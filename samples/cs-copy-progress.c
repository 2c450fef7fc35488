/*
 * cs-copy-progress.c - the progress line. A character counts as one column.
 */
#include "cs-copy-progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS_MIN 8
#define NAME_COLUMNS_MAX 40
#define BAR_COLUMNS_MIN 8
#define BAR_COLUMNS_MAX 40
#define COLUMNS_MAX 300
#define TAIL_COLUMNS 39 /* " 999.9 GB/999.9 TB  999.9 MB/s 99:59:59" */

char *copy_format_size(char buf[COPY_SIZE_TEXT], double bytes) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  unsigned unit = 0;

  while (bytes >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
    bytes /= 1000;
    unit++;
  }
  snprintf(buf, COPY_SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return buf;
}

char *copy_format_time(char buf[COPY_SIZE_TEXT], double seconds) {
  unsigned long s = seconds < 360000 ? (unsigned long)(seconds + 0.999) : 360000;

  if (s >= 360000)
    snprintf(buf, COPY_SIZE_TEXT, "-:--");
  else if (s >= 3600)
    snprintf(buf, COPY_SIZE_TEXT, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(buf, COPY_SIZE_TEXT, "%lu:%02lu", s / 60, s % 60);
  return buf;
}

static bool char_begins(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

static unsigned columns_of(const char *s) {
  unsigned n = 0;

  for (; *s != '\0'; s++) n += char_begins(*s);
  return n;
}

/* The name in exactly `width` columns: padded, or its first part and "..". */
static char *put_name(char *at, const char *name, unsigned width) {
  unsigned have = columns_of(name), keep = have <= width ? have : width - 2;

  for (unsigned n = 0; *name != '\0' && (n += char_begins(*name)) <= keep;) *at++ = *name++;
  for (unsigned n = keep; n < width; n++) *at++ = have <= width ? ' ' : '.';
  return at;
}

static char *put_bar(char *at, unsigned width, double part) {
  unsigned full = (unsigned)(part * (width - 2));

  *at++ = ' ';
  *at++ = '[';
  for (unsigned i = 0; i + 2 < width; i++) *at++ = i < full ? '=' : i == full ? '>' : ' ';
  *at++ = ']';
  return at;
}

char *copy_progress_line(char out[COPY_LINE_MAX], const struct copy_progress *p, unsigned columns) {
  double part = p->total == 0 ? 1 : (double)p->done / (double)p->total;
  char done[COPY_SIZE_TEXT], total[COPY_SIZE_TEXT], rate[COPY_SIZE_TEXT], left[COPY_SIZE_TEXT], tail[80];
  unsigned room, name, bar = 0, tail_columns = 0;
  char *at = out;

  if (columns > COLUMNS_MAX) columns = COLUMNS_MAX;
  if (columns < NAME_COLUMNS_MIN + 6) columns = NAME_COLUMNS_MIN + 6;
  room = columns - 1 - 5; /* " 100%" */
  if (room >= NAME_COLUMNS_MIN + TAIL_COLUMNS) {
    tail_columns = TAIL_COLUMNS;
    room -= TAIL_COLUMNS;
  }
  if (room >= NAME_COLUMNS_MIN * 2 + BAR_COLUMNS_MIN + 1) {
    bar = room / 2 > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX : room / 2;
    room -= bar + 1;
  }
  name = columns_of(p->name) < NAME_COLUMNS_MIN ? NAME_COLUMNS_MIN : columns_of(p->name);
  if (name > NAME_COLUMNS_MAX) name = NAME_COLUMNS_MAX;
  if (name > room) name = room;
  at = put_name(at, p->name, name);
  at += sprintf(at, " %3d%%", (int)(part * 100));
  if (bar > 0) at = put_bar(at, bar, part);
  *at = '\0';
  if (tail_columns == 0) return out;
  snprintf(tail, sizeof tail, " %s/%s", copy_format_size(done, (double)p->done),
           copy_format_size(total, (double)p->total));
  if (p->rate > 0)
    snprintf(tail + strlen(tail), sizeof tail - strlen(tail), "  %s/s %s", copy_format_size(rate, p->rate),
             copy_format_time(left, (double)(p->total - p->done) / p->rate));
  memcpy(at, tail, strlen(tail) + 1);
  return out;
}
