/*
 * addr.h - an IP address and port without the sockets API, for the sans-IO
 * cores. IPv4-mapped IPv6 is always held as IPv4, so that one real address
 * has one form. udp.c converts to and from sockaddr.
 */
#ifndef CSPACE_ADDR_H
#define CSPACE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
  uint8_t family;  /* enum addr_family */
  uint8_t ip[16];  /* network order; IPv4 in the first 4, the rest zero */
  uint16_t port;   /* host order */
  uint32_t scope;  /* interface index of a link-local IPv6 address, else 0 */
};

#define ADDR_TEXT_MAX 64 /* "[ipv6%scope]:port" and the NUL */

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/* From 4 or 16 bytes; a mapped IPv4 address becomes IPv4. */
struct addr addr_from_ip(const uint8_t *ip, size_t len, uint16_t port);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_same_ip(const struct addr *a, const struct addr *b);
/* "1.2.3.4:5", "[::1]:5", "[fe80::1%3]:5" (numeric scope). 0, or -1 + EINVAL. */
int addr_parse(struct addr *out, const char *text);
/* Writes "1.2.3.4:5" or "[::1]:5"; returns buf. */
char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX]);
size_t addr_ip_len(const struct addr *a); /* 4, 16 or 0 */
/* The 6 or 18 byte form of BEP 5 and 32: ip, then port. Returns its length. */
size_t addr_to_compact(const struct addr *a, uint8_t out[18]);
/* len must be 6 or 18; 0, or -1 + EINVAL. */
int addr_from_compact(struct addr *out, const uint8_t *p, size_t len);

bool addr_is_loopback(const struct addr *a);
bool addr_is_unspecified(const struct addr *a); /* :: and all of 0.0.0.0/8 */
bool addr_is_multicast_or_broadcast(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* RFC 1918, RFC 6598 (100.64/10), unique local fc00::/7. */
bool addr_is_private(const struct addr *a);
/* Globally routable unicast: none of the above nor reserved space. */
bool addr_is_global(const struct addr *a);
/* The group that limits per subnet count by: /24 of IPv4, /48 of IPv6. */
bool addr_same_subnet(const struct addr *a, const struct addr *b);
uint64_t addr_hash(const struct addr *a, uint64_t seed);

#endif
