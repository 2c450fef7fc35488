/*
 * test_cspace_hostile.c - datagrams of others at a node's port, and a middle
 * box that does harm: connections survive, nothing wrong is delivered, and
 * whoever does not know the identity learns nothing, not even that it is there.
 *
 * The calls to session_add_target are wrapped by the linker, so that alice's
 * datagrams take the way over the middle box.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"
#include "kit.h"
#include "node_impl.h"
#include "quic_pair.h"
#include "session_impl.h"
#include "udp_proxy.h"

#define BIG (3 * (uint64_t)KIT_MIB)
#define QUIET_MS 400    /* no answer in this time: none */
#define FIRST 1200

int __real_session_add_target(struct session *s, const struct path_target *t);
int __wrap_session_add_target(struct session *s, const struct path_target *t);

static uint16_t detour; /* the middle box's port; 0: none */
static struct udp_proxy *box;
static uint64_t seed = 20260101;

int __wrap_session_add_target(struct session *s, const struct path_target *t) {
  struct path_target by = *t;

  if (detour != 0) by.addr.port = detour;
  return __real_session_add_target(s, &by);
}

static struct sockaddr_in port_of(cs_node *n) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

  loop_lock(n->loop);
  at.sin_port = htons(udp_local(n->udp).port);
  loop_unlock(n->loop);
  return at;
}

static void start(bool with_box) {
  struct sockaddr_in at;

  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  at = port_of(bob);
  box = with_box ? udp_proxy_new(&at, seed) : NULL;
  detour = with_box ? udp_proxy_port(box) : 0;
}

static unsigned count(cs_node *n, enum session_state last) {
  unsigned found = 0;

  loop_lock(n->loop);
  for (struct session *s = n->sessions; s != NULL; s = s->next) found += s->state <= last;
  loop_unlock(n->loop);
  return found;
}

static unsigned sessions(cs_node *n) { return count(n, SESSION_GONE); }

static unsigned sessions_up(cs_node *n) { return count(n, SESSION_UP); }

static void stop(void) {
  if (box != NULL) udp_proxy_harm(box, &(struct udp_harm){.drop = 0});
  cs_close(alice);
  alice = NULL;
  for (uint64_t until = world_ms() + 2000; box != NULL && sessions_up(bob) > 0 && world_ms() < until;)
    poll(NULL, 0, 2);
  udp_proxy_free(box); /* the goodbye has passed */
  box = NULL;
  detour = 0;
  kit_stop();
}

/* Both ways, to the end. */
static void exchange(int fds[2]) {
  struct kit_job w[2], r[2];

  for (int i = 0; i < 2; i++) {
    kit_job_read(&r[i], fds[i]);
    kit_job_write(&w[i], fds[i], BIG, true);
  }
  for (int i = 0; i < 2; i++) {
    kit_job_join(&w[i]);
    kit_job_join(&r[i]);
    CU_ASSERT_EQUAL(w[i].err, 0);
    CU_ASSERT_TRUE(kit_clean(r[i].end, BIG));
    close(fds[i]);
  }
}

/* ---- the middle box ---- */

static void harm_on_the_way(const struct udp_harm *harm) {
  unsigned passed, harmed;
  int fds[2];

  start(true);
  udp_proxy_harm(box, harm); /* the handshake has its share */
  kit_connect(fds);
  exchange(fds);
  udp_proxy_counts(box, &passed, &harmed);
  CU_ASSERT_TRUE(passed > 200 && harmed > 5);
  CU_ASSERT_EQUAL(sessions(bob), 1);
  stop();
}

static void lost_and_doubled_and_swapped(void) {
  harm_on_the_way(&(struct udp_harm){.drop = 10, .twice = 30, .swap = 30});
}

static void flipped_and_cut(void) { harm_on_the_way(&(struct udp_harm){.flip = 20, .cut = 10}); }

/* ---- a prober: a socket of its own ---- */

static int prober(const struct sockaddr_in *to) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)to, sizeof *to), 0);
  return fd;
}

