/*
 * idtable.c - chained hash table keyed by short byte strings.
 */
#include "idtable.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

struct idtable_entry {
  struct idtable_entry *next;
  void *value;
  uint8_t len;
  uint8_t key[IDTABLE_KEY_MAX];
};

static size_t slot_of(const struct idtable *t, const void *key, size_t len) {
  uint8_t h[crypto_shorthash_BYTES];
  uint64_t v;

  crypto_shorthash(h, key, len, t->hash_key);
  memcpy(&v, h, sizeof v);
  return (size_t)v & (t->n_slots - 1);
}

int idtable_init(struct idtable *t, const uint8_t hash_key[16]) {
  memset(t, 0, sizeof *t);
  memcpy(t->hash_key, hash_key, sizeof t->hash_key);
  t->slots = calloc(SLOTS_MIN, sizeof *t->slots);
  if (t->slots == NULL) return -1;
  t->n_slots = SLOTS_MIN;
  return 0;
}

void idtable_free(struct idtable *t) {
  for (size_t i = 0; i < t->n_slots; i++) {
    while (t->slots[i] != NULL) {
      struct idtable_entry *e = t->slots[i];

      t->slots[i] = e->next;
      free(e);
    }
  }
  free(t->slots);
  memset(t, 0, sizeof *t);
}

static struct idtable_entry **find(const struct idtable *t, const void *key, size_t len) {
  struct idtable_entry **p;

  if (t->n_slots == 0 || len > IDTABLE_KEY_MAX) return NULL;
  for (p = &t->slots[slot_of(t, key, len)]; *p != NULL; p = &(*p)->next)
    if ((*p)->len == len && memcmp((*p)->key, key, len) == 0) return p;
  return NULL;
}

void *idtable_get(const struct idtable *t, const void *key, size_t len) {
  struct idtable_entry **p = find(t, key, len);

  return p != NULL ? (*p)->value : NULL;
}

/* A failed growth only makes chains longer. */
static void grow(struct idtable *t) {
  size_t old_n = t->n_slots;
  struct idtable_entry **old = t->slots, **slots = calloc(old_n * 2, sizeof *slots);

  if (slots == NULL) return;
  t->slots = slots;
  t->n_slots = old_n * 2;
  for (size_t i = 0; i < old_n; i++) {
    while (old[i] != NULL) {
      struct idtable_entry *e = old[i];
      size_t s = slot_of(t, e->key, e->len);

      old[i] = e->next;
      e->next = slots[s];
      slots[s] = e;
    }
  }
  free(old);
}

int idtable_put(struct idtable *t, const void *key, size_t len, void *value) {
  struct idtable_entry **p, *e;
  size_t s;

  if (len > IDTABLE_KEY_MAX || t->n_slots == 0) {
    errno = EINVAL;
    return -1;
  }
  p = find(t, key, len);
  if (p != NULL) {
    (*p)->value = value;
    return 0;
  }
  e = malloc(sizeof *e);
  if (e == NULL) return -1;
  if (t->count >= t->n_slots) grow(t);
  e->value = value;
  e->len = (uint8_t)len;
  memcpy(e->key, key, len);
  s = slot_of(t, key, len);
  e->next = t->slots[s];
  t->slots[s] = e;
  t->count++;
  return 0;
}

void idtable_del(struct idtable *t, const void *key, size_t len) {
  struct idtable_entry **p = find(t, key, len), *e;

  if (p == NULL) return;
  e = *p;
  *p = e->next;
  free(e);
  t->count--;
}

void idtable_each(struct idtable *t, void (*f)(void *value, void *ctx), void *ctx) {
  for (size_t i = 0; i < t->n_slots; i++) {
    struct idtable_entry *e = t->slots[i], *next;

    for (; e != NULL; e = next) {
      next = e->next;
      f(e->value, ctx);
    }
  }
}
