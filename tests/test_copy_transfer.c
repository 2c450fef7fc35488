/*
 * test_copy_transfer.c - both sides of the copy service over a socket pair:
 * against each other, and each against a hand-driven opposite that lies,
 * stops, or speaks something else. What counts is what stands in the
 * receiving directory afterwards: whole files, or nothing.
 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cs-copy-link.h"
#include "cs-copy-transfer.h"

static char base[] = "/tmp/cs-copy-test-XXXXXX";
static char in_dir[64], out_dir[64];

/* ---- a world of two directories ---- */

static char *path_in(const char *name) { /* of a file to send; the caller frees */
  char *p = NULL;

  if (asprintf(&p, "%s/%s", out_dir, name) < 0) abort();
  return p;
}

static void remove_all(const char *dir) {
  char cmd[200];

  snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
  if (system(cmd) != 0) abort();
}

static void fresh(void) {
  remove_all(in_dir);
  remove_all(out_dir);
  if (mkdir(in_dir, 0700) != 0 || mkdir(out_dir, 0700) != 0) abort();
}

static uint8_t byte_at(size_t i) { return (uint8_t)(i * 2654435761u >> 13); }

static void make_file(const char *name, size_t size, mode_t mode) {
  char *path = path_in(name);
  FILE *f = fopen(path, "w");
  struct timespec times[2] = {{.tv_sec = 1000000000, .tv_nsec = 5}, {.tv_sec = 1234567890, .tv_nsec = 123456789}};

  if (f == NULL) abort();
  for (size_t i = 0; i < size; i++) putc(byte_at(i), f);
  if (fclose(f) != 0 || chmod(path, mode) != 0 || utimensat(AT_FDCWD, path, times, 0) != 0) abort();
  free(path);
}

/* Size of a received file whose bytes are right; -1 when it is missing, -2 when they are wrong. */
static long received(const char *name) {
  char path[400];
  FILE *f;
  long n = 0;
  int c;

  snprintf(path, sizeof path, "%s/%s", in_dir, name);
  f = fopen(path, "r");
  if (f == NULL) return -1;
  for (; (c = getc(f)) != EOF; n++)
    if (c != byte_at((size_t)n)) break;
  fclose(f);
  return c == EOF ? n : -2;
}

