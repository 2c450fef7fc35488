/*
 * idtable.h - a hash table from short byte strings (connection ids, keys,
 * service names) to pointers. Keyed SipHash, so that a peer who chooses ids
 * cannot make chains long. Grows; entries are the table's own.
 */
#ifndef CSPACE_IDTABLE_H
#define CSPACE_IDTABLE_H

#include <stddef.h>
#include <stdint.h>

#define IDTABLE_KEY_MAX 32

struct idtable_entry;

struct idtable {
  struct idtable_entry **slots; /* a power of two */
  size_t n_slots, count;
  uint8_t hash_key[16];
};

int idtable_init(struct idtable *t, const uint8_t hash_key[16]); /* 0 or -1 + ENOMEM */
void idtable_free(struct idtable *t);                            /* the values are the caller's */
void *idtable_get(const struct idtable *t, const void *key, size_t len);
/* Replaces. len <= IDTABLE_KEY_MAX. 0, or -1 + ENOMEM, EINVAL. */
int idtable_put(struct idtable *t, const void *key, size_t len, void *value);
void idtable_del(struct idtable *t, const void *key, size_t len); /* legal when absent */
/* Calls f for every value; f may delete the entry it was called for and no other. */
void idtable_each(struct idtable *t, void (*f)(void *value, void *ctx), void *ctx);

#endif
