/*
 * bench.h - what the benchmark programs share: clocks, process figures, whole
 * reads and writes. Errors end the program with a sentence.
 */
#ifndef CSPACE_BENCH_H
#define CSPACE_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_BLOCK (256u << 10) /* one write of a bulk transfer */

/* What a receiver answers after the last byte, in place of a report on its own stdout. */
struct bench_receipt {
  uint64_t bytes;
  double cpu; /* seconds this process used between the first byte and the last */
};

uint64_t bench_ns(void);                     /* monotonic; the same clock in every process */
double bench_cpu(void);                      /* seconds of CPU, user and system, of this process so far */
long bench_rss_kib(long pid);                /* resident memory of a process, 0: this one */
void bench_write(int fd, const void *p, size_t len);
int bench_read(int fd, void *p, size_t len); /* 0, -1 when the other side ended before */
void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Sorts and prints "NAME p50 p99 max" in microseconds. */
void bench_print_times(const char *name, uint64_t *ns, size_t n);
void bench_many_fds(void);                   /* as many descriptors as the system lets us have */

#endif
