/*
 * test_home_memory.c - every allocation of configuration, options, home and
 * contacts fails, once and for good: calls fail with a sentence, nothing
 * leaks (under ASan), and with memory back all works. The linker puts the
 * functions below in place of the real ones (--wrap).
 */
#include "check.h"
#include "conf.h"
#include "contacts.h"
#include "err.h"
#include "home.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOCATIONS_MAX 1000 /* more than one round makes */

static long left = -1; /* allocations that still succeed; -1: all */
static bool once;      /* only one fails */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_sodium_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_sodium_malloc(size_t n);

static bool fails(void) {
  if (left != 0) {
    left -= left > 0;
    return false;
  }
  if (once) left = -1;
  errno = ENOMEM;
  return true;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }
char *__wrap_strdup(const char *s) { return fails() ? NULL : __real_strdup(s); }
char *__wrap_strndup(const char *s, size_t n) { return fails() ? NULL : __real_strndup(s, n); }
void *__wrap_sodium_malloc(size_t n) { return fails() ? NULL : __real_sodium_malloc(n); }

static char home[64], id[ID_TEXT_LEN + 1];
static bool other_errors; /* something failed for another reason than memory */

static int count(bool failed) {
  if (failed && errno != ENOMEM) other_errors = true;
  return failed;
}

static int configure(void) {
  static const char file[] = "agent = never\naccess.b = alice\n";
  cs_config *c = cs_config_new(), *copy = NULL;
  cs_options *o = cs_options_new();
  int bad = c == NULL || o == NULL;

  if (bad == 0) {
    bad += count(cs_config_set(c, "lan", "no") != 0);
    bad += count(cs_config_set(c, "access.a", "anyone") != 0);
    bad += count(conf_parse(c, file, sizeof file - 1, "file") != 0);
    bad += count((copy = conf_copy(c)) == NULL);
    bad += count(cs_options_set(o, "access", "alice") != 0);
  }
  cs_config_free(c);
  cs_config_free(copy);
  cs_options_free(o);
  return bad;
}

static int keep_home(void) {
  struct contacts *table = contacts_new();
  struct contacts_stamp stamp = {0};
  char path[128], text[ID_TEXT_LEN + 1];
  struct identity *own;
  int bad = table == NULL;

  snprintf(path, sizeof path, "%s/identity", home);
  unlink(path);
  snprintf(path, sizeof path, "%s/contacts", home);
  unlink(path);
  bad += count(home_identity_create(home) != 0);
  if (bad == 0) {
    bad += count((own = home_identity_load(home)) == NULL);
    identity_free(own);
    bad += count(home_identity_id(home, text) != 0);
    bad += count(contacts_file_add(home, "alice", id) != 0);
  }
  if (bad == 0) { /* each needs the one before */
    bad += count(contacts_file_rename(home, "alice", "bob") != 0);
    bad += count(contacts_reload(table, home, &stamp) < 0);
    if (bad == 0) bad += count(contacts_file_remove(home, "bob") != 0);
  }
  contacts_free(table);
  return bad;
}

static void sweep(int (*round)(void), bool only_once) {
  long n;
  int bad = 1;

  once = only_once;
  other_errors = false;
  for (n = 0; bad != 0 && n < ALLOCATIONS_MAX; n++) {
    left = n;
    bad = round();
    left = -1;
  }
  CU_ASSERT_TRUE(n > 5);
  CU_ASSERT_EQUAL(bad, 0); /* the last round had enough */
  CU_ASSERT_FALSE(other_errors);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_MEMORY);
}

static void configuration_fails_once(void) { sweep(configure, true); }
static void configuration_fails_for_good(void) { sweep(configure, false); }
static void home_fails_once(void) { sweep(keep_home, true); }
static void home_fails_for_good(void) { sweep(keep_home, false); }

int main(void) {
  static const struct check_test tests[] = {
    {"configuration: one allocation fails", configuration_fails_once},
    {"configuration: all fail from some point on", configuration_fails_for_good},
    {"home and contacts: one allocation fails", home_fails_once},
    {"home and contacts: all fail from some point on", home_fails_for_good},
  };
  uint8_t seed[ID_SEED_LEN] = {3};
  char command[128];
  struct identity *someone;
  int r;

  if (identity_init() != 0 || (someone = identity_new(seed)) == NULL) return 99;
  id_format(id, identity_key(someone));
  identity_free(someone);
  snprintf(home, sizeof home, "/tmp/test_home_memory.XXXXXX");
  if (mkdtemp(home) == NULL) return 99;
  r = check_main("home_memory", tests, sizeof tests / sizeof tests[0]);
  snprintf(command, sizeof command, "rm -rf %s", home);
  return system(command) != 0 || r;
}
