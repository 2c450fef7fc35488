/*
 * udp.c - the UDP socket: GSO and GRO where the kernel has them, sendmmsg and
 * plain recvmmsg where it has not. See udp(7): UDP_SEGMENT, UDP_GRO.
 *
 * DF is always set and the kernel's path MTU ignored (RFC 8899 4.1): probing
 * is the session's. A datagram above the interface's MTU is refused.
 */
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECV_RUN_BYTES (64u << 10) /* what GRO gathers at most */
#define SOCKET_BUFFER (4 << 20)    /* asked for; the kernel grants net.core.[rw]mem_max */
#define SOFT_ERRORS_MAX 16         /* queued ICMP errors skipped in one call */

union gso_control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

union gro_control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

struct udp {
  int fd;
  bool v6_socket, has_v4, has_v6;
  bool gso;
  struct addr local;
  uint8_t *buffers; /* UDP_RUNS_MAX runs, mapped: only what was received into takes memory */
  struct mmsghdr msgs[UDP_RUNS_MAX];
  struct iovec iov[UDP_RUNS_MAX];
  struct sockaddr_storage names[UDP_RUNS_MAX];
  union gro_control control[UDP_RUNS_MAX];
};

/* ---- open and close ---- */

static void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

static void set_buffer(int fd, int force, int plain) {
  int size = SOCKET_BUFFER;
  if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size))
    setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