static int count_entries(const char *dir) {
  DIR *d = opendir(dir);
  int n = -2; /* . and .. */

  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

/* ---- the receiver in a thread ---- */

struct serving {
  pthread_t thread;
  int fd, rc;
  bool overwrite;
  char why[COPY_WHY_MAX];
  unsigned results;
  uint8_t last_status;
  char last_path[300], last_text[300];
};

static void on_received(void *ctx, const struct copy_received *r) {
  struct serving *s = ctx;

  s->results++;
  s->last_status = r->status;
  snprintf(s->last_path, sizeof s->last_path, "%s", r->path);
  snprintf(s->last_text, sizeof s->last_text, "%s", r->text);
}

static void *serve(void *arg) {
  struct serving *s = arg;
  struct copy_store store = {.dir = open(in_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .overwrite = s->overwrite};
  struct copy_receive_watch watch = {on_received, s};

  s->rc = copy_receive(s->fd, &store, &watch, s->why);
  close(store.dir);
  close(s->fd);
  return NULL;
}

/* Returns the sender's end. */
static int start(struct serving *s, bool overwrite) {
  int sv[2], small = 4096;

  memset(s, 0, sizeof *s);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) abort();
  setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  s->fd = sv[1];
  s->overwrite = overwrite;
  if (pthread_create(&s->thread, NULL, serve, s) != 0) abort();
  return sv[0];
}

static void finish(struct serving *s, int fd) {
  close(fd);
  pthread_join(s->thread, NULL);
}

static struct copy_item *items_of(size_t n, char *const names[]) {
  struct copy_item *items = calloc(n, sizeof *items);

  for (size_t i = 0; i < n; i++) {
    items[i].path = path_in(names[i]);
    items[i].name = names[i];
  }
  return items;
}

static void free_items(struct copy_item *items, size_t n) {
  copy_items_clear(items, n);
  for (size_t i = 0; i < n; i++) free((char *)items[i].path);
  free(items);
}

/* Sends one file of ours to a real receiver; the item for a look. */
static int send_as(const char *name, const char *target, bool overwrite, struct serving *s, struct copy_item *result,
                   const struct copy_send_watch *watch) {
  char why[COPY_WHY_MAX], *names[] = {(char *)name};
  struct copy_item *item = items_of(1, names);
  int fd = start(s, overwrite), rc = copy_send(fd, item, 1, target, watch, why);
  static char text[COPY_TEXT_MAX + 1];

  finish(s, fd);
  *result = *item;
  snprintf(text, sizeof text, "%s", item->text != NULL ? item->text : "");
  result->text = text;
  free_items(item, 1);
  return rc;
}

/* ---- both real ---- */

static void test_sizes(void) {
  static const size_t sizes[] = {0, 1, 255, 262143, 262144, 262145, 3000001};
  enum { N = sizeof sizes / sizeof sizes[0] };
  char names[N][16], *list[N], why[COPY_WHY_MAX], path[100];
  struct copy_item *items;
  struct serving s;
  struct stat st;
  int fd;

  fresh();
  for (size_t i = 0; i < N; i++) {
    snprintf(names[i], sizeof names[i], "f%zu.bin", i);
    list[i] = names[i];
    make_file(names[i], sizes[i], i == 1 ? 0755 : 0644);
  }
  items = items_of(N, list);
  fd = start(&s, false);
  CU_ASSERT_EQUAL(copy_send(fd, items, N, "", NULL, why), 0);
  finish(&s, fd);
  CU_ASSERT_EQUAL(s.rc, 0);
  CU_ASSERT_EQUAL(s.results, N);
  CU_ASSERT_EQUAL(count_entries(in_dir), N);
  for (size_t i = 0; i < N; i++) {
    CU_ASSERT_EQUAL(received(names[i]), (long)sizes[i]);
    CU_ASSERT_STRING_EQUAL(items[i].text, names[i]);
    snprintf(path, sizeof path, "%s/%s", in_dir, names[i]);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, i == 1 ? 0700 : 0600);
    CU_ASSERT(st.st_mtim.tv_sec == 1234567890 && st.st_mtim.tv_nsec == 123456789);
  }
  free_items(items, N);
}

static void test_many_small(void) {
  enum { N = 400 };
  static char names[N][16], *list[N];
  char why[COPY_WHY_MAX];
  struct copy_item *items;
  struct serving s;
  int fd, good = 0;

  fresh();
  for (size_t i = 0; i < N; i++) {
    snprintf(names[i], sizeof names[i], "s%zu", i);
    list[i] = names[i];
    make_file(names[i], i, 0600);
  }
  items = items_of(N, list);
  fd = start(&s, false);
  CU_ASSERT_EQUAL(copy_send(fd, items, N, "deep/er/", NULL, why), 0);
  finish(&s, fd);
  for (size_t i = 0; i < N; i++) {
    char where[40];

    snprintf(where, sizeof where, "deep/er/%s", names[i]);
    good += received(where) == (long)i && strcmp(items[i].text, where) == 0;
  }
  CU_ASSERT_EQUAL(good, N);
  free_items(items, N);
}

