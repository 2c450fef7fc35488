/*
 * replay.c - runs a fuzz target over its corpus without a fuzzer: each file as
 * it is, cut at every length, and with bytes changed by a fixed generator. So
 * make check needs no clang, and a finding once put into the corpus stays found.
 *
 *   fuzz_X [FILE or DIRECTORY ...]     default: $srcdir/tests/corpus/X
 *
 * Each file runs in a child, so that one crash names its file and the rest go on.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_MAX (1u << 20)
#define CUTS_MAX 512      /* a longer file is cut at so many places */
#define CHANGES 256       /* variants with bytes changed */
#define CHILD_SECONDS 60  /* a target that hangs is a finding too */
#define NAME_MAX_LEN 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned passed, failed;

/* An exact-sized copy, so that a sanitizer sees a read past its end. */
static void run_once(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);

  if (copy == NULL) abort();
  memcpy(copy, data, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

/* splitmix64: the same variants on every machine */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void run_changed(uint8_t *data, size_t size) {
  static const uint8_t edges[] = {0x00, 0xff, 0x7f, 0x80, 0x01, '0', '9', '-', ':', 'e'};
  uint64_t state = size;

  for (unsigned i = 0; i < CHANGES && size > 0; i++) {
    size_t at[4];
    uint8_t old[4];
    unsigned n = 1 + i % 4;

    for (unsigned k = 0; k < n; k++) {
      uint64_t r = next_random(&state);

      at[k] = (size_t)(r >> 16) % size;
      old[k] = data[at[k]];
      data[at[k]] = r & 1 ? (uint8_t)(old[k] ^ (1u << (r >> 1) % 8)) : edges[(r >> 4) % sizeof edges];
    }
    run_once(data, size);
    while (n-- > 0) data[at[n]] = old[n]; /* backwards: a place may have been drawn twice */
  }
}

static int run_variants(uint8_t *data, size_t size) {
  size_t step = size / CUTS_MAX + 1;

  run_once(data, size);
  for (size_t cut = 0; cut < size; cut += step) run_once(data, cut);
  run_changed(data, size);
  return 0;
}

static int replay_in_child(const char *name) {
  static uint8_t data[INPUT_MAX];
  FILE *f = fopen(name, "rb");
  size_t size;

  alarm(CHILD_SECONDS);
  if (f == NULL) {
    perror(name);
    return 1;
  }
  size = fread(data, 1, sizeof data, f);
  fclose(f);
  return run_variants(data, size);
}

static void replay_file(const char *name) {
  int status = 0;
  pid_t child;

  fflush(NULL);
  child = fork();
  if (child == 0) exit(replay_in_child(name));
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (child > 0 && status == 0) {
    passed++;
    return;
  }
  failed++;
  if (child < 0) perror("fork");
  else if (WIFSIGNALED(status)) printf("FAILED %s: %s\n", name, strsignal(WTERMSIG(status)));
  else printf("FAILED %s: exit status %d\n", name, WEXITSTATUS(status));
}

static int visible(const struct dirent *e) {
  return e->d_name[0] != '.';
}

static void replay(const char *name) {
  struct dirent **entries = NULL;
  struct stat st;
  int n;

  if (stat(name, &st) != 0 || !S_ISDIR(st.st_mode)) {
    replay_file(name);
    return;
  }
  n = scandir(name, &entries, visible, alphasort);
  for (int i = 0; i < n; i++) {
    char path[NAME_MAX_LEN];

    snprintf(path, sizeof path, "%s/%s", name, entries[i]->d_name);
    replay(path);
    free(entries[i]);
  }
  free(entries);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    for (int i = 1; i < argc; i++) replay(argv[i]);
  } else {
    const char *srcdir = getenv("srcdir"), *x = strstr(program_invocation_short_name, "fuzz_");
    char path[NAME_MAX_LEN];

    snprintf(path, sizeof path, "%s/tests/corpus/%s", srcdir ? srcdir : ".", x ? x + 5 : "?");
    replay(path);
  }
  printf("%u passed, %u failed\n", passed, failed);
  return failed != 0 || passed == 0;
}
