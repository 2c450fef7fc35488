/*
 * test_udp.c - datagrams over loopback: with and without offload, both families of one socket, every error the contract
 * names.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define DEADLINE_MS 5000
#define RUNS 32

static struct addr any6(void) {
  static const uint8_t zero[16];
  return addr_from_ip(zero, 16, 0);
}

static struct addr loopback6(uint16_t port) {
  static const uint8_t one[16] = {[15] = 1};
  return addr_from_ip(one, 16, port);
}

static struct addr loopback4(uint16_t port) {
  return addr_v4(127, 0, 0, 1, port);
}

static struct udp *open_at(struct addr at) {
  struct udp *u = udp_open(&at);
  CU_ASSERT_FATAL(u != NULL);
  return u;
}

static bool wait_for(const struct udp *u, short events) {
  struct pollfd p = {.fd = udp_fd(u), .events = events};
  return poll(&p, 1, DEADLINE_MS) == 1;
}

/* What arrived, datagram by datagram. */
struct heard {
  struct addr from;
  size_t datagrams, bytes, runs;
  size_t shortest, longest;
  bool in_order; /* byte i of the stream is i * 7 */
};

static void hear_run(struct heard *h, const struct udp_in *in) {
  for (size_t at = 0; at < in->len || (at == 0 && in->len == 0); at += in->segment) {
    size_t n = in->len - at < in->segment ? in->len - at : in->segment;
    h->shortest = n < h->shortest ? n : h->shortest;
    h->longest = n > h->longest ? n : h->longest;
    h->datagrams++;
    if (!in->segment)
      break;
  }
  for (size_t i = 0; i < in->len; i++)
    h->in_order &= in->data[i] == (uint8_t)((h->bytes + i) * 7);
  h->bytes += in->len;
  h->from = in->from;
  h->runs++;
}

static struct heard hear(struct udp *u, size_t bytes) {
  struct udp_in in[RUNS];
  struct heard h = {.shortest = SIZE_MAX, .in_order = true};
  while (h.bytes < bytes && wait_for(u, POLLIN)) {
    int n = udp_recv(u, in, RUNS);
    if (n < 0)
      break;
    for (int i = 0; i < n; i++)
      hear_run(&h, &in[i]);
  }
  return h;
}

static uint8_t *pattern(size_t len) {
  uint8_t *p = malloc(len ? len : 1);
  CU_ASSERT_FATAL(p != NULL);
  for (size_t i = 0; i < len; i++)
    p[i] = (uint8_t)(i * 7);
  return p;
}

/* ---- there and back ---- */

static void pass(struct udp *from, struct udp *to, struct addr at, size_t len, size_t segment) {
  size_t sent = 0, datagrams = (len + segment - 1) / segment;
  uint8_t *data = pattern(len);
  CU_ASSERT(udp_send(from, &at, data, len, segment, &sent) == 0);
  CU_ASSERT(sent == len);
  struct heard h = hear(to, len);
  CU_ASSERT(h.bytes == len);
  CU_ASSERT(h.datagrams == datagrams);
  CU_ASSERT(h.longest == (len < segment ? len : segment));
  CU_ASSERT(h.shortest == (len % segment ? len % segment : segment));
  CU_ASSERT(h.in_order);
  CU_ASSERT(h.from.port == udp_local(from).port);
  free(data);
}

static void test_sizes(void) {
  static const size_t segments[] = {1, 100, 1200, 1452, 8900, 65507};
  for (int offload = 0; offload < 4; offload++) {
    struct udp *a = open_at(loopback4(0)), *b = open_at(loopback4(0));
    udp_set_offload(a, offload & 1, true);
    udp_set_offload(b, true, offload & 2);
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
      size_t s = segments[i];
      pass(a, b, udp_local(b), s, s);
      pass(a, b, udp_local(b), s * 2 + (s + 1) / 2, s);
      pass(a, b, udp_local(b), s * 63, s); /* one GSO send or two, or 63 datagrams */
      if (s < 8900)
        pass(a, b, udp_local(b), s * 200 + s / 2 + 1, s);
    }
    udp_close(a);
    udp_close(b);
  }
}

