/* test_home.c - paths, modes, owners, atomic writes, locks and the identity file. */
#include "check.h"
#include "err.h"
#include "home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77 /* exit status of a child that could not be what it tests */

static char top[64];              /* a temporary directory of this run */
static char home[128];            /* a home in it, made afresh for each test that wants one */
static char path[1024];
static unsigned homes;

static const char *in_home(const char *name) {
  snprintf(path, sizeof path, "%s/%s", home, name);
  return path;
}

static void new_home(void) {
  snprintf(home, sizeof home, "%s/h%u", top, homes++);
  CU_ASSERT_EQUAL_FATAL(home_create(home), 0);
}

static bool said(const char *words) {
  bool yes = strstr(cs_last_error_text(), words) != NULL;

  if (!yes) printf("\n    wanted \"%s\", got \"%s\"\n", words, cs_last_error_text());
  return yes;
}

static unsigned mode_of(const char *p) {
  struct stat st;

  return lstat(p, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

static void put(const char *name, const char *text, unsigned mode) {
  int fd;

  in_home(name);
  unlink(path);
  fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  fchmod(fd, mode);
  close(fd);
}

/* Files in the home beside the lock. */
static unsigned count_files(void) {
  DIR *d = opendir(home);
  unsigned n = 0;

  for (struct dirent *e; (e = readdir(d)) != NULL;)
    n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, ".lock") != 0;
  closedir(d);
  return n;
}

/* ---- where ---- */

static void paths(void) {
  static const struct {
    const char *set, *cspace, *xdg, *user, *want;
  } table[] = {
    {"/set", "/env", "/xdg", "/user", "/set"},
    {"/set///", NULL, NULL, NULL, "/set"},
    {"/", NULL, NULL, NULL, "/"},
    {NULL, "/env", "/xdg", "/user", "/env"},
    {"", "/env/", "/xdg", "/user", "/env"},
    {NULL, NULL, "/xdg", "/user", "/xdg/cspace"},
    {NULL, "", "/xdg", "/user", "/xdg/cspace"},
    {NULL, NULL, NULL, "/user", "/user/.config/cspace"},
    {NULL, NULL, "", "/user", "/user/.config/cspace"},
    {NULL, NULL, "relative", "/user", "/user/.config/cspace"},
  };
  char out[HOME_PATH_MAX], here[HOME_PATH_MAX], want[HOME_PATH_MAX + 16], longest[HOME_PATH_MAX + 1];
  char *user = strdup(getenv("HOME") != NULL ? getenv("HOME") : "/");

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    unsetenv("CSPACE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    if (table[i].cspace != NULL) setenv("CSPACE_HOME", table[i].cspace, 1);
    if (table[i].xdg != NULL) setenv("XDG_CONFIG_HOME", table[i].xdg, 1);
    if (table[i].user != NULL) setenv("HOME", table[i].user, 1);
    CU_ASSERT_EQUAL(home_path(out, table[i].set), 0);
    CU_ASSERT_STRING_EQUAL(out, table[i].want);
  }
  unsetenv("XDG_CONFIG_HOME");
  unsetenv("HOME"); /* then the user database tells */
  CU_ASSERT_EQUAL(home_path(out, NULL), 0);
  CU_ASSERT_TRUE(out[0] == '/' && strlen(out) > strlen("/.config/cspace"));
  setenv("HOME", "nowhere", 1);
  CU_ASSERT_EQUAL(home_path(out, NULL), -1);
  CU_ASSERT_TRUE(said("set CSPACE_HOME"));
  CU_ASSERT_PTR_NOT_NULL(getcwd(here, sizeof here));
  snprintf(want, sizeof want, "%s/some/where", strcmp(here, "/") == 0 ? "" : here);
  CU_ASSERT_EQUAL(home_path(out, "some/where"), 0); /* absolute, for a program that changes directory */
  CU_ASSERT_STRING_EQUAL(out, want);
  memset(longest, 'x', sizeof longest);
  longest[0] = '/';
  longest[HOME_PATH_MAX] = '\0';
  CU_ASSERT_EQUAL(home_path(out, longest), -1);
  CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
  longest[HOME_PATH_MAX - 1] = '\0';
  CU_ASSERT_EQUAL(home_path(out, longest), 0);
  setenv("HOME", user, 1);
  free(user);
}

static void the_home_is_made_and_checked(void) {
  char deep[256];

  umask(0);
  snprintf(deep, sizeof deep, "%s/a/b/home", top);
  CU_ASSERT_EQUAL(home_create(deep), 0);
  umask(022);
  CU_ASSERT_EQUAL(mode_of(deep), 0700);
  CU_ASSERT_EQUAL(home_create(deep), 0); /* there already */
  chmod(deep, 0755);
  CU_ASSERT_EQUAL(home_create(deep), 0); /* may be seen by others */
  chmod(deep, 0770);
  CU_ASSERT_EQUAL(home_create(deep), -1);
  CU_ASSERT_EQUAL(errno, EACCES);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_HOME);
  snprintf(path, sizeof path, "the home %s can be written by others; run: chmod 700 %s", deep, deep);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), path);
  chmod(deep, 0700);
  if (geteuid() == 0) {
    CU_ASSERT_EQUAL(chown(deep, 65534, 65534), 0);
    CU_ASSERT_EQUAL(home_create(deep), -1);
    CU_ASSERT_TRUE(said("belongs to") && said("65534"));
  }
  snprintf(deep, sizeof deep, "%s/file", top);
  close(open(deep, O_WRONLY | O_CREAT, 0600));
  CU_ASSERT_EQUAL(home_create(deep), -1);
  CU_ASSERT_EQUAL(errno, ENOTDIR);
  CU_ASSERT_TRUE(said(deep));
  snprintf(deep, sizeof deep, "%s/file/below", top);
  CU_ASSERT_EQUAL(home_create(deep), -1);
  CU_ASSERT_EQUAL(errno, ENOTDIR);
  CU_ASSERT_EQUAL(home_create("relative"), -1);
}

