/*
 * test_quic.c - the handshake with raw public keys behind the gate, streams,
 * ends, loss; two connections in memory under a virtual clock.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "quic_pair.h"

static bool both_connected(struct quic_pair *p) { return p->client.connected && p->server.connected; }

static bool server_got_all(struct quic_pair *p) { return p->server.in_end && p->client.acked == p->client.out_len; }

static bool both_over(struct quic_pair *p) {
  return quic_over(p->client.q, NULL) != QUIC_ALIVE && (p->server.q == NULL || quic_over(p->server.q, NULL) != QUIC_ALIVE);
}

static struct quic_pair *connected_pair(void) {
  struct quic_pair *p = quic_pair_new(NULL);

  CU_ASSERT_FATAL(quic_pair_meet(p));
  CU_ASSERT_FATAL(quic_pair_run(p, both_connected, 5000000));
  return p;
}

static void both_sides_know_each_other(void) {
  struct quic_pair *p = connected_pair();
  uint8_t a[80], b[80];

  CU_ASSERT_EQUAL(memcmp(quic_peer(p->client.q), identity_key(p->server.id), ID_KEY_LEN), 0);
  CU_ASSERT_EQUAL(memcmp(quic_peer(p->server.q), identity_key(p->client.id), ID_KEY_LEN), 0);
  CU_ASSERT_EQUAL(quic_export(p->client.q, "EXPORTER-test", a, sizeof a), 0);
  CU_ASSERT_EQUAL(quic_export(p->server.q, "EXPORTER-test", b, sizeof b), 0);
  CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
  quic_drop_tls(p->client.q);
  CU_ASSERT_EQUAL(quic_export(p->client.q, "EXPORTER-test", a, sizeof a), -1);
  quic_pair_free(p);
}

static void transfer(size_t len, size_t mtu, unsigned drop_every) {
  struct quic_pair *p = connected_pair();
  uint8_t *data = malloc(len);

  CU_ASSERT_PTR_NOT_NULL_FATAL(data);
  randombytes_buf(data, len);
  p->mtu = mtu;
  p->delay_us = 100;
  p->drop_every = drop_every;
  quic_drop_tls(p->client.q); /* as sessions do */
  quic_drop_tls(p->server.q);
  CU_ASSERT_EQUAL_FATAL(quic_stream_open(p->client.q, true, &p->client, &p->client.sid), 0);
  p->client.out = data;
  p->client.out_len = len;
  p->client.out_end = true;
  CU_ASSERT(quic_pair_run(p, server_got_all, 120000000));
  CU_ASSERT_EQUAL(p->server.in_len, len);
  CU_ASSERT(p->server.in_len == len && memcmp(p->server.in, data, len) == 0);
  if (drop_every > 0) CU_ASSERT(p->dropped > 0);
  free(data);
  quic_pair_free(p);
}

static void streams_carry_bytes_and_ends(void) {
  transfer(1, 1200, 0);
  transfer(3 << 20, 1452, 0);
  transfer(3 << 20, 8900, 0);
}

static void loss_is_repaired(void) {
  transfer(1 << 20, 1200, 17);
  transfer(1 << 20, 8900, 5);
}

static void other_key_never_passes_the_gate(void) {
  struct identity *mallory = identity_generate();
  struct quic_pair *p = quic_pair_new(identity_key(mallory));

  CU_ASSERT_FALSE(quic_pair_meet(p)); /* the server is someone else than the client looks for */
  quic_pair_free(p);
  identity_free(mallory);
}

/* An impostor who knows the callee's id and so passes the gate still has not the key. */
static void impostor_fails_and_learns_nothing(void) {
  struct quic_pair *p = quic_pair_new(NULL);
  struct identity *impostor = identity_generate();
  struct tls_creds *creds = tls_creds_new(impostor);

  CU_ASSERT_PTR_NOT_NULL_FATAL(creds);
  p->server.cfg.creds = creds;
  CU_ASSERT(quic_pair_meet(p));
  CU_ASSERT_FALSE(quic_pair_run(p, both_connected, 3000000));
  CU_ASSERT_FALSE(p->client.connected);
  CU_ASSERT_FALSE(p->server.connected);
  CU_ASSERT_EQUAL(quic_over(p->client.q, NULL), QUIC_END_TLS);
  CU_ASSERT_EQUAL(sodium_is_zero(quic_peer(p->server.q), ID_KEY_LEN), 1); /* the caller's key never came */
  quic_pair_free(p);
  tls_creds_free(creds);
  identity_free(impostor);
}

