/*
 * fuzz_id.c - ids as text: whatever id_parse takes is what id_format writes,
 * and whatever id_format writes id_parse takes, if the key is sound.
 */
#include "identity.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_text(const uint8_t *data, size_t size) {
  uint8_t key[ID_KEY_LEN], before[ID_KEY_LEN];
  char *text = malloc(size + 1), again[ID_TEXT_LEN + 1];
  enum id_problem p;

  if (text == NULL) return;
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  memset(key, 0x5a, sizeof key);
  memcpy(before, key, sizeof key);
  p = id_parse(key, text);
  if (id_problem_text(p) == NULL) abort();
  if (p == ID_OK) {
    id_format(again, key);
    for (size_t i = 0; i < ID_TEXT_LEN; i++)
      if (tolower((unsigned char)text[i]) != again[i]) abort();
    if (text[ID_TEXT_LEN] != '\0' || !id_key_valid(key)) abort();
  } else if (memcmp(key, before, sizeof key) != 0) {
    abort();
  }
  free(text);
}

static void from_key(const uint8_t *data) {
  uint8_t key[ID_KEY_LEN];
  char text[ID_TEXT_LEN + 1];

  id_format(text, data);
  if (id_parse(key, text) != (id_key_valid(data) ? ID_OK : ID_BAD_KEY)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (identity_init() != 0) abort();
  from_text(data, size);
  if (size >= ID_KEY_LEN) from_key(data);
  return 0;
}