static void runtime_directories(void) {
  char run[128], out[HOME_PATH_MAX], want[256], tmp[64];

  snprintf(run, sizeof run, "%s/run", top);
  snprintf(want, sizeof want, "%s/cspace", run);
  snprintf(tmp, sizeof tmp, "/tmp/cspace-%u", (unsigned)geteuid());
  CU_ASSERT_EQUAL(mkdir(run, 0700), 0);
  setenv("XDG_RUNTIME_DIR", run, 1);
  if (home_runtime_dir(out, 0, false) == 0) CU_ASSERT_STRING_NOT_EQUAL(out, want); /* not made yet */
  CU_ASSERT_EQUAL(home_runtime_dir(out, 0, true), 0);
  CU_ASSERT_STRING_EQUAL(out, want);
  CU_ASSERT_EQUAL(mode_of(want), 0700);
  CU_ASSERT_EQUAL(home_runtime_dir(out, 0, false), 0);
  CU_ASSERT_STRING_EQUAL(out, want);
  for (unsigned i = 1; i < 3 && home_runtime_dir(out, i, false) == 0; i++) CU_ASSERT_STRING_NOT_EQUAL(out, want);
  CU_ASSERT_EQUAL(home_runtime_dir(out, 3, false), -1);
  chmod(want, 0755); /* a key in it would still be safe, but no one made it so by us */
  CU_ASSERT_EQUAL(home_runtime_dir(out, 0, true), -1);
  CU_ASSERT_EQUAL(errno, EACCES);
  CU_ASSERT_TRUE(said(want) && said("XDG_RUNTIME_DIR"));
  if (home_runtime_dir(out, 0, false) == 0) CU_ASSERT_STRING_NOT_EQUAL(out, want);
  CU_ASSERT_EQUAL(rmdir(want), 0);
  CU_ASSERT_EQUAL(symlink("/", want), 0); /* a link somebody laid there */
  CU_ASSERT_EQUAL(home_runtime_dir(out, 0, true), -1);
  unlink(want);
  chmod(run, 0777); /* a base that others can write is none */
  if (home_runtime_dir(out, 0, false) == 0) CU_ASSERT_STRING_NOT_EQUAL(out, want);
  unsetenv("XDG_RUNTIME_DIR");
}

