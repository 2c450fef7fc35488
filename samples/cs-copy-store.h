/*
 * cs-copy-store.h - the receiver's disk: a file is written under a temporary
 * name in its own directory, checked, synced and renamed. A partial file never
 * stands under its final name. PROTOCOL.md 10.4.
 */
#ifndef CS_COPY_STORE_H
#define CS_COPY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cs-copy-msg.h"
#include "cs-copy-name.h"

struct copy_store {
  int dir;          /* the receiving directory */
  bool overwrite;   /* replace a file of that name; else take a free name */
};

/* A file on its way. */
struct copy_part {
  int dir, fd;                      /* its directory, itself; -1 without one */
  bool named;                       /* the temporary name exists */
  uint64_t written, flushed;
  char path[COPY_PATH_MAX + 16];    /* relative to the store's directory; after copy_part_finish as it was saved */
  char name[COPY_NAME_MAX + 1];     /* last component of path */
  char part[COPY_NAME_MAX + 1];
};

/* All: COPY_OK, or another status with the reason in why (COPY_TEXT_MAX + 1 bytes). */

/* Checks name and size, makes missing directories, opens the temporary file. On failure p holds nothing. */
enum copy_status copy_part_open(struct copy_part *p, const struct copy_store *store, const struct copy_file *f,
                                char *why);
enum copy_status copy_part_write(struct copy_part *p, const uint8_t *data, size_t len, char *why);
/* Mode, times, fsync, rename. On failure the temporary file still stands: copy_part_drop. */
enum copy_status copy_part_finish(struct copy_part *p, const struct copy_store *store, const struct copy_file *f,
                                  char *why);
/* Removes what is left of it. Legal after any of the above, and twice. */
void copy_part_drop(struct copy_part *p);

#endif
