/*
 * test_copy_proto.c - the copy service's messages and names: vectors, every
 * truncation, every flipped bit that must matter, names by table.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "cs-copy-msg.h"
#include "cs-copy-name.h"

static struct copy_file sample_file(void) {
  struct copy_file f;

  memset(&f, 0, sizeof f);
  f.size = 0x0102030405060708;
  f.mtime = -2;
  f.mtime_ns = 999999999;
  f.mode = 0600;
  strcpy(f.target, "in/");
  strcpy(f.name, "a.txt");
  return f;
}

/* PROTOCOL.md 10.5, first vector. */
static const uint8_t file_vector[] = {1,    0,    0,    0,    33,   1,    2,    3,    4,    5,    6,    7,    8,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x3b, 0x9a, 0xc9, 0xff, 0x01,
                                      0x80, 0,    3,    'i',  'n',  '/',  5,    'a',  '.',  't',  'x',  't'};

static void test_file(void) {
  struct copy_file f = sample_file(), back;
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  size_t n = copy_file_encode(out, sizeof out, &f);

  CU_ASSERT_EQUAL_FATAL(n, sizeof file_vector);
  CU_ASSERT(memcmp(out, file_vector, n) == 0);
  CU_ASSERT_EQUAL(copy_file_decode(&back, out + COPY_HEAD_LEN, n - COPY_HEAD_LEN), 0);
  CU_ASSERT(memcmp(&back, &f, sizeof f) == 0);
  for (size_t cut = 0; cut < n - COPY_HEAD_LEN; cut++)
    CU_ASSERT_EQUAL(copy_file_decode(&back, out + COPY_HEAD_LEN, cut), -1);
  CU_ASSERT_EQUAL(copy_file_decode(&back, out + COPY_HEAD_LEN, n - COPY_HEAD_LEN + 1), -1);
  for (size_t cap = 0; cap < n; cap++) CU_ASSERT_EQUAL(copy_file_encode(out, cap, &f), 0);
}

static void test_file_limits(void) {
  struct copy_file f = sample_file();
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX], bad[sizeof file_vector];

  memset(f.target, 't', COPY_TARGET_MAX);
  memset(f.name, 'n', COPY_NAME_MAX);
  CU_ASSERT(copy_file_encode(out, sizeof out, &f) > 0);
  f.size = (uint64_t)INT64_MAX + 1;
  CU_ASSERT_EQUAL(copy_file_encode(out, sizeof out, &f), 0);
  f.size = INT64_MAX;
  f.mode = 0710;
  CU_ASSERT_EQUAL(copy_file_encode(out, sizeof out, &f), 0);
  f.mode = 0;
  f.mtime_ns = 1000000000;
  CU_ASSERT_EQUAL(copy_file_encode(out, sizeof out, &f), 0);
  f.mtime_ns = 0;
  f.name[0] = '\0';
  CU_ASSERT_EQUAL(copy_file_encode(out, sizeof out, &f), 0);

  memcpy(bad, file_vector, sizeof bad);
  bad[5] = 0x80; /* a size above INT64_MAX */
  CU_ASSERT_EQUAL(copy_file_decode(&f, bad + COPY_HEAD_LEN, sizeof bad - COPY_HEAD_LEN), -1);
  memcpy(bad, file_vector, sizeof bad);
  bad[26] = 0x81; /* a mode bit of others */
  CU_ASSERT_EQUAL(copy_file_decode(&f, bad + COPY_HEAD_LEN, sizeof bad - COPY_HEAD_LEN), -1);
  memcpy(bad, file_vector, sizeof bad);
  bad[34] = 0; /* a NUL in the name */
  CU_ASSERT_EQUAL(copy_file_decode(&f, bad + COPY_HEAD_LEN, sizeof bad - COPY_HEAD_LEN), -1);
}