/* ---- files ---- */

static void files_come_back_whole(void) {
  char *text = NULL, big[70000];
  size_t len = 0;

  new_home();
  errno = 0;
  CU_ASSERT_EQUAL(home_read(home, "f", 100, &text, &len), -1);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_EQUAL(home_write(home, "f", "", 0, 0600), 0);
  CU_ASSERT_EQUAL_FATAL(home_read(home, "f", 0, &text, &len), 0);
  CU_ASSERT_EQUAL(len, 0);
  CU_ASSERT_EQUAL(text[0], '\0');
  free(text);
  for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
  CU_ASSERT_EQUAL(home_write(home, "f", big, sizeof big, 0600), 0);
  CU_ASSERT_EQUAL_FATAL(home_read(home, "f", sizeof big, &text, &len), 0);
  CU_ASSERT_EQUAL(len, sizeof big);
  CU_ASSERT_EQUAL(memcmp(text, big, sizeof big), 0);
  CU_ASSERT_EQUAL(text[len], '\0');
  free(text);
  CU_ASSERT_EQUAL(home_read(home, "f", sizeof big - 1, &text, &len), -1);
  CU_ASSERT_EQUAL(errno, EFBIG);
  CU_ASSERT_TRUE(said(in_home("f")));
  CU_ASSERT_EQUAL(count_files(), 1);
}

static void modes_are_exact_under_any_umask(void) {
  new_home();
  umask(0);
  CU_ASSERT_EQUAL(home_write(home, "a", "x", 1, 0600), 0);
  CU_ASSERT_EQUAL(home_write(home, "b", "x", 1, 0644), 0);
  umask(0777);
  CU_ASSERT_EQUAL(home_write(home, "c", "x", 1, 0600), 0);
  umask(022);
  CU_ASSERT_EQUAL(mode_of(in_home("a")), 0600);
  CU_ASSERT_EQUAL(mode_of(in_home("b")), 0644);
  CU_ASSERT_EQUAL(mode_of(in_home("c")), 0600);
}

static void what_others_can_write_is_not_read(void) {
  char *text = NULL;
  size_t len;

  new_home();
  put("contacts", "x", 0664);
  CU_ASSERT_EQUAL(home_read(home, "contacts", 10, &text, &len), -1);
  CU_ASSERT_EQUAL(errno, EACCES);
  CU_ASSERT_TRUE(said("can be written by others; run: chmod go-w ") && said(in_home("contacts")));
  put("contacts", "x", 0644);
  CU_ASSERT_EQUAL(home_read(home, "contacts", 10, &text, &len), 0);
  free(text);
  text = NULL;
  if (geteuid() == 0) {
    CU_ASSERT_EQUAL(chown(in_home("contacts"), 65534, 65534), 0);
    CU_ASSERT_EQUAL(home_read(home, "contacts", 10, &text, &len), -1);
    CU_ASSERT_TRUE(said("belongs to"));
  }
  CU_ASSERT_EQUAL(mkfifo(in_home("fifo"), 0600), 0); /* opening it must not wait for a writer */
  CU_ASSERT_EQUAL(home_read(home, "fifo", 10, &text, &len), -1);
  CU_ASSERT_TRUE(said("is not a file"));
  CU_ASSERT_EQUAL(home_read(top, strrchr(home, '/') + 1, 10, &text, &len), -1);
  CU_ASSERT_TRUE(said("is not a file"));
  CU_ASSERT_PTR_NULL(text);
}

