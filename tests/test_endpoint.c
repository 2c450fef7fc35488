/*
 * test_endpoint.c - endpoint slots: kept over a restart, one holder each,
 * never shared with another machine.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "endpoint.h"
#include "identity.h"

static char home[64];

static void setup(void) {
  CU_ASSERT_EQUAL_FATAL(identity_init(), 0);
  strcpy(home, "/tmp/cspace-endpoint-XXXXXX");
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
}

static void slot_path(char *out, size_t cap, int i) { snprintf(out, cap, "%s/endpoints/%d", home, i); }

static void teardown(void) {
  char path[128];

  for (int i = 0; i < ENDPOINT_SLOTS_MAX; i++) {
    slot_path(path, sizeof path, i);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/endpoints", home);
  rmdir(path);
  rmdir(home);
}

static void a_restart_takes_its_slot_again(void) {
  struct endpoint_slot a, b;
  char path[128];
  struct stat st;

  setup();
  endpoint_take(&a, home);
  CU_ASSERT(a.fd >= 0);
  endpoint_release(&a);
  endpoint_take(&b, home);
  CU_ASSERT_EQUAL(memcmp(a.id, b.id, sizeof a.id), 0);
  slot_path(path, sizeof path, 0);
  CU_ASSERT_EQUAL(stat(path, &st), 0);
  CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
  endpoint_release(&b);
  teardown();
}

static void two_at_once_have_two(void) {
  struct endpoint_slot a, b;

  setup();
  endpoint_take(&a, home);
  endpoint_take(&b, home);
  CU_ASSERT(a.fd >= 0 && b.fd >= 0);
  CU_ASSERT_NOT_EQUAL(memcmp(a.id, b.id, sizeof a.id), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(a.secret, b.secret, sizeof a.secret), 0);
  endpoint_release(&a);
  endpoint_release(&b);
  teardown();
}

static void another_machines_slot_is_left_alone(void) {
  struct endpoint_slot a, b;
  char path[128];
  int fd;

  setup();
  endpoint_take(&a, home);
  endpoint_release(&a);
  slot_path(path, sizeof path, 0);
  fd = open(path, O_WRONLY);
  CU_ASSERT_EQUAL_FATAL(pwrite(fd, "0123456789abcdef", 16, 0), 16); /* a home copied from elsewhere */
  close(fd);
  endpoint_take(&b, home);
  CU_ASSERT_NOT_EQUAL(memcmp(a.id, b.id, sizeof a.id), 0);
  endpoint_release(&b);
  teardown();
}

static void without_a_home_the_id_is_random(void) {
  struct endpoint_slot a, b;

  setup();
  endpoint_take(&a, "/nonexistent/home");
  endpoint_take(&b, "/nonexistent/home");
  CU_ASSERT_EQUAL(a.fd, -1);
  CU_ASSERT_NOT_EQUAL(memcmp(a.id, b.id, sizeof a.id), 0);
  endpoint_release(&a);
  teardown();
}

int main(void) {
  static const struct check_test tests[] = {
      {"a restart takes its slot again", a_restart_takes_its_slot_again},
      {"two processes have two slots", two_at_once_have_two},
      {"another machine's slot is left alone", another_machines_slot_is_left_alone},
      {"without a usable home the id is random", without_a_home_the_id_is_random},
  };

  return check_main("endpoint", tests, sizeof tests / sizeof tests[0]);
}
