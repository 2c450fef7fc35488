/*
 * udp.h - the node's UDP socket: batches in and out, with UDP segmentation
 * offload (GSO) and receive coalescing (GRO) where the kernel has them and a
 * plain fallback where it has not. I/O shell.
 */
#ifndef CSPACE_UDP_H
#define CSPACE_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "addr.h"

#define UDP_BATCH_BYTES 65507  /* one GSO send at most */
#define UDP_RUNS_MAX 8         /* runs one udp_recv gives at most */
#define UDP_SEGMENTS_MAX 64    /* the kernel's limit for one GSO send */

struct udp;

/* Binds. [::]:port is dual-stack, and falls back to 0.0.0.0 where the machine has no IPv6. port 0: any. Sets DF
 * (IP_PMTUDISC_PROBE), large buffers, UDP_GRO. NULL + errno (EADDRINUSE ...). */
struct udp *udp_open(const struct addr *bind_to);
void udp_close(struct udp *u);
int udp_fd(const struct udp *u);
struct addr udp_local(const struct udp *u);   /* as bound */
bool udp_has_v4(const struct udp *u);
bool udp_has_v6(const struct udp *u);

/* Sends len bytes to `to` as datagrams of segment bytes each (the last may be shorter). 0: all taken; 1: the socket is
 * full, wait for EPOLLOUT (nothing, or only the first *sent bytes, went out); -1 + errno: EMSGSIZE when segment is above
 * the interface's MTU, EHOSTUNREACH ... (drop and go on). Turns GSO off for good when the kernel refuses it (EIO, EINVAL).
 * *sent counts bytes taken in whole segments. */
int udp_send(struct udp *u, const struct addr *to, const uint8_t *buf, size_t len, size_t segment, size_t *sent);

struct udp_in {
  struct addr from;
  const uint8_t *data;  /* in u's buffers, valid until the next udp_recv */
  size_t len;
  size_t segment;       /* len is a run of datagrams of this length, the last maybe shorter; == len for one */
};
/* Receives up to `max` runs without blocking. Count, 0 when nothing is there, -1 + errno. */
int udp_recv(struct udp *u, struct udp_in *in, int max);
/* For tests and benchmarks. */
void udp_set_offload(struct udp *u, bool gso, bool gro);

/* sockaddr <-> addr. */
socklen_t udp_to_sockaddr(struct sockaddr_storage *ss, const struct addr *a, bool v6_socket);
void udp_from_sockaddr(struct addr *a, const struct sockaddr_storage *ss);
/* Addresses of this machine's interfaces that are up (no multicast), the port set to `port`. Count. */
size_t udp_interface_addrs(struct addr *out, size_t max, uint16_t port, bool with_loopback);

#endif
