/* test_contacts.c - petnames: the table, the file's syntax, edits that keep the rest, rereading. */
#include "check.h"
#include "contacts.h"
#include "err.h"
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PEOPLE 64
#define FILE_NAME "/home/a/.config/cspace/contacts"
#define EDITORS 4

static uint8_t keys[PEOPLE][ID_KEY_LEN];
static char ids[PEOPLE][ID_TEXT_LEN + 1];
static char top[64];

/* In a text, $04 stands for ids[4]. */
static char *spell(const char *text) {
  char *out = calloc(1, strlen(text) * ID_TEXT_LEN + 1), *p = out;

  for (; *text != '\0'; text++) {
    if (*text != '$') {
      *p++ = *text;
      continue;
    }
    p += sprintf(p, "%s", ids[(text[1] - '0') * 10 + text[2] - '0']);
    text += 2;
  }
  return out;
}

static bool said(const char *words) {
  bool yes = strstr(cs_last_error_text(), words) != NULL;

  if (!yes) printf("\n    wanted \"%s\", got \"%s\"\n", words, cs_last_error_text());
  return yes;
}

static int parse(struct contacts *c, const char *text) {
  char *full = spell(text);
  int r = contacts_parse(c, full, strlen(full), FILE_NAME);

  free(full);
  return r;
}

/* ---- the table ---- */

