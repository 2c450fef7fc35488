/*
 * fuzz_fdname.c - names of fds: any two byte strings are refused or read
 * without harm, a pair of names sealed here reads as what was sealed, and one
 * flipped bit of it is refused. The user key is bytes 0 to 31.
 */
#include "fdname.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t user_key[FDNAME_KEY_LEN];

static void check_peer(const struct cs_peer *peer) {
  if (strlen(peer->id) != CS_ID_LEN || memchr(peer->name, 0, sizeof peer->name) == NULL ||
      memchr(peer->service, 0, sizeof peer->service) == NULL)
    abort();
}

static void take(struct fdname_text *name, const uint8_t *data, size_t size) {
  name->len = size < FDNAME_MAX ? size : FDNAME_MAX;
  memcpy(name->bytes, data, name->len);
}

/* First byte: where the second name begins. */
static void foreign(const uint8_t *data, size_t size) {
  struct fdname_text ours, app;
  struct cs_peer peer;
  size_t cut = data[0] < size - 1 ? data[0] : size - 1;
  take(&ours, data + 1, cut);
  take(&app, data + 1 + cut, size - 1 - cut);
  if (fdname_unseal(&peer, &ours, &app, user_key) == 0) check_peer(&peer);
}

/* A service or petname of up to 32 characters, from one byte of length and as many of content. */
static void field(char out[33], const uint8_t **data, size_t *size) {
  size_t n = *size ? *(*data)++ % 33 : 0;
  *size -= *size > 0;
  n = n < *size ? n : *size;
  for (size_t i = 0; i < n; i++) out[i] = (char)((*data)[i] ? (*data)[i] : 'a');
  out[n] = '\0';
  *data += n;
  *size -= n;
}

static void own(const uint8_t *data, size_t size) {
  struct fdname names = {.user_key = user_key};
  struct fdname_text ours, app;
  struct cs_peer peer;
  uint8_t nonce[FDNAME_NONCE_LEN] = {0};
  size_t bit = data[0] * 7u + (size > 1 ? data[1] : 0);
  names.clear = data[0] & 1;
  for (size_t i = 0; i < size && i < sizeof nonce; i++) nonce[i] = data[i];
  for (size_t i = 0; i < size && i < ID_KEY_LEN; i++) names.peer_key[i] = names.own_key[ID_KEY_LEN - 1 - i] = data[i];
  field(names.service, &data, &size);
  field(names.petname, &data, &size);
  if (names.service[0] == '\0') strcpy(names.service, "s");
  fdname_seal(&ours, &app, &names, nonce);
  if (ours.len > FDNAME_MAX || app.len > FDNAME_MAX) abort();
  if (fdname_unseal(&peer, &ours, &app, user_key) != 0) abort();
  check_peer(&peer);
  if (strcmp(peer.service, names.service) != 0 || strcmp(peer.name, names.petname) != 0) abort();
  bit %= 8 * (ours.len + app.len);
  if (bit / 8 < ours.len) ours.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
  else app.bytes[bit / 8 - ours.len] ^= (uint8_t)(1 << bit % 8);
  if (fdname_unseal(&peer, &ours, &app, user_key) == 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (identity_init() != 0) abort();
  for (int i = 0; i < FDNAME_KEY_LEN; i++) user_key[i] = (uint8_t)i;
  if (size == 0) return 0;
  foreign(data, size);
  own(data, size);
  return 0;
}