static void test_existing(void) {
  struct serving s;
  struct copy_item r;
  char path[100];
  struct stat st;

  fresh();
  make_file("a.txt", 10, 0600);
  CU_ASSERT_EQUAL(send_as("a.txt", "", false, &s, &r, NULL), 0);
  make_file("a.txt", 20, 0600);
  CU_ASSERT_EQUAL(send_as("a.txt", "", false, &s, &r, NULL), 0);
  CU_ASSERT_STRING_EQUAL(r.text, "a (1).txt");
  CU_ASSERT_STRING_EQUAL(s.last_path, "a (1).txt");
  make_file("a.txt", 30, 0600);
  CU_ASSERT_EQUAL(send_as("a.txt", "", false, &s, &r, NULL), 0);
  CU_ASSERT_EQUAL(received("a.txt"), 10);
  CU_ASSERT_EQUAL(received("a (1).txt"), 20);
  CU_ASSERT_EQUAL(received("a (2).txt"), 30);
  make_file("a.txt", 40, 0600);
  CU_ASSERT_EQUAL(send_as("a.txt", "", true, &s, &r, NULL), 0);
  CU_ASSERT_EQUAL(received("a.txt"), 40);
  CU_ASSERT_EQUAL(count_entries(in_dir), 3);
  /* A symbolic link of that name is replaced, not followed. */
  snprintf(path, sizeof path, "%s/link", in_dir);
  CU_ASSERT_EQUAL(symlink("/tmp/cs-copy-test-nowhere", path), 0);
  CU_ASSERT_EQUAL(send_as("a.txt", "link", true, &s, &r, NULL), 0);
  CU_ASSERT(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
  CU_ASSERT_EQUAL(access("/tmp/cs-copy-test-nowhere", F_OK), -1);
}

static void test_targets(void) {
  struct serving s;
  struct copy_item r;
  char path[100];

  fresh();
  make_file("a.txt", 10, 0600);
  CU_ASSERT_EQUAL(send_as("a.txt", "b.txt", false, &s, &r, NULL), 0);
  CU_ASSERT_STRING_EQUAL(r.text, "b.txt");
  CU_ASSERT_EQUAL(send_as("a.txt", "d/", false, &s, &r, NULL), 0);
  CU_ASSERT_STRING_EQUAL(r.text, "d/a.txt");
  CU_ASSERT_EQUAL(send_as("a.txt", "d", false, &s, &r, NULL), 0); /* d is a directory now */
  CU_ASSERT_STRING_EQUAL(r.text, "d/a (1).txt");
  CU_ASSERT_EQUAL(send_as("a.txt", "d/e/f.txt", false, &s, &r, NULL), 0);
  CU_ASSERT_EQUAL(received("d/e/f.txt"), 10);
  CU_ASSERT_EQUAL(send_as("a.txt", "b.txt/x", false, &s, &r, NULL), 1); /* a file is in the way */
  CU_ASSERT_EQUAL(r.status, COPY_REFUSED);
  /* A link that leads out is not walked through. */
  snprintf(path, sizeof path, "%s/out", in_dir);
  CU_ASSERT_EQUAL(symlink(out_dir, path), 0);
  CU_ASSERT_EQUAL(send_as("a.txt", "out/evil.txt", false, &s, &r, NULL), 1);
  CU_ASSERT_EQUAL(r.status, COPY_REFUSED);
  CU_ASSERT_EQUAL(send_as("a.txt", "out", false, &s, &r, NULL), 0);
  CU_ASSERT_STRING_EQUAL(r.text, "out (1)");
  CU_ASSERT_EQUAL(count_entries(out_dir), 1);
}

static void test_refused_names(void) {
  static char *const targets[] = {"/etc/passwd", "../up", "d/../../up", ".ssh/authorized_keys", "a\nb", "\xff"};
  struct serving s;
  struct copy_item r;

  fresh();
  make_file("a.txt", 1000000, 0600);
  make_file(".hidden", 1, 0600);
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    CU_ASSERT_EQUAL(send_as("a.txt", targets[i], false, &s, &r, NULL), 1);
    CU_ASSERT_EQUAL(r.status, COPY_REFUSED);
    CU_ASSERT(r.sent < r.size); /* it was told before all was sent */
    CU_ASSERT_EQUAL(s.rc, 1);
  }
  CU_ASSERT_EQUAL(send_as(".hidden", "", false, &s, &r, NULL), 1);
  CU_ASSERT_STRING_EQUAL(r.text, "a hidden name (one that starts with a dot) is not taken here");
  CU_ASSERT_EQUAL(count_entries(in_dir), 0);
}