static void names(void) {
  static const char *const good[] = {"a", "alice", "0", "_", "a.b-c_d", "z9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                     "contact"};
  static const char *const bad[] = {"", "Alice", "a b", "-a", ".a", "a/b", "a@b", "\xc3\xa9", "a\n", "contacts",
                                    "anyone",
                                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) CU_ASSERT_TRUE(contact_name_valid(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) CU_ASSERT_FALSE(contact_name_valid(bad[i]));
  CU_ASSERT_FALSE(contact_name_valid(ids[0]));
}

static void the_table_finds_by_name_and_key(void) {
  struct contacts *c = contacts_new();
  const struct contact *p;
  char text[PEOPLE * (ID_TEXT_LEN + 16)] = "", name[32], before[CS_NAME_MAX + 1] = "";
  size_t n = 0, seen = 0;

  CU_ASSERT_EQUAL(contacts_count(c), 0);
  CU_ASSERT_PTR_NULL(contacts_by_name(c, "p1"));
  CU_ASSERT_PTR_NULL(contacts_by_key(c, keys[1]));
  CU_ASSERT_PTR_NULL(contacts_after(c, ""));
  for (int i = 1; i < PEOPLE; i++) n += (size_t)sprintf(text + n, "p%d %s\n", i * 37 % PEOPLE, ids[i]);
  CU_ASSERT_EQUAL_FATAL(contacts_parse(c, text, n, FILE_NAME), 0);
  CU_ASSERT_EQUAL(contacts_count(c), PEOPLE - 1);
  for (int i = 1; i < PEOPLE; i++) {
    sprintf(name, "p%d", i * 37 % PEOPLE);
    p = contacts_by_name(c, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL(memcmp(p->key, keys[i], ID_KEY_LEN), 0);
    CU_ASSERT_PTR_EQUAL(contacts_by_key(c, keys[i]), p);
  }
  CU_ASSERT_PTR_NULL(contacts_by_key(c, keys[0]));
  CU_ASSERT_PTR_NULL(contacts_by_name(c, "p0"));
  CU_ASSERT_PTR_NULL(contacts_by_name(c, "p"));
  CU_ASSERT_PTR_NULL(contacts_by_name(c, "zz"));
  for (p = contacts_after(c, ""); p != NULL; p = contacts_after(c, before), seen++) {
    CU_ASSERT_TRUE(strcmp(before, p->name) < 0);
    strcpy(before, p->name);
  }
  CU_ASSERT_EQUAL(seen, PEOPLE - 1);
  CU_ASSERT_STRING_EQUAL(contacts_after(c, "p1a")->name, "p2"); /* a name that is not there */
  contacts_free(c);
  contacts_free(NULL);
}

static void syntax(void) {
  struct contacts *c = contacts_new();
  static const char upper[] = "alice ";
  char text[128];

  CU_ASSERT_EQUAL(parse(c, "# people\n\n  \t\nalice $01\n\t bob \t $02 \t\n"
                           "  # carol $03\r\ncarol $03\r\n\r\ndave $04"), 0);
  CU_ASSERT_EQUAL(contacts_count(c), 4);
  CU_ASSERT_EQUAL(memcmp(contacts_by_name(c, "carol")->key, keys[3], ID_KEY_LEN), 0);
  CU_ASSERT_EQUAL(memcmp(contacts_by_name(c, "dave")->key, keys[4], ID_KEY_LEN), 0);
  CU_ASSERT_EQUAL(parse(c, ""), 0);
  CU_ASSERT_EQUAL(contacts_count(c), 0);
  strcpy(text, upper);
  for (const char *p = ids[1]; *p != '\0'; p++)
    text[sizeof upper - 1 + (p - ids[1])] = *p >= 'a' ? (char)(*p - 32) : *p;
  text[sizeof upper - 1 + ID_TEXT_LEN] = '\0';
  CU_ASSERT_EQUAL(contacts_parse(c, text, strlen(text), FILE_NAME), 0); /* an id read over the telephone */
  CU_ASSERT_PTR_NOT_NULL(contacts_by_key(c, keys[1]));
  contacts_free(c);
}

static void bad_files_name_the_line_and_change_nothing(void) {
  static const struct {
    const char *text, *words;
  } bad[] = {
    {"alice\n", " line 1: a line is NAME ID"},
    {"# x\n\nalice $01 friend\n", " line 3: a line is NAME ID"},
    {"alice $01 # friend\n", " line 1: a line is NAME ID"},
    {"$01\n", " line 1: a line is NAME ID"},
    {"$01 alice\n", " cannot be a petname"},
    {"Alice $01\n", " line 1: \"Alice\" cannot be a petname"},
    {"anyone $01\n", "\"anyone\" cannot be a petname"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa $01\n", " cannot be a petname"},
    {"alice $01\nbob x$02\n", " line 2: the id of bob is not 56 letters long; ask bob for it again"},
    {"alice $01\nbob aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     " line 2: the id of bob has a typing error"},
    {"alice $01\nbob $02\n\nalice $03\n", " line 4: the name alice stands on line 1 already"},
    {"alice $01\nbob $02\ncarol $01\n", " line 3: carol has the same id as alice on line 1"},
    {"alice $01\nalice $01\n", " line 2: the name alice stands on line 1 already"},
    {"alice $01\rbob $02\n", " line 1: "},
    {"alice $01\r\r\n", " line 1: the id of alice is not 56 letters long"},
  };
  struct contacts *c = contacts_new();
  char *nul = spell("alice $01\nb_b $02\n");

  CU_ASSERT_EQUAL(parse(c, "old $09\n"), 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CU_ASSERT_EQUAL(parse(c, bad[i].text), -1);
    CU_ASSERT_EQUAL(errno, EBADMSG);
    CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_HOME);
    CU_ASSERT_TRUE(said(FILE_NAME " line ") && said(bad[i].words));
    CU_ASSERT_EQUAL(contacts_count(c), 1);
    CU_ASSERT_PTR_NOT_NULL(contacts_by_name(c, "old"));
  }
  *strchr(nul, '_') = '\0';
  CU_ASSERT_EQUAL(contacts_parse(c, nul, 2 * ID_TEXT_LEN + 12, FILE_NAME), -1);
  CU_ASSERT_TRUE(said(" line 2: "));
  free(nul);
  contacts_free(c);
}

/* ---- the file ---- */

static void new_home(char home[128]) {
  static unsigned n;

  snprintf(home, 128, "%s/h%u", top, n++);
  CU_ASSERT_EQUAL_FATAL(home_create(home), 0);
}

static void file_put(const char *home, const char *text) {
  char *full = spell(text);

  CU_ASSERT_EQUAL(home_write(home, "contacts", full, strlen(full), 0600), 0);
  free(full);
}

static bool file_is(const char *home, const char *text) {
  char *want = spell(text), *got = NULL;
  size_t len = 0;
  bool same = home_read(home, "contacts", CONTACTS_FILE_MAX, &got, &len) == 0 && strcmp(got, want) == 0;

  if (!same) printf("\n    wanted \"%s\", got \"%s\"\n", want, got != NULL ? got : "nothing");
  free(want);
  free(got);
  return same;
}

static void edits_keep_the_rest(void) {
  char home[128], path[256];
  struct stat st;

  new_home(home);
  CU_ASSERT_EQUAL(contacts_file_add(home, "alice", ids[1]), 0); /* makes the file */
  CU_ASSERT_TRUE(file_is(home, "alice $01\n"));
  snprintf(path, sizeof path, "%s/contacts", home);
  CU_ASSERT_TRUE(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
  file_put(home, "# family\nbob  $02\r\n\n# work\n\tcarol $03\n# end");
  CU_ASSERT_EQUAL(contacts_file_add(home, "alice", ids[1]), 0);
  CU_ASSERT_TRUE(file_is(home, "# family\nbob  $02\r\n\n# work\n\tcarol $03\n# end\nalice $01\n"));
  CU_ASSERT_EQUAL(contacts_file_rename(home, "bob", "robert"), 0);
  CU_ASSERT_TRUE(file_is(home, "# family\nrobert  $02\r\n\n# work\n\tcarol $03\n# end\nalice $01\n"));
  CU_ASSERT_EQUAL(contacts_file_rename(home, "carol", "c"), 0);
  CU_ASSERT_EQUAL(contacts_file_remove(home, "robert"), 0);
  CU_ASSERT_TRUE(file_is(home, "# family\n\n# work\n\tc $03\n# end\nalice $01\n"));
  CU_ASSERT_EQUAL(contacts_file_remove(home, "alice"), 0);
  CU_ASSERT_EQUAL(contacts_file_remove(home, "c"), 0);
  CU_ASSERT_TRUE(file_is(home, "# family\n\n# work\n# end\n"));
}

static void edits_that_fail_change_nothing(void) {
  static const char before[] = "alice $01\n# x\nbob $02\n";
  char home[128], typo[ID_TEXT_LEN + 1];

  new_home(home);
  CU_ASSERT_EQUAL(contacts_file_remove(home, "alice"), -1); /* no file at all */
  CU_ASSERT_EQUAL(errno, ENOENT);
  file_put(home, before);
  CU_ASSERT_EQUAL(contacts_file_add(home, "alice", ids[3]), -1);
  CU_ASSERT_EQUAL(errno, EEXIST);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  CU_ASSERT_TRUE(said("a contact alice already"));
  CU_ASSERT_EQUAL(contacts_file_add(home, "carol", ids[2]), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  CU_ASSERT_TRUE(said("is your contact bob already"));
  CU_ASSERT_EQUAL(contacts_file_add(home, "Carol", ids[3]), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NAME);
  CU_ASSERT_TRUE(said("\"Carol\""));
  strcpy(typo, ids[3]);
  typo[10] = typo[10] == 'a' ? 'b' : 'a';
  CU_ASSERT_EQUAL(contacts_file_add(home, "carol", typo), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_ID);
  CU_ASSERT_TRUE(said(typo) && said("typing error"));
  CU_ASSERT_EQUAL(contacts_file_add(home, "carol", "bob"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_ID);
  CU_ASSERT_EQUAL(contacts_file_remove(home, "carol"), -1);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_USER_UNKNOWN);
  CU_ASSERT_TRUE(said("\"carol\""));
  CU_ASSERT_EQUAL(contacts_file_rename(home, "carol", "c"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_USER_UNKNOWN);
  CU_ASSERT_EQUAL(contacts_file_rename(home, "alice", "bob"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  CU_ASSERT_EQUAL(contacts_file_rename(home, "alice", "-"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NAME);
  CU_ASSERT_EQUAL(contacts_file_rename(home, "", "x"), -1);
  CU_ASSERT_EQUAL(contacts_file_remove(home, "a b"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NAME);
  CU_ASSERT_TRUE(file_is(home, before));
  file_put(home, "alice $01\nbob oops\n"); /* a file that somebody broke is not edited */
  CU_ASSERT_EQUAL(contacts_file_add(home, "carol", ids[3]), -1);
  CU_ASSERT_TRUE(said("contacts line 2: "));
  CU_ASSERT_TRUE(file_is(home, "alice $01\nbob oops\n"));
}

static void *editor(void *arg) {
  const char *home = arg;
  static int next;
  char name[16];
  int i;

  while ((i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < PEOPLE) {
    snprintf(name, sizeof name, "p%d", i);
    if (contacts_file_add(home, name, ids[i]) != 0) return arg;
    if (i % 3 == 0 && contacts_file_remove(home, name) != 0) return arg;
  }
  return NULL;
}

static void editors_at_once_lose_nothing(void) {
  struct contacts *c = contacts_new();
  struct contacts_stamp stamp = {0};
  pthread_t t[EDITORS];
  char home[128], name[16];
  void *failed;

  new_home(home);
  for (int i = 0; i < EDITORS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, editor, home), 0);
  for (int i = 0; i < EDITORS; i++) {
    pthread_join(t[i], &failed);
    CU_ASSERT_PTR_NULL(failed);
  }
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1);
  for (int i = 0; i < PEOPLE; i++) {
    snprintf(name, sizeof name, "p%d", i);
    CU_ASSERT_EQUAL(contacts_by_name(c, name) != NULL, i % 3 != 0);
  }
  contacts_free(c);
}

/* ---- rereading ---- */

static void make_old(const char *home, time_t ago) {
  char path[256];
  struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}};

  clock_gettime(CLOCK_REALTIME, &t[1]);
  t[1].tv_sec -= ago;
  snprintf(path, sizeof path, "%s/contacts", home);
  CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void a_change_is_seen(void) {
  struct contacts *c = contacts_new();
  struct contacts_stamp stamp = {0};
  char home[128], path[256];
  uint64_t mtime;

  new_home(home);
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1); /* no file: an empty table */
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 0);
  file_put(home, "alice $01\n");
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1);
  CU_ASSERT_PTR_NOT_NULL(contacts_by_name(c, "alice"));
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 0); /* read again, for it is fresh; and found the same */
  make_old(home, 60);
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 0);
  mtime = stamp.mtime_ns;
  CU_ASSERT_NOT_EQUAL(mtime, 0); /* now its time can be relied on */
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 0);
  file_put(home, "alice $01\nbob $02\n");
  make_old(home, 60);
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1);
  CU_ASSERT_EQUAL(contacts_count(c), 2);
  file_put(home, "alice $01\nbob broken\n");
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), -1); /* and again, until it is mended */
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), -1);
  snprintf(path, sizeof path, "%s/contacts line 2: ", home);
  CU_ASSERT_TRUE(said(path));
  CU_ASSERT_EQUAL(contacts_count(c), 2); /* the old table holds */
  snprintf(path, sizeof path, "%s/contacts", home);
  unlink(path);
  CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1);
  CU_ASSERT_EQUAL(contacts_count(c), 0);
  contacts_free(c);
}

