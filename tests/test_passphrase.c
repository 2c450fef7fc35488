/* test_passphrase.c - sealed identities: passphrases given and in files, changed and removed, and hostile files. */
#include "check.h"
#include "conf.h"
#include "err.h"
#include "home.h"
#include "home_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char home[] = "/tmp/cspace-pass-XXXXXX", path[128];

static const char *in_home(const char *name) {
  snprintf(path, sizeof path, "%s/%s", home, name);
  return path;
}

static void put(const char *name, const char *text, size_t len, mode_t mode) {
  int fd;

  unlink(in_home(name));
  fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  CU_ASSERT_EQUAL(write(fd, text, len), (ssize_t)len);
  CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
  close(fd);
}

static void new_sealed(const char *passphrase) {
  unlink(in_home("identity"));
  seal_test_cost(1, SEAL_MEM_MIN);
  CU_ASSERT_EQUAL_FATAL(home_identity_create_sealed(home, passphrase), 0);
}

static bool opens(const char *passphrase) {
  struct identity *id = home_identity_load_with(home, passphrase);
  char text[ID_TEXT_LEN + 1], own[ID_TEXT_LEN + 1];
  bool yes = id != NULL;

  if (yes) id_format(own, identity_key(id));
  if (yes) CU_ASSERT_TRUE(home_identity_id(home, text) == 0 && strcmp(text, own) == 0);
  identity_free(id);
  return yes;
}

static bool refused(const char *passphrase, const char *words) {
  errno = 0;
  if (!opens(passphrase) && errno == EACCES && cs_last_error() == CS_ERR_PASSPHRASE &&
      strstr(cs_last_error_text(), words) != NULL)
    return true;
  printf("\n    wanted \"%s\", got \"%s\"\n", words, cs_last_error_text());
  return false;
}

