/*
 * cs-copy-transfer.h - both sides of the copy service over a connected stream
 * fd, which stays the caller's. PROTOCOL.md 10. They block; several may run in
 * several threads. No SIGPIPE, nothing printed.
 */
#ifndef CS_COPY_TRANSFER_H
#define CS_COPY_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cs-copy-store.h"

#define COPY_WHY_MAX 256

/* ---- sending ---- */

struct copy_item {
  const char *path;      /* of the file here */
  const char *name;      /* its last component */
  uint64_t size, sent;   /* as announced; bytes given to the connection */
  bool begun, ended;     /* FILE, END were sent */
  bool answered;         /* status and text stand */
  uint8_t status;        /* enum copy_status */
  char *text;            /* the path it was saved under, or why not; fit to print; NULL when out of memory */
};

/* Calls during copy_send; either may be NULL. */
struct copy_send_watch {
  void (*progress)(void *ctx, const struct copy_item *item); /* after each piece */
  void (*result)(void *ctx, const struct copy_item *item);   /* once an item */
  void *ctx;
};

/* Sends n files and the end of the stream, waits for every answer. 0: all are saved; 1: the connection ended well,
 * some items failed; -1: it did not, and why says how (items without an answer may or may not be saved). */
int copy_send(int fd, struct copy_item *items, size_t n, const char *target, const struct copy_send_watch *watch,
              char why[COPY_WHY_MAX]);
void copy_items_clear(struct copy_item *items, size_t n); /* frees the texts */

/* ---- receiving ---- */

struct copy_received {
  uint8_t status;
  uint64_t bytes;
  const char *path; /* as saved, or what was asked for; fit to print */
  const char *text; /* why not, "" when saved */
};

struct copy_receive_watch {
  void (*result)(void *ctx, const struct copy_received *r); /* once a file */
  void *ctx;
};

/* Serves one sender. 0: it ended well and all files are saved; 1: it ended well, some files failed; -1 and why. */
int copy_receive(int fd, const struct copy_store *store, const struct copy_receive_watch *watch,
                 char why[COPY_WHY_MAX]);

/* What an errno of a connection means, into why. Returns -1. */
int copy_connection_failed(int err, char why[COPY_WHY_MAX]);

#endif
