/*
 * value.c - the syntax of values of configuration keys and options.
 */
#include "value.h"

#include "addr.h"

#include <stdio.h>
#include <string.h>

bool value_word(const char **list, char *word, size_t cap) {
  const char *p = *list + strspn(*list, " \t");
  size_t len = strcspn(p, " \t"), n = len < cap ? len : cap - 1;

  memcpy(word, p, n);
  word[n] = '\0';
  *list = p + len;
  return len > 0;
}

size_t value_words(const char *list) {
  char word[2];
  size_t n = 0;

  while (value_word(&list, word, sizeof word)) n++;
  return n;
}

bool value_number(const char *text, long min, long max, long *out) {
  long n = 0;
  size_t len = strspn(text, "0123456789");

  if (len == 0 || len > 10 || text[len] != '\0') return false;
  for (size_t i = 0; i < len; i++) n = n * 10 + (text[i] - '0'); /* 10 digits fit a 64-bit long */
  if (n < min || n > max) return false;
  *out = n;
  return true;
}

_Static_assert(sizeof(long) >= 8, "ten digits fit a long");

bool value_one_of(const char *text, const char *choices) {
  char word[32];

  while (value_word(&choices, word, sizeof word))
    if (strcmp(word, text) == 0) return true;
  return false;
}

/* RFC 1123 2.1, and the underscore that real names have. What ends like a number is no name but a bad address. */
static bool host_name(const char *host) {
  size_t label = 0, digits = 0;
  char before = '.';

  if (strlen(host) > 253) return false;
  for (const char *p = host; *p != '\0'; before = *p++) {
    bool digit = *p >= '0' && *p <= '9';

    if (*p == '.') {
      if (label == 0 || before == '-') return false;
      if (p[1] == '\0') break; /* a name that ends in the root */
      label = digits = 0;
      continue;
    }
    if (!digit && !(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && *p != '-' && *p != '_') return false;
    if ((*p == '-' && label == 0) || ++label > 63) return false;
    digits += digit;
  }
  return label > 0 && digits < label && before != '-';
}

bool value_host_port(const char *text, char host[VALUE_HOST_MAX], unsigned *port) {
  const char *colon = strrchr(text, ':');
  char h[VALUE_HOST_MAX];
  struct addr a;
  long n;
  size_t len;

  if (colon == NULL || !value_number(colon + 1, 1, 65535, &n)) return false;
  len = (size_t)(colon - text);
  if (len == 0 || len >= sizeof h) return false;
  memcpy(h, text, len);
  h[len] = '\0';
  if (addr_parse(&a, text) == 0) {
    if (h[0] == '[') {
      memmove(h, h + 1, len - 2);
      h[len - 2] = '\0';
    }
  } else if (!host_name(h)) {
    return false;
  }
  if (host != NULL) snprintf(host, VALUE_HOST_MAX, "%s", h);
  if (port != NULL) *port = (unsigned)n;
  return true;
}
