/*
 * cs-copy-send.c - the sender's side. PROTOCOL.md 10.2.
 *
 * Files follow each other without waiting for answers; answers are read
 * whenever the connection has some, also while it takes no more data, so that
 * the two sides never wait for each other.
 */
#include "cs-copy-transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cs-copy-link.h"

#define PIECE (256u << 10)

struct sender {
  struct copy_link link;
  const struct copy_send_watch *watch;
  const char *target;
  struct copy_item **begun;  /* in the order of their FILEs */
  size_t n_begun, n_answered;
  bool hello;                /* theirs has come */
  int version;               /* theirs, when it is not ours */
  uint8_t *piece;            /* head and PIECE bytes */
};

int copy_connection_failed(int err, char why[COPY_WHY_MAX]) {
  const char *text = strerror(err);

  if (err == ECONNRESET) text = "the connection was lost";
  if (err == EPIPE) text = "the other side ended the connection early";
  if (err == EPROTO) text = "the other side does not speak the copy protocol as it should";
  if (err == ETIMEDOUT) text = "the other side was silent for too long";
  snprintf(why, COPY_WHY_MAX, "%s", text);
  return -1;
}

static void settle(struct sender *s, struct copy_item *item, uint8_t status, const char *text) {
  item->answered = true;
  item->status = status;
  item->text = strdup(text);
  if (item->text != NULL) copy_clean_text(item->text);
  if (s->watch != NULL && s->watch->result != NULL) s->watch->result(s->watch->ctx, item);
}

static int fail(int err) {
  errno = err;
  return -1;
}

/* An answer. Success before the file's end was sent is a lie. */
static int take_result(struct sender *s, const uint8_t *body, size_t len) {
  struct copy_result r;
  struct copy_item *item;

  if (copy_result_decode(&r, body, len) != 0) return fail(EPROTO);
  if (r.index != s->n_answered || r.index >= s->n_begun) return fail(EPROTO);
  item = s->begun[s->n_answered++];
  if (r.status == COPY_OK && !item->ended) return fail(EPROTO);
  settle(s, item, r.status, r.text);
  return 0;
}

/* Reads what the buffer holds of hello and answers. */
static int take_buffered(struct sender *s) {
  struct copy_link *l = &s->link;
  struct copy_head h;

  if (!s->hello) {
    if (l->end - l->at < COPY_HELLO_LEN) return 0;
    s->version = copy_hello_decode(l->buf + l->at);
    if (s->version != COPY_VERSION) return fail(EPROTO);
    s->hello = true;
    l->at += COPY_HELLO_LEN;
  }
  while (l->end - l->at >= COPY_HEAD_LEN) {
    if (copy_head_decode(&h, l->buf + l->at) != 0 || h.type != COPY_RESULT) return fail(EPROTO);
    if (l->end - l->at < COPY_HEAD_LEN + h.length) return 0;
    if (take_result(s, l->buf + l->at + COPY_HEAD_LEN, h.length) != 0) return -1;
    l->at += COPY_HEAD_LEN + h.length;
  }
  return 0;
}

/* Takes answers that have come. 0, or -1 + errno: EPIPE at the end of the stream. */
static int take_answers(struct sender *s) {
  int rc;

  while ((rc = copy_link_poll(&s->link)) == 1)
    if (take_buffered(s) != 0) return -1;
  return rc;
}

static int wait_ready(struct sender *s, short events) {
  struct pollfd p = {.fd = s->link.fd, .events = events};
  int n;

  do n = poll(&p, 1, COPY_SILENCE_MS);
  while (n < 0 && errno == EINTR);
  if (n == 0) return fail(ETIMEDOUT);
  return n < 0 ? -1 : 0;
}

static int push(struct sender *s, const uint8_t *data, size_t len) {
  while (len > 0) {
    ssize_t n = copy_link_send_some(&s->link, data, len);

    if (n < 0) {
      int err = errno;

      /* What the other side said before it left, or how it ended, explains more than EPIPE, and may come after it. */
      while (take_answers(s) == 0 && wait_ready(s, POLLIN) == 0) continue;
      return fail(errno == EPIPE ? err : errno);
    }
    data += n;
    len -= (size_t)n;
    if (n == 0 && wait_ready(s, POLLIN | POLLOUT) != 0) return -1;
    if (take_answers(s) != 0) return -1;
  }
  return 0;
}

/* Sends an ABORT for what is begun; our reason stands, whatever the other side answers. */
static int give_up(struct sender *s, const char *text) {
  uint8_t msg[COPY_HEAD_LEN + COPY_TEXT_MAX];

  return push(s, msg, copy_abort_encode(msg, sizeof msg, text));
}