static void test_heads(void) {
  static const struct {
    uint8_t type;
    uint32_t length;
    int want;
  } table[] = {
      {COPY_FILE, COPY_CONTROL_MAX, 0},      {COPY_FILE, COPY_CONTROL_MAX + 1, -1},
      {COPY_DATA, 1, 0},                     {COPY_DATA, 0, -1},
      {COPY_DATA, COPY_DATA_MAX, 0},         {COPY_DATA, COPY_DATA_MAX + 1, -1},
      {COPY_END, 32, 0},                     {COPY_END, 31, -1},
      {COPY_ABORT, 0, 0},                    {COPY_ABORT, 0xffffffff, -1},
      {COPY_DONE, 0, 0},                     {COPY_DONE, 1, -1},
      {COPY_RESULT, COPY_CONTROL_MAX, 0},    {COPY_RESULT, COPY_CONTROL_MAX + 1, -1},
      {0, 0, -1},                            {6, 0, -1},
      {255, 0, -1},
  };
  uint8_t p[COPY_HEAD_LEN];
  struct copy_head h;

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    copy_head_encode(p, table[i].type, table[i].length);
    CU_ASSERT_EQUAL(copy_head_decode(&h, p), table[i].want);
    if (table[i].want == 0) CU_ASSERT(h.type == table[i].type && h.length == table[i].length);
  }
}

static void test_hello(void) {
  uint8_t p[COPY_HELLO_LEN];

  copy_hello_encode(p);
  CU_ASSERT(memcmp(p, "cscopy\1\0", 8) == 0);
  CU_ASSERT_EQUAL(copy_hello_decode(p), 1);
  p[6] = 9;
  p[7] = 3;
  CU_ASSERT_EQUAL(copy_hello_decode(p), 9);
  p[6] = 0;
  CU_ASSERT_EQUAL(copy_hello_decode(p), -1);
  CU_ASSERT_EQUAL(copy_hello_decode((const uint8_t *)"SSH-2.0-"), -1);
}

static void test_result(void) {
  struct copy_result r = {.index = 258, .status = COPY_NO_SPACE}, back;
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX];
  size_t n;

  strcpy(r.text, "full");
  n = copy_result_encode(out, sizeof out, &r);
  CU_ASSERT_EQUAL_FATAL(n, 14);
  CU_ASSERT(memcmp(out, "\x10\0\0\0\x09\0\0\1\2\2" "full", 14) == 0);
  CU_ASSERT_EQUAL(copy_result_decode(&back, out + COPY_HEAD_LEN, n - COPY_HEAD_LEN), 0);
  CU_ASSERT(memcmp(&back, &r, sizeof r) == 0);
  CU_ASSERT_EQUAL(copy_result_decode(&back, out + COPY_HEAD_LEN, 4), -1);
  out[9] = 200; /* a status of a later version */
  CU_ASSERT_EQUAL(copy_result_decode(&back, out + COPY_HEAD_LEN, n - COPY_HEAD_LEN), 0);
  CU_ASSERT_EQUAL(back.status, COPY_FAILED);
  r.status = COPY_FAILED + 1;
  CU_ASSERT_EQUAL(copy_result_encode(out, sizeof out, &r), 0);
  r.status = COPY_OK;
  memset(r.text, 'x', COPY_TEXT_MAX);
  r.text[COPY_TEXT_MAX] = '\0';
  CU_ASSERT_EQUAL(copy_result_encode(out, sizeof out, &r), COPY_HEAD_LEN + 5 + COPY_TEXT_MAX);
}

