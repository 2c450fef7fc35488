/*
 * test_cspace_endpoints.c - one user in several processes: whoever calls finds
 * the one that offers the service, and is refused only when none does.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "world.h"

static struct world *w;
static const char *alice_home, *bob_home;
static cs_node *bob;

static void setup(void) {
  w = world_new(3);
  alice_home = world_home(w, "alice", 1);
  bob_home = world_home(w, "bob", 1);
  bob = world_open(w, bob_home, NULL, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(bob);
}

static void teardown(void) {
  cs_close(bob);
  world_free(w);
}

static cs_node *process(const char *home, const char *service, int *listener) {
  cs_node *n = world_open(w, home, NULL, NULL);

  CU_ASSERT_PTR_NOT_NULL_FATAL(n);
  if (service == NULL) return n;
  *listener = cs_listen(n, service, NULL);
  CU_ASSERT_FATAL(*listener >= 0);
  CU_ASSERT_EQUAL(cs_published(n, 10000), 0);
  return n;
}

/* 0, or the errno of the failure. */
static int call(cs_node *from, const char *to, const char *service) {
  int fd = cs_connect(from, to, service, NULL), err = errno;

  if (fd < 0) return err;
  close(fd);
  return 0;
}

/* Her session with us exists; it is with a process that offers nothing. */
static void a_session_with_another_process_is_no_refusal(void) {
  int mail, chat, fd;
  cs_node *offers, *calls;

  setup();
  mail = cs_listen(bob, "mail", NULL);
  CU_ASSERT_EQUAL(cs_published(bob, 10000), 0);
  offers = process(alice_home, "chat", &chat);
  calls = process(alice_home, NULL, NULL);
  fd = cs_connect(calls, "bob", "mail", NULL);
  CU_ASSERT(fd >= 0);
  CU_ASSERT_EQUAL(call(bob, "alice", "chat"), 0);
  CU_ASSERT_EQUAL(call(bob, "alice", "none"), ECONNREFUSED);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_REFUSED);
  close(fd);
  close(chat);
  close(mail);
  cs_close(calls);
  cs_close(offers);
  teardown();
}

static void each_process_is_found_by_its_service(void) {
  int chat, copy, late = -1;
  cs_node *first, *second, *third;

  setup();
  first = process(alice_home, "chat", &chat);
  second = process(alice_home, "copy", &copy);
  for (int i = 0; i < 2; i++) { /* whichever came last, and with sessions to one or both */
    CU_ASSERT_EQUAL(call(bob, "alice", "chat"), 0);
    CU_ASSERT_EQUAL(call(bob, "alice", "copy"), 0);
  }
  CU_ASSERT_EQUAL(call(bob, "alice", "late"), ECONNREFUSED);
  third = process(alice_home, "late", &late); /* our sessions and the record we know are older */
  CU_ASSERT_EQUAL(call(bob, "alice", "late"), 0);
  close(chat);
  close(copy);
  close(late);
  cs_close(first);
  cs_close(second);
  cs_close(third);
  teardown();
}

/* The record outlives a process that was killed: its entry costs one try, and then the answer is the refusal. */
static void a_dead_process_does_not_hold_up_a_refusal_for_long(void) {
  int chat, copy;
  cs_node *first, *second;
  uint64_t before;

  setup();
  first = process(alice_home, "chat", &chat);
  second = world_open(w, alice_home, "linger-ms", "0");
  copy = cs_listen(second, "copy", NULL);
  CU_ASSERT_EQUAL(cs_published(second, 10000), 0);
  CU_ASSERT_EQUAL(call(bob, "alice", "chat"), 0);
  cs_close(second); /* the entry that it leaves behind stands for its address until it expires */
  close(copy);
  before = world_ms();
  CU_ASSERT_EQUAL(call(bob, "alice", "copy"), ECONNREFUSED);
  CU_ASSERT(world_ms() - before < 10000);
  CU_ASSERT_EQUAL(call(bob, "alice", "chat"), 0);
  close(chat);
  cs_close(first);
  teardown();
}

int main(void) {
  static const struct check_test tests[] = {
      {"a session with another of their processes is no refusal", a_session_with_another_process_is_no_refusal},
      {"each process of a user is found by its service", each_process_is_found_by_its_service},
      {"a dead process does not hold up a refusal for long", a_dead_process_does_not_hold_up_a_refusal_for_long},
  };

  return check_main("cspace_endpoints", tests, sizeof tests / sizeof tests[0]);
}
