/*
 * home.h - the home directory: identity, contacts, cspace.conf; modes, locks,
 * atomic writes. Errors go through err_set and name the file and the remedy.
 */
#ifndef CSPACE_HOME_H
#define CSPACE_HOME_H

#include <stdbool.h>
#include <stddef.h>

#include "identity.h"

#define HOME_PATH_MAX 4096

/* The home in force: `set` if not NULL or empty, else $CSPACE_HOME, else $XDG_CONFIG_HOME/cspace, else
 * ~/.config/cspace. 0 or -1. */
int home_path(char out[HOME_PATH_MAX], const char *set);
/* Makes the directory (0700), parents too; one that is there must be ours and not writable by others. 0 or -1. */
int home_create(const char *home);

/* Makes and stores a new identity; never replaces one: CS_ERR_EXISTS. 0 or -1. */
int home_identity_create(const char *home);
/* The same, sealed with a passphrase (home_seal.h); NULL: not sealed. */
int home_identity_create_sealed(const char *home, const char *passphrase);
/* Loads the identity. Refused when open to group or others, with the chmod to run; damaged: CS_ERR_IDENTITY;
 * none: CS_ERR_NO_IDENTITY, which says to run `cspace init`. NULL on failure. */
struct identity *home_identity_load(const char *home);
/* The same, opened with the passphrase when it is sealed; NULL: that of CSPACE_PASSPHRASE_FILE. Missing or wrong:
 * CS_ERR_PASSPHRASE, EACCES. home_identity_load is this with NULL. */
struct identity *home_identity_load_with(const char *home, const char *passphrase);
/* 1 when a passphrase is needed, 0 when not, -1. */
int home_identity_sealed(const char *home);
/* Sets, changes or removes (`now` NULL) the passphrase; `old` opens it as in home_identity_load_with. Atomic: the
 * file is the old one or the new one, and the identity in it is the same. 0 or -1. */
int home_identity_reseal(const char *home, const char *old, const char *now);
/* The id alone, also of a sealed identity: reads the public part of the file. 0 or -1. */
int home_identity_id(const char *home, char id[ID_TEXT_LEN + 1]);

#define HOME_PASSPHRASE_MAX 1024 /* bytes */
/* A copy in guarded memory, for sodium_free. NULL: CS_ERR_ARGUMENT for an empty or too long one, CS_ERR_MEMORY. */
char *home_passphrase_copy(const char *passphrase);
/* The first line of a file that others cannot read, as above. NULL: CS_ERR_PASSPHRASE, EACCES. */
char *home_passphrase_read(const char *path);
/* $CSPACE_PASSPHRASE_FILE; NULL when not set or empty. */
const char *home_passphrase_file(void);

/* Reads a whole file of at most max bytes; *out is malloc'd with a NUL after the end, *len its length.
 * 0, or -1 + errno (ENOENT is not reported through err_set; everything else is). */
int home_read(const char *home, const char *name, size_t max, char **out, size_t *len);
/* Atomic: temp file in the same directory, fsync, rename, fsync of the directory. mode 0600 or so. The old file
 * stays whole on any failure. 0 or -1. */
int home_write(const char *home, const char *name, const void *data, size_t len, unsigned mode);
/* An advisory lock for read-modify-write of files in the home (a file `.lock`). fd, or -1. Close to unlock. */
int home_lock(const char *home);

/* The user's runtime directory for keys shared by this user's processes: $XDG_RUNTIME_DIR/cspace, else
 * /run/user/UID/cspace, else /tmp/cspace-UID; made 0700 and checked to be ours. index 0.. walks the ones that
 * may hold a key (for readers); returns 0, or -1 when there are no more. create: make index's directory. */
int home_runtime_dir(char out[HOME_PATH_MAX], unsigned index, bool create);

#endif
