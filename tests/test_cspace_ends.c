/*
 * test_cspace_ends.c - half-close works, close is an end, and truncation
 * never looks like one.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"
#include "peer.h"

#define BIG (8 * (uint64_t)KIT_MIB)
#define IDLE_MS 1000
#define ROUNDS 4
#define CUTS 8 /* streams cut in each round: 32 points in all */

static void done(int fds[2]) {
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

/* Where every comparable library breaks. */
static void half_close_then_the_whole_reply(void) {
  struct kit_job w, r;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  kit_job_read(&r, fds[1]);
  kit_job_write(&w, fds[0], BIG, true);
  kit_job_join(&w);
  kit_job_join(&r);
  CU_ASSERT_EQUAL(w.err, 0);
  CU_ASSERT_TRUE(kit_clean(r.end, BIG));
  kit_job_write(&w, fds[1], BIG, true); /* the other direction goes on */
  CU_ASSERT_TRUE(kit_clean(kit_read(fds[0], UINT64_MAX), BIG));
  kit_job_join(&w);
  CU_ASSERT_EQUAL(w.err, 0);
  done(fds);
}

static void both_directions_at_once(void) {
  struct kit_job w[2], r[2];
  int fds[2];

  kit_pair(fds, NULL, NULL);
  for (int i = 0; i < 2; i++) {
    kit_job_read(&r[i], fds[i]);
    kit_job_write(&w[i], fds[i], BIG, true);
  }
  for (int i = 0; i < 2; i++) {
    kit_job_join(&w[i]);
    kit_job_join(&r[i]);
    CU_ASSERT_EQUAL(w[i].err, 0);
    CU_ASSERT_TRUE(kit_clean(r[i].end, BIG));
  }
  done(fds);
}

static void close_is_an_end_after_what_was_written(void) {
  struct kit_job w;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  for (int i = 0; i < 50; i++) { /* small ones: the close is right behind the bytes */
    uint64_t len = (uint64_t)i * 997;

    CU_ASSERT_EQUAL(kit_write(fds[0], 0, len), 0);
    close(fds[0]);
    CU_ASSERT_TRUE(kit_clean(kit_read(fds[1], UINT64_MAX), len));
    close(fds[1]);
    kit_connect(fds);
  }
  kit_job_write(&w, fds[0], BIG, false);
  CU_ASSERT_EQUAL(kit_read(fds[1], KIT_MIB).bytes, KIT_MIB);
  close(fds[1]); /* not read to the end: the writer learns it and is not stuck */
  kit_job_join(&w);
  CU_ASSERT_EQUAL(w.err, EPIPE);
  done(fds);
}

static void an_unread_rest_is_no_obstacle_to_the_end(void) {
  struct kit_job r;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(kit_write(fds[1], 0, 100000), 0);
  CU_ASSERT_TRUE(world_poll(fds[0], POLLIN, KIT_WAIT_MS));
  kit_job_read(&r, fds[1]);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, 300000), 0);
  close(fds[0]); /* with bytes in its queue that nobody read */
  kit_job_join(&r);
  CU_ASSERT_TRUE(kit_clean(r.end, 300000));
  close(fds[1]);
  kit_stop();
}

/* ---- the peer dies ---- */

/* A peer process in the given mode as bob's stead; returns alice's connection. */
static int peer_connection(const char *mode, pid_t *pid, int *control) {
  cs_options *o = kit_options("timeout-ms", "10000");
  int fd;

  *pid = kit_peer(world_home(kit_world, mode, 1), mode, control);
  fd = cs_connect(alice, mode, "chat", o);
  if (fd < 0) fprintf(stderr, "connect: %s\n", cs_last_error_text());
  CU_ASSERT_FATAL(fd >= 0);
  cs_options_free(o);
  return fd;
}

/* A world with nobody but alice's contacts to come. */
static void start_alone(void) {
  kit_start("idle-timeout", "1000");
}

