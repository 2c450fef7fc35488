/*
 * contacts_line.h - the lines of the contacts file, for its reader
 * (contacts.c) and its editor (contacts_file.c) alike.
 */
#ifndef CSPACE_CONTACTS_LINE_H
#define CSPACE_CONTACTS_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum contacts_line_kind { CONTACTS_LINE_BLANK, CONTACTS_LINE_CONTACT, CONTACTS_LINE_BAD };

struct contacts_line {
  enum contacts_line_kind kind; /* BLANK: nothing or a # comment; BAD: not two words */
  size_t number;                /* from 1 */
  size_t start, end;            /* in the text, with the line's end */
  const char *name, *id;        /* of a CONTACT, not terminated */
  size_t name_len, id_len;
};

/* The next line; zero *line first. false at the end of the text. A carriage return before the line's end is blank. */
bool contacts_next_line(const char *text, size_t len, struct contacts_line *line);

struct contacts;

/* For a reload: the same names and keys; and an exchange of two tables. */
bool contacts_same(const struct contacts *a, const struct contacts *b);
void contacts_swap(struct contacts *a, struct contacts *b);

#endif
