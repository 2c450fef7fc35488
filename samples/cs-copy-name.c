/*
 * cs-copy-name.c - acceptable names, free names. PROTOCOL.md 10.3.
 */
#include "cs-copy-name.h"

#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 character at p and its value; 0 when malformed (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_next(const unsigned char *p, size_t left, uint32_t *cp) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n;
  uint32_t v;

  if (p[0] < 0x80) {
    *cp = p[0];
    return 1;
  }
  if (p[0] >= 0xc2 && p[0] <= 0xdf) {
    n = 2;
    v = p[0] & 0x1f;
  } else if ((p[0] & 0xf0) == 0xe0) {
    n = 3;
    v = p[0] & 0x0f;
  } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
    n = 4;
    v = p[0] & 0x07;
  } else {
    return 0;
  }
  if (left < n) return 0;
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
    v = v << 6 | (p[i] & 0x3f);
  }
  if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) return 0;
  *cp = v;
  return n;
}

/* Control characters (C0, DEL, C1), line and paragraph separators, and what turns the direction of text around: with
 * these a name could show as another, or drive a terminal. */
static bool char_deceives(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

const char *copy_component_problem(const char *name, size_t len) {
  const unsigned char *p = (const unsigned char *)name;
  uint32_t cp;

  if (len == 0) return "a path with an empty component";
  if (len > COPY_NAME_MAX) return "a name of more than 255 bytes";
  if (len <= 2 && memcmp(name, "..", len) == 0) return "a path with a \".\" or \"..\" in it";
  if (name[0] == '.') return "a hidden name (one that starts with a dot)";
  for (size_t i = 0, n; i < len; i += n) {
    n = utf8_next(p + i, len - i, &cp);
    if (n == 0) return "a name that is not UTF-8";
    if (char_deceives(cp)) return "a name with control characters";
    if (cp == '/') return "a name with a slash";
  }
  return NULL;
}

const char *copy_path(char out[COPY_PATH_MAX + 1], const char *target, const char *name, bool is_dir) {
  size_t len = strnlen(target, COPY_TARGET_MAX + 1);
  const char *problem, *at = out;
  unsigned depth = 0;

  if (len > COPY_TARGET_MAX) return "a path of more than 1024 bytes";
  if (target[0] == '/') return "an absolute path";
  if (len > 0 && target[len - 1] != '/' && !is_dir) {
    snprintf(out, COPY_PATH_MAX + 1, "%s", target);
  } else {
    problem = copy_component_problem(name, strlen(name));
    if (problem != NULL) return problem;
    snprintf(out, COPY_PATH_MAX + 1, "%s%s%s", target, len > 0 && target[len - 1] != '/' ? "/" : "", name);
  }
  for (;; at++) {
    size_t n = strcspn(at, "/");

    if (++depth > COPY_DEPTH_MAX) return "a path of more than 32 components";
    problem = copy_component_problem(at, n);
    if (problem != NULL) return problem;
    at += n;
    if (*at == '\0') return NULL;
  }
}

/* The most bytes of name, at most max, that end at a character's edge. */
static size_t cut(const char *name, size_t len, size_t max) {
  if (len <= max) return len;
  while (max > 0 && ((unsigned char)name[max] & 0xc0) == 0x80) max--;
  return max;
}

void copy_free_name(char out[COPY_NAME_MAX + 1], const char *name, unsigned n) {
  const char *dot = strrchr(name, '.');
  size_t len = strlen(name), stem, ext;
  char number[16];

  if (n == 0) {
    snprintf(out, COPY_NAME_MAX + 1, "%s", name);
    return;
  }
  snprintf(number, sizeof number, " (%u)", n);
  stem = dot == NULL || dot == name ? len : (size_t)(dot - name);
  ext = len - stem;
  if (ext > COPY_NAME_MAX / 2) { /* that is no extension */
    stem = len;
    ext = 0;
  }
  stem = cut(name, stem, COPY_NAME_MAX - ext - strlen(number));
  snprintf(out, COPY_NAME_MAX + 1, "%.*s%s%s", (int)stem, name, number, ext > 0 ? dot : "");
}

void copy_part_name(char out[COPY_NAME_MAX + 1], const char *name, const uint8_t random[COPY_PART_RANDOM]) {
  static const char tag[] = ".cs-part-";
  size_t max = COPY_NAME_MAX - 1 - (sizeof tag - 1) - 2 * COPY_PART_RANDOM;
  int at = snprintf(out, COPY_NAME_MAX + 1, ".%.*s%s", (int)cut(name, strlen(name), max), name, tag);

  for (size_t i = 0; i < COPY_PART_RANDOM; i++, at += 2) snprintf(out + at, 3, "%02x", random[i]);
}

void copy_clean_text(char *text) {
  unsigned char *p = (unsigned char *)text;
  size_t left = strlen(text);
  uint32_t cp;

  for (size_t n; left > 0; p += n, left -= n) {
    n = utf8_next(p, left, &cp);
    if (n > 0 && !char_deceives(cp)) continue;
    if (n == 0) n = 1;
    memset(p, '?', n);
  }
}