/* Bytes that came to it until nothing more came for a while. */
static size_t answers(int fd, unsigned *datagrams) {
  uint8_t buf[65536];
  size_t bytes = 0;

  *datagrams = 0;
  while (world_poll(fd, POLLIN, QUIET_MS)) {
    ssize_t n = recv(fd, buf, sizeof buf, 0);

    if (n < 0) break;
    bytes += (size_t)n;
    ++*datagrams;
  }
  return bytes;
}

/* A QUIC client's first datagram for an identity, made as a caller of theirs would. */
static void first_datagram(uint8_t out[FIRST], const char *home) {
  char id[CS_ID_LEN + 1];
  uint8_t key[ID_KEY_LEN], buf[65536];
  struct quic_pair *p;
  size_t segment;

  world_id(home, id);
  CU_ASSERT_EQUAL_FATAL(id_parse(key, id), ID_OK);
  p = quic_pair_new(key);
  CU_ASSERT_EQUAL_FATAL(quic_write(p->client.q, p->now, buf, sizeof buf, FIRST, &segment), FIRST);
  memcpy(out, buf, FIRST);
  quic_pair_free(p);
}

static void whoever_probes_for_another_identity_hears_nothing(void) {
  struct sockaddr_in at;
  uint8_t buf[FIRST];
  unsigned n;
  int fd;

  start(false);
  at = port_of(bob);
  fd = prober(&at);
  for (int i = 0; i < 5; i++) {
    first_datagram(buf, carol_home);
    CU_ASSERT_EQUAL(send(fd, buf, FIRST, 0), FIRST);
  }
  CU_ASSERT_EQUAL(answers(fd, &n), 0);
  CU_ASSERT_EQUAL(sessions(bob), 0);
  first_datagram(buf, bob_home); /* the same made for bob is answered: the test can fail */
  CU_ASSERT_EQUAL(send(fd, buf, FIRST, 0), FIRST);
  CU_ASSERT_TRUE(answers(fd, &n) > 0);
  close(fd);
  stop();
}

/* RFC 9001 section 5: an Initial under any salt, with a payload of padding and a ping. */
static void make_initial(uint8_t out[FIRST], const uint8_t *salt, uint32_t version) {
  static const uint8_t dcid[8] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};
  uint8_t head[22] = {0xc3, 0, 0, 0, 0, 8}, plain[FIRST] = {1}, zero[16] = {0}, mask[16], nonce[12];
  const size_t length = FIRST - 18, plain_len = FIRST - sizeof head - 16;
  struct gate_keys k;
  gnutls_datum_t key = {k.key, 16}, hp = {k.hp, 16}, iv = {zero, 16};
  gnutls_aead_cipher_hd_t aead;
  gnutls_cipher_hd_t ecb;
  size_t len = FIRST - sizeof head;

  for (int i = 0; i < 4; i++) head[1 + i] = (uint8_t)(version >> (24 - 8 * i));
  memcpy(head + 6, dcid, 8); /* then no id of its own, no token, the length, packet number 0 */
  head[16] = (uint8_t)(0x40 | length >> 8);
  head[17] = (uint8_t)length;
  CU_ASSERT_EQUAL_FATAL(gate_derive(&k, NULL, salt, dcid, sizeof dcid), 0);
  memcpy(nonce, k.iv, sizeof nonce);
  CU_ASSERT_EQUAL_FATAL(gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_128_GCM, &key), 0);
  gnutls_aead_cipher_encrypt(aead, nonce, sizeof nonce, head, sizeof head, 16, plain, plain_len, out + sizeof head,
                             &len);
  gnutls_aead_cipher_deinit(aead);
  memcpy(mask, out + sizeof head, 16); /* the packet number is 4 long: the sample is right behind */
  CU_ASSERT_EQUAL_FATAL(gnutls_cipher_init(&ecb, GNUTLS_CIPHER_AES_128_CBC, &hp, &iv), 0);
  gnutls_cipher_encrypt(ecb, mask, 16);
  gnutls_cipher_deinit(ecb);
  head[0] ^= mask[0] & 0x0f;
  for (int i = 0; i < 4; i++) head[18 + i] ^= mask[1 + i];
  memcpy(out, head, sizeof head);
}

