/*
 * addr_text.c - addresses as text: RFC 4291 2.2 read strictly, RFC 5952
 * written. By hand, because inet_pton and inet_ntop belong to the sockets API.
 */
#include "addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GROUPS 8

/* Reads a decimal number up to max, without sign, space or needless zeroes; moves *s past it. */
static int get_decimal(const char **s, uint32_t max, uint32_t *out) {
  const char *p = *s;
  uint64_t v = 0;

  if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9')) return -1;
  for (; *p >= '0' && *p <= '9'; p++) {
    v = v * 10 + (uint64_t)(*p - '0');
    if (v > max) return -1;
  }
  *s = p;
  *out = (uint32_t)v;
  return 0;
}

static int get_v4(const char **s, uint8_t ip[4]) {
  for (int i = 0; i < 4; i++) {
    uint32_t v;

    if (i > 0 && *(*s)++ != '.') return -1;
    if (get_decimal(s, 255, &v) != 0) return -1;
    ip[i] = (uint8_t)v;
  }
  return 0;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One group of up to four hex digits. */
static int get_group(const char **s, uint8_t out[2]) {
  unsigned v = 0;
  int n = 0;

  for (; n < 4 && hex_value(**s) >= 0; n++) v = v << 4 | (unsigned)hex_value(*(*s)++);
  if (n == 0 || hex_value(**s) >= 0) return -1;
  out[0] = (uint8_t)(v >> 8);
  out[1] = (uint8_t)v;
  return 0;
}

/* True when a dotted quad stands at s, before the next colon. */
static bool quad_ahead(const char *s) {
  size_t n = strspn(s, "0123456789");

  return n > 0 && s[n] == '.';
}

static int get_v6(const char **s, uint8_t ip[16]) {
  uint8_t got[16];
  size_t len = 0, gap = sizeof got + 1; /* where "::" stood */

  if ((*s)[0] == ':' && (*s)[1] != ':') return -1;
  for (;;) {
    if ((*s)[0] == ':' && (*s)[1] == ':') {
      if (gap <= sizeof got) return -1;
      gap = len;
      *s += 2;
      if (hex_value(**s) < 0) break;
    } else if (len > 0) {
      if (**s != ':') break;
      (*s)++;
    }
    if (len <= 12 && quad_ahead(*s)) {
      if (get_v4(s, got + len) != 0) return -1;
      len += 4;
      break;
    }
    if (len == sizeof got || get_group(s, got + len) != 0) return -1;
    len += 2;
  }
  if (gap > sizeof got ? len != sizeof got : len > sizeof got - 2) return -1;
  memset(ip, 0, sizeof got);
  if (gap > sizeof got) gap = len;
  memcpy(ip, got, gap);
  memcpy(ip + sizeof got - (len - gap), got + gap, len - gap);
  return 0;
}

static int parse(struct addr *out, const char *s) {
  uint8_t ip[16];
  uint32_t scope = 0, port;
  size_t len = 4;

  if (*s == '[') {
    s++;
    len = sizeof ip;
    if (get_v6(&s, ip) != 0) return -1;
    if (*s == '%' && (s++, get_decimal(&s, UINT32_MAX, &scope)) != 0) return -1;
    if (*s++ != ']') return -1;
  } else if (get_v4(&s, ip) != 0) {
    return -1;
  }
  if (*s++ != ':' || get_decimal(&s, UINT16_MAX, &port) != 0 || *s != '\0') return -1;
  *out = addr_from_ip(ip, len, (uint16_t)port);
  if (scope != 0) {
    if (out->family != ADDR_V6 || !addr_is_link_local(out)) return -1; /* a scope means nothing elsewhere */
    out->scope = scope;
  }
  return 0;
}

int addr_parse(struct addr *out, const char *text) {
  struct addr got;

  if (text == NULL || parse(&got, text) != 0) {
    errno = EINVAL;
    return -1;
  }
  *out = got;
  return 0;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 4.2). */
static void longest_run(const uint8_t ip[16], int *start, int *len) {
  *start = *len = 0;
  for (int i = 0; i < GROUPS; i++) {
    int n = 0;

    while (i + n < GROUPS && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0) n++;
    if (n > *len) {
      *start = i;
      *len = n;
    }
  }
  if (*len < 2) *start = *len = 0;
}

static char *format_v6(const struct addr *a, char *p, char *end) {
  int start, len;

  longest_run(a->ip, &start, &len);
  for (int i = 0; i < GROUPS; i++) {
    if (len > 0 && i == start) {
      p += snprintf(p, (size_t)(end - p), "::");
      i += len - 1;
      continue;
    }
    p += snprintf(p, (size_t)(end - p), "%s%x", i > 0 && (len == 0 || i != start + len) ? ":" : "",
                  (unsigned)(a->ip[2 * i] << 8 | a->ip[2 * i + 1]));
  }
  if (a->scope != 0) p += snprintf(p, (size_t)(end - p), "%%%u", (unsigned)a->scope);
  return p;
}

char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX]) {
  char *end = buf + ADDR_TEXT_MAX, *p = buf;

  if (a->family == ADDR_V4) {
    snprintf(buf, ADDR_TEXT_MAX, "%u.%u.%u.%u:%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3], (unsigned)a->port);
  } else if (a->family == ADDR_V6) {
    *p++ = '[';
    p = format_v6(a, p, end);
    snprintf(p, (size_t)(end - p), "]:%u", (unsigned)a->port);
  } else {
    snprintf(buf, ADDR_TEXT_MAX, "none");
  }
  return buf;
}