/* Opens and announces. 1: go on, 0: the item is settled, -1 + errno. */
static int begin(struct sender *s, struct copy_item *item, int *fd, struct stat *st) {
  uint8_t msg[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  struct copy_file f;
  size_t n;

  *fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (*fd < 0 || fstat(*fd, st) != 0) {
    settle(s, item, COPY_FAILED, strerror(errno));
    return 0;
  }
  memset(&f, 0, sizeof f);
  f.size = item->size = (uint64_t)st->st_size;
  f.mtime = st->st_mtim.tv_sec;
  f.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
  f.mode = st->st_mode & 0700;
  n = strlen(s->target) <= COPY_TARGET_MAX && strlen(item->name) <= COPY_NAME_MAX;
  if (n) {
    strcpy(f.target, s->target);
    strcpy(f.name, item->name);
    n = copy_file_encode(msg, sizeof msg, &f);
  }
  if (!S_ISREG(st->st_mode) || n == 0) {
    settle(s, item, COPY_FAILED, n == 0 ? "its name or path is too long" : "not a regular file");
    return 0;
  }
  item->begun = true;
  s->begun[s->n_begun++] = item;
  return push(s, msg, n) == 0 ? 1 : -1;
}

static bool changed(int fd, const struct stat *before) {
  struct stat st;

  return fstat(fd, &st) != 0 || st.st_size != before->st_size || st.st_mtim.tv_sec != before->st_mtim.tv_sec ||
         st.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

/* The data. 1: all is sent, 0: settled otherwise, -1 + errno. */
static int send_data(struct sender *s, struct copy_item *item, int fd, crypto_generichash_state *sum) {
  uint8_t *data = s->piece + COPY_HEAD_LEN;
  uint64_t left = item->size;

  while (left > 0) {
    size_t want = left < PIECE ? (size_t)left : PIECE;
    ssize_t n;

    do n = read(fd, data, want);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
      const char *text = n < 0 ? strerror(errno) : "it became shorter while it was being sent";

      return give_up(s, text);
    }
    crypto_generichash_update(sum, data, (size_t)n);
    copy_head_encode(s->piece, COPY_DATA, (uint32_t)n);
    if (push(s, s->piece, COPY_HEAD_LEN + (size_t)n) != 0) return -1;
    left -= (uint64_t)n;
    item->sent += (uint64_t)n;
    if (item->answered) return give_up(s, ""); /* refused already: save the rest */
    if (s->watch != NULL && s->watch->progress != NULL) s->watch->progress(s->watch->ctx, item);
  }
  return 1;
}

static int send_one(struct sender *s, struct copy_item *item) {
  uint8_t sum[COPY_SUM_LEN], msg[COPY_HEAD_LEN + COPY_SUM_LEN];
  crypto_generichash_state state;
  struct stat st;
  int fd, rc = begin(s, item, &fd, &st);

  if (rc == 1) {
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    crypto_generichash_init(&state, NULL, 0, sizeof sum);
    rc = send_data(s, item, fd, &state);
  }
  if (rc == 1 && changed(fd, &st)) {
    rc = give_up(s, "it changed while it was being sent");
  } else if (rc == 1) {
    crypto_generichash_final(&state, sum, sizeof sum);
    item->ended = true;
    rc = push(s, msg, copy_end_encode(msg, sizeof msg, sum));
  }
  if (fd >= 0) close(fd);
  return rc < 0 ? -1 : 0;
}

/* After DONE: the rest of the answers, then the other side's end. */
static int finish(struct sender *s) {
  uint8_t msg[COPY_HEAD_LEN];
  int rc;

  if (push(s, msg, copy_done_encode(msg, sizeof msg)) != 0 || shutdown(s->link.fd, SHUT_WR) != 0) return -1;
  for (;;) {
    rc = take_answers(s);
    /* Every answer is there: the files are on the other disk, however the connection ends. */
    if (rc != 0) return s->hello && s->n_answered == s->n_begun ? 0 : -1;
    if (wait_ready(s, POLLIN) != 0) return -1;
  }
}

static int run(struct sender *s, struct copy_item *items, size_t n) {
  uint8_t hello[COPY_HELLO_LEN];

  copy_hello_encode(hello);
  if (push(s, hello, sizeof hello) != 0) return -1;
  for (size_t i = 0; i < n; i++)
    if (send_one(s, &items[i]) != 0) return -1;
  return finish(s);
}

int copy_send(int fd, struct copy_item *items, size_t n, const char *target, const struct copy_send_watch *watch,
              char why[COPY_WHY_MAX]) {
  struct sender s = {.watch = watch, .target = target, .link = {.fd = fd}};
  int rc = -1;

  why[0] = '\0';
  s.begun = calloc(n + 1, sizeof *s.begun);
  s.piece = malloc(COPY_HEAD_LEN + PIECE);
  if (s.begun == NULL || s.piece == NULL || sodium_init() < 0 || copy_link_open(&s.link, fd) != 0) {
    copy_connection_failed(ENOMEM, why);
  } else if (run(&s, items, n) != 0) {
    copy_connection_failed(errno, why);
    if (s.version > 0 && s.version != COPY_VERSION)
      snprintf(why, COPY_WHY_MAX, "the other side speaks version %d of the copy protocol, we speak %d", s.version,
               COPY_VERSION);
  } else {
    rc = 0;
    for (size_t i = 0; i < n; i++)
      if (items[i].status != COPY_OK) rc = 1;
  }
  copy_link_close(&s.link);
  free(s.piece);
  free(s.begun);
  return rc;
}

void copy_items_clear(struct copy_item *items, size_t n) {
  for (size_t i = 0; i < n; i++) {
    free(items[i].text);
    items[i].text = NULL;
  }
}