static void kill_9_gives_the_bytes_then_a_reset(void) {
  struct kit_end e;
  uint64_t t;
  pid_t pid;
  int fd;

  start_alone();
  fd = peer_connection("mute", &pid, NULL);
  e = kit_read(fd, PEER_MUTE_BYTES / 2);
  CU_ASSERT_EQUAL(e.bytes, PEER_MUTE_BYTES / 2);
  CU_ASSERT_FALSE(e.wrong);
  while (true) { /* all of it has arrived, half is unread */
    char buf[PEER_MUTE_BYTES];

    if (recv(fd, buf, sizeof buf, MSG_PEEK) == PEER_MUTE_BYTES - PEER_MUTE_BYTES / 2) break;
    poll(NULL, 0, 5);
  }
  kit_kill(pid);
  t = world_ms();
  CU_ASSERT_TRUE(world_poll(fd, POLLRDHUP, 3 * IDLE_MS));
  CU_ASSERT_TRUE(world_ms() - t <= IDLE_MS + 1000);
  {
    char buf[PEER_MUTE_BYTES];

    CU_ASSERT_EQUAL(read(fd, buf, sizeof buf), PEER_MUTE_BYTES - PEER_MUTE_BYTES / 2);
    CU_ASSERT_EQUAL(read(fd, buf, sizeof buf), -1);
    CU_ASSERT_EQUAL(errno, ECONNRESET);
  }
  close(fd);
  kit_stop();
}

/* A cut stream is a prefix and ECONNRESET, or it was over before the cut. */
static bool cut_or_whole(struct kit_end e) {
  if (e.wrong) return false;
  if (e.err == 0) return e.bytes == PEER_FLOOD_BYTES;
  return e.err == ECONNRESET && e.bytes <= PEER_FLOOD_BYTES;
}

static void one_round_of_cuts(unsigned round, unsigned *cut) {
  struct kit_job r[CUTS];
  char name[32];
  pid_t pid;
  cs_options *o = kit_options("timeout-ms", "10000");

  snprintf(name, sizeof name, "flood%u", round);
  pid = kit_peer(world_home(kit_world, name, 1), "flood", NULL);
  for (int i = 0; i < CUTS; i++) {
    int fd = cs_connect(alice, name, "chat", o);

    CU_ASSERT_FATAL(fd >= 0);
    kit_job_read(&r[i], fd);
    poll(NULL, 0, (int)(round * 3 + (unsigned)i) % 5); /* so that they are cut at different points */
  }
  poll(NULL, 0, (int)(round * 31) % 70);
  kit_kill(pid);
  for (int i = 0; i < CUTS; i++) {
    kit_job_join(&r[i]);
    CU_ASSERT_TRUE(cut_or_whole(r[i].end));
    if (!cut_or_whole(r[i].end))
      fprintf(stderr, "%llu bytes, %s\n", (unsigned long long)r[i].end.bytes, strerror(r[i].end.err));
    *cut += r[i].end.err != 0;
    close(r[i].fd);
  }
  cs_options_free(o);
}

static void a_cut_at_any_point_never_looks_like_an_end(void) {
  unsigned cut = 0;

  start_alone();
  for (unsigned i = 0; i < ROUNDS; i++) one_round_of_cuts(i, &cut);
  CU_ASSERT_TRUE(cut > ROUNDS * CUTS / 4); /* the kills did come in the middle */
  kit_stop();
}

/* Its holder lives, the process with the node is gone: a reset there too. */
static void an_fd_passed_on_is_reset_when_its_node_dies(void) {
  int fd, passed, control;
  struct kit_end e;
  pid_t pid;

  start_alone();
  fd = peer_connection("give", &pid, &control);
  passed = kit_recv_fd(control);
  CU_ASSERT_FATAL(passed >= 0);
  CU_ASSERT_EQUAL(kit_write(fd, 0, 5000), 0);
  while (true) {
    char buf[5000];

    if (recv(passed, buf, sizeof buf, MSG_PEEK) == 5000) break;
    poll(NULL, 0, 5);
  }
  kit_kill(pid);
  e = kit_read(passed, UINT64_MAX);
  CU_ASSERT_EQUAL(e.bytes, 5000);
  CU_ASSERT_EQUAL(e.err, ECONNRESET);
  CU_ASSERT_EQUAL(kit_read(fd, UINT64_MAX).err, ECONNRESET);
  close(passed);
  close(control);
  close(fd);
  kit_stop();
}

/* ---- the node is closed ---- */