static void test_goes_on_after_a_failure(void) {
  char *names[] = {"missing", ".hidden", "good"}, why[COPY_WHY_MAX];
  struct copy_item *items;
  struct serving s;
  int fd;

  fresh();
  make_file(".hidden", 700000, 0600);
  make_file("good", 5000, 0600);
  items = items_of(3, names);
  fd = start(&s, false);
  CU_ASSERT_EQUAL(copy_send(fd, items, 3, "", NULL, why), 1);
  finish(&s, fd);
  CU_ASSERT_EQUAL(s.rc, 1);
  CU_ASSERT_EQUAL(items[0].status, COPY_FAILED);
  CU_ASSERT_STRING_EQUAL(items[0].text, "No such file or directory");
  CU_ASSERT_EQUAL(items[1].status, COPY_REFUSED);
  CU_ASSERT_EQUAL(items[2].status, COPY_OK);
  CU_ASSERT_EQUAL(received("good"), 5000);
  CU_ASSERT_EQUAL(count_entries(in_dir), 1);
  free_items(items, 3);
}

/* ---- a file that changes under way ---- */

static enum { SHRINK, GROW, TOUCH } change_kind;

static void change(void *ctx, const struct copy_item *item) {
  struct stat st;

  (void)ctx;
  if (item->sent > 300000 || stat(item->path, &st) != 0) return;
  if (change_kind == SHRINK && truncate(item->path, 300000) != 0) abort();
  if (change_kind == GROW && truncate(item->path, st.st_size + 1) != 0) abort();
  if (change_kind == TOUCH && utimensat(AT_FDCWD, item->path, NULL, 0) != 0) abort();
}

static void test_changing_file(void) {
  static const char *const texts[] = {
      "it became shorter while it was being sent", "it changed while it was being sent",
                                      "it changed while it was being sent"};
  struct copy_send_watch watch = {.progress = change};
  struct serving s;
  struct copy_item r;

  for (int kind = SHRINK; kind <= TOUCH; kind++) {
    fresh();
    make_file("a", 1000000, 0600);
    change_kind = kind;
    CU_ASSERT_EQUAL(send_as("a", "", false, &s, &r, &watch), 1);
    CU_ASSERT_EQUAL(r.status, COPY_ABORTED);
    CU_ASSERT_STRING_EQUAL(r.text, texts[kind]);
    CU_ASSERT_STRING_EQUAL(s.last_text, texts[kind]);
    CU_ASSERT_EQUAL(count_entries(in_dir), 0);
  }
}

static void test_full_disk(void) {
  struct rlimit old, low;
  struct serving s;
  struct copy_item r;

  fresh();
  make_file("a", 3000000, 0600);
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  low = old;
  low.rlim_cur = 400000;
  setrlimit(RLIMIT_FSIZE, &low);
  CU_ASSERT_EQUAL(send_as("a", "", false, &s, &r, NULL), 1);
  setrlimit(RLIMIT_FSIZE, &old);
  CU_ASSERT_EQUAL(r.status, COPY_NO_SPACE);
  CU_ASSERT_STRING_EQUAL(r.text, "a: File too large");
  CU_ASSERT(r.sent < r.size);
  CU_ASSERT_EQUAL(s.last_status, COPY_NO_SPACE);
  CU_ASSERT_EQUAL(count_entries(in_dir), 0);
}

static void *one_of_many(void *arg) {
  struct serving s;
  struct copy_item *item = arg;
  char why[COPY_WHY_MAX];
  int fd = start(&s, false), rc = copy_send(fd, item, 1, "same.txt", NULL, why);

  finish(&s, fd);
  return rc == 0 && s.rc == 0 ? item : NULL;
}

