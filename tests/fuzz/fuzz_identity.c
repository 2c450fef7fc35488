/*
 * fuzz_identity.c - a file `identity` from anywhere: what is taken stays
 * within the bounds of a seal and can be written and read again; what is
 * refused names the file in a sentence that a terminal can show.
 */
#include "err.h"
#include "home_impl.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "identity"

static void check_seal(const struct seal *s) {
  char text[SEAL_TEXT_MAX];
  struct seal again;

  if (s->ops < 1 || s->ops > SEAL_OPS_MAX || s->mem < SEAL_MEM_MIN || s->mem > SEAL_MEM_MAX) abort();
  seal_format(text, s);
  if (seal_parse(&again, text) != NULL || again.ops != s->ops || again.mem != s->mem) abort();
  if (memcmp(again.salt, s->salt, sizeof s->salt) != 0) abort();
  if (memcmp(again.nonce, s->nonce, sizeof s->nonce) != 0) abort();
  if (memcmp(again.sealed, s->sealed, sizeof s->sealed) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t key[ID_KEY_LEN], seed[ID_SEED_LEN];
  char *text = malloc(size + 1);
  struct seal seal;
  int r;

  if (text == NULL || identity_init() != 0) abort();
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  errno = 0;
  r = home_identity_parse(text, key, seed, &seal, FILE_NAME);
  if (r >= 0 && !id_key_valid(key)) abort();
  if (r == 1) check_seal(&seal);
  if (r < 0) {
    if (errno != EBADMSG || strstr(cs_last_error_text(), FILE_NAME) == NULL) abort();
    for (const char *p = cs_last_error_text(); *p != '\0'; p++)
      if ((unsigned char)*p < ' ' || *p == 0x7f) abort();
  }
  free(text);
  return 0;
}
