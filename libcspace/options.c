/*
 * options.c - cs_options: the options of one call, checked when they are set.
 */
#include "options.h"

#include "access.h"
#include "err.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cs_options {
  uint32_t timeout_ms;
  unsigned backlog;
  enum options_path path;
  char *access; /* NULL: not set */
};

static const cs_options defaults = {.timeout_ms = OPTIONS_TIMEOUT_MS, .backlog = OPTIONS_BACKLOG};

uint32_t options_timeout_ms(const cs_options *o) { return o != NULL ? o->timeout_ms : defaults.timeout_ms; }
unsigned options_backlog(const cs_options *o) { return o != NULL ? o->backlog : defaults.backlog; }
enum options_path options_path(const cs_options *o) { return o != NULL ? o->path : defaults.path; }
const char *options_access(const cs_options *o) { return o != NULL ? o->access : NULL; }

cs_options *cs_options_new(void) {
  cs_options *o = malloc(sizeof *o);

  if (o == NULL) {
    err_set(CS_ERR_MEMORY, "no memory for options");
    return NULL;
  }
  *o = defaults;
  return o;
}

void cs_options_free(cs_options *o) {
  if (o == NULL) return;
  free(o->access);
  free(o);
}

/* ---- one setter per key: 0, or -1 with why, or -1 with errno ENOMEM ---- */

static int number(const char *value, long max, long *out, char why[VALUE_WHY_MAX]) {
  if (value_number(value, 1, max, out)) return 0;
  snprintf(why, VALUE_WHY_MAX, "give a number from 1 to %ld", max);
  return -1;
}

static int set_timeout(cs_options *o, const char *value, char why[VALUE_WHY_MAX]) {
  long n;

  if (number(value, OPTIONS_TIMEOUT_MS_MAX, &n, why) != 0) return -1;
  o->timeout_ms = (uint32_t)n;
  return 0;
}

static int set_backlog(cs_options *o, const char *value, char why[VALUE_WHY_MAX]) {
  long n;

  if (number(value, OPTIONS_BACKLOG_MAX, &n, why) != 0) return -1;
  o->backlog = (unsigned)n;
  return 0;
}

static int set_type(cs_options *o, const char *value, char why[VALUE_WHY_MAX]) {
  (void)o;
  if (strcmp(value, "stream") == 0) return 0;
  snprintf(why, VALUE_WHY_MAX, "%s", strcmp(value, "datagram") == 0
           ? "datagram connections are not offered yet; give stream" : "give stream");
  return -1;
}

static int set_path(cs_options *o, const char *value, char why[VALUE_WHY_MAX]) {
  static const char *const names[] = {"auto", "direct", "relay"}; /* enum options_path */

  for (int i = 0; i < 3; i++)
    if (strcmp(value, names[i]) == 0) {
      o->path = (enum options_path)i;
      return 0;
    }
  snprintf(why, VALUE_WHY_MAX, "give auto, direct or relay");
  return -1;
}

static int set_access(cs_options *o, const char *value, char why[VALUE_WHY_MAX]) {
  char *copy;

  if (!access_check(value, why)) return -1;
  copy = strdup(value);
  if (copy == NULL) return -1;
  free(o->access);
  o->access = copy;
  return 0;
}

static const struct {
  const char *key;
  int (*set)(cs_options *o, const char *value, char why[VALUE_WHY_MAX]);
} keys[] = {
  {"timeout-ms", set_timeout}, {"type", set_type},     {"path", set_path},
  {"backlog", set_backlog},    {"access", set_access},
};

int cs_options_set(cs_options *o, const char *key, const char *value) {
  char why[VALUE_WHY_MAX] = "";

  if (o == NULL || key == NULL || value == NULL)
    return err_set(CS_ERR_ARGUMENT, "cs_options_set: an argument is NULL");
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (strcmp(key, keys[i].key) != 0) continue;
    if (keys[i].set(o, value, why) == 0) return 0;
    if (why[0] == '\0') return err_set(CS_ERR_MEMORY, "no memory for the option %s", key);
    return err_set(CS_ERR_KEY, "option %s = \"%.200s\": %s", key, value, why);
  }
  return err_set(CS_ERR_KEY, "unknown option \"%.200s\"; there are timeout-ms, type, path, backlog and access", key);
}