static void test_same_name_at_once(void) {
  enum { N = 8 };
  pthread_t threads[N];
  char *names[] = {"f", "f", "f", "f", "f", "f", "f", "f"};
  struct copy_item *items;
  void *ok;

  fresh();
  make_file("f", 300000, 0600);
  items = items_of(N, names);
  for (int i = 0; i < N; i++) pthread_create(&threads[i], NULL, one_of_many, &items[i]);
  for (int i = 0; i < N; i++) {
    pthread_join(threads[i], &ok);
    CU_ASSERT_PTR_NOT_NULL(ok);
    CU_ASSERT(items[i].text != NULL && received(items[i].text) == 300000);
    for (int k = 0; k < i; k++) CU_ASSERT_STRING_NOT_EQUAL(items[i].text, items[k].text);
  }
  CU_ASSERT_EQUAL(count_entries(in_dir), N);
  free_items(items, N);
}

/* ---- a hand-driven sender ---- */

struct script {
  uint8_t bytes[4096];
  size_t len;
};

static void add(struct script *s, const void *p, size_t n) {
  memcpy(s->bytes + s->len, p, n);
  s->len += n;
}

static void add_hello(struct script *s) {
  s->len = 0;
  copy_hello_encode(s->bytes);
  s->len = COPY_HELLO_LEN;
}

static void add_file(struct script *s, const char *name, uint64_t size) {
  struct copy_file f;

  memset(&f, 0, sizeof f);
  f.size = size;
  f.mode = 0600;
  strcpy(f.name, name);
  s->len += copy_file_encode(s->bytes + s->len, sizeof s->bytes - s->len, &f);
}

static void add_data(struct script *s, size_t n) {
  copy_head_encode(s->bytes + s->len, COPY_DATA, (uint32_t)n);
  s->len += COPY_HEAD_LEN;
  for (size_t i = 0; i < n; i++) s->bytes[s->len++] = byte_at(i);
}

static void add_end(struct script *s, size_t n, uint8_t flip) {
  uint8_t data[2048], sum[COPY_SUM_LEN];

  for (size_t i = 0; i < n; i++) data[i] = byte_at(i);
  crypto_generichash(sum, sizeof sum, data, n, NULL, 0);
  sum[31] ^= flip;
  s->len += copy_end_encode(s->bytes + s->len, sizeof s->bytes - s->len, sum);
}

static void add_done(struct script *s) { s->len += copy_done_encode(s->bytes + s->len, sizeof s->bytes - s->len); }

/* Plays the script, ends the stream, reads all answers (dropped, but for the first result's status). */
static int play(const struct script *script, struct serving *s) {
  struct copy_link l;
  struct copy_head h;
  struct copy_result r = {.status = 255};
  const uint8_t *body;
  int fd = start(s, false);

  if (copy_link_open(&l, fd) != 0) abort();
  (void)!copy_link_send(&l, script->bytes, script->len);
  shutdown(fd, SHUT_WR);
  if (copy_link_need(&l, COPY_HELLO_LEN) == 1) {
    l.at += COPY_HELLO_LEN;
    if (copy_link_message(&l, &h, &body) == 1) CU_ASSERT_EQUAL(copy_result_decode(&r, body, h.length), 0);
  }
  copy_link_close(&l);
  finish(s, fd);
  return r.status;
}

static void test_lying_sender(void) {
  struct script p;
  struct serving s;

  fresh();
  add_hello(&p);
  add_file(&p, "ok", 1000), add_data(&p, 1000), add_end(&p, 1000, 0), add_done(&p);
  CU_ASSERT_EQUAL(play(&p, &s), COPY_OK);
  CU_ASSERT_EQUAL(s.rc, 0);
  CU_ASSERT_EQUAL(received("ok"), 1000);

  fresh();
  add_hello(&p);
  add_file(&p, "sum", 1000), add_data(&p, 1000), add_end(&p, 1000, 1), add_done(&p);
  CU_ASSERT_EQUAL(play(&p, &s), COPY_CHECKSUM);
  CU_ASSERT_EQUAL(s.rc, 1);
  add_hello(&p);
  add_file(&p, "long", 999), add_data(&p, 1000), add_end(&p, 1000, 0), add_done(&p);
  CU_ASSERT_EQUAL(play(&p, &s), COPY_LENGTH);
  add_hello(&p);
  add_file(&p, "short", 1001), add_data(&p, 1000), add_end(&p, 1000, 0), add_done(&p);
  CU_ASSERT_EQUAL(play(&p, &s), COPY_LENGTH);
  add_hello(&p);
  add_file(&p, "huge", INT64_MAX), add_data(&p, 1000), add_end(&p, 1000, 0), add_done(&p);
  CU_ASSERT_EQUAL(play(&p, &s), COPY_NO_SPACE);
  CU_ASSERT_EQUAL(s.rc, 1);
  CU_ASSERT_EQUAL(count_entries(in_dir), 0);
}

