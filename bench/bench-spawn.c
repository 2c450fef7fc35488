/*
 * bench-spawn.c - starts a program N times, one after the other, and prints
 * the milliseconds from just before each start until the moment that the
 * program itself reports (bench_ns as text, on its standard output).
 *
 *   bench-spawn N PROGRAM ARG...
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static double one(char **argv) {
  posix_spawn_file_actions_t acts;
  char text[64] = "";
  int p[2], status, rc;
  uint64_t start;
  pid_t pid;

  if (pipe(p) != 0) bench_die("pipe: %s", strerror(errno));
  posix_spawn_file_actions_init(&acts);
  posix_spawn_file_actions_adddup2(&acts, p[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&acts, p[0]);
  start = bench_ns();
  rc = posix_spawn(&pid, argv[0], &acts, NULL, argv, environ);
  if (rc != 0) bench_die("%s: %s", argv[0], strerror(rc));
  close(p[1]);
  for (size_t at = 0; at + 1 < sizeof text;) {
    ssize_t n = read(p[0], text + at, sizeof text - 1 - at);

    if (n <= 0) break;
    at += (size_t)n;
  }
  close(p[0]);
  posix_spawn_file_actions_destroy(&acts);
  if (waitpid(pid, &status, 0) != pid || status != 0) bench_die("%s failed, status %d", argv[0], status);
  return (double)(strtoull(text, NULL, 10) - start) / 1e6;
}

int main(int argc, char **argv) {
  if (argc < 3) bench_die("usage: bench-spawn N PROGRAM ARG...");
  for (int i = atoi(argv[1]); i > 0; i--) printf("%.3f\n", one(argv + 2));
  return 0;
}
