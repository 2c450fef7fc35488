/*
 * test_cspace_flow.c - back-pressure: what a peer that does not read costs,
 * and whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"
#include "quic.h"
#include "stream.h"

#define BIG (8 * (uint64_t)KIT_MIB)
/* What one direction may hold: read ahead, the peer's window, and a socket queue at each end. */
#define HELD_MAX (STREAM_TX_MAX + QUIC_STREAM_WINDOW_MAX + 2u * KIT_MIB)
#define QUIET_MS 300 /* a writer that got no room for so long is blocked */

/* Writes the pattern until it blocks for good. */
static uint64_t fill_up(int fd) {
  uint8_t buf[32 << 10];
  uint64_t at = 0;

  while (world_poll(fd, POLLOUT, QUIET_MS)) {
    ssize_t n;

    kit_fill(buf, sizeof buf, at);
    n = send(fd, buf, sizeof buf, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) at += (uint64_t)n;
    if (at > 2 * (uint64_t)HELD_MAX) break;
  }
  return at;
}

static void pass(int fds[2], uint64_t bytes) {
  struct kit_job w;

  kit_job_write(&w, fds[0], bytes, true);
  CU_ASSERT_TRUE(kit_clean(kit_read(fds[1], UINT64_MAX), bytes));
  kit_job_join(&w);
  CU_ASSERT_EQUAL(w.err, 0);
}

static void a_peer_that_never_reads_holds_a_bounded_number_of_bytes(void) {
  int mute[2], other[2];
  uint64_t held;

  kit_pair(mute, NULL, NULL);
  held = fill_up(mute[0]);
  CU_ASSERT_TRUE(held >= 64 << 10 && held <= HELD_MAX);
  kit_connect(other); /* over the same session */
  pass(other, BIG);
  CU_ASSERT_EQUAL(shutdown(mute[0], SHUT_WR), 0);
  CU_ASSERT_TRUE(kit_clean(kit_read(mute[1], UINT64_MAX), held)); /* and when it reads at last, all is there */
  for (int i = 0; i < 2; i++) {
    close(mute[i]);
    close(other[i]);
  }
  kit_stop();
}

/* Together they hold more than the session's first window. */
static void forty_unread_streams_stall_nobody(void) {
  enum { MANY = 40 };
  int mute[MANY][2], other[2];
  uint64_t held[MANY];
  uint8_t part[16 << 10];

  kit_pair(mute[0], NULL, NULL);
  for (int i = 1; i < MANY; i++) kit_connect(mute[i]);
  for (int i = 0; i < MANY; i++) {
    held[i] = 0;
    while (held[i] < 300000) { /* fits the queues of one stream: never blocks */
      kit_fill(part, sizeof part, held[i]);
      CU_ASSERT_TRUE_FATAL(world_poll(mute[i][0], POLLOUT, KIT_WAIT_MS));
      held[i] += (uint64_t)send(mute[i][0], part, sizeof part, MSG_NOSIGNAL);
    }
  }
  kit_connect(other);
  pass(other, BIG);
  for (int i = 0; i < MANY; i++) {
    close(mute[i][0]);
    CU_ASSERT_TRUE(kit_clean(kit_read(mute[i][1], UINT64_MAX), held[i]));
    close(mute[i][1]);
  }
  close(other[0]);
  close(other[1]);
  kit_stop();
}