/* The stream ends after every possible number of bytes: never a file that is not whole, never a clean end. */
static void test_every_truncation(void) {
  struct script p, cut;
  struct serving s;
  size_t whole, saved = 0, clean = 0, strays = 0;

  add_hello(&p);
  add_file(&p, "t", 300), add_data(&p, 300), add_end(&p, 300, 0);
  whole = p.len;
  add_done(&p);
  for (size_t n = 0; n < p.len; n++) {
    fresh();
    cut = p;
    cut.len = n;
    play(&cut, &s);
    saved += received("t") == 300;
    strays += count_entries(in_dir) != (n >= whole);
    clean += s.rc != -1;
  }
  CU_ASSERT_EQUAL(saved, p.len - whole);
  CU_ASSERT_EQUAL(strays, 0);
  CU_ASSERT_EQUAL(clean, 0);
}

static void test_wrong_protocol(void) {
  struct script p;
  struct serving s;

  fresh();
  p.len = 0;
  add(&p, "GET / HTTP/1.0\r\n\r\n", 18);
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, -1);
  CU_ASSERT_STRING_EQUAL(s.why, "the other side does not speak the copy protocol as it should");
  p.len = 0;
  add(&p, "cscopy\x02\x00", 8);
  play(&p, &s);
  CU_ASSERT_STRING_EQUAL(s.why, "the other side speaks version 2 of the copy protocol, we speak 1");
  add_hello(&p), add_data(&p, 5), add_done(&p); /* data of no file */
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, -1);
  add_hello(&p), add_file(&p, "a", 5), add_file(&p, "b", 5); /* a file inside a file */
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, -1);
  add_hello(&p), add_done(&p), add(&p, "x", 1); /* more after the end */
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, -1);
  add_hello(&p), add_file(&p, "a", 5), add(&p, "\x63\0\0\0\0", 5);
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, -1);
  add_hello(&p), add_done(&p); /* no files at all is fine */
  play(&p, &s);
  CU_ASSERT_EQUAL(s.rc, 0);
  CU_ASSERT_EQUAL(count_entries(in_dir), 0);
}

/* The sender vanishes with unread answers before it: a reset. */
static void test_reset(void) {
  struct script p;
  struct serving s;
  char c;
  int fd;

  fresh();
  add_hello(&p), add_file(&p, "r", 100000), add_data(&p, 1000);
  fd = start(&s, false);
  CU_ASSERT_EQUAL(send(fd, p.bytes, p.len, MSG_NOSIGNAL), (ssize_t)p.len);
  CU_ASSERT_EQUAL(recv(fd, &c, 1, MSG_PEEK), 1); /* its hello is there, and stays unread */
  finish(&s, fd);
  CU_ASSERT_EQUAL(s.rc, -1);
  CU_ASSERT_STRING_EQUAL(s.why, "the connection was lost");
  CU_ASSERT_EQUAL(count_entries(in_dir), 0);
}

/* ---- a hand-driven receiver ---- */

struct fake {
  pthread_t thread;
  int fd;
  const uint8_t *bytes;
  size_t len;
  bool read_all;
};

static void *act(void *arg) {
  struct fake *f = arg;
  char buf[4096];

  (void)!send(f->fd, f->bytes, f->len, MSG_NOSIGNAL);
  shutdown(f->fd, SHUT_WR);
  while (f->read_all && recv(f->fd, buf, sizeof buf, 0) > 0) continue;
  close(f->fd);
  return NULL;
}