static void test_coalesced(void) {
  struct udp *a = open_at(loopback4(0)), *b = open_at(loopback4(0));
  struct addr to = udp_local(b);
  uint8_t *data = pattern(14520);
  size_t sent;
  CU_ASSERT(udp_send(a, &to, data, 14520, 1452, &sent) == 0);
  struct heard h = hear(b, 14520);
  CU_ASSERT(h.datagrams == 10 && h.runs == 1); /* GSO out, GRO in: one system call each */
  udp_set_offload(a, true, true);
  udp_set_offload(b, true, false);
  CU_ASSERT(udp_send(a, &to, data, 14520, 1452, &sent) == 0);
  h = hear(b, 14520);
  CU_ASSERT(h.datagrams == 10 && h.runs == 10);
  free(data);
  udp_close(a);
  udp_close(b);
}

/* Runs of different lengths and senders, an empty datagram among them, in one queue. */
static void test_mixed(void) {
  struct udp *a = open_at(loopback4(0)), *b = open_at(loopback4(0)), *c = open_at(loopback4(0));
  struct addr to = udp_local(c);
  struct udp_in in[RUNS];
  size_t sent, from_a = 0, from_b = 0, empty = 0;
  uint8_t *data = pattern(10000);
  CU_ASSERT(udp_send(a, &to, data, 10000, 1000, &sent) == 0);
  CU_ASSERT(udp_send(b, &to, data, 500, 500, &sent) == 0);
  CU_ASSERT(udp_send(a, &to, data, 3300, 1100, &sent) == 0);
  CU_ASSERT(sendto(udp_fd(b), "", 0, 0, NULL, 0) == -1); /* no default destination was left behind */
  struct sockaddr_storage ss;
  socklen_t len = udp_to_sockaddr(&ss, &to, false);
  CU_ASSERT(sendto(udp_fd(b), "", 0, 0, (struct sockaddr *)&ss, len) == 0);
  while (!empty && wait_for(c, POLLIN)) {
    int n = udp_recv(c, in, RUNS);
    CU_ASSERT_FATAL(n >= 0);
    for (int i = 0; i < n; i++) {
      *(in[i].from.port == udp_local(a).port ? &from_a : &from_b) += in[i].len;
      empty += in[i].len == 0;
    }
  }
  CU_ASSERT(from_a == 13300 && from_b == 500 && empty == 1);
  free(data);
  udp_close(a);
  udp_close(b);
  udp_close(c);
}

static void test_families(void) {
  struct udp *dual = open_at(any6()), *v4 = open_at(loopback4(0)), *v6 = open_at(loopback6(0));
  size_t sent;
  CU_ASSERT(udp_has_v4(dual) && udp_has_v6(dual));
  CU_ASSERT(udp_has_v4(v4) && !udp_has_v6(v4));
  CU_ASSERT(!udp_has_v4(v6) && udp_has_v6(v6));
  CU_ASSERT(udp_local(dual).port != 0);
  pass(v4, dual, loopback4(udp_local(dual).port), 5000, 1200);
  pass(v6, dual, loopback6(udp_local(dual).port), 5000, 1200);
  pass(dual, v4, udp_local(v4), 5000, 1200);
  pass(dual, v6, udp_local(v6), 5000, 1200);
  struct addr to6 = udp_local(v6), to4 = udp_local(v4);
  CU_ASSERT(udp_send(dual, &to4, (const uint8_t *)"x", 1, 1, &sent) == 0);
  struct heard h = hear(v4, 1);
  CU_ASSERT(h.from.family == ADDR_V4); /* never a mapped address */
  CU_ASSERT(udp_send(v4, &to6, (const uint8_t *)"x", 1, 1, &sent) == -1 && errno == EAFNOSUPPORT && sent == 0);
  CU_ASSERT(udp_send(v6, &to4, (const uint8_t *)"x", 1, 1, &sent) == -1 && errno == EAFNOSUPPORT && sent == 0);
  udp_close(dual);
  udp_close(v4);
  udp_close(v6);
}

/* ---- options ---- */

static int option(const struct udp *u, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  return getsockopt(udp_fd(u), level, name, &value, &len) ? -1 : value;
}