static void a_link_stays_a_link(void) {
  char target[128], *text = NULL;
  struct stat st;
  size_t len;

  new_home();
  snprintf(target, sizeof target, "%s/dotfiles-contacts", top);
  CU_ASSERT_EQUAL(symlink(target, in_home("contacts")), 0);
  CU_ASSERT_EQUAL(home_write(home, "contacts", "x", 1, 0600), -1); /* leads nowhere */
  CU_ASSERT_TRUE(said("leads nowhere"));
  close(open(target, O_WRONLY | O_CREAT, 0600));
  CU_ASSERT_EQUAL(home_write(home, "contacts", "new", 3, 0600), 0);
  CU_ASSERT_TRUE(lstat(in_home("contacts"), &st) == 0 && S_ISLNK(st.st_mode));
  CU_ASSERT_TRUE(lstat(target, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 3);
  CU_ASSERT_EQUAL_FATAL(home_read(home, "contacts", 10, &text, &len), 0);
  CU_ASSERT_STRING_EQUAL(text, "new");
  free(text);
  unlink(target);
}

/* The old file is whole, nothing is left behind, and the error names the file and the reason. */
static void check_failed_write(const char *reason) {
  char big[65536] = {1}, *text = NULL;
  size_t len = 0;

  CU_ASSERT_EQUAL(home_write(home, "contacts", big, sizeof big, 0600), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_HOME);
  CU_ASSERT_TRUE(said(in_home("contacts")) && said(reason));
  CU_ASSERT_EQUAL(count_files(), 1);
  CU_ASSERT_EQUAL_FATAL(home_read(home, "contacts", 100, &text, &len), 0);
  CU_ASSERT_STRING_EQUAL(text, "old");
  free(text);
}

/* Runs test in a child; its failed assertions are counted there. */
static int in_child(int (*test)(void)) {
  pid_t pid = fork();
  int status = 0;

  if (pid == 0) {
    int r = test();

    _exit(r != 0 ? r : CU_get_number_of_failures() != 0);
  }
  return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int on_a_full_disk(void) {
  char filler[16384] = {1};
  int fd;

  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return SKIPPED;
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return SKIPPED;
  if (mount("tmpfs", home, "tmpfs", 0, "size=64k,mode=700") != 0) return SKIPPED;
  if (home_write(home, "contacts", "old", 3, 0600) != 0) return 1;
  check_failed_write("No space left on device");
  fd = open(in_home("filler"), O_WRONLY | O_CREAT, 0600);
  while (write(fd, filler, sizeof filler) > 0) continue;
  close(fd);
  CU_ASSERT_EQUAL(home_identity_create(home), -1);
  CU_ASSERT_EQUAL(errno, ENOSPC);
  CU_ASSERT_TRUE(said(in_home("identity")));
  CU_ASSERT_NOT_EQUAL(access(in_home("identity"), F_OK), 0);
  CU_ASSERT_EQUAL(count_files(), 2);
  return 0;
}

static int with_a_file_size_limit(void) {
  const struct rlimit small = {.rlim_cur = 1000, .rlim_max = 1000};

  if (home_write(home, "contacts", "old", 3, 0600) != 0) return 1;
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &small) != 0) return 1;
  check_failed_write("File too large");
  return 0;
}

static void a_full_disk_loses_nothing(void) {
  int r;

  new_home();
  r = in_child(on_a_full_disk);
  CU_ASSERT_TRUE(r == 0 || r == SKIPPED);
  if (r == SKIPPED) printf("(no mounts here: only the file size limit) ");
  new_home();
  CU_ASSERT_EQUAL(in_child(with_a_file_size_limit), 0);
}

/* ---- the lock ---- */

static void *wait_for_lock(void *arg) {
  int *fd = arg;

  *fd = home_lock(home);
  return NULL;
}