static void cs_close_resets_what_is_open_and_spares_what_ended(void) {
  int open_fds[2], ended[2];
  struct kit_end e;
  char byte;

  kit_pair(open_fds, NULL, NULL);
  kit_connect(ended);
  for (int i = 0; i < 2; i++) {
    CU_ASSERT_EQUAL(kit_write(open_fds[i], 0, 5000), 0);
    CU_ASSERT_EQUAL(kit_write(ended[i], 0, 5000), 0);
    CU_ASSERT_EQUAL(shutdown(ended[i], SHUT_WR), 0);
  }
  for (int i = 0; i < 2; i++) { /* both ends have come */
    CU_ASSERT_TRUE(world_poll(ended[i], POLLRDHUP, KIT_WAIT_MS));
    CU_ASSERT_EQUAL(recv(open_fds[i], &byte, 1, MSG_PEEK), 1);
  }
  close(chat);
  chat = -1;
  cs_close(bob);
  bob = NULL;
  for (int i = 0; i < 2; i++) { /* alice's fds, and bob's whose node is gone */
    CU_ASSERT_TRUE(kit_clean(kit_read(ended[i], UINT64_MAX), 5000));
    e = kit_read(open_fds[i], UINT64_MAX);
    CU_ASSERT_EQUAL(e.bytes, 5000);
    CU_ASSERT_FALSE(e.wrong);
    CU_ASSERT_EQUAL(e.err, ECONNRESET);
    close(ended[i]);
  }
  done(open_fds);
}

static void cs_close_lingers_for_what_was_just_written(void) {
  struct kit_job r;
  int fds[2];

  for (int i = 0; i < 10; i++) {
    kit_pair(fds, NULL, NULL);
    kit_job_read(&r, fds[1]);
    CU_ASSERT_EQUAL(kit_write(fds[0], 0, 200000), 0);
    close(fds[0]);
    cs_close(alice); /* at once: the engine may not have seen a byte of it */
    alice = NULL;
    kit_job_join(&r);
    CU_ASSERT_TRUE(kit_clean(r.end, 200000));
    close(fds[1]);
    kit_stop();
  }
}

/* More callers than a listener's socket holds at once; all are gone before the first is accepted. */
static void what_came_whole_waits_for_accept(void) {
  enum { CALLS = 30 };

  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  for (int i = 0; i < CALLS; i++) {
    int fd = cs_connect(alice, "bob", "chat", NULL);

    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(kit_write(fd, 0, 1000), 0);
    close(fd);
  }
  cs_close(alice);
  alice = NULL;
  for (int i = 0; i < CALLS; i++) {
    struct cs_peer p;
    int fd;

    CU_ASSERT_TRUE_FATAL(world_poll(chat, POLLIN, KIT_WAIT_MS));
    fd = cs_accept(chat, &p, 0);
    CU_ASSERT_STRING_EQUAL(p.name, "alice");
    CU_ASSERT_TRUE(kit_clean(kit_read(fd, UINT64_MAX), 1000));
    close(fd);
  }
  kit_stop();
}

static void linger_is_bounded(void) {
  int fds[2];
  uint64_t t;

  kit_start("linger-ms", "300");
  chat = kit_listen(bob, "chat", NULL, NULL);
  kit_connect(fds);
  while (send(fds[0], &t, sizeof t, MSG_DONTWAIT) > 0 || world_poll(fds[0], POLLOUT, 300)) continue;
  t = world_ms();
  cs_close(alice); /* bob never reads */
  alice = NULL;
  CU_ASSERT_TRUE(world_ms() - t >= 250 && world_ms() - t < 2000);
  CU_ASSERT_EQUAL(kit_read(fds[0], UINT64_MAX).err, ECONNRESET);
  done(fds);
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"8 MiB, SHUT_WR, then the whole reply", half_close_then_the_whole_reply},
      {"8 MiB both ways at once", both_directions_at_once},
      {"close is an end after what was written", close_is_an_end_after_what_was_written},
      {"bytes that nobody read do not spoil the end", an_unread_rest_is_no_obstacle_to_the_end},
      {"kill -9 of the peer: what arrived, then ECONNRESET within idle-timeout", kill_9_gives_the_bytes_then_a_reset},
      {"a cut at any point never looks like an end", a_cut_at_any_point_never_looks_like_an_end},
      {"an fd passed to another process is reset when its node dies", an_fd_passed_on_is_reset_when_its_node_dies},
      {"cs_close resets what is open and spares what ended", cs_close_resets_what_is_open_and_spares_what_ended},
      {"cs_close lingers for what was just written", cs_close_lingers_for_what_was_just_written},
      {"what came whole waits for cs_accept, though its caller is gone", what_came_whole_waits_for_accept},
      {"and no longer than linger-ms", linger_is_bounded},
  };

  return kit_main(argc, argv, "cspace_ends", tests, sizeof tests / sizeof tests[0]);
}