static int against(const void *bytes, size_t len, bool read_all, char why[COPY_WHY_MAX], size_t file_size) {
  struct fake f = {.bytes = bytes, .len = len, .read_all = read_all};
  char *names[] = {"a"};
  struct copy_item *item;
  int sv[2], rc;

  fresh();
  make_file("a", file_size, 0600);
  item = items_of(1, names);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) abort();
  f.fd = sv[1];
  pthread_create(&f.thread, NULL, act, &f);
  rc = copy_send(sv[0], item, 1, "", NULL, why);
  close(sv[0]);
  pthread_join(f.thread, NULL);
  free_items(item, 1);
  return rc;
}

static void test_lying_receiver(void) {
  static const char early[] = "the other side ended the connection early";
  static const char wrong[] = "the other side does not speak the copy protocol as it should";
  char why[COPY_WHY_MAX];

  CU_ASSERT_EQUAL(against("", 0, true, why, 10), -1);
  CU_ASSERT_STRING_EQUAL(why, early);
  CU_ASSERT_EQUAL(against("cscopy\1\0", 8, true, why, 10), -1); /* no answer */
  CU_ASSERT_STRING_EQUAL(why, early);
  CU_ASSERT_EQUAL(against("cscopy\7\0", 8, true, why, 10), -1);
  CU_ASSERT_STRING_EQUAL(why, "the other side speaks version 7 of the copy protocol, we speak 1");
  CU_ASSERT_EQUAL(against("220 smtp ", 9, true, why, 10), -1);
  CU_ASSERT_STRING_EQUAL(why, wrong);
  /* An answer to a file that was not sent; the second file of one; a success before the data. */
  CU_ASSERT_EQUAL(against("cscopy\1\0\x10\0\0\0\5\0\0\0\1\0", 18, true, why, 10), -1);
  CU_ASSERT_STRING_EQUAL(why, wrong);
  CU_ASSERT_EQUAL(against("cscopy\1\0\x10\0\0\0\5\0\0\0\0\0", 18, true, why, 10000000), -1);
  CU_ASSERT_STRING_EQUAL(why, wrong);
  CU_ASSERT_EQUAL(against("cscopy\1\0\5\0\0\0\0", 13, true, why, 10), -1);
  CU_ASSERT_STRING_EQUAL(why, wrong);
  /* It leaves without reading. */
  CU_ASSERT_EQUAL(against("cscopy\1\0", 8, false, why, 10000000), -1);
  CU_ASSERT(strcmp(why, early) == 0 || strcmp(why, "the connection was lost") == 0);
}

static const struct check_test tests[] = {
    {"sizes around the buffer's, modes, times", test_sizes},
    {"400 small files through small socket buffers", test_many_small},
    {"a name that is taken: numbered, or replaced", test_existing},
    {"targets: a name, a directory, what is in the way", test_targets},
    {"names that lead out are refused at once", test_refused_names},
    {"the other files go on after a failure", test_goes_on_after_a_failure},
    {"a file that changes under way is not saved", test_changing_file},
    {"a full disk is told to both sides", test_full_disk},
    {"one name from eight senders at once", test_same_name_at_once},
    {"a lying sender: sum, length", test_lying_sender},
    {"cut after every byte: never a partial file, never a clean end", test_every_truncation},
    {"another protocol", test_wrong_protocol},
    {"a reset", test_reset},
    {"a lying receiver", test_lying_receiver},
};

int main(void) {
  int rc;

  if (sodium_init() < 0 || mkdtemp(base) == NULL) return 1;
  snprintf(in_dir, sizeof in_dir, "%s/in", base);
  snprintf(out_dir, sizeof out_dir, "%s/out", base);
  rc = check_main("copy_transfer", tests, sizeof tests / sizeof tests[0]);
  remove_all(base);
  return rc;
}
