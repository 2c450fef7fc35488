/*
 * world.h - a small real world for tests: a DHT of real nodes on loopback,
 * and users with temporary homes who know each other. Real UDP, real files.
 */
#ifndef CSPACE_TESTS_WORLD_H
#define CSPACE_TESTS_WORLD_H

#include <cspace/cspace.h>
#include <stddef.h>
#include <stdint.h>

struct world;

/* Starts dht_nodes DHT nodes in the engine, on ports of their own. NULL on failure. */
struct world *world_new(unsigned dht_nodes);
void world_free(struct world *w); /* stops them, removes the homes; close the users' nodes first */
/* "127.0.0.1:port" of the first, for the key bootstrap. */
const char *world_bootstrap(const struct world *w);
/* A fresh home with an identity; its path lives as long as the world. Known to those made before as name, and they to
 * it, when contacts is nonzero. */
const char *world_home(struct world *w, const char *name, int contacts);
/* The id of a home. */
void world_id(const char *home, char id[CS_ID_LEN + 1]);
/* A config for that home on 127.0.0.1 with the world's bootstrap; the caller's. */
cs_config *world_config(struct world *w, const char *home);
/* Opens it, with one more key set when key is not NULL. */
cs_node *world_open(struct world *w, const char *home, const char *key, const char *value);
/* A temporary directory that goes with the world. */
const char *world_dir(const struct world *w);

/* Monotonic milliseconds. */
uint64_t world_ms(void);
/* Waits until fd has events, at most ms. Nonzero when it has. */
int world_poll(int fd, short events, int ms);
/* Reads exactly len bytes, at most ms between bytes. Bytes read; -1 + errno when an error came first. */
ssize_t world_read(int fd, void *buf, size_t len, int ms);
int world_write(int fd, const void *buf, size_t len); /* all of it, blocking; 0 or -1 */
/* Open descriptors of this process. */
int world_count_fds(void);
/* A connected pair over the service: caller's and callee's fd. 0 or -1. */
int world_connect(cs_node *from, const char *to, const char *service, int listener, int fds[2]);

#endif