static void a_plain_quic_client_hears_nothing(void) {
  static const uint8_t rfc_salt[GATE_SALT_LEN] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                                  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
  struct sockaddr_in at;
  uint8_t buf[FIRST], bob_salt[GATE_SALT_LEN];
  const uint8_t *dcid;
  size_t dcid_len;
  unsigned n;
  int fd;

  start(false);
  at = port_of(bob);
  fd = prober(&at);
  make_initial(buf, rfc_salt, 1);
  CU_ASSERT_EQUAL(send(fd, buf, FIRST, 0), FIRST);
  make_initial(buf, rfc_salt, 0x1a2a3a4a); /* asks for Version Negotiation */
  CU_ASSERT_EQUAL(send(fd, buf, FIRST, 0), FIRST);
  make_initial(buf, rfc_salt, 0);
  CU_ASSERT_EQUAL(send(fd, buf, FIRST, 0), FIRST);
  CU_ASSERT_EQUAL(answers(fd, &n), 0);
  CU_ASSERT_EQUAL(sessions(bob), 0);
  loop_lock(bob->loop);
  memcpy(bob_salt, bob->gate_salt, sizeof bob_salt);
  loop_unlock(bob->loop);
  make_initial(buf, bob_salt, 1); /* the same under bob's salt does open: the test can fail */
  CU_ASSERT_TRUE(gate_check(bob_salt, buf, FIRST, &dcid, &dcid_len));
  close(fd);
  stop();
}

/* ---- noise beside a connection ---- */

/* One datagram of noise: anything, or with the beginning of something. */
static size_t noise(uint8_t buf[1500]) {
  static const char *const heads[] = {"",    "\xc0\0\0\0\1\x08", "\x40", "\x21", "d1:ad2:id20:", "d1:rd2:id20:",
                                      "\xf0\0\0\0\1"};
  const char *head = heads[randombytes_uniform(7)];
  size_t len = 1 + randombytes_uniform(1500), head_len = head[0] == '\xc0' ? 6 : head[0] == '\xf0' ? 5 : strlen(head);

  randombytes_buf(buf, len);
  memcpy(buf, head, head_len < len ? head_len : len);
  return len;
}

static void noise_at_the_port_harms_nothing(void) {
  struct sockaddr_in at;
  struct kit_job w, r;
  uint8_t buf[1500];
  int fds[2], fd;

  start(false);
  kit_connect(fds);
  at = port_of(bob);
  fd = prober(&at);
  kit_job_read(&r, fds[1]);
  kit_job_write(&w, fds[0], BIG, true);
  for (int i = 0; i < 20000; i++) send(fd, buf, noise(buf), MSG_DONTWAIT);
  kit_job_join(&w);
  kit_job_join(&r);
  CU_ASSERT_TRUE(kit_clean(r.end, BIG));
  CU_ASSERT_EQUAL(sessions(bob), 1);
  close(fd);
  close(fds[0]);
  close(fds[1]);
  kit_connect(fds); /* and bob is reachable as before */
  exchange(fds);
  stop();
}

/* ---- what was recorded on the way ---- */

