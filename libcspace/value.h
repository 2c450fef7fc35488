/*
 * value.h - the syntax of values of configuration keys and options: words,
 * numbers, choices, host:port. No allocation, no state, any thread.
 */
#ifndef CSPACE_VALUE_H
#define CSPACE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#define VALUE_MAX 4096     /* bytes of one value, the NUL included */
#define VALUE_WHY_MAX 256  /* room for what is wrong with a value */
#define VALUE_HOST_MAX 256 /* a host name or address, the NUL included */

/* Next word of a list separated by spaces or tabs: copies at most cap-1 bytes, advances *list. false at the end. A
 * word that is too long is cut: callers check lists with caps that fit first. */
bool value_word(const char **list, char *word, size_t cap);
size_t value_words(const char *list); /* how many */
/* Decimal digits alone, within min..max. */
bool value_number(const char *text, long min, long max, long *out);
/* text is one of the words of choices, which are separated by spaces. */
bool value_one_of(const char *text, const char *choices);
/* "192.0.2.1:5", "[2001:db8::1]:5" or "name.example:5"; port 1 to 65535. host gets the part before the port, without
 * brackets. host and port may be NULL. */
bool value_host_port(const char *text, char host[VALUE_HOST_MAX], unsigned *port);

#endif