static void a_passphrase_opens_what_it_sealed(void) {
  char text[ID_TEXT_LEN + 1];

  new_sealed("correct horse");
  CU_ASSERT_EQUAL(home_identity_sealed(home), 1);
  CU_ASSERT_EQUAL(home_identity_id(home, text), 0);
  CU_ASSERT_TRUE(opens("correct horse"));
  CU_ASSERT_TRUE(refused("correct hors", "does not open identity"));
  CU_ASSERT_TRUE(refused("", "does not open identity"));
  CU_ASSERT_TRUE(refused(NULL, "CSPACE_PASSPHRASE_FILE"));
  CU_ASSERT_EQUAL(home_identity_create_sealed(home, "x"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
}

static void the_real_cost(void) {
  struct identity *id;
  struct timespec a, b;
  unsigned ops, mem;
  char *text = NULL;
  size_t len;

  unlink(in_home("identity"));
  seal_test_cost(0, 0);
  CU_ASSERT_EQUAL_FATAL(home_identity_create_sealed(home, "p"), 0);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
  id = home_identity_load_with(home, "p");
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
  CU_ASSERT_PTR_NOT_NULL(id);
  identity_free(id);
  CU_ASSERT_EQUAL_FATAL(home_read(home, "identity", 4096, &text, &len), 0);
  CU_ASSERT_EQUAL(sscanf(strstr(text, "argon2id"), "argon2id %*s %u %u", &ops, &mem), 2);
  CU_ASSERT_TRUE(mem >= 256 * 1024 && ops >= 3);
  /* half of it, as a processor's clock and its neighbours vary; unless it does all passes there may be faster */
  CU_ASSERT_TRUE(ops == SEAL_OPS_MAX ||
                 (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9 >= 0.25);
  free(text);
}

static void a_passphrase_is_changed_and_removed(void) {
  char before[ID_TEXT_LEN + 1], after[ID_TEXT_LEN + 1];
  struct stat st;

  new_sealed("one");
  CU_ASSERT_EQUAL(home_identity_id(home, before), 0);
  CU_ASSERT_EQUAL(home_identity_reseal(home, "wrong", "two"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_PASSPHRASE);
  CU_ASSERT_EQUAL(home_identity_reseal(home, "one", ""), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_ARGUMENT);
  CU_ASSERT_TRUE(opens("one"));
  CU_ASSERT_EQUAL(home_identity_reseal(home, "one", "two"), 0);
  CU_ASSERT_TRUE(opens("two"));
  CU_ASSERT_TRUE(refused("one", "does not open"));
  CU_ASSERT_EQUAL(home_identity_reseal(home, "two", NULL), 0);
  CU_ASSERT_EQUAL(home_identity_sealed(home), 0);
  CU_ASSERT_TRUE(opens(NULL));
  CU_ASSERT_EQUAL(home_identity_reseal(home, NULL, "three"), 0);
  CU_ASSERT_TRUE(opens("three"));
  CU_ASSERT_TRUE(refused(NULL, "is sealed"));
  CU_ASSERT_EQUAL(home_identity_id(home, after), 0);
  CU_ASSERT_STRING_EQUAL(before, after);
  CU_ASSERT_EQUAL(stat(in_home("identity"), &st), 0);
  CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
}

static void a_file_has_the_passphrase(void) {
  char file[sizeof path], want[2 * sizeof path], big[HOME_PASSPHRASE_MAX + 2];

  new_sealed("in a file");
  strcpy(file, in_home("pass"));
  setenv("CSPACE_PASSPHRASE_FILE", file, 1);
  CU_ASSERT_TRUE(refused(NULL, "cannot read passphrase file"));
  put("pass", "in a file\nmore\n", 15, 0600);
  CU_ASSERT_TRUE(opens(NULL));
  CU_ASSERT_TRUE(refused("other", "does not open")); /* what is given wins */
  put("pass", "in a file", 9, 0400);
  CU_ASSERT_TRUE(opens(NULL));
  put("pass", "other\n", 6, 0600);
  CU_ASSERT_TRUE(refused(NULL, file));
  snprintf(want, sizeof want, "can be read by others; run: chmod 600 %s", file);
  put("pass", "in a file\n", 10, 0640);
  CU_ASSERT_TRUE(refused(NULL, want));
  put("pass", "\nin a file\n", 11, 0600);
  CU_ASSERT_TRUE(refused(NULL, "no passphrase in its first line"));
  put("pass", "in\0a file\n", 10, 0600);
  CU_ASSERT_TRUE(refused(NULL, "NUL"));
  memset(big, 'x', sizeof big);
  put("pass", big, HOME_PASSPHRASE_MAX, 0600);
  CU_ASSERT_TRUE(refused(NULL, "does not open"));
  put("pass", big, HOME_PASSPHRASE_MAX + 1, 0600);
  CU_ASSERT_TRUE(refused(NULL, "more than 1024"));
  unlink(in_home("pass"));
  CU_ASSERT_EQUAL(mkfifo(in_home("pass"), 0600), 0);
  CU_ASSERT_TRUE(refused(NULL, "is not a file"));
  unlink(in_home("pass"));
  unsetenv("CSPACE_PASSPHRASE_FILE");
}

static void a_configuration_has_the_passphrase(void) {
  cs_config *c = cs_config_new(), *copy;
  char big[HOME_PASSPHRASE_MAX + 2], own[] = "given";

  CU_ASSERT_PTR_NULL(conf_passphrase(c));
  CU_ASSERT_EQUAL(cs_config_set_passphrase(c, own), 0);
  own[0] = 'x';
  CU_ASSERT_EQUAL(conf_parse(c, "lan = no\n", 9, "f"), 0);
  CU_ASSERT_STRING_EQUAL(conf_passphrase(c), "given");
  copy = conf_copy(c);
  CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
  CU_ASSERT_STRING_EQUAL(conf_passphrase(copy), "given");
  memset(big, 'x', sizeof big);
  big[HOME_PASSPHRASE_MAX + 1] = '\0';
  CU_ASSERT_EQUAL(cs_config_set_passphrase(c, big), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(cs_config_set_passphrase(c, ""), -1);
  CU_ASSERT_EQUAL(cs_config_set_passphrase(NULL, "p"), -1);
  CU_ASSERT_STRING_EQUAL(conf_passphrase(c), "given");
  CU_ASSERT_EQUAL(cs_config_set_passphrase(c, NULL), 0);
  CU_ASSERT_PTR_NULL(conf_passphrase(c));
  cs_config_free(c);
  cs_config_free(copy);
}

/* No digit of the file can be another and still open. */
static void every_flip_of_a_seal_is_noticed(void) {
  char *text = NULL;
  size_t len;

  new_sealed("p");
  CU_ASSERT_EQUAL_FATAL(home_read(home, "identity", 4096, &text, &len), 0);
  for (size_t i = (size_t)(strstr(text, SEAL_WORD) - text); i < len; i++) {
    char was = text[i];

    text[i] = was == '0' ? '1' : was == '1' ? '2' : '0';
    put("identity", text, len, 0600);
    CU_ASSERT_FALSE(opens("p"));
    text[i] = was;
  }
  put("identity", text, len, 0600);
  CU_ASSERT_TRUE(opens("p"));
  free(text);
}

#define SALT "000102030405060708090a0b0c0d0e0f "
#define NONCE "000102030405060708090a0b0c0d0e0f1011121314151617 "
#define HEX32 "000102030405060708090a0b0c0d0e0f"

static void a_seal_has_bounds(void) {
  static const struct {
    const char *numbers, *problem;
  } cases[] = {{"1 8 ", NULL}, {"10 1048576 ", NULL}, {"0 8 ", "passes"}, {"11 8 ", "passes"}, {"01 8 ", "passes"},
               {"4294967297 8 ", "passes"}, {"+1 8 ", "passes"}, {"1 7 ", "memory"}, {"1 1048577 ", "memory"},
               {"1 99999999999999999999 ", "memory"}, {"1  8 ", "memory"}, {"1 8  ", "nonce"}};
  char text[512], back[SEAL_TEXT_MAX];
  const char *problem;
  struct seal s;

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    snprintf(text, sizeof text, SALT "%s" NONCE HEX32 HEX32 HEX32, cases[i].numbers);
    problem = seal_parse(&s, text);
    if (cases[i].problem != NULL) {
      CU_ASSERT_TRUE(problem != NULL && strstr(problem, cases[i].problem) != NULL);
      continue;
    }
    CU_ASSERT_PTR_NULL(problem);
    seal_format(back, &s);
    CU_ASSERT_STRING_EQUAL(back, text);
    strcat(text, "0");
    CU_ASSERT_PTR_NOT_NULL(seal_parse(&s, text));
  }
}

int main(void) {
  static const struct check_test tests[] = {
    {"a passphrase opens what it sealed", a_passphrase_opens_what_it_sealed},
    {"the real cost", the_real_cost},
    {"a passphrase is changed and removed", a_passphrase_is_changed_and_removed},
    {"a file has the passphrase", a_file_has_the_passphrase},
    {"a configuration has the passphrase", a_configuration_has_the_passphrase},
    {"every flip of a seal is noticed", every_flip_of_a_seal_is_noticed},
    {"a seal has bounds", a_seal_has_bounds},
  };
  int rc;

  unsetenv("CSPACE_PASSPHRASE_FILE");
  if (mkdtemp(home) == NULL || identity_init() != 0) return 1;
  rc = check_main("passphrase", tests, sizeof tests / sizeof tests[0]);
  unlink(in_home("identity"));
  unlink(in_home(".lock"));
  return rmdir(home) != 0 ? 1 : rc;
}
