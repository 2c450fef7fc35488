/*
 * endpoint.h - the id of this endpoint (device and process) in its owner's
 * record. A process that listens takes a slot of the home for itself: a file
 * endpoints/N, locked while it runs and bound to this machine, so that a
 * restart takes its old entry over and a copied home never fights with its
 * original. I/O shell.
 */
#ifndef CSPACE_ENDPOINT_H
#define CSPACE_ENDPOINT_H

#include <stdint.h>

#define ENDPOINT_SLOTS_MAX 16
#define ENDPOINT_ID_LEN 8
#define ENDPOINT_SECRET_LEN 32

struct endpoint_slot {
  int fd; /* holds the lock; -1: no slot, a random id for this run */
  uint8_t id[ENDPOINT_ID_LEN];
  uint8_t secret[ENDPOINT_SECRET_LEN]; /* mailbox keys derive from it */
};

/* A random id, no slot. */
void endpoint_random(struct endpoint_slot *slot);
/* Takes the first free slot of this machine, making one if need be; without any, endpoint_random. */
void endpoint_take(struct endpoint_slot *slot, const char *home);
void endpoint_release(struct endpoint_slot *slot);

#endif