/* What was in flight to a reader that closed is given back to the session. */
static void readers_that_go_away_leave_no_hole(void) {
  int fds[2];

  kit_pair(fds, NULL, NULL);
  for (int i = 0; i < 60; i++) {
    struct kit_job w;

    kit_job_write(&w, fds[0], 2 * KIT_MIB, false);
    CU_ASSERT_EQUAL(kit_read(fds[1], 1000).bytes, 1000);
    close(fds[1]);
    kit_job_join(&w); /* a blocked writer is let go */
    CU_ASSERT_TRUE(w.err == EPIPE || w.err == 0);
    close(fds[0]);
    kit_connect(fds);
  }
  pass(fds, BIG);
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

static void a_slow_reader_gets_everything(void) {
  struct kit_job w;
  uint64_t at = 0;
  uint8_t buf[64 << 10], want[64 << 10];
  int fds[2];
  bool wrong = false;

  kit_pair(fds, NULL, NULL);
  kit_job_write(&w, fds[0], BIG, true);
  while (at < BIG) {
    ssize_t n = world_poll(fds[1], POLLIN, KIT_WAIT_MS) ? read(fds[1], buf, sizeof buf) : -1;

    if (n <= 0) break;
    kit_fill(want, (size_t)n, at);
    if (memcmp(buf, want, (size_t)n) != 0) wrong = true;
    at += (uint64_t)n;
    if (at % (1 << 20) < (uint64_t)n) poll(NULL, 0, 30); /* slow on purpose */
  }
  kit_job_join(&w);
  CU_ASSERT_EQUAL(at, BIG);
  CU_ASSERT_FALSE(wrong);
  CU_ASSERT_EQUAL(w.err, 0);
  CU_ASSERT_EQUAL(read(fds[1], buf, 1), 0);
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

/* Each POLLOUT takes bytes, and it always comes again. */
static void pollout_always_makes_progress(void) {
  static const size_t sizes[] = {1, 100, 4096, 37 << 10, 66 << 10, 200 << 10};
  struct kit_job r;
  uint64_t at = 0;
  unsigned stuck = 0;
  uint8_t *buf = malloc(200 << 10);
  int fds[2];

  kit_pair(fds, NULL, NULL);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  kit_job_read(&r, fds[1]);
  for (unsigned i = 0; at < BIG; i++) {
    size_t len = sizes[i % (sizeof sizes / sizeof sizes[0])];
    ssize_t n;

    kit_fill(buf, len, at);
    if (!world_poll(fds[0], POLLOUT, 5000)) break;
    n = write(fds[0], buf, len);
    if (n > 0) at += (uint64_t)n;
    else stuck++;
  }
  CU_ASSERT_TRUE(at >= BIG);
  CU_ASSERT_EQUAL(stuck, 0);
  shutdown(fds[0], SHUT_WR);
  kit_job_join(&r);
  CU_ASSERT_TRUE(kit_clean(r.end, at));
  close(fds[0]);
  close(fds[1]);
  free(buf);
  kit_stop();
}

static void shut_rd_throws_away_and_writing_goes_on(void) {
  struct kit_job w;
  int fds[2];

  kit_pair(fds, NULL, NULL);
  CU_ASSERT_EQUAL(shutdown(fds[1], SHUT_RD), 0);
  kit_job_write(&w, fds[0], BIG, true);
  kit_job_join(&w); /* the writer is not blocked by a reader that wants nothing */
  CU_ASSERT_EQUAL(w.err, 0);
  CU_ASSERT_EQUAL(kit_write(fds[1], 0, 100000), 0);
  CU_ASSERT_EQUAL(shutdown(fds[1], SHUT_WR), 0);
  CU_ASSERT_TRUE(kit_clean(kit_read(fds[0], UINT64_MAX), 100000));
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

static void a_blocked_writer_is_woken_when_the_node_closes(void) {
  struct kit_job w;
  int fds[2];

  kit_start("linger-ms", "100");
  chat = kit_listen(bob, "chat", NULL, NULL);
  kit_connect(fds);
  kit_job_write(&w, fds[0], 4 * (uint64_t)HELD_MAX, false);
  CU_ASSERT_TRUE(world_poll(fds[1], POLLIN, KIT_WAIT_MS));
  cs_close(alice);
  alice = NULL;
  kit_job_join(&w);
  CU_ASSERT_TRUE(w.err == EPIPE || w.err == ECONNRESET);
  close(fds[0]);
  close(fds[1]);
  kit_stop();
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"a peer that never reads holds a bounded number of bytes and stalls nobody",
       a_peer_that_never_reads_holds_a_bounded_number_of_bytes},
      {"forty unread streams stall nobody", forty_unread_streams_stall_nobody},
      {"readers that go away leave no hole in the session's window", readers_that_go_away_leave_no_hole},
      {"a slow reader gets everything", a_slow_reader_gets_everything},
      {"POLLOUT always makes progress", pollout_always_makes_progress},
      {"SHUT_RD throws away what comes, and writing goes on", shut_rd_throws_away_and_writing_goes_on},
      {"a blocked writer is woken when its node closes", a_blocked_writer_is_woken_when_the_node_closes},
  };

  return kit_main(argc, argv, "cspace_flow", tests, sizeof tests / sizeof tests[0]);
}
