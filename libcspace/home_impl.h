/*
 * home_impl.h - what home.c, home_file.c and home_identity.c share.
 */
#ifndef CSPACE_HOME_IMPL_H
#define CSPACE_HOME_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "home.h"
#include "home_seal.h"

/* out = dir/name. 0, or -1 with err_set (ENAMETOOLONG). */
int home_join(char out[HOME_PATH_MAX], const char *dir, const char *name);
/* "alice (uid 1000)"; returns buf. */
const char *home_user_name(uid_t uid, char buf[64]);
/* Reads until the end or max bytes; the count, or -1 + errno. */
ssize_t home_read_all(int fd, void *buf, size_t max);
/* Puts a new file of these bytes in place: all of it or nothing. replace false: -1 + EEXIST when `path` is there.
 * 0, or -1 with err_set (CS_ERR_EXISTS, CS_ERR_HOME). */
int home_put(const char *path, const void *data, size_t len, mode_t mode, bool replace);
/* The text of a file `identity`, cut up: 0 and the seed when it is plain, 1 and the seal when it is sealed, -1 with
 * err_set, which names path. */
int home_identity_parse(char *text, uint8_t key[ID_KEY_LEN], uint8_t seed[ID_SEED_LEN], struct seal *seal,
                        const char *path);
/* Makes the entries of a directory durable. 0 or -1 + errno. */
int home_sync_dir(const char *dir);

#endif
