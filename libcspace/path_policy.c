/*
 * path_policy.c - which addresses out of a peer's record may be sent to at
 * all: they are the peer's word, and we would be the one who sends.
 * PROTOCOL.md 7.6.
 */
#include <string.h>

#include "path.h"

static bool in_prefix(const struct addr *a, const struct path_prefix *prefix) {
  size_t whole = prefix->bits / 8, rest = prefix->bits % 8;

  if (a->family != prefix->addr.family || prefix->bits == 0 || prefix->bits > 8 * addr_ip_len(a)) return false;
  if (addr_is_link_local(a) && a->scope != prefix->addr.scope) return false;
  if (memcmp(a->ip, prefix->addr.ip, whole) != 0) return false;
  return rest == 0 || ((a->ip[whole] ^ prefix->addr.ip[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

/* The directed broadcast address and the network's own, where IPv4 has them. */
static bool is_edge(const struct addr *a, const struct path_prefix *prefix) {
  uint32_t ip = (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 | a->ip[3];
  uint32_t host = prefix->bits < 31 ? UINT32_MAX >> prefix->bits : 0;

  return a->family == ADDR_V4 && host != 0 && in_prefix(a, prefix) && ((ip & host) == 0 || (ip & host) == host);
}

bool path_target_allowed(const struct addr *a, const struct path_policy *policy) {
  bool attached = false;

  if (addr_ip_len(a) == 0 || a->port == 0) return false;
  if (addr_is_unspecified(a) || addr_is_multicast_or_broadcast(a)) return false;
  if (addr_is_loopback(a)) return policy->allow_loopback;
  for (size_t i = 0; i < policy->n_attached; i++) {
    if (is_edge(a, &policy->attached[i])) return false;
    attached = attached || in_prefix(a, &policy->attached[i]);
  }
  if (addr_is_global(a)) return true;
  if (!addr_is_link_local(a) && !addr_is_private(a)) return false;
  if (attached) return true;
  return addr_is_private(a) && policy->reflexive != NULL && policy->peer_reflexive != NULL &&
         addr_same_ip(policy->reflexive, policy->peer_reflexive);
}
