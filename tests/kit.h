/*
 * kit.h - what the end-to-end tests of the public calls share: alice, who
 * calls, and bob, who answers, on a loopback DHT; bytes that tell where in
 * the stream they stand; and a peer in a process of its own, to be killed.
 */
#ifndef CSPACE_TESTS_KIT_H
#define CSPACE_TESTS_KIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "check.h"
#include "world.h"

#define KIT_MIB (1u << 20)
#define KIT_WAIT_MS 20000

extern struct world *kit_world;
extern const char *alice_home, *bob_home, *carol_home; /* carol is a stranger to both */
extern cs_node *alice, *bob;
extern int chat;                                       /* bob's listener */

/* Opens both, with one more key set in each when key is not NULL. */
void kit_start(const char *key, const char *value);
void kit_stop(void); /* closes chat, alice and bob, then the world */
/* Listens and waits until the record is stored. */
int kit_listen(cs_node *n, const char *service, const char *key, const char *value);
/* kit_start, bob listening at "chat", and one connection: fds[0] is alice's. */
void kit_pair(int fds[2], const char *key, const char *value);
/* An options object with one key set. */
cs_options *kit_options(const char *key, const char *value);
/* One more connection to bob's chat. */
void kit_connect(int fds[2]);

/* The byte at a place of a stream. */
void kit_fill(uint8_t *buf, size_t len, uint64_t at);
/* Writes bytes [at, at + len) of the pattern, blocking. 0 or errno. */
int kit_write(int fd, uint64_t at, uint64_t len);

/* How a stream came out: good bytes, and 0 for EOF, an errno, or ETIME when nothing came for too long. */
struct kit_end {
  uint64_t bytes;
  bool wrong; /* a byte was not the pattern's */
  int err;
};
/* Reads up to max bytes or the end. */
struct kit_end kit_read(int fd, uint64_t max);
/* EOF exactly after these bytes. */
bool kit_clean(struct kit_end e, uint64_t bytes);

/* kit_write, or kit_read to the end, in a thread. */
struct kit_job {
  pthread_t thread;
  int fd;
  uint64_t len;
  bool reads, shut; /* shut: SHUT_WR after the writing */
  int err;
  struct kit_end end;
};
void kit_job_write(struct kit_job *j, int fd, uint64_t len, bool shut);
void kit_job_read(struct kit_job *j, int fd);
void kit_job_join(struct kit_job *j);

/* A node of its own process (peer.c) with this home, listening at "chat"; published when this returns. `control` gets
 * our end of a socket pair whose other end is the child's fd 3. */
pid_t kit_peer(const char *home, const char *mode, int *control);
void kit_kill(pid_t pid); /* -9, and reaped */

/* Sends an fd along / takes one: SCM_RIGHTS with one byte. */
int kit_send_fd(int sock, int fd);
int kit_recv_fd(int sock);

/* Open descriptors, once their number stands still: the engine closes its ends a moment later. */
int kit_count_fds(void);

/* Instead of check_main: the same program is also the peer. */
int kit_main(int argc, char **argv, const char *suite, const struct check_test *tests, size_t n);

#endif
