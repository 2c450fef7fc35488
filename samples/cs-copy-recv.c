/*
 * cs-copy-recv.c - the receiver's side. PROTOCOL.md 10.2.
 *
 * A file that cannot be taken is answered at once; what still comes of it is
 * read and thrown away until the sender ends it.
 */
#include "cs-copy-transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <sodium.h>

#include "cs-copy-link.h"

struct receiver {
  struct copy_link link;
  const struct copy_store *store;
  const struct copy_receive_watch *watch;
  uint32_t index;           /* of the current file */
  bool failures;
  struct copy_file file;
  struct copy_part part;
  bool answered;            /* the current file's RESULT is sent */
  crypto_generichash_state sum;
};

static int answer(struct receiver *r, enum copy_status status, const char *text) {
  uint8_t msg[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  struct copy_result result = {.index = r->index, .status = (uint8_t)status};
  struct copy_received got = {.status = (uint8_t)status, .bytes = r->part.written};
  char shown[COPY_PATH_MAX + 16], reason[COPY_TEXT_MAX + 1];

  snprintf(result.text, sizeof result.text, "%s", status == COPY_OK ? r->part.path : text);
  snprintf(reason, sizeof reason, "%s", status == COPY_OK ? "" : text);
  snprintf(shown, sizeof shown, "%s", r->part.path[0] != '\0' ? r->part.path : r->file.name);
  copy_clean_text(shown);
  copy_clean_text(reason);
  got.path = shown;
  got.text = reason;
  r->answered = true;
  if (status != COPY_OK) {
    r->failures = true;
    copy_part_drop(&r->part);
  }
  if (r->watch != NULL && r->watch->result != NULL) r->watch->result(r->watch->ctx, &got);
  return copy_link_send(&r->link, msg, copy_result_encode(msg, sizeof msg, &result));
}

static int take_bytes(struct receiver *r, const uint8_t *p, size_t n) {
  char why[COPY_TEXT_MAX + 1];
  enum copy_status status;

  if (r->answered) return 0;
  if (n > r->file.size - r->part.written) return answer(r, COPY_LENGTH, "more bytes came than were announced");
  crypto_generichash_update(&r->sum, p, n);
  status = copy_part_write(&r->part, p, n, why);
  return status == COPY_OK ? 0 : answer(r, status, why);
}

/* The body of a DATA, as it comes. */
static int take_data(struct receiver *r, size_t left) {
  struct copy_link *l = &r->link;

  while (left > 0) {
    size_t n;
    int rc = copy_link_need(l, 1);

    if (rc == 0) errno = EPROTO;
    if (rc <= 0) return -1;
    n = l->end - l->at < left ? l->end - l->at : left;
    if (take_bytes(r, l->buf + l->at, n) != 0) return -1;
    l->at += n;
    left -= n;
  }
  return 0;
}

static int end_file(struct receiver *r, const uint8_t *sum) {
  uint8_t ours[COPY_SUM_LEN];
  char why[COPY_TEXT_MAX + 1] = "";
  enum copy_status status;

  if (r->answered) return 0;
  crypto_generichash_final(&r->sum, ours, sizeof ours);
  if (r->part.written != r->file.size) return answer(r, COPY_LENGTH, "fewer bytes came than were announced");
  if (memcmp(ours, sum, sizeof ours) != 0) return answer(r, COPY_CHECKSUM, "the bytes that came are not those sent");
  status = copy_part_finish(&r->part, r->store, &r->file, why);
  return answer(r, status, why);
}

static int abort_file(struct receiver *r, const uint8_t *body, size_t len) {
  char text[COPY_TEXT_MAX + 1];

  if (copy_abort_decode(text, body, len) != 0) {
    errno = EPROTO;
    return -1;
  }
  return r->answered ? 0 : answer(r, COPY_ABORTED, text);
}

/* Everything up to the file's END or ABORT. 0 or -1 + errno. */
static int file_body(struct receiver *r) {
  struct copy_head h;
  const uint8_t *body;
  int rc;

  while ((rc = copy_link_message(&r->link, &h, &body)) == 1) {
    if (h.type == COPY_END) return end_file(r, body);
    if (h.type == COPY_ABORT) return abort_file(r, body, h.length);
    if (h.type != COPY_DATA) break;
    if (take_data(r, h.length) != 0) return -1;
  }
  if (rc >= 0) errno = rc == 0 ? EPIPE : EPROTO;
  return -1;
}

static int take_file(struct receiver *r, const uint8_t *body, size_t len) {
  char why[COPY_TEXT_MAX + 1];
  enum copy_status status;
  int rc = 0;

  if (copy_file_decode(&r->file, body, len) != 0) {
    errno = EPROTO;
    return -1;
  }
  r->answered = false;
  crypto_generichash_init(&r->sum, NULL, 0, COPY_SUM_LEN);
  status = copy_part_open(&r->part, r->store, &r->file, why);
  if (status != COPY_OK) rc = answer(r, status, why);
  if (rc == 0) rc = file_body(r);
  if (rc != 0 && !r->answered) {
    int err = errno;
    struct copy_received got = {COPY_ABORTED, r->part.written, r->part.path, "the connection ended inside the file"};

    copy_part_drop(&r->part);
    if (r->watch != NULL && r->watch->result != NULL) r->watch->result(r->watch->ctx, &got);
    errno = err;
  }
  r->index++;
  return rc;
}

/* After DONE nothing may follow; the stream is read to its end, or closing it would reset it. */
static int done(struct receiver *r) {
  int rc = copy_link_need(&r->link, 1);

  if (rc == 1) errno = EPROTO;
  if (rc != 0) return -1;
  return shutdown(r->link.fd, SHUT_WR);
}

static int run(struct receiver *r, int *version) {
  uint8_t hello[COPY_HELLO_LEN];
  struct copy_head h;
  const uint8_t *body;
  int rc;

  copy_hello_encode(hello);
  if (copy_link_send(&r->link, hello, sizeof hello) != 0) return -1;
  rc = copy_link_need(&r->link, COPY_HELLO_LEN);
  if (rc == 0) errno = EPIPE;
  if (rc <= 0) return -1;
  *version = copy_hello_decode(r->link.buf + r->link.at);
  r->link.at += COPY_HELLO_LEN;
  while (*version == COPY_VERSION && (rc = copy_link_message(&r->link, &h, &body)) == 1) {
    if (h.type == COPY_DONE) return done(r);
    if (h.type != COPY_FILE) break;
    if (take_file(r, body, h.length) != 0) return -1;
  }
  if (rc >= 0) errno = rc == 0 ? EPIPE : EPROTO;
  return -1;
}

int copy_receive(int fd, const struct copy_store *store, const struct copy_receive_watch *watch,
                 char why[COPY_WHY_MAX]) {
  struct receiver r = {.store = store, .watch = watch, .link = {.fd = fd}, .part = {.dir = -1, .fd = -1}};
  int rc = -1, version = 0;

  why[0] = '\0';
  if (sodium_init() < 0 || copy_link_open(&r.link, fd) != 0) {
    copy_connection_failed(ENOMEM, why);
  } else if (run(&r, &version) != 0) {
    copy_connection_failed(errno, why);
    if (version > 0 && version != COPY_VERSION)
      snprintf(why, COPY_WHY_MAX, "the other side speaks version %d of the copy protocol, we speak %d", version,
               COPY_VERSION);
  } else {
    rc = r.failures;
  }
  copy_part_drop(&r.part);
  copy_link_close(&r.link);
  return rc;
}
