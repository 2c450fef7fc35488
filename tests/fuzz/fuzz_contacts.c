/*
 * fuzz_contacts.c - a contacts file from anywhere: a table that is taken is
 * sorted, without doubles, and found by both indexes; one that is refused
 * leaves the old table and names a line.
 */
#include "contacts.h"
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "contacts"

static void check_table(const struct contacts *c) {
  char before[CS_NAME_MAX + 1] = "";
  size_t n = 0;

  for (const struct contact *p = contacts_after(c, ""); p != NULL; p = contacts_after(c, before), n++) {
    if (strcmp(before, p->name) >= 0 || !contact_name_valid(p->name) || !id_key_valid(p->key)) abort();
    if (contacts_by_name(c, p->name) != p || contacts_by_key(c, p->key) != p) abort();
    strcpy(before, p->name);
  }
  if (n != contacts_count(c)) abort();
}

/* The table written out and read again is the same. */
static void write_and_read(const struct contacts *c) {
  size_t room = contacts_count(c) * (CS_NAME_MAX + ID_TEXT_LEN + 2) + 1, n = 0;
  struct contacts *again = contacts_new();
  char *text = malloc(room), id[ID_TEXT_LEN + 1];

  if (again == NULL || text == NULL) abort();
  for (const struct contact *p = contacts_after(c, ""); p != NULL; p = contacts_after(c, p->name)) {
    id_format(id, p->key);
    n += (size_t)snprintf(text + n, room - n, "%s %s\n", p->name, id);
  }
  if (contacts_parse(again, text, n, FILE_NAME) != 0 || contacts_count(again) != contacts_count(c)) abort();
  contacts_free(again);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct contacts *c = contacts_new();

  if (c == NULL || identity_init() != 0) abort();
  errno = 0;
  if (contacts_parse(c, (const char *)data, size, FILE_NAME) == 0) {
    check_table(c);
    write_and_read(c);
  } else {
    if (errno != EBADMSG && errno != EFBIG) abort();
    if (strncmp(cs_last_error_text(), FILE_NAME " ", sizeof FILE_NAME) != 0 || contacts_count(c) != 0) abort();
    for (const char *p = cs_last_error_text(); *p != '\0'; p++)
      if ((unsigned char)*p < ' ' || *p == 0x7f) abort();
  }
  contacts_free(c);
  return 0;
}