static void the_lock_excludes(void) {
  pthread_t t;
  char pid[64];
  int a, b = -1;

  new_home();
  a = home_lock(home);
  CU_ASSERT_TRUE_FATAL(a >= 0);
  CU_ASSERT_TRUE(fcntl(a, F_GETFD) & FD_CLOEXEC);
  CU_ASSERT_EQUAL(mode_of(in_home(".lock")), 0600);
  CU_ASSERT_EQUAL(home_lock(home), -1); /* after the bounded wait */
  CU_ASSERT_EQUAL(errno, EBUSY);
  snprintf(pid, sizeof pid, "process %ld", (long)getpid());
  CU_ASSERT_TRUE(said(pid));
  CU_ASSERT_EQUAL(ftruncate(a, 0), 0); /* a holder that could not sign */
  CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, wait_for_lock, &b), 0);
  close(a);
  pthread_join(t, NULL);
  CU_ASSERT_TRUE(b >= 0);
  close(b);
  snprintf(home, sizeof home, "%s/none", top);
  CU_ASSERT_EQUAL(home_lock(home), -1);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_TRUE(said("cspace init"));
}

/* ---- the identity ---- */

static void an_identity_is_made_once(void) {
  struct identity *id, *again;
  char text[ID_TEXT_LEN + 1], own[ID_TEXT_LEN + 1];

  new_home();
  CU_ASSERT_PTR_NULL(home_identity_load(home));
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NO_IDENTITY);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_TRUE(said("cspace init") && said(home));
  CU_ASSERT_EQUAL(home_identity_id(home, text), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_NO_IDENTITY);
  umask(0);
  CU_ASSERT_EQUAL(home_identity_create(home), 0);
  umask(022);
  CU_ASSERT_EQUAL(mode_of(in_home("identity")), 0600);
  id = home_identity_load(home);
  CU_ASSERT_PTR_NOT_NULL_FATAL(id);
  id_format(own, identity_key(id));
  CU_ASSERT_EQUAL(home_identity_id(home, text), 0);
  CU_ASSERT_STRING_EQUAL(text, own);
  CU_ASSERT_EQUAL(home_identity_create(home), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  CU_ASSERT_EQUAL(errno, EEXIST);
  again = home_identity_load(home);
  CU_ASSERT_PTR_NOT_NULL_FATAL(again);
  CU_ASSERT_EQUAL(memcmp(identity_key(id), identity_key(again), ID_KEY_LEN), 0);
  CU_ASSERT_EQUAL(count_files(), 1);
  identity_free(id);
  identity_free(again);
}

static void *create(void *arg) {
  int *r = arg;

  *r = home_identity_create(home);
  return NULL;
}

static void of_many_makers_one_wins(void) {
  pthread_t t[8];
  int r[8], won = 0;
  struct identity *id;

  new_home();
  for (int i = 0; i < 8; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, create, &r[i]), 0);
  for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
  for (int i = 0; i < 8; i++) won += r[i] == 0;
  CU_ASSERT_EQUAL(won, 1);
  CU_ASSERT_EQUAL(count_files(), 1);
  id = home_identity_load(home);
  CU_ASSERT_PTR_NOT_NULL(id);
  identity_free(id);
}

static void refuse_identity(enum cs_err code, int errnum, const char *words) {
  CU_ASSERT_PTR_NULL(home_identity_load(home));
  CU_ASSERT_EQUAL(errno, errnum);
  CU_ASSERT_EQUAL(cs_last_error(), code);
  CU_ASSERT_TRUE(said(words) && said(in_home("identity")));
}

