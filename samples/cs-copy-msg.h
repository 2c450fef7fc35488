/*
 * cs-copy-msg.h - the messages of the copy service. PROTOCOL.md 10. Pure: no
 * I/O, no allocation, no globals. Integers are big-endian.
 *
 * Each side first sends a hello of 8 bytes, then messages: type(1) length(4) body.
 * Sender: for each file FILE, DATA ..., END or ABORT; then DONE and the end of the stream.
 * Receiver: one RESULT for each FILE, in order, as soon as it is known; it may come before the data is through.
 */
#ifndef CS_COPY_MSG_H
#define CS_COPY_MSG_H

#include <stddef.h>
#include <stdint.h>

#define COPY_SERVICE "copy"
#define COPY_VERSION 1
#define COPY_HELLO_LEN 8
#define COPY_HEAD_LEN 5
#define COPY_DATA_MAX (1u << 20)   /* bytes in one DATA */
#define COPY_SUM_LEN 32            /* BLAKE2b-256 over the file's bytes */
#define COPY_TARGET_MAX 1024       /* the path asked for, bytes */
#define COPY_NAME_MAX 255          /* one name, bytes */
#define COPY_TEXT_MAX 1400         /* a path that was used, or a sentence */
#define COPY_CONTROL_MAX 1500      /* body of any message but DATA */

enum copy_type {
  COPY_FILE = 1,
  COPY_DATA = 2,
  COPY_END = 3,
  COPY_ABORT = 4,
  COPY_DONE = 5,
  COPY_RESULT = 16
};

/* What became of a file. Values above COPY_FAILED are read as COPY_FAILED. */
enum copy_status {
  COPY_OK = 0,        /* on disk under the name in text, checked and synced */
  COPY_REFUSED = 1,   /* the name or the size is not acceptable; text says why */
  COPY_NO_SPACE = 2,  /* the disk or a quota is full */
  COPY_CHECKSUM = 3,  /* the bytes that came are not the bytes that were read */
  COPY_LENGTH = 4,    /* more or fewer bytes than FILE announced */
  COPY_ABORTED = 5,   /* as the sender asked */
  COPY_FAILED = 6     /* the receiver's system failed; text says how */
};

struct copy_head {
  uint8_t type;
  uint32_t length; /* of the body */
};

struct copy_file {
  uint64_t size;      /* at most INT64_MAX */
  int64_t mtime;      /* Unix seconds */
  uint32_t mtime_ns;  /* below 10^9 */
  uint16_t mode;      /* bits of 0700 alone */
  char target[COPY_TARGET_MAX + 1]; /* "" or where to: a name, or a directory when it ends in '/' */
  char name[COPY_NAME_MAX + 1];     /* the file's own name */
};

struct copy_result {
  uint32_t index;     /* of the file, from 0 */
  uint8_t status;     /* enum copy_status */
  char text[COPY_TEXT_MAX + 1];
};

void copy_hello_encode(uint8_t out[COPY_HELLO_LEN]);
/* The other side's version, at least 1; or -1 when this is no copy service. */
int copy_hello_decode(const uint8_t p[COPY_HELLO_LEN]);

void copy_head_encode(uint8_t out[COPY_HEAD_LEN], enum copy_type type, uint32_t length);
/* 0; or -1: an unknown type, or a length that the type does not have. */
int copy_head_decode(struct copy_head *h, const uint8_t p[COPY_HEAD_LEN]);

/* Encoders write a whole message, head included, and return its length; 0 when a field is out of range or cap is
 * short. Decoders read a body: 0 or -1. */
size_t copy_file_encode(uint8_t *out, size_t cap, const struct copy_file *f);
int copy_file_decode(struct copy_file *f, const uint8_t *body, size_t len);
size_t copy_end_encode(uint8_t *out, size_t cap, const uint8_t sum[COPY_SUM_LEN]);
/* A text longer than COPY_TEXT_MAX is cut. */
size_t copy_abort_encode(uint8_t *out, size_t cap, const char *text);
int copy_abort_decode(char text[COPY_TEXT_MAX + 1], const uint8_t *body, size_t len);
size_t copy_done_encode(uint8_t *out, size_t cap);
size_t copy_result_encode(uint8_t *out, size_t cap, const struct copy_result *r);
int copy_result_decode(struct copy_result *r, const uint8_t *body, size_t len);

/* "refused", "no space" and so on; never NULL. */
const char *copy_status_text(uint8_t status);

#endif
