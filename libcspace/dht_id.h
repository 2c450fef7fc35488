/*
 * dht_id.h - node ids: the XOR distance of Kademlia and ids that belong to an
 * address (BEP 42). Sans-IO, any thread.
 */
#ifndef CSPACE_DHT_ID_H
#define CSPACE_DHT_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "dht.h"
#include "rng.h"

/* Leading bits that a and b share, 0 to 160. */
unsigned dht_id_prefix(const uint8_t a[DHT_ID_LEN], const uint8_t b[DHT_ID_LEN]);
/* Below 0 when a is closer to target than b, 0 when they are equal. */
int dht_id_compare(const uint8_t target[DHT_ID_LEN], const uint8_t a[DHT_ID_LEN], const uint8_t b[DHT_ID_LEN]);

/* A random id that belongs to `addr` (BEP 42). */
void dht_id_for(uint8_t id[DHT_ID_LEN], const struct addr *addr, struct rng *rng);
/* Whether id belongs to addr. True for addresses that are not globally routable: they are exempt. */
bool dht_id_belongs(const uint8_t id[DHT_ID_LEN], const struct addr *addr);

#endif
