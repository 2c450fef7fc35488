/*
 * udp_proxy.h - a middle box on loopback that loses, doubles, swaps, flips
 * and cuts datagrams, and keeps copies of what passed. A thread of its own.
 */
#ifndef CSPACE_TESTS_UDP_PROXY_H
#define CSPACE_TESTS_UDP_PROXY_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define UDP_PROXY_KEEP 512 /* first datagrams towards the callee that are kept */

struct udp_proxy;

/* Of a thousand datagrams, each way. */
struct udp_harm {
  unsigned drop, twice, swap, flip, cut;
};

struct udp_copy {
  uint8_t *data;
  size_t len;
};

/* Passes what comes to its port on to the callee, and the answers back. NULL on failure. */
struct udp_proxy *udp_proxy_new(const struct sockaddr_in *callee, uint64_t seed);
void udp_proxy_free(struct udp_proxy *p);
uint16_t udp_proxy_port(const struct udp_proxy *p);
void udp_proxy_harm(struct udp_proxy *p, const struct udp_harm *harm);
/* Copies of the first datagrams that came from the caller; theirs until udp_proxy_free. */
size_t udp_proxy_copies(struct udp_proxy *p, struct udp_copy out[UDP_PROXY_KEEP]);
/* Datagrams that passed, and that were harmed. */
void udp_proxy_counts(struct udp_proxy *p, unsigned *passed, unsigned *harmed);

#endif
