/*
 * bench.c - helpers of the benchmark programs.
 */
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_ns(void) {
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static double seconds(const struct timeval *tv) { return (double)tv->tv_sec + (double)tv->tv_usec / 1e6; }

double bench_cpu(void) {
  struct rusage ru;

  getrusage(RUSAGE_SELF, &ru);
  return seconds(&ru.ru_utime) + seconds(&ru.ru_stime);
}

long bench_rss_kib(long pid) {
  char path[64], line[256];
  long kib = -1;
  FILE *f;

  if (pid == 0) pid = getpid();
  snprintf(path, sizeof path, "/proc/%ld/status", pid);
  f = fopen(path, "r");
  if (f == NULL) bench_die("%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  fclose(f);
  return kib;
}

void bench_die(const char *fmt, ...) {
  va_list ap;

  fprintf(stderr, "bench: ");
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputc('\n', stderr);
  exit(1);
}

void bench_write(int fd, const void *p, size_t len) {
  const char *at = p;

  while (len > 0) {
    ssize_t n = write(fd, at, len);

    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) bench_die("write: %s", strerror(errno));
    at += n;
    len -= (size_t)n;
  }
}

int bench_read(int fd, void *p, size_t len) {
  char *at = p;

  while (len > 0) {
    ssize_t n = read(fd, at, len);

    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return x < y ? -1 : x > y;
}

void bench_print_times(const char *name, uint64_t *ns, size_t n) {
  qsort(ns, n, sizeof *ns, by_size);
  printf("%s %.1f %.1f %.1f\n", name, (double)ns[n / 2] / 1e3, (double)ns[n - 1 - n / 100] / 1e3,
         (double)ns[n - 1] / 1e3);
}

void bench_many_fds(void) {
  struct rlimit rl;

  if (getrlimit(RLIMIT_NOFILE, &rl) != 0) return;
  rl.rlim_cur = rl.rlim_max;
  setrlimit(RLIMIT_NOFILE, &rl);
}
