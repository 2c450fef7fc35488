/*
 * test_session_limits.c - what those who know an id can and cannot do to its
 * owner: streams that say nothing, first datagrams of which nothing comes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "node_impl.h"
#include "quic_pair.h"
#include "session_impl.h"
#include "stream.h"
#include "world.h"

#define STREAMS 2000

/* The first byte of a header on as many new streams as the peer allows. */
static unsigned begin_streams(struct cs_node *n, unsigned most) {
  struct session *s;
  unsigned opened = 0;

  loop_lock(n->loop);
  s = n->sessions;
  while (s != NULL && s->state == SESSION_UP && opened < most) {
    struct stream *st = stream_new(s, -1, STREAM_ASKING);

    if (st == NULL) break;
    if (quic_stream_open(s->quic, true, st, &st->sid) != 0) {
      st->quic_closed = true;
      stream_free(st);
      break;
    }
    stream_put(st, "\1", 1, false);
    opened++;
  }
  loop_unlock(n->loop);
  return opened;
}

/* Streams that the node's one session holds; 0 without a session. */
static unsigned held(struct cs_node *n) {
  unsigned streams = 0;

  loop_lock(n->loop);
  if (n->sessions != NULL) streams = n->sessions->n_streams;
  loop_unlock(n->loop);
  return streams;
}

static bool in_session(struct cs_node *n) {
  bool is;

  loop_lock(n->loop);
  is = n->sessions != NULL && n->sessions->state == SESSION_UP;
  loop_unlock(n->loop);
  return is;
}

static void wait_until(bool (*over)(struct cs_node *), struct cs_node *n, int ms) {
  uint64_t end = world_ms() + (uint64_t)ms;

  while (!over(n) && world_ms() < end) usleep(10000);
}

static bool full(struct cs_node *n) { return held(n) >= SESSION_STRANGER_STREAMS; }
static bool alone(struct cs_node *n) { return !in_session(n); }

static void streams_that_a_stranger_begins_are_few_and_keep_nothing_alive(void) {
  struct world *w = world_new(3);
  const char *bob_home = world_home(w, "bob", 1), *carol_home = world_home(w, "carol", 0);
  cs_node *bob = world_open(w, bob_home, NULL, NULL), *carol = world_open(w, carol_home, NULL, NULL);
  int l = cs_listen(bob, "chat", NULL);
  struct cs_path path;

  CU_ASSERT_EQUAL_FATAL(cs_published(bob, 10000), 0);
  CU_ASSERT_EQUAL_FATAL(cs_ping(carol, cs_id(bob), NULL, &path), 0);
  CU_ASSERT_EQUAL(begin_streams(carol, STREAMS), STREAMS);
  wait_until(full, bob, 5000);
  CU_ASSERT_TRUE(in_session(bob));
  CU_ASSERT_EQUAL(held(bob), SESSION_STRANGER_STREAMS);
  wait_until(alone, bob, SESSION_STRANGER_US / 1000 + 5000);
  CU_ASSERT_FALSE(in_session(bob));
  close(l);
  cs_close(carol);
  cs_close(bob);
  world_free(w);
}

static unsigned handshakes(struct cs_node *n) {
  unsigned now;

  loop_lock(n->loop);
  now = n->handshakes;
  loop_unlock(n->loop);
  return now;
}

static bool crowded(struct cs_node *n) { return handshakes(n) >= NODE_HANDSHAKES_MAX; }

/* `count` first datagrams that pass the gate, and nothing after them. */
static void knock(struct cs_node *n, int sock, unsigned count) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  uint8_t key[ID_KEY_LEN], buf[1500];
  size_t segment;

  CU_ASSERT_EQUAL_FATAL(id_parse(key, cs_id(n)), ID_OK);
  to.sin_port = htons(udp_local(n->udp).port);
  for (unsigned i = 0; i < count; i++) {
    struct quic_pair *p = quic_pair_new(key);
    ssize_t len = quic_write(p->client.q, p->now, buf, sizeof buf, 1200, &segment);

    CU_ASSERT_EQUAL_FATAL(len, 1200);
    CU_ASSERT_EQUAL(sendto(sock, buf, (size_t)len, 0, (struct sockaddr *)&to, sizeof to), len);
    quic_pair_free(p);
  }
}

static void half_open_handshakes_keep_nobody_out(void) {
  struct world *w = world_new(3);
  const char *bob_home = world_home(w, "bob", 1), *alice_home = world_home(w, "alice", 1);
  cs_node *bob = world_open(w, bob_home, NULL, NULL), *alice = world_open(w, alice_home, NULL, NULL);
  int l = cs_listen(bob, "chat", NULL), sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd;
  cs_options *brief = cs_options_new();

  CU_ASSERT_EQUAL_FATAL(cs_options_set(brief, "timeout-ms", "5000"), 0);
  CU_ASSERT_EQUAL_FATAL(cs_published(bob, 10000), 0);
  for (int i = 0; i < 20 && !crowded(bob); i++) { /* the socket may drop some */
    knock(bob, sock, NODE_HANDSHAKES_MAX / 8);
    usleep(10000);
  }
  CU_ASSERT_EQUAL(handshakes(bob), NODE_HANDSHAKES_MAX);
  usleep(NODE_HALF_OPEN_US);
  knock(bob, sock, 1);
  fd = cs_connect(alice, "bob", "chat", brief);
  CU_ASSERT(fd >= 0);
  CU_ASSERT(handshakes(bob) <= NODE_HANDSHAKES_MAX);
  close(fd);
  close(sock);
  close(l);
  cs_options_free(brief);
  cs_close(alice);
  cs_close(bob);
  world_free(w);
}

int main(void) {
  static const struct check_test tests[] = {
      {"streams that a stranger only begins are few and keep nothing alive",
       streams_that_a_stranger_begins_are_few_and_keep_nothing_alive},
      {"half-open handshakes keep nobody out", half_open_handshakes_keep_nobody_out},
  };

  return check_main("session_limits", tests, sizeof tests / sizeof tests[0]);
}