static void test_options(void) {
  struct udp *dual = open_at(any6()), *v4 = open_at(loopback4(0));
  CU_ASSERT(fcntl(udp_fd(dual), F_GETFD) & FD_CLOEXEC);
  CU_ASSERT(fcntl(udp_fd(dual), F_GETFL) & O_NONBLOCK);
  CU_ASSERT(option(dual, IPPROTO_IPV6, IPV6_MTU_DISCOVER) == IPV6_PMTUDISC_PROBE);
  CU_ASSERT(option(dual, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE);
  CU_ASSERT(option(v4, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE);
  CU_ASSERT(option(dual, SOL_SOCKET, SO_RCVBUF) > 212992);
  udp_close(dual);
  udp_close(v4);
  udp_close(NULL);
}

/* ---- errors ---- */

static void test_open_errors(void) {
  struct addr none = {0}, foreign = addr_v4(192, 0, 2, 1, 0);
  struct udp *u = open_at(loopback4(0));
  struct addr taken = udp_local(u);
  CU_ASSERT(udp_open(&none) == NULL && errno == EINVAL);
  CU_ASSERT(udp_open(&foreign) == NULL && errno == EADDRNOTAVAIL);
  CU_ASSERT(udp_open(&taken) == NULL && errno == EADDRINUSE);
  udp_close(u);
  u = udp_open(&taken);
  CU_ASSERT(u != NULL);
  udp_close(u);
}

/* Above the MTU of lo, 65536: no IPv6 datagram of 65,507 bytes fits. It is refused, and GSO stays on. */
static void test_too_long(void) {
  struct udp *a = open_at(loopback6(0)), *b = open_at(loopback6(0));
  struct addr to = udp_local(b);
  uint8_t *data = pattern(2 * 65507);
  size_t sent;
  CU_ASSERT(udp_send(a, &to, data, 65507, 65507, &sent) == -1 && errno == EMSGSIZE && sent == 0);
  CU_ASSERT(udp_send(a, &to, data, 2 * 65507, 65507, &sent) == -1 && errno == EMSGSIZE && sent == 0);
  CU_ASSERT(udp_send(a, &to, data, 65508, 65508, &sent) == -1 && errno == EMSGSIZE);
  CU_ASSERT(udp_send(a, &to, data, 10, 0, &sent) == -1 && errno == EMSGSIZE);
  CU_ASSERT(udp_send(a, &to, data, 14520, 1452, &sent) == 0);
  CU_ASSERT(hear(b, 14520).runs == 1);
  free(data);
  udp_close(a);
  udp_close(b);
}

/* Nobody listens: an ICMP error comes back, and disturbs neither sending nor receiving. */
static void test_refused(void) {
  struct udp *a = open_at(loopback4(0)), *b = open_at(loopback4(0));
  struct addr dead = udp_local(b);
  struct udp_in in[RUNS];
  size_t sent;
  udp_close(b);
  for (int i = 0; i < 10; i++)
    CU_ASSERT(udp_send(a, &dead, (const uint8_t *)"x", 1, 1, &sent) == 0);
  CU_ASSERT(udp_recv(a, in, RUNS) == 0);
  struct addr self = udp_local(a);
  CU_ASSERT(udp_send(a, &self, (const uint8_t *)"\0\7", 2, 2, &sent) == 0);
  CU_ASSERT(hear(a, 2).in_order);
  udp_close(a);
}

/* A kernel that refuses GSO (here: because checksums are off) gets datagrams one by one, for good. */
static void test_gso_refused(void) {
  struct udp *a = open_at(loopback4(0)), *b = open_at(loopback4(0));
  struct addr to = udp_local(b);
  int off = 1, on = 0;
  uint8_t *data = pattern(14520);
  size_t sent;
  for (int i = 0; i < 2; i++) {
    CU_ASSERT(setsockopt(udp_fd(a), SOL_SOCKET, SO_NO_CHECK, i ? &on : &off, sizeof off) == 0);
    CU_ASSERT(udp_send(a, &to, data, 14520, 1452, &sent) == 0 && sent == 14520);
    struct heard h = hear(b, 14520);
    CU_ASSERT(h.datagrams == 10 && h.runs == 10 && h.in_order);
  }
  free(data);
  udp_close(a);
  udp_close(b);
}

/* An interface of a namespace of our own, on which nobody answers ARP: what is sent waits there. The tap's fd, or -1. */
static int silent_interface(int control, struct ifreq *ifr) {
  int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
  ifr->ifr_flags = IFF_TAP | IFF_NO_PI;
  if (tap < 0 || ioctl(tap, TUNSETIFF, ifr))
    return -1;
  memcpy(&ifr->ifr_addr, &in, sizeof in);
  if (ioctl(control, SIOCSIFADDR, ifr))
    return -1;
  ifr->ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(control, SIOCSIFFLAGS, ifr) ? -1 : tap;
}

/* 0 when a full socket says 1 and how much went, and POLLOUT comes with the room; 77 when there is no such interface. */
static int full_socket(bool gso) {
  struct ifreq ifr = {.ifr_name = "silent0"};
  struct addr any = addr_v4(0, 0, 0, 0, 0), to = addr_v4(10, 0, 0, 2, 9);
  static const uint8_t data[40 * 1400];
  int rc = 0, small = 40000, control;
  size_t sent = 0;
  if (unshare(CLONE_NEWNET) || (control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0 ||
      silent_interface(control, &ifr) < 0)
    return 77;
  struct udp *u = udp_open(&any);
  if (!u || setsockopt(udp_fd(u), SOL_SOCKET, SO_SNDBUF, &small, sizeof small))
    return 1;
  udp_set_offload(u, gso, true);
  for (int i = 0; i < 100 && rc == 0; i++)
    rc = udp_send(u, &to, data, sizeof data, 1400, &sent);
  if (rc != 1 || sent >= sizeof data || sent % 1400)
    return 2;
  struct pollfd p = {.fd = udp_fd(u), .events = POLLOUT};
  if (poll(&p, 1, 0) != 0)
    return 3;
  ifr.ifr_flags = 0;
  if (ioctl(control, SIOCSIFFLAGS, &ifr) || !wait_for(u, POLLOUT)) /* down: all that waited is dropped */
    return 4;
  rc = udp_send(u, &to, data, 1400, 1400, &sent);
  return rc == -1 && errno == ENETUNREACH && sent == 0 ? 0 : 5;
}

static void test_full(void) {
  for (int gso = 0; gso < 2; gso++) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
      _exit(full_socket(gso));
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
      printf("(no namespace or tap device: left out) ");
    else
      CU_ASSERT(WEXITSTATUS(status) == 0);
  }
}

static void test_interfaces(void) {
  struct addr with[64], without[64];
  size_t n = udp_interface_addrs(with, 64, 77, true), m = udp_interface_addrs(without, 64, 77, false), loops = 0;
  for (size_t i = 0; i < n; i++) {
    loops += addr_is_loopback(&with[i]);
    CU_ASSERT(with[i].port == 77);
  }
  CU_ASSERT(loops > 0 && m == n - loops);
  for (size_t i = 0; i < m; i++)
    CU_ASSERT(!addr_is_loopback(&without[i]));
  CU_ASSERT(udp_interface_addrs(with, 1, 77, true) == 1);
  CU_ASSERT(udp_interface_addrs(with, 0, 77, true) == 0);
}

static void test_sockaddr(void) {
  struct sockaddr_storage ss;
  struct addr a = loopback4(9), back, link_local;
  uint8_t fe80[16] = {0xfe, 0x80, [15] = 1};
  CU_ASSERT(udp_to_sockaddr(&ss, &a, false) == sizeof(struct sockaddr_in) && ss.ss_family == AF_INET);
  udp_from_sockaddr(&back, &ss);
  CU_ASSERT(addr_equal(&a, &back));
  CU_ASSERT(udp_to_sockaddr(&ss, &a, true) == sizeof(struct sockaddr_in6) && ss.ss_family == AF_INET6);
  udp_from_sockaddr(&back, &ss);
  CU_ASSERT(addr_equal(&a, &back));
  link_local = addr_from_ip(fe80, 16, 5);
  link_local.scope = 3;
  udp_to_sockaddr(&ss, &link_local, true);
  udp_from_sockaddr(&back, &ss);
  CU_ASSERT(addr_equal(&link_local, &back) && back.scope == 3);
  ss.ss_family = AF_UNIX;
  udp_from_sockaddr(&back, &ss);
  CU_ASSERT(back.family == ADDR_NONE);
}

int main(void) {
  static const struct check_test tests[] = {
      {"segments of 1 to 65507 bytes, offload on and off", test_sizes},
      {"GSO and GRO make one run of ten datagrams", test_coalesced},
      {"runs of several senders and lengths", test_mixed},
      {"IPv4 and IPv6 on one socket", test_families},
      {"options of the socket", test_options},
      {"open: what is refused", test_open_errors},
      {"a segment above the MTU is EMSGSIZE and GSO stays", test_too_long},
      {"ICMP errors of others are skipped", test_refused},
      {"GSO refused by the kernel", test_gso_refused},
      {"a full socket", test_full},
      {"addresses of the interfaces", test_interfaces},
      {"sockaddr and back", test_sockaddr},
  };
  return check_main("udp", tests, sizeof tests / sizeof tests[0]);
}
