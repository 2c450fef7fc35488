/*
 * contacts.h - petnames: the file `contacts`, one `NAME ID` a line, # comments.
 * One id has one petname and one petname one id. The table is a sorted array;
 * a running node rereads the file when it changes. Not thread-safe: the
 * owner's lock guards it.
 */
#ifndef CSPACE_CONTACTS_H
#define CSPACE_CONTACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cspace/cspace.h>
#include "identity.h"

#define CONTACTS_MAX 100000
#define CONTACTS_FILE_MAX (16u << 20)

struct contact {
  char name[CS_NAME_MAX + 1];
  uint8_t key[ID_KEY_LEN];
};

struct contacts;

struct contacts *contacts_new(void);     /* empty; NULL + ENOMEM */
void contacts_free(struct contacts *c);  /* NULL is legal */
/* Replaces the table by what text says; on a bad line nothing changes and err_set names file and line. 0 or -1. */
int contacts_parse(struct contacts *c, const char *text, size_t len, const char *file_name);
const struct contact *contacts_by_name(const struct contacts *c, const char *name);
const struct contact *contacts_by_key(const struct contacts *c, const uint8_t key[ID_KEY_LEN]);
/* The first whose name sorts after `after` ("" for the first); NULL at the end. */
const struct contact *contacts_after(const struct contacts *c, const char *after);
size_t contacts_count(const struct contacts *c);
/* [a-z0-9_.-]{1,32}, not starting with '-' or '.'; nor `contacts` or `anyone`, the words of access rules. */
bool contact_name_valid(const char *name);

/* File operations on HOME/contacts, under the home's lock, atomic, keeping comments and order of other lines. 0 or -1
 * with err_set: CS_ERR_EXISTS, CS_ERR_USER_UNKNOWN, CS_ERR_NAME, CS_ERR_ID, CS_ERR_HOME. */
int contacts_file_add(const char *home, const char *name, const char *id);
int contacts_file_remove(const char *home, const char *name);
int contacts_file_rename(const char *home, const char *name, const char *new_name);
/* Loads HOME/contacts into c when it changed since `stamp` (set by this call; zero it first); a missing file is an
 * empty table. 1 reloaded, 0 unchanged, -1 with err_set and the old table kept. */
struct contacts_stamp { uint64_t dev, ino, size, mtime_ns; bool set; };
int contacts_reload(struct contacts *c, const char *home, struct contacts_stamp *stamp);

#endif