static void test_abort_end_done(void) {
  uint8_t out[COPY_HEAD_LEN + COPY_CONTROL_MAX], sum[COPY_SUM_LEN];
  char text[COPY_TEXT_MAX + 1], longer[COPY_TEXT_MAX + 100];

  memset(sum, 0xab, sizeof sum);
  CU_ASSERT_EQUAL(copy_end_encode(out, sizeof out, sum), 37);
  CU_ASSERT(memcmp(out, "\3\0\0\0\x20\xab\xab", 7) == 0);
  CU_ASSERT_EQUAL(copy_end_encode(out, 36, sum), 0);
  CU_ASSERT_EQUAL(copy_done_encode(out, sizeof out), 5);
  CU_ASSERT(memcmp(out, "\5\0\0\0\0", 5) == 0);
  CU_ASSERT_EQUAL(copy_abort_encode(out, sizeof out, "why"), 8);
  CU_ASSERT_EQUAL(copy_abort_decode(text, out + COPY_HEAD_LEN, 3), 0);
  CU_ASSERT_STRING_EQUAL(text, "why");
  CU_ASSERT_EQUAL(copy_abort_decode(text, (const uint8_t *)"a\0b", 3), -1);
  memset(longer, 'y', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  CU_ASSERT_EQUAL(copy_abort_encode(out, sizeof out, longer), COPY_HEAD_LEN + COPY_TEXT_MAX);
}

static void test_components(void) {
  static const struct {
    const char *name;
    bool ok;
  } table[] = {
      {"a", true},
      {"with space", true},
      {"gr\xc3\xbc\xc3\x9f.txt", true},
      {"\xf0\x9f\x98\x80", true},
      {"-rf", true},
      {"a..b", true},
      {"back\\slash", true},
      {"", false},
      {".", false},
      {"..", false},
      {".bashrc", false},
      {".a.cs-part-0011223344556677", false},
      {"a/b", false},
      {"a\nb", false},
      {"a\x1b[2Jb", false},
      {"del\x7f", false},
      {"c1\xc2\x9b", false},
      {"rtl\xe2\x80\xaegpj.exe", false},
      {"iso\xe2\x81\xa6x", false},
      {"ls\xe2\x80\xa8x", false},
      {"\xff", false},
      {"\xc0\xaf", false},
      {"\xe0\x80\xaf", false},
      {"\xed\xa0\x80", false},
      {"\xf4\x90\x80\x80", false},
      {"\xe2\x82", false},
      {"cut\xc3", false},
  };
  char longest[COPY_NAME_MAX + 2];

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if ((copy_component_problem(table[i].name, strlen(table[i].name)) == NULL) != table[i].ok) {
      printf("component %zu\n", i);
      CU_FAIL("a name was judged wrongly");
    }
  CU_PASS("the table");
  CU_ASSERT_PTR_NOT_NULL(copy_component_problem("a\0b", 3));
  memset(longest, 'n', sizeof longest);
  CU_ASSERT_PTR_NULL(copy_component_problem(longest, COPY_NAME_MAX));
  CU_ASSERT_PTR_NOT_NULL(copy_component_problem(longest, COPY_NAME_MAX + 1));
}

static void test_paths(void) {
  static const struct {
    const char *target, *name;
    bool is_dir;
    const char *want; /* NULL: refused */
  } table[] = {
      {"", "f", false, "f"},          {"g", "f", false, "g"},         {"d/", "f", false, "d/f"},
      {"d", "f", true, "d/f"},        {"d/e/g", "f", false, "d/e/g"}, {"d/e/", "f", true, "d/e/f"},
      {"g", ".hidden", false, "g"},   {"", ".hidden", false, NULL},   {"d/", "..", false, NULL},
      {"/etc/x", "f", false, NULL},   {"..", "f", false, NULL},       {"../x", "f", false, NULL},
      {"d/../x", "f", false, NULL},   {"d//x", "f", false, NULL},     {"/", "f", false, NULL},
      {"", "a/b", false, NULL},       {"d", "../b", true, NULL},      {"./x", "f", false, NULL},
      {"d/.ssh/x", "f", false, NULL}, {"x\n", "f", false, NULL},      {"", "", false, NULL},
  };
  char out[COPY_PATH_MAX + 1], target[COPY_TARGET_MAX + 2], name[COPY_NAME_MAX + 1];

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    const char *problem = copy_path(out, table[i].target, table[i].name, table[i].is_dir);

    if (table[i].want == NULL ? problem == NULL : problem != NULL || strcmp(out, table[i].want) != 0) {
      printf("path %zu: %s\n", i, problem == NULL ? out : problem);
      CU_FAIL("a path was judged wrongly");
    }
  }
  for (size_t i = 0; i < COPY_TARGET_MAX; i += 2) memcpy(target + i, "d/", 2);
  target[COPY_TARGET_MAX] = '\0';
  CU_ASSERT_PTR_NOT_NULL(copy_path(out, target, "f", false)); /* too deep */
  target[2 * (COPY_DEPTH_MAX - 1)] = '\0';
  CU_ASSERT_PTR_NULL(copy_path(out, target, "f", false));
  target[2 * (COPY_DEPTH_MAX - 1)] = 'd';
  for (size_t i = 0; i < COPY_TARGET_MAX; i++) target[i] = i % 200 == 199 ? '/' : 'd';
  target[COPY_TARGET_MAX - 1] = '/';
  memset(name, 'n', COPY_NAME_MAX);
  name[COPY_NAME_MAX] = '\0';
  CU_ASSERT_PTR_NULL(copy_path(out, target, name, false));
  CU_ASSERT_EQUAL(strlen(out), COPY_TARGET_MAX + COPY_NAME_MAX);
}