/* The same length, the same inode, within one tick of the clock: no stamp tells, so a fresh file is read again. */
static void quick_changes_of_equal_length_are_seen(void) {
  struct contacts *c = contacts_new();
  struct contacts_stamp stamp = {0};
  char home[128];

  new_home(home);
  for (int i = 0; i < 200; i++) {
    file_put(home, i % 2 ? "alice $01\n" : "alice $02\n");
    CU_ASSERT_EQUAL(contacts_reload(c, home, &stamp), 1);
    CU_ASSERT_PTR_NOT_NULL(contacts_by_key(c, keys[i % 2 ? 1 : 2]));
  }
  contacts_free(c);
}

int main(void) {
  static const struct check_test tests[] = {
    {"petnames", names},
    {"the table finds by name and by key", the_table_finds_by_name_and_key},
    {"the file's syntax", syntax},
    {"a bad file names the line and changes nothing", bad_files_name_the_line_and_change_nothing},
    {"edits keep comments and order", edits_keep_the_rest},
    {"edits that fail change nothing", edits_that_fail_change_nothing},
    {"editors at once lose nothing", editors_at_once_lose_nothing},
    {"a change is seen", a_change_is_seen},
    {"quick changes of equal length are seen", quick_changes_of_equal_length_are_seen},
  };
  char command[128];
  int r;

  if (identity_init() != 0) return 99;
  for (int i = 0; i < PEOPLE; i++) {
    uint8_t seed[ID_SEED_LEN] = {(uint8_t)(i + 1)};
    struct identity *id = identity_new(seed);

    if (id == NULL) return 99;
    memcpy(keys[i], identity_key(id), ID_KEY_LEN);
    id_format(ids[i], keys[i]);
    identity_free(id);
  }
  umask(022);
  snprintf(top, sizeof top, "/tmp/test_contacts.XXXXXX");
  if (mkdtemp(top) == NULL) return 99;
  r = check_main("contacts", tests, sizeof tests / sizeof tests[0]);
  snprintf(command, sizeof command, "rm -rf %s", top);
  return system(command) != 0 || r;
}
