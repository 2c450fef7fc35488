/*
 * addr.c - IP addresses: what kind they are, which are the same, and their
 * forms on the wire (BEP 5, BEP 32). Text is in addr_text.c.
 *
 * The classes follow the IANA special-purpose registries (RFC 6890).
 */
#include "addr.h"

#include "wire.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define V4_LEN 4
#define V6_LEN 16

struct prefix {
  uint8_t ip[V6_LEN];
  uint8_t bits;
};

static bool in_prefix(const uint8_t *ip, const struct prefix *p) {
  size_t whole = p->bits / 8;
  unsigned rest = p->bits % 8;

  if (memcmp(ip, p->ip, whole) != 0) return false;
  return rest == 0 || ((ip[whole] ^ p->ip[whole]) >> (8 - rest)) == 0;
}

static bool in_any(const uint8_t *ip, const struct prefix *list, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (in_prefix(ip, &list[i])) return true;
  return false;
}

#define IN_ANY(ip, list) in_any(ip, list, sizeof(list) / sizeof((list)[0]))

static const struct prefix v4_private[] = {
    {{10}, 8}, {{172, 16}, 12}, {{192, 168}, 16}, {{100, 64}, 10},
};

/* What is neither global nor in another class here. */
static const struct prefix v4_reserved[] = {
    {{192, 0, 0}, 24},    /* IETF protocol assignments */
    {{192, 0, 2}, 24},    /* documentation, RFC 5737 */
    {{198, 18}, 15},      /* benchmarks, RFC 2544 */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{240}, 4},           /* class E */
};

static const struct prefix v6_unicast[] = {
    {{0x20}, 3},                         /* the space that IANA hands out; 6to4 is in it */
    {{0x00, 0x64, 0xff, 0x9b}, 96},      /* NAT64, RFC 6052 */
};

static const struct prefix v6_reserved[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},      /* IETF protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},      /* documentation, RFC 3849 */
    {{0x3f, 0xff, 0x00}, 20},            /* documentation, RFC 9637 */
};

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port) {
  struct addr r = {.family = ADDR_V4, .ip = {a, b, c, d}, .port = port};

  return r;
}

struct addr addr_from_ip(const uint8_t *ip, size_t len, uint16_t port) {
  struct addr r = {0};

  if (len != V4_LEN && len != V6_LEN) return r;
  if (len == V6_LEN && memcmp(ip, v4_mapped, sizeof v4_mapped) == 0) {
    ip += sizeof v4_mapped;
    len = V4_LEN;
  }
  r.family = len == V4_LEN ? ADDR_V4 : ADDR_V6;
  memcpy(r.ip, ip, len);
  r.port = port;
  return r;
}

size_t addr_ip_len(const struct addr *a) {
  if (a->family == ADDR_V4) return V4_LEN;
  return a->family == ADDR_V6 ? V6_LEN : 0;
}

bool addr_same_ip(const struct addr *a, const struct addr *b) {
  return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, addr_ip_len(a)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b) { return a->port == b->port && addr_same_ip(a, b); }

size_t addr_to_compact(const struct addr *a, uint8_t out[18]) {
  size_t n = addr_ip_len(a);

  if (n == 0) return 0;
  memcpy(out, a->ip, n);
  out[n] = (uint8_t)(a->port >> 8);
  out[n + 1] = (uint8_t)a->port;
  return n + 2;
}

int addr_from_compact(struct addr *out, const uint8_t *p, size_t len) {
  if (len != V4_LEN + 2 && len != V6_LEN + 2) {
    errno = EINVAL;
    return -1;
  }
  *out = addr_from_ip(p, len - 2, (uint16_t)(p[len - 2] << 8 | p[len - 1]));
  return 0;
}

bool addr_is_loopback(const struct addr *a) {
  static const uint8_t one[V6_LEN] = {[15] = 1};

  if (a->family == ADDR_V4) return a->ip[0] == 127;
  return a->family == ADDR_V6 && memcmp(a->ip, one, V6_LEN) == 0;
}

bool addr_is_unspecified(const struct addr *a) {
  static const uint8_t zero[V6_LEN];

  if (a->family == ADDR_V4) return a->ip[0] == 0; /* all of "this network", RFC 1122 3.2.1.3 */
  return a->family == ADDR_V6 && memcmp(a->ip, zero, V6_LEN) == 0;
}

bool addr_is_multicast_or_broadcast(const struct addr *a) {
  static const uint8_t all[V4_LEN] = {255, 255, 255, 255};

  if (a->family == ADDR_V4) return (a->ip[0] & 0xf0) == 224 || memcmp(a->ip, all, V4_LEN) == 0;
  return a->family == ADDR_V6 && a->ip[0] == 0xff;
}

bool addr_is_link_local(const struct addr *a) {
  if (a->family == ADDR_V4) return a->ip[0] == 169 && a->ip[1] == 254;
  return a->family == ADDR_V6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool addr_is_private(const struct addr *a) {
  if (a->family == ADDR_V4) return IN_ANY(a->ip, v4_private);
  return a->family == ADDR_V6 && (a->ip[0] & 0xfe) == 0xfc;
}

bool addr_is_global(const struct addr *a) {
  if (addr_is_loopback(a) || addr_is_unspecified(a) || addr_is_multicast_or_broadcast(a) || addr_is_link_local(a) ||
      addr_is_private(a))
    return false;
  if (a->family == ADDR_V4) return !IN_ANY(a->ip, v4_reserved);
  return a->family == ADDR_V6 && IN_ANY(a->ip, v6_unicast) && !IN_ANY(a->ip, v6_reserved);
}

bool addr_same_subnet(const struct addr *a, const struct addr *b) {
  if (a->family != b->family || addr_ip_len(a) == 0) return false;
  return memcmp(a->ip, b->ip, a->family == ADDR_V4 ? 3 : 6) == 0;
}

uint64_t addr_hash(const struct addr *a, uint64_t seed) {
  uint8_t key[crypto_shorthash_KEYBYTES] = {0};
  uint8_t text[1 + V6_LEN + 2 + 4];
  uint8_t hash[crypto_shorthash_BYTES];
  struct wire_out w;
  struct wire_in in;

  wire_out_init(&w, key, sizeof key);
  wire_put_u64(&w, seed);
  wire_out_init(&w, text, sizeof text);
  wire_put_u8(&w, a->family);
  wire_put_bytes(&w, a->ip, addr_ip_len(a));
  wire_put_u16(&w, a->port);
  wire_put_u32(&w, a->scope);
  crypto_shorthash(hash, text, w.len, key);
  wire_in_init(&in, hash, sizeof hash);
  return wire_get_u64(&in);
}