static void test_free_names(void) {
  static const struct {
    const char *name;
    unsigned n;
    const char *want;
  } table[] = {
      {"a.txt", 0, "a.txt"},           {"a.txt", 1, "a (1).txt"}, {"a", 2, "a (2)"},
      {"a.tar.gz", 1, "a.tar (1).gz"}, {"a.", 1, "a (1)."},       {"a b.c", 12, "a b (12).c"},
  };
  char out[COPY_NAME_MAX + 1], name[COPY_NAME_MAX + 1], want[32];

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    copy_free_name(out, table[i].name, table[i].n);
    CU_ASSERT_STRING_EQUAL(out, table[i].want);
  }
  /* The longest name of two-byte characters loses whole characters, and stays a good name. */
  for (size_t i = 0; i < 250; i += 2) memcpy(name + i, "\xc3\xbc", 2);
  strcpy(name + 250, ".text");
  for (unsigned n = 1; n < 20000; n = n * 3 + 1) {
    copy_free_name(out, name, n);
    snprintf(want, sizeof want, " (%u).text", n);
    CU_ASSERT(strlen(out) <= COPY_NAME_MAX && strlen(out) >= COPY_NAME_MAX - 1);
    CU_ASSERT_STRING_EQUAL(out + strlen(out) - strlen(want), want);
    CU_ASSERT_PTR_NULL(copy_component_problem(out, strlen(out)));
  }
  memset(name, 'x', COPY_NAME_MAX);
  name[3] = '.';
  name[COPY_NAME_MAX] = '\0';
  copy_free_name(out, name, 1);
  CU_ASSERT_EQUAL(strlen(out), COPY_NAME_MAX);
  CU_ASSERT_STRING_EQUAL(out + COPY_NAME_MAX - 5, "x (1)");
}

static void test_part_names(void) {
  static const uint8_t random[COPY_PART_RANDOM] = {0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff};
  char out[COPY_NAME_MAX + 1], name[COPY_NAME_MAX + 1];

  copy_part_name(out, "a.txt", random);
  CU_ASSERT_STRING_EQUAL(out, ".a.txt.cs-part-00010203fcfdfeff");
  memset(name, 'x', COPY_NAME_MAX);
  name[COPY_NAME_MAX] = '\0';
  copy_part_name(out, name, random);
  CU_ASSERT_EQUAL(strlen(out), COPY_NAME_MAX);
  CU_ASSERT_STRING_EQUAL(out + COPY_NAME_MAX - 25, ".cs-part-00010203fcfdfeff");
  CU_ASSERT_PTR_NOT_NULL(copy_component_problem(out, strlen(out))); /* nobody can send us one */
}

static void test_clean_text(void) {
  char text[64] = "ok \xc3\xbc \x1b[2J \xff \xe2\x80\xae end";

  copy_clean_text(text);
  CU_ASSERT_STRING_EQUAL(text, "ok \xc3\xbc ?[2J ? ??? end");
  CU_ASSERT_STRING_EQUAL(copy_status_text(COPY_OK), "copied");
  CU_ASSERT_STRING_EQUAL(copy_status_text(250), "failed");
}

static const struct check_test tests[] = {
    {"FILE: vector, truncations", test_file},
    {"FILE: limits", test_file_limits},
    {"heads: types and lengths by table", test_heads},
    {"hello", test_hello},
    {"RESULT", test_result},
    {"ABORT, END, DONE", test_abort_end_done},
    {"names by table", test_components},
    {"paths by table", test_paths},
    {"free names", test_free_names},
    {"temporary names", test_part_names},
    {"text from outside is made fit to print", test_clean_text},
};

int main(void) { return check_main("copy_proto", tests, sizeof tests / sizeof tests[0]); }
