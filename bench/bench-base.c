/*
 * bench-base.c - what cspace is measured against: TLS 1.3 over TCP (GnuTLS,
 * AES-128-GCM) and a bare UDP echo, each between two processes on loopback.
 *
 *   bench-base tls-serve            prints "PORT", takes one transfer after the other
 *   bench-base tls-send PORT BYTES  prints "SECONDS CPU-SEND CPU-RECEIVE"
 *   bench-base udp-serve            prints "PORT"
 *   bench-base udp-rtt PORT N       prints "udp P50 P99 MAX", microseconds
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PRIORITY "NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+SHA256:+DHE-PSK:+ECDHE-PSK:+GROUP-X25519:+SIGN-ALL"
#define PING_BYTES 64

/* Both ends are ours: a fixed key does. The handshake is not what is measured. */
static const gnutls_datum_t psk = {(unsigned char *)"benchmark benchmark benchmark 32", 32};

static int give_key(gnutls_session_t s, const char *user, gnutls_datum_t *key) {
  (void)s;
  (void)user;
  key->data = gnutls_malloc(psk.size);
  if (key->data == NULL) return -1;
  memcpy(key->data, psk.data, psk.size);
  key->size = psk.size;
  return 0;
}

static int loopback_socket(int type, unsigned short port, int serve) {
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof sa;
  int fd = socket(AF_INET, type, 0);

  if (fd < 0) bench_die("socket: %s", strerror(errno));
  if (!serve) {
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) bench_die("connect: %s", strerror(errno));
    return fd;
  }
  if (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || (type == SOCK_STREAM && listen(fd, 8) != 0) ||
      getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
    bench_die("bind: %s", strerror(errno));
  printf("%u\n", (unsigned)ntohs(sa.sin_port));
  fflush(stdout);
  return fd;
}

static gnutls_session_t tls_start(int fd, unsigned flags) {
  gnutls_session_t s;
  int rc;

  gnutls_init(&s, flags);
  if (gnutls_priority_set_direct(s, PRIORITY, NULL) != 0) bench_die("tls: priority");
  if (flags & GNUTLS_SERVER) {
    gnutls_psk_server_credentials_t cred;

    gnutls_psk_allocate_server_credentials(&cred);
    gnutls_psk_set_server_credentials_function(cred, give_key);
    gnutls_credentials_set(s, GNUTLS_CRD_PSK, cred);
  } else {
    gnutls_psk_client_credentials_t cred;

    gnutls_psk_allocate_client_credentials(&cred);
    gnutls_psk_set_client_credentials(cred, "bench", &psk, GNUTLS_PSK_KEY_RAW);
    gnutls_credentials_set(s, GNUTLS_CRD_PSK, cred);
  }
  gnutls_transport_set_int(s, fd);
  do
    rc = gnutls_handshake(s);
  while (rc < 0 && !gnutls_error_is_fatal(rc));
  if (rc < 0) bench_die("tls: %s", gnutls_strerror(rc));
  if (gnutls_protocol_get_version(s) != GNUTLS_TLS1_3 || gnutls_cipher_get(s) != GNUTLS_CIPHER_AES_128_GCM)
    bench_die("tls: not TLS 1.3 with AES-128-GCM");
  return s;
}

static void tls_write(gnutls_session_t s, const void *p, size_t len) {
  const char *at = p;

  while (len > 0) {
    ssize_t n = gnutls_record_send(s, at, len);

    if (n < 0 && !gnutls_error_is_fatal((int)n)) continue;
    if (n <= 0) bench_die("tls: %s", gnutls_strerror((int)n));
    at += n;
    len -= (size_t)n;
  }
}

static ssize_t tls_read(gnutls_session_t s, void *p, size_t len) {
  ssize_t n;

  do
    n = gnutls_record_recv(s, p, len);
  while (n < 0 && !gnutls_error_is_fatal((int)n));
  return n;
}

static void tls_serve(void) {
  static char buf[BENCH_BLOCK];
  int l = loopback_socket(SOCK_STREAM, 0, 1);

  for (;;) {
    struct bench_receipt r = {0};
    int fd = accept(l, NULL, NULL);
    gnutls_session_t s;
    double cpu;
    ssize_t n;

    if (fd < 0) bench_die("accept: %s", strerror(errno));
    s = tls_start(fd, GNUTLS_SERVER);
    cpu = bench_cpu();
    while ((n = tls_read(s, buf, sizeof buf)) > 0) r.bytes += (uint64_t)n;
    r.cpu = bench_cpu() - cpu;
    tls_write(s, &r, sizeof r);
    gnutls_bye(s, GNUTLS_SHUT_WR);
    gnutls_deinit(s);
    close(fd);
  }
}

static void tls_send(unsigned short port, uint64_t bytes) {
  static char buf[BENCH_BLOCK];
  struct bench_receipt r;
  int fd = loopback_socket(SOCK_STREAM, port, 0);
  gnutls_session_t s = tls_start(fd, GNUTLS_CLIENT);
  double cpu = bench_cpu();
  uint64_t start = bench_ns();

  for (uint64_t left = bytes; left > 0; left -= left < sizeof buf ? left : sizeof buf)
    tls_write(s, buf, left < sizeof buf ? left : sizeof buf);
  gnutls_bye(s, GNUTLS_SHUT_WR);
  if (tls_read(s, &r, sizeof r) != sizeof r || r.bytes != bytes) bench_die("tls: bytes were lost");
  printf("%.6f %.6f %.6f\n", (double)(bench_ns() - start) / 1e9, bench_cpu() - cpu, r.cpu);
}

static void udp_serve(void) {
  int fd = loopback_socket(SOCK_DGRAM, 0, 1);
  char buf[2048];

  for (;;) {
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);

    if (n > 0) sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
  }
}

static void udp_rtt(unsigned short port, size_t n) {
  uint64_t *times = calloc(n, sizeof *times);
  int fd = loopback_socket(SOCK_DGRAM, port, 0);
  char buf[PING_BYTES] = "";

  for (size_t i = 0; i < n; i++) {
    uint64_t start = bench_ns();

    if (send(fd, buf, sizeof buf, 0) != sizeof buf || recv(fd, buf, sizeof buf, 0) != sizeof buf)
      bench_die("udp: %s", strerror(errno));
    times[i] = bench_ns() - start;
  }
  bench_print_times("udp", times, n);
  free(times);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";

  if (strcmp(what, "tls-serve") == 0)
    tls_serve();
  else if (strcmp(what, "tls-send") == 0 && argc == 4)
    tls_send((unsigned short)atoi(argv[2]), strtoull(argv[3], NULL, 10));
  else if (strcmp(what, "udp-serve") == 0)
    udp_serve();
  else if (strcmp(what, "udp-rtt") == 0 && argc == 4)
    udp_rtt((unsigned short)atoi(argv[2]), strtoull(argv[3], NULL, 10));
  else
    bench_die("usage: see the head of bench-base.c");
  return 0;
}
