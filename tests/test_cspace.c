/*
 * test_cspace.c - the public calls end to end: two users, a DHT on loopback,
 * fds. Each test names the sentence of the contract that it shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "world.h"

static struct world *w;
static const char *alice_home, *bob_home, *carol_home;
static cs_node *alice, *bob;

/* Alice calls, bob answers; carol is a stranger. */
static void setup(void) {
  w = world_new(3);
  alice_home = world_home(w, "alice", 1);
  bob_home = world_home(w, "bob", 1);
  carol_home = world_home(w, "carol", 0);
  alice = world_open(w, alice_home, NULL, NULL);
  bob = world_open(w, bob_home, NULL, NULL);
  if (alice == NULL || bob == NULL) {
    fprintf(stderr, "setup: %s\n", cs_last_error_text());
    abort();
  }
}

static void teardown(void) {
  cs_close(alice);
  cs_close(bob);
  world_free(w);
}

static int listen_published(cs_node *n, const char *service) {
  int l = cs_listen(n, service, NULL);

  CU_ASSERT_FATAL(l >= 0);
  if (cs_published(n, 10000) != 0) fprintf(stderr, "published: %s\n", cs_last_error_text());
  return l;
}

static void bytes_come_out_at_the_other_end(void) {
  int l, fds[2];
  char buf[64] = {0};
  struct cs_peer peer;

  setup();
  l = listen_published(bob, "chat");
  CU_ASSERT_EQUAL_FATAL(world_connect(alice, "bob", "chat", l, fds), 0);
  CU_ASSERT_EQUAL(world_write(fds[0], "hello bob", 9), 0);
  CU_ASSERT_EQUAL(world_read(fds[1], buf, 9, 5000), 9);
  CU_ASSERT_STRING_EQUAL(buf, "hello bob");
  CU_ASSERT_EQUAL(world_write(fds[1], "hi alice", 8), 0);
  memset(buf, 0, sizeof buf);
  CU_ASSERT_EQUAL(world_read(fds[0], buf, 8, 5000), 8);
  CU_ASSERT_STRING_EQUAL(buf, "hi alice");
  CU_ASSERT_EQUAL(cs_peer(fds[1], &peer), 0);
  CU_ASSERT_STRING_EQUAL(peer.id, cs_id(alice));
  CU_ASSERT_STRING_EQUAL(peer.name, "alice");
  CU_ASSERT_STRING_EQUAL(peer.service, "chat");
  CU_ASSERT_EQUAL(cs_peer(fds[0], &peer), 0);
  CU_ASSERT_STRING_EQUAL(peer.id, cs_id(bob));
  CU_ASSERT_STRING_EQUAL(peer.name, "bob");
  close(fds[0]);
  close(fds[1]);
  close(l);
  teardown();
}

int main(void) {
  static const struct check_test tests[] = {
      {"every byte that one writes comes out of the other's fd", bytes_come_out_at_the_other_end},
  };

  return check_main("cspace", tests, sizeof tests / sizeof tests[0]);
}
