/*
 * fuzz_copy_msg.c - the copy service's messages. The first byte says what the
 * rest is. What decodes encodes to the same bytes again; a path that is
 * accepted stays inside.
 */
#include <stdlib.h>
#include <string.h>

#include "cs-copy-msg.h"
#include "cs-copy-name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *target, const char *name, bool is_dir) {
  char path[COPY_PATH_MAX + 1], last[COPY_NAME_MAX + 1];
  static const uint8_t random[COPY_PART_RANDOM] = {0xff, 1};
  const char *base;

  if (copy_path(path, target, name, is_dir) != NULL) return;
  if (path[0] == '/' || path[0] == '\0' || path[strlen(path) - 1] == '/' || strstr(path, "//") != NULL) abort();
  if (path[0] == '.' || strstr(path, "/.") != NULL) abort();
  for (const char *p = path; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20) abort();
  base = strrchr(path, '/');
  base = base == NULL ? path : base + 1;
  for (unsigned n = 0; n < 100000; n = n * 9 + 1) {
    copy_free_name(last, base, n);
    if (copy_component_problem(last, strlen(last)) != NULL) abort();
  }
  copy_part_name(last, base, random);
  if (strlen(last) > COPY_NAME_MAX || strchr(last, '/') != NULL) abort();
}

static void fuzz_file(const uint8_t *p, size_t n) {
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  struct copy_file f;

  if (copy_file_decode(&f, p, n) != 0) return;
  if (copy_file_encode(out, sizeof out, &f) != COPY_HEAD_LEN + n || memcmp(out + COPY_HEAD_LEN, p, n) != 0) abort();
  check_path(f.target, f.name, false);
  check_path(f.target, f.name, true);
}

static void fuzz_result(const uint8_t *p, size_t n) {
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  struct copy_result r;

  if (copy_result_decode(&r, p, n) != 0) return;
  if (copy_result_encode(out, sizeof out, &r) != COPY_HEAD_LEN + n) abort();
  if (memcmp(out + COPY_HEAD_LEN, p, n) != 0 && p[4] <= COPY_FAILED) abort();
  copy_clean_text(r.text);
  if (strlen(r.text) != n - 5) abort();
}

static void fuzz_abort(const uint8_t *p, size_t n) {
  char text[COPY_TEXT_MAX + 1], again[COPY_TEXT_MAX + 1];

  if (copy_abort_decode(text, p, n) != 0) return;
  copy_clean_text(text);
  memcpy(again, text, sizeof again);
  copy_clean_text(again);
  if (strcmp(again, text) != 0) abort();
}

static void fuzz_head(const uint8_t *p, size_t n) {
  uint8_t out[COPY_HEAD_LEN];
  struct copy_head h;

  if (n < COPY_HELLO_LEN) return;
  if (copy_hello_decode(p) == 0) abort();
  if (copy_head_decode(&h, p) != 0) return;
  if (h.length > COPY_CONTROL_MAX && h.type != COPY_DATA) abort();
  copy_head_encode(out, h.type, h.length);
  if (memcmp(out, p, sizeof out) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  switch (data[0] % 4) {
    case 0:
      fuzz_head(data + 1, size - 1);
      break;
    case 1:
      fuzz_file(data + 1, size - 1);
      break;
    case 2:
      fuzz_result(data + 1, size - 1);
      break;
    default:
      fuzz_abort(data + 1, size - 1);
  }
  return 0;
}