static void silence_ends_in_idle(void) {
  struct quic_pair *p = connected_pair();
  uint64_t before = p->now;

  p->drop_every = 1;
  CU_ASSERT(quic_pair_run(p, both_over, 120000000));
  CU_ASSERT_EQUAL(quic_over(p->client.q, NULL), QUIC_END_IDLE);
  CU_ASSERT(p->now - before >= 30000000);
  quic_pair_free(p);
}

static void close_tells_its_code(void) {
  struct quic_pair *p = connected_pair();
  uint8_t buf[1200];
  bool valid;
  uint64_t code = 0;
  size_t n = quic_close(p->client.q, p->now, QUIC_CODE_REFUSED, buf, sizeof buf, sizeof buf);

  CU_ASSERT(n > 0);
  CU_ASSERT_EQUAL(quic_read(p->server.q, p->now, buf, n, &valid), -1);
  CU_ASSERT_EQUAL(quic_over(p->server.q, &code), QUIC_END_PEER);
  CU_ASSERT_EQUAL(code, QUIC_CODE_REFUSED);
  quic_pair_free(p);
}

static bool server_stopped_growing(struct quic_pair *p) { return p->client.blocked; }

static void unread_stream_is_bounded(void) {
  struct quic_pair *p = connected_pair();
  size_t len = 8 << 20;
  uint8_t *data = calloc(1, len);

  CU_ASSERT_PTR_NOT_NULL_FATAL(data);
  p->server.hold_credit = true;
  CU_ASSERT_EQUAL_FATAL(quic_stream_open(p->client.q, true, &p->client, &p->client.sid), 0);
  p->client.out = data;
  p->client.out_len = len;
  CU_ASSERT(quic_pair_run(p, server_stopped_growing, 20000000));
  CU_ASSERT_EQUAL(p->client.out_sent, QUIC_STREAM_WINDOW_MIN);
  free(data);
  quic_pair_free(p);
}

/* Flipped, cut and repeated datagrams change nothing and end nothing. */
static void damaged_datagrams_are_dropped(void) {
  struct quic_pair *p = connected_pair();
  uint8_t buf[65536], copy[1200], data[4000] = {0};
  size_t segment, got;
  bool valid;
  ssize_t n;

  CU_ASSERT_EQUAL_FATAL(quic_stream_open(p->client.q, true, &p->client, &p->client.sid), 0);
  p->client.out = data;
  p->client.out_len = sizeof data;
  n = quic_write(p->client.q, p->now, buf, sizeof buf, 1200, &segment);
  CU_ASSERT_FATAL(n > 0 && segment <= sizeof copy);
  for (size_t bit = 0; bit < segment * 8; bit += 7) {
    memcpy(copy, buf, segment);
    copy[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    CU_ASSERT_EQUAL_FATAL(quic_read(p->server.q, p->now, copy, segment, &valid), 0);
    CU_ASSERT_FALSE_FATAL(valid);
  }
  for (size_t len = 0; len < segment; len += 13) {
    CU_ASSERT_EQUAL_FATAL(quic_read(p->server.q, p->now, buf, len, &valid), 0);
    CU_ASSERT_FALSE_FATAL(valid);
  }
  CU_ASSERT_EQUAL(quic_read(p->server.q, p->now, buf, segment, &valid), 0);
  CU_ASSERT(valid);
  got = p->server.in_len;
  CU_ASSERT(got > 0);
  CU_ASSERT_EQUAL(quic_read(p->server.q, p->now, buf, segment, &valid), 0); /* replayed */
  CU_ASSERT_EQUAL(p->server.in_len, got);
  CU_ASSERT_EQUAL(quic_over(p->server.q, NULL), QUIC_ALIVE);
  quic_pair_free(p);
}

int main(void) {
  static const struct check_test tests[] = {
      {"both sides are who they say", both_sides_know_each_other},
      {"streams carry bytes and ends", streams_carry_bytes_and_ends},
      {"loss is repaired", loss_is_repaired},
      {"a caller who looks for someone else gets nothing", other_key_never_passes_the_gate},
      {"an impostor fails and learns nothing", impostor_fails_and_learns_nothing},
      {"silence ends a connection", silence_ends_in_idle},
      {"a close tells its code", close_tells_its_code},
      {"an unread stream holds a bounded number of bytes", unread_stream_is_bounded},
      {"damaged datagrams are dropped", damaged_datagrams_are_dropped},
  };

  return check_main("quic", tests, sizeof tests / sizeof tests[0]);
}