static void an_open_identity_is_refused(void) {
  static const unsigned modes[] = {0604, 0640, 0644, 0666, 0602, 0620, 0601, 0777};
  char text[ID_TEXT_LEN + 1], want[4096], aside[400];

  new_home();
  CU_ASSERT_EQUAL(home_identity_create(home), 0);
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    chmod(in_home("identity"), modes[i]);
    snprintf(want, sizeof want, "by others; run: chmod 600 %s", in_home("identity"));
    refuse_identity(CS_ERR_IDENTITY, EACCES, want);
    CU_ASSERT_EQUAL(home_identity_id(home, text), -1);
  }
  chmod(in_home("identity"), 0644);
  CU_ASSERT_PTR_NULL(home_identity_load(home));
  snprintf(want, sizeof want, "identity %s can be read by others; run: chmod 600 %s", in_home("identity"), path);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), want);
  chmod(in_home("identity"), 0400);
  identity_free(home_identity_load(home));
  CU_ASSERT_EQUAL(home_identity_id(home, text), 0); /* stricter is fine */
  if (geteuid() == 0) {
    CU_ASSERT_EQUAL(chown(in_home("identity"), 65534, 65534), 0);
    refuse_identity(CS_ERR_IDENTITY, EACCES, "belongs to");
    CU_ASSERT_EQUAL(chown(in_home("identity"), 0, 0), 0);
  }
  snprintf(aside, sizeof aside, "%s/aside", home);
  CU_ASSERT_EQUAL(rename(in_home("identity"), aside), 0);
  CU_ASSERT_EQUAL(symlink(aside, in_home("identity")), 0);
  refuse_identity(CS_ERR_IDENTITY, EACCES, "symbolic link");
  CU_ASSERT_EQUAL(home_identity_create(home), -1); /* nor is the link replaced */
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  unlink(in_home("identity"));
  CU_ASSERT_EQUAL(mkdir(in_home("identity"), 0700), 0);
  refuse_identity(CS_ERR_IDENTITY, EBADMSG, "is not a file");
}

/* The seed of RFC 8032 7.1, TEST 1, in a file written by hand. */
#define SEED "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

static char seed_id[ID_TEXT_LEN + 1];

static void put_identity(const char *format) {
  char text[1024];
  size_t n = 0;

  for (const char *p = format; *p != '\0'; p++) { /* I: the id, S: the seed */
    const char *add = *p == 'I' ? seed_id : *p == 'S' ? SEED : NULL;

    if (add != NULL)
      n += (size_t)sprintf(text + n, "%s", add);
    else
      text[n++] = *p;
  }
  text[n] = '\0';
  put("identity", text, 0600);
}

static void the_format_is_fixed(void) {
  static const uint8_t key[] = {
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
  struct identity *id;

  new_home();
  id_format(seed_id, key);
  put_identity("cspace identity 1\nid I\nsecret plain S\n");
  id = home_identity_load(home);
  CU_ASSERT_PTR_NOT_NULL_FATAL(id);
  CU_ASSERT_EQUAL(memcmp(identity_key(id), key, sizeof key), 0);
  identity_free(id);
}

static void a_damaged_identity_is_named(void) {
  static const struct {
    const char *file, *words;
  } bad[] = {
    {"", "its first line"},
    {"cspace identity 1", "its first line"},
    {"cspace identity 1\r\nid I\nsecret plain S\n", "version"},
    {"cspace identity 2\nid I\nsecret plain S\n", "has version 2 and this program knows 1; use a newer cspace"},
    {"cspace identity 1\n", "its second line"},
    {"cspace identity 1\nI\nsecret plain S\n", "its second line"},
    {"cspace identity 1\nid I \nsecret plain S\n", "its id is not 56 letters long"},
    {"cspace identity 1\nid aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nsecret plain S\n",
     "typing error"},
    {"cspace identity 1\nid I\n", "its third line"},
    {"cspace identity 1\nid I\nseed S\n", "its third line"},
    {"cspace identity 1\nid I\nsecret argon2id 3 S\n", "its salt is not"},
    {"cspace identity 1\nid I\nsecret vault S\n", "keeps its secret as \"vault\""},
    {"cspace identity 1\nid I\nsecret plain S", "its third line"},
    {"cspace identity 1\nid I\nsecret plain S0\n", "64 hex digits"},
    {"cspace identity 1\nid I\nsecret plain 9d\n", "64 hex digits"},
    {"cspace identity 1\nid I\nsecret plain " "zd61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60" "\n",
     "64 hex digits"},
    {"cspace identity 1\nid I\nsecret plain S\n\n", "something follows"},
    {"cspace identity 1\nid I\nsecret plain " "8d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60" "\n",
     "does not belong to its id"},
  };
  char *big = malloc(5001), text[ID_TEXT_LEN + 1];
  int fd;

  new_home();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    put_identity(bad[i].file);
    refuse_identity(CS_ERR_IDENTITY, EBADMSG, bad[i].words);
  }
  put_identity("cspace identity 1\nid I\nsecret argon2id 3 S\n"); /* who we are can be read without the secret */
  CU_ASSERT_EQUAL(home_identity_id(home, text), 0);
  CU_ASSERT_STRING_EQUAL(text, seed_id);
  memset(big, 'x', 5000);
  big[5000] = '\0';
  put("identity", big, 0600);
  refuse_identity(CS_ERR_IDENTITY, EBADMSG, "too long");
  free(big);
  put_identity("cspace identity 1\nid I\nsecret plain S\n");
  fd = open(in_home("identity"), O_WRONLY | O_APPEND);
  CU_ASSERT_EQUAL(write(fd, "\0", 1), 1);
  close(fd);
  refuse_identity(CS_ERR_IDENTITY, EBADMSG, "NUL");
}

