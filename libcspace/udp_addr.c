/*
 * udp_addr.c - between the sockets' addresses and ours, and the addresses of
 * this machine.
 */
#include "udp.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static socklen_t to_v4(struct sockaddr_storage *ss, const struct addr *a) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
  memcpy(&in.sin_addr, a->ip, 4);
  memcpy(ss, &in, sizeof in);
  return sizeof in;
}

socklen_t udp_to_sockaddr(struct sockaddr_storage *ss, const struct addr *a, bool v6_socket) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
  memset(ss, 0, sizeof *ss);
  if (a->family == ADDR_V4 && !v6_socket)
    return to_v4(ss, a);
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
  if (a->family == ADDR_V4) {
    memcpy(&in6.sin6_addr, mapped, sizeof mapped);
    memcpy((uint8_t *)&in6.sin6_addr + 12, a->ip, 4);
  } else {
    memcpy(&in6.sin6_addr, a->ip, 16);
  }
  memcpy(ss, &in6, sizeof in6);
  return sizeof in6;
}

void udp_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss) {
  memset(a, 0, sizeof *a);
  if (ss->ss_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, ss, sizeof in);
    *a = addr_from_ip((const uint8_t *)&in.sin_addr, 4, ntohs(in.sin_port));
  } else if (ss->ss_family == AF_INET6) {
    struct sockaddr_in6 in6;
    memcpy(&in6, ss, sizeof in6);
    *a = addr_from_ip((const uint8_t *)&in6.sin6_addr, 16, ntohs(in6.sin6_port));
    if (addr_is_link_local(a) && a->family == ADDR_V6)
      a->scope = in6.sin6_scope_id;
  }
}

/* ADDR_NONE for an interface address that is not asked for. */
static struct addr interface_addr(const struct ifaddrs *ifa, bool with_loopback) {
  struct sockaddr_storage ss = {0};
  struct addr a = {0};
  if (!ifa->ifa_addr || !(ifa->ifa_flags & IFF_UP))
    return a;
  if (ifa->ifa_addr->sa_family == AF_INET)
    memcpy(&ss, ifa->ifa_addr, sizeof(struct sockaddr_in));
  else if (ifa->ifa_addr->sa_family == AF_INET6)
    memcpy(&ss, ifa->ifa_addr, sizeof(struct sockaddr_in6));
  udp_from_sockaddr(&a, &ss);
  if (addr_is_unspecified(&a) || addr_is_multicast_or_broadcast(&a) || (addr_is_loopback(&a) && !with_loopback))
    a.family = ADDR_NONE;
  return a;
}

size_t udp_interface_addrs(struct addr *out, size_t max, uint16_t port, bool with_loopback) {
  struct ifaddrs *list;
  size_t n = 0;
  if (getifaddrs(&list))
    return 0;
  for (const struct ifaddrs *ifa = list; ifa && n < max; ifa = ifa->ifa_next) {
    struct addr a = interface_addr(ifa, with_loopback);
    if (a.family == ADDR_NONE)
      continue;
    a.port = port;
    out[n++] = a;
  }
  freeifaddrs(list);
  return n;
}
