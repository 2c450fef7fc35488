/*
 * bench-dht.c - the network the benchmarks run in: a DHT of real nodes on
 * loopback and homes with identities. Lives until its standard input ends.
 *
 *   bench-dht NODES HOMES    prints "BOOTSTRAP DIRECTORY", then "I ID" per home DIRECTORY/I
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "home.h"
#include "world.h"

int main(int argc, char **argv) {
  struct world *w;
  unsigned homes;
  char byte;

  if (argc != 3) bench_die("usage: bench-dht NODES HOMES");
  bench_many_fds();
  w = world_new((unsigned)atoi(argv[1]));
  if (w == NULL) bench_die("no DHT");
  printf("%s %s\n", world_bootstrap(w), world_dir(w));
  homes = (unsigned)atoi(argv[2]);
  for (unsigned i = 0; i < homes; i++) {
    char path[PATH_MAX], id[CS_ID_LEN + 1];

    snprintf(path, sizeof path, "%s/%u", world_dir(w), i);
    if (home_create(path) != 0 || home_identity_create(path) != 0 || home_identity_id(path, id) != 0)
      bench_die("no home %s: %m", path);
    printf("%u %s\n", i, id);
  }
  fflush(stdout);
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  world_free(w);
  return 0;
}