/* One letter changed anywhere never gives another identity. */
static void every_flip_is_noticed(void) {
  static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x20, 0x80};
  char whole[512], *text = NULL;
  struct identity *id;
  uint8_t key[ID_KEY_LEN];
  size_t len;

  new_home();
  put_identity("cspace identity 1\nid I\nsecret plain S\n");
  CU_ASSERT_EQUAL_FATAL(home_read(home, "identity", sizeof whole, &text, &len), 0);
  CU_ASSERT_EQUAL(id_parse(key, seed_id), ID_OK);
  for (size_t i = 0; i < len; i++)
    for (size_t f = 0; f < sizeof flips; f++) {
      memcpy(whole, text, len + 1);
      whole[i] = (char)(whole[i] ^ flips[f]);
      if (whole[i] == '\0') continue;
      put("identity", whole, 0600);
      id = home_identity_load(home);
      if (id != NULL) CU_ASSERT_EQUAL(memcmp(identity_key(id), key, ID_KEY_LEN), 0); /* upper case is taken */
      identity_free(id);
    }
  for (size_t n = 0; n < len; n++) {
    memcpy(whole, text, n);
    whole[n] = '\0';
    put("identity", whole, 0600);
    CU_ASSERT_PTR_NULL(home_identity_load(home));
  }
  free(text);
}

int main(void) {
  static const struct check_test tests[] = {
    {"where the home is", paths},
    {"the home is made and checked", the_home_is_made_and_checked},
    {"runtime directories", runtime_directories},
    {"files come back whole", files_come_back_whole},
    {"modes are exact under any umask", modes_are_exact_under_any_umask},
    {"what others can write is not read", what_others_can_write_is_not_read},
    {"a link stays a link", a_link_stays_a_link},
    {"a full disk loses nothing", a_full_disk_loses_nothing},
    {"the lock excludes, and says whom to look for", the_lock_excludes},
    {"an identity is made once", an_identity_is_made_once},
    {"of many makers one wins", of_many_makers_one_wins},
    {"an identity open to others is refused", an_open_identity_is_refused},
    {"the file's format", the_format_is_fixed},
    {"a damaged identity is named", a_damaged_identity_is_named},
    {"every flip and cut of the identity is noticed", every_flip_is_noticed},
  };
  char command[128];
  int r;

  umask(022);
  snprintf(top, sizeof top, "/tmp/test_home.XXXXXX");
  if (mkdtemp(top) == NULL) return 99;
  r = check_main("home", tests, sizeof tests / sizeof tests[0]);
  snprintf(command, sizeof command, "rm -rf %s", top);
  return system(command) != 0 || r;
}
