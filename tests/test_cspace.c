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
#include "kit.h"

static void bytes_come_out_at_the_other_end(void) {
  int l, fds[2];
  char buf[64] = {0};
  struct cs_peer peer;

  kit_start(NULL, NULL);
  l = kit_listen(bob, "chat", NULL, NULL);
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
  kit_stop();
}

static void a_ping_tells_the_path(void) {
  struct cs_path path;
  unsigned port = 0;
  int l;

  kit_start(NULL, NULL);
  l = kit_listen(bob, "chat", NULL, NULL);
  CU_ASSERT_EQUAL_FATAL(cs_ping(alice, "bob", NULL, &path), 0);
  CU_ASSERT_STRING_EQUAL(path.kind, "direct");
  CU_ASSERT_EQUAL(sscanf(path.address, "127.0.0.1:%u", &port), 1);
  CU_ASSERT_TRUE(port > 0);
  CU_ASSERT_TRUE(path.rtt_us > 0 && path.rtt_us < 1000000);
  CU_ASSERT_TRUE(path.mtu >= 1200);
  CU_ASSERT_EQUAL_FATAL(cs_ping(alice, "bob", NULL, &path), 0); /* now the session is up */
  CU_ASSERT_EQUAL(path.session_ms, 0);
  CU_ASSERT_EQUAL(path.find_ms, 0);
  CU_ASSERT_EQUAL(cs_ping(alice, "bob", NULL, NULL), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  close(l);
  kit_stop();
}

static void a_stranger_is_known_by_id_alone(void) {
  cs_options *o = cs_options_new();
  struct cs_peer peer;
  cs_node *carol;
  int l, fd, got;

  kit_start(NULL, NULL);
  carol = world_open(kit_world, carol_home, NULL, NULL);
  cs_options_set(o, "access", "anyone");
  l = cs_listen(bob, "open", o);
  CU_ASSERT_EQUAL_FATAL(cs_published(bob, 10000), 0);
  fd = cs_connect(carol, cs_id(bob), "open", NULL); /* named by id: no contact of hers */
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  got = cs_accept(l, &peer, 0);
  CU_ASSERT_STRING_EQUAL(peer.id, cs_id(carol));
  CU_ASSERT_STRING_EQUAL(peer.name, "");
  CU_ASSERT_EQUAL(cs_peer(fd, &peer), 0);
  CU_ASSERT_STRING_EQUAL(peer.id, cs_id(bob));
  CU_ASSERT_STRING_EQUAL(peer.name, "");
  for (size_t i = 0; i < sizeof peer.reserved; i++) CU_ASSERT_EQUAL(peer.reserved[i], 0);
  close(fd);
  close(got);
  close(l);
  cs_options_free(o);
  cs_close(carol);
  kit_stop();
}

static void closing_keeps_errno_and_takes_null(void) {
  errno = EDOM;
  cs_close(NULL);
  cs_config_free(NULL);
  cs_options_free(NULL);
  CU_ASSERT_EQUAL(errno, EDOM);
  kit_start(NULL, NULL);
  errno = EDOM;
  cs_close(alice);
  CU_ASSERT_EQUAL(errno, EDOM);
  alice = NULL;
  CU_ASSERT_STRING_EQUAL(cs_id(NULL), "");
  kit_stop();
}

int main(void) {
  static const struct check_test tests[] = {
      {"every byte that one writes comes out of the other's fd", bytes_come_out_at_the_other_end},
      {"a ping tells the path", a_ping_tells_the_path},
      {"a stranger is known by id alone", a_stranger_is_known_by_id_alone},
      {"cs_close keeps errno and takes NULL", closing_keeps_errno_and_takes_null},
  };

  return check_main("cspace", tests, sizeof tests / sizeof tests[0]);
}