static void replays_and_forgeries_deliver_nothing(void) {
  static struct udp_copy copies[UDP_PROXY_KEEP];
  struct sockaddr_in at;
  size_t n;
  int fds[2], fd;
  char byte;

  start(true);
  kit_connect(fds);
  CU_ASSERT_EQUAL(kit_write(fds[0], 0, KIT_MIB), 0);
  CU_ASSERT_EQUAL(kit_read(fds[1], KIT_MIB).bytes, KIT_MIB);
  n = udp_proxy_copies(box, copies);
  CU_ASSERT_TRUE(n > 20);
  at = port_of(bob);
  fd = prober(&at);
  for (size_t i = 0; i < n; i++) { /* as it was, flipped, cut */
    uint8_t *bad = malloc(copies[i].len);

    send(fd, copies[i].data, copies[i].len, 0);
    memcpy(bad, copies[i].data, copies[i].len);
    bad[randombytes_uniform((uint32_t)copies[i].len)] ^= 0x10;
    send(fd, bad, copies[i].len, 0);
    send(fd, copies[i].data, 1 + randombytes_uniform((uint32_t)copies[i].len), 0);
    free(bad);
    if (i % 32 == 31) poll(NULL, 0, 1); /* bob's socket takes them all */
  }
  CU_ASSERT_FALSE(world_poll(fds[1], POLLIN, 200)); /* nothing more came out */
  CU_ASSERT_EQUAL(write(fds[0], "!", 1), 1);
  CU_ASSERT_EQUAL(world_read(fds[1], &byte, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(byte, '!');
  CU_ASSERT_EQUAL(sessions(bob), 1);
  close(fd);
  close(fds[0]);
  close(fds[1]);
  stop();
}

/* Bytes out against bytes in, for sockets that never prove that they are there. */
static void unproven_addresses_get_three_times_what_they_sent(void) {
  static struct udp_copy copies[UDP_PROXY_KEEP];
  struct sockaddr_in at;
  uint8_t buf[FIRST], *initial = NULL;
  unsigned n;
  size_t got, answered = 0;
  int fds[2], fd[4];

  start(true);
  kit_connect(fds);
  close(fds[0]);
  close(fds[1]);
  CU_ASSERT_TRUE_FATAL(udp_proxy_copies(box, copies) > 0);
  initial = copies[0].data;
  CU_ASSERT_TRUE_FATAL(copies[0].len >= FIRST);
  at = port_of(bob);
  for (int i = 0; i < 4; i++) fd[i] = prober(&at);
  send(fd[0], initial, copies[0].len, 0); /* a replay, while its session lives */
  got = answers(fd[0], &n);
  CU_ASSERT_TRUE(got <= 3 * copies[0].len);
  cs_close(alice); /* and when it is gone: bob cannot know that he saw it */
  alice = NULL;
  for (uint64_t until = world_ms() + 5000; sessions(bob) > 0 && world_ms() < until;) poll(NULL, 0, 5);
  CU_ASSERT_EQUAL(sessions(bob), 0);
  send(fd[1], initial, copies[0].len, 0);
  first_datagram(buf, bob_home); /* and a fresh one whose sender never answers */
  send(fd[2], buf, FIRST, 0);
  send(fd[3], buf, FIRST, 0); /* the same from another address */
  poll(NULL, 0, 1500);        /* time for bob to repeat himself */
  got = answers(fd[1], &n);
  CU_ASSERT_TRUE(got > 0 && got <= 3 * copies[0].len);
  for (int i = 2; i < 4; i++) {
    got = answers(fd[i], &n);
    CU_ASSERT_TRUE(got <= 3 * FIRST);
    answered += got;
  }
  CU_ASSERT_TRUE(answered > 0);
  for (int i = 0; i < 4; i++) close(fd[i]);
  stop();
}

int main(int argc, char **argv) {
  const char *other = getenv("CSPACE_TEST_SEED"); /* for the middle box */
  static const struct check_test tests[] = {
      {"lost, doubled and swapped datagrams", lost_and_doubled_and_swapped},
      {"flipped and cut datagrams", flipped_and_cut},
      {"whoever probes for another identity hears nothing", whoever_probes_for_another_identity_hears_nothing},
      {"a plain QUIC client hears nothing", a_plain_quic_client_hears_nothing},
      {"noise at the port harms nothing", noise_at_the_port_harms_nothing},
      {"replays and forgeries deliver nothing", replays_and_forgeries_deliver_nothing},
      {"unproven addresses get at most three times what they sent",
       unproven_addresses_get_three_times_what_they_sent},
  };

  if (other != NULL) seed = strtoull(other, NULL, 10);
  return kit_main(argc, argv, "cspace_hostile", tests, sizeof tests / sizeof tests[0]);
}