static int bind_socket(const struct addr *to, bool dual_stack) {
  bool v6 = to->family == ADDR_V6;
  struct sockaddr_storage ss;
  socklen_t len = udp_to_sockaddr(&ss, to, v6);
  int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  if (v6)
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
  if (!bind(fd, (struct sockaddr *)&ss, len))
    return fd;
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

static void set_options(struct udp *u) {
  if (u->v6_socket)
    set_option(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  if (u->has_v4)
    set_option(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  set_buffer(u->fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(u->fd, SO_SNDBUFFORCE, SO_SNDBUF);
  set_option(u->fd, SOL_UDP, UDP_GRO, 1);
}

static void set_messages(struct udp *u) {
  for (int i = 0; i < UDP_RUNS_MAX; i++) {
    u->iov[i] = (struct iovec){u->buffers + i * RECV_RUN_BYTES, RECV_RUN_BYTES};
    u->msgs[i].msg_hdr = (struct msghdr){.msg_name = &u->names[i], .msg_iov = &u->iov[i], .msg_iovlen = 1,
                                         .msg_control = &u->control[i]};
  }
}

struct udp *udp_open(const struct addr *bind_to) {
  if (bind_to->family != ADDR_V4 && bind_to->family != ADDR_V6) {
    errno = EINVAL;
    return NULL;
  }
  struct udp *u = calloc(1, sizeof *u);
  if (!u)
    return NULL;
  struct addr at = *bind_to;
  bool any6 = at.family == ADDR_V6 && addr_is_unspecified(&at);
  u->fd = -1;
  u->gso = true;
  u->buffers = mmap(NULL, UDP_RUNS_MAX * RECV_RUN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (u->buffers == MAP_FAILED) {
    u->buffers = NULL;
    goto fail;
  }
  u->fd = bind_socket(&at, any6);
  if (u->fd < 0 && any6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
    at = addr_v4(0, 0, 0, 0, at.port); /* no IPv6 here */
    u->fd = bind_socket(&at, false);
  }
  if (u->fd < 0)
    goto fail;
  u->v6_socket = u->has_v6 = at.family == ADDR_V6;
  u->has_v4 = any6 || at.family == ADDR_V4;
  set_options(u);
  set_messages(u);
  struct sockaddr_storage ss = {0};
  socklen_t len = sizeof ss;
  if (getsockname(u->fd, (struct sockaddr *)&ss, &len))
    goto fail;
  udp_from_sockaddr(&u->local, &ss);
  return u;
fail:;
  int saved = errno;
  udp_close(u);
  errno = saved;
  return NULL;
}

void udp_close(struct udp *u) {
  if (!u)
    return;
  if (u->fd >= 0)
    close(u->fd);
  if (u->buffers)
    munmap(u->buffers, UDP_RUNS_MAX * RECV_RUN_BYTES);
  free(u);
}

int udp_fd(const struct udp *u) {
  return u->fd;
}

struct addr udp_local(const struct udp *u) {
  return u->local;
}

bool udp_has_v4(const struct udp *u) {
  return u->has_v4;
}

bool udp_has_v6(const struct udp *u) {
  return u->has_v6;
}

void udp_set_offload(struct udp *u, bool gso, bool gro) {
  u->gso = gso;
  set_option(u->fd, SOL_UDP, UDP_GRO, gro);
}

/* ---- sending ---- */

struct target {
  struct sockaddr_storage ss;
  socklen_t len;
};

/* Errors that say nothing about this datagram: an ICMP error queued for an earlier one. */
static bool is_queued_error(int err) {
  return err == ECONNREFUSED || err == EINTR;
}

/* One sendmsg of len bytes, as segments when len > segment. 0 or -1 + errno. */
static int send_once(struct udp *u, struct target *to, const uint8_t *buf, size_t len, size_t segment) {
  struct iovec iov = {(void *)buf, len};
  union gso_control control;
  struct msghdr msg = {.msg_name = &to->ss, .msg_namelen = to->len, .msg_iov = &iov, .msg_iovlen = 1};
  if (len > segment) {
    uint16_t size = (uint16_t)segment;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
  }
  for (int tries = 0; sendmsg(u->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0; tries++)
    if (!is_queued_error(errno) || tries >= SOFT_ERRORS_MAX)
      return -1;
  return 0;
}

/* Sends up to UDP_SEGMENTS_MAX datagrams one by one. Bytes taken, or -1 + errno when not even the first was. */
static ssize_t send_many(struct udp *u, struct target *to, const uint8_t *buf, size_t len, size_t segment) {
  struct mmsghdr msgs[UDP_SEGMENTS_MAX];
  struct iovec iov[UDP_SEGMENTS_MAX];
  unsigned n = 0;
  for (size_t at = 0; at < len && n < UDP_SEGMENTS_MAX; at += segment, n++) {
    iov[n] = (struct iovec){(void *)(buf + at), len - at < segment ? len - at : segment};
    msgs[n].msg_hdr = (struct msghdr){.msg_name = &to->ss, .msg_namelen = to->len, .msg_iov = &iov[n],
                                      .msg_iovlen = 1};
  }
  int sent;
  for (int tries = 0; (sent = sendmmsg(u->fd, msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0; tries++)
    if (!is_queued_error(errno) || tries >= SOFT_ERRORS_MAX)
      return -1;
  size_t bytes = (size_t)sent * segment;
  return (ssize_t)(bytes < len ? bytes : len);
}

/* The kernel's words for "no GSO here" and for "the segment is above the MTU" overlap (EINVAL for both, in some
 * versions): the first segment sent by itself tells. Bytes taken, or -1 + errno. */
static ssize_t send_after_refusal(struct udp *u, struct target *to, const uint8_t *buf, size_t segment) {
  int err = errno;
  if (send_once(u, to, buf, segment, segment))
    return -1;
  if (err == EINVAL || err == EIO)
    u->gso = false;
  return (ssize_t)segment;
}

/* Bytes taken of a batch that fits one GSO send, or -1 + errno. */
static ssize_t send_batch(struct udp *u, struct target *to, const uint8_t *buf, size_t len, size_t segment) {
  if (len > segment && !u->gso)
    return send_many(u, to, buf, len, segment);
  if (!send_once(u, to, buf, len, segment))
    return (ssize_t)len;
  if (len > segment && (errno == EINVAL || errno == EIO || errno == EMSGSIZE))
    return send_after_refusal(u, to, buf, segment);
  return -1;
}

int udp_send(struct udp *u, const struct addr *to, const uint8_t *buf, size_t len, size_t segment, size_t *sent) {
  struct target target;
  *sent = 0;
  if (to->family == ADDR_V4 ? !u->has_v4 : !u->has_v6) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  if (!segment || segment > UDP_BATCH_BYTES) {
    errno = EMSGSIZE;
    return -1;
  }
  target.len = udp_to_sockaddr(&target.ss, to, u->v6_socket);
  size_t per_batch = UDP_BATCH_BYTES / segment;
  size_t batch = (per_batch < UDP_SEGMENTS_MAX ? per_batch : UDP_SEGMENTS_MAX) * segment;
  while (*sent < len) {
    size_t n = len - *sent < batch ? len - *sent : batch;
    ssize_t taken = send_batch(u, &target, buf + *sent, n, segment);
    if (taken < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return 1;
    /* A full device queue gives no EPOLLOUT later: as good as lost on the way. */
    if (taken < 0 && errno == ENOBUFS)
      taken = (ssize_t)n;
    if (taken < 0)
      return -1;
    *sent += (size_t)taken;
  }
  return 0;
}

/* ---- receiving ---- */

static size_t gro_segment(struct msghdr *msg, size_t len) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    int size;
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO || c->cmsg_len < CMSG_LEN(sizeof size))
      continue;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 && (size_t)size < len ? (size_t)size : len;
  }
  return len;
}

/* Fills in from message i. False for what is to be skipped: truncated, or from no address. */
static bool take_run(struct udp *u, struct udp_in *in, int i) {
  struct msghdr *msg = &u->msgs[i].msg_hdr;
  if (msg->msg_flags & MSG_TRUNC)
    return false;
  udp_from_sockaddr(&in->from, &u->names[i]);
  in->data = u->iov[i].iov_base;
  in->len = u->msgs[i].msg_len;
  in->segment = gro_segment(msg, in->len);
  return in->from.family != ADDR_NONE;
}

int udp_recv(struct udp *u, struct udp_in *in, int max) {
  int n = max < UDP_RUNS_MAX ? max : UDP_RUNS_MAX;
  for (int tries = 0;; tries++) {
    for (int i = 0; i < n; i++) {
      u->msgs[i].msg_hdr.msg_namelen = sizeof u->names[i];
      u->msgs[i].msg_hdr.msg_controllen = sizeof u->control[i].bytes;
      u->msgs[i].msg_hdr.msg_flags = 0;
    }
    int got = recvmmsg(u->fd, u->msgs, (unsigned)n, MSG_DONTWAIT, NULL);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return 0;
    if (got < 0 && (!is_queued_error(errno) || tries >= SOFT_ERRORS_MAX))
      return -1;
    int kept = 0;
    for (int i = 0; i < got; i++)
      kept += take_run(u, &in[kept], i);
    if (kept)
      return kept;
  }
}
