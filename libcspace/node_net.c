/*
 * node_net.c - the node's socket: datagrams in are told apart by what they
 * are (PROTOCOL.md 6.1), known connection ids first; datagrams out in runs.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "conf.h"
#include "err.h"
#include "gate.h"
#include "log.h"
#include "node_impl.h"
#include "path_msg.h"
#include "session_impl.h"

#define RECV_ROUNDS 4 /* then other fds have their turn */

/* ---- out ---- */

bool node_send_blocked(const struct cs_node *n) { return n->stalled_len > 0; }

static void stall(struct cs_node *n, const struct path_target *to, const uint8_t *buf, size_t len, size_t segment) {
  memcpy(n->stalled_buf, buf, len);
  n->stalled_len = len;
  n->stalled_segment = segment;
  n->stalled_to = *to;
  watch_mod(&n->udp_watch, EPOLLIN | EPOLLOUT);
}

int node_send(struct cs_node *n, const struct path_target *to, const uint8_t *buf, size_t len, size_t segment) {
  size_t sent = 0;
  int rc;

  if (n->stalled_len > 0) return 0; /* the socket is full: QUIC repeats what is lost here */
  rc = udp_send(n->udp, &to->addr, buf, len, segment, &sent);
  if (rc < 0) return errno;
  if (rc == 1 && len - sent <= UDP_BATCH_BYTES) stall(n, to, buf + sent, len - sent, segment);
  return 0;
}

static void send_stalled(struct cs_node *n) {
  size_t sent = 0, len = n->stalled_len;
  int rc = udp_send(n->udp, &n->stalled_to.addr, n->stalled_buf, len, n->stalled_segment, &sent);

  if (rc == 1) {
    memmove(n->stalled_buf, n->stalled_buf + sent, len - sent);
    n->stalled_len = len - sent;
    return;
  }
  n->stalled_len = 0;
  watch_mod(&n->udp_watch, EPOLLIN);
  for (struct session *s = n->sessions; s != NULL; s = node_next_session(s)) session_kick(s);
}

/* ---- tables ---- */

int node_know_id(struct cs_node *n, const uint8_t *id, size_t len, struct session *s) {
  return idtable_put(&n->ids, id, len, s);
}

void node_forget_id(struct cs_node *n, const uint8_t *id, size_t len, const struct session *s) {
  if (idtable_get(&n->ids, id, len) == s) idtable_del(&n->ids, id, len);
}

/* ---- in ---- */

/* Whose datagram this is, by the id in it alone: ngtcp2 negotiates RFC 9287, so the fixed bit of QUIC says nothing.
 * Path datagrams carry their id where short headers do. */
static struct session *session_of(struct cs_node *n, const uint8_t *p, size_t len) {
  if (p[0] & 0x80) { /* long header: version(4) dcid-length(1) dcid */
    if (len < 6 || p[5] > QUIC_CID_MAX || len < 6u + p[5]) return NULL;
    return idtable_get(&n->ids, p + 6, p[5]);
  }
  return len < 1 + QUIC_CID_LEN ? NULL : idtable_get(&n->ids, p + 1, QUIC_CID_LEN);
}

static bool is_path_datagram(const struct session *s, const uint8_t *p, size_t len) {
  return path_msg_is(p, len) && session_has_path_id(s, path_msg_id(p));
}

/* Who knows our id could keep everybody out with first datagrams from forged addresses, of which nothing more comes. */
static bool make_room(struct cs_node *n, uint64_t now) {
  if (n->handshakes < NODE_HANDSHAKES_MAX) return true;
  if (n->half_open == NULL || now < n->half_open->started + NODE_HALF_OPEN_US) return false;
  session_destroy(n->half_open);
  return true;
}

/* A datagram for nobody we know: a caller's first one, a DHT message, or nothing. Silence unless it proves more. */
static void stranger(struct cs_node *n, const struct addr *from, const uint8_t *p, size_t len, uint64_t now) {
  struct path_target t = {.kind = PATH_DIRECT, .addr = *from};
  const uint8_t *dcid;
  size_t dcid_len;

  if (p[0] == 'd') {
    node_dht_input(n, from, p, len);
    return;
  }
  if (!(p[0] & 0x80) || n->closing) return;
  if (!gate_check(n->gate_salt, p, len, &dcid, &dcid_len) || !make_room(n, now)) return;
  session_accept(n, &t, p, len, now);
}

/* How many bytes from p on are QUIC datagrams of s, all of a run's segment size but the last. */
static size_t quic_run(struct cs_node *n, const struct session *s, const uint8_t *p, size_t len, size_t segment) {
  size_t run = 0;

  while (run < len) {
    size_t one = len - run < segment ? len - run : segment;

    if (run > 0 && session_of(n, p + run, one) != s) break;
    if (is_path_datagram(s, p + run, one)) break;
    run += one;
  }
  return run;
}

static void input_run(struct cs_node *n, const struct udp_in *in, uint64_t now) {
  struct path_target from = {.kind = PATH_DIRECT, .addr = in->from};
  size_t at = 0;

  while (at < in->len) {
    const uint8_t *p = in->data + at;
    size_t left = in->len - at, one = left < in->segment ? left : in->segment, run;
    struct session *s = session_of(n, p, one);

    if (s == NULL) {
      stranger(n, &in->from, p, run = one, now);
    } else if ((run = quic_run(n, s, p, left, in->segment)) > 0) {
      session_input(s, &from, p, run, in->segment, now);
    } else {
      session_path_input(s, &from, p, run = one, now);
    }
    at += run;
  }
}

static void on_udp(struct watch *w, uint32_t events) {
  struct cs_node *n = w->owner;
  struct udp_in in[UDP_RUNS_MAX];
  uint64_t now = loop_now(n->loop);

  if ((events & EPOLLOUT) && n->stalled_len > 0) send_stalled(n);
  if (!(events & (EPOLLIN | EPOLLERR))) return;
  for (int round = 0; round < RECV_ROUNDS; round++) {
    int cnt = udp_recv(n->udp, in, UDP_RUNS_MAX);

    for (int i = 0; i < cnt; i++)
      if (in[i].len > 0) input_run(n, &in[i], now);
    if (cnt < UDP_RUNS_MAX) break;
  }
}

/* ---- which addresses of others we send to ---- */

static uint8_t prefix_bits(const struct sockaddr *mask, size_t offset, size_t len) {
  const uint8_t *p = (const uint8_t *)mask + offset;
  uint8_t bits = 0;

  for (size_t i = 0; mask != NULL && i < len * 8 && (p[i / 8] & (0x80 >> (i % 8))); i++) bits++;
  return bits;
}

static void load_prefixes(struct cs_node *n) {
  struct ifaddrs *list;

  n->n_prefixes = 0;
  if (getifaddrs(&list) != 0) return;
  for (struct ifaddrs *i = list; i != NULL && n->n_prefixes < NODE_PREFIXES_MAX; i = i->ifa_next) {
    struct path_prefix *p = &n->prefixes[n->n_prefixes];
    struct sockaddr_storage ss;
    bool v6;

    if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP)) continue;
    v6 = i->ifa_addr->sa_family == AF_INET6;
    if (!v6 && i->ifa_addr->sa_family != AF_INET) continue;
    memset(&ss, 0, sizeof ss);
    memcpy(&ss, i->ifa_addr, v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    udp_from_sockaddr(&p->addr, &ss);
    p->bits = v6 ? prefix_bits(i->ifa_netmask, offsetof(struct sockaddr_in6, sin6_addr), 16)
                 : prefix_bits(i->ifa_netmask, offsetof(struct sockaddr_in, sin_addr), 4);
    n->n_prefixes++;
  }
  freeifaddrs(list);
}

bool node_may_send(struct cs_node *n, const struct addr *a, const struct record_endpoint *e) {
  struct path_policy policy;
  const struct addr *peer_reflexive = NULL;

  if (a->family == ADDR_V4 ? !udp_has_v4(n->udp) : !udp_has_v6(n->udp)) return false;
  for (int i = 0; i < e->n_addrs && peer_reflexive == NULL; i++)
    if (addr_is_global(&e->addrs[i])) peer_reflexive = &e->addrs[i];
  load_prefixes(n);
  memset(&policy, 0, sizeof policy);
  policy.attached = n->prefixes;
  policy.n_attached = n->n_prefixes;
  policy.allow_loopback = n->loopback_only;
  policy.peer_reflexive = peer_reflexive;
  return path_target_allowed(a, &policy);
}

/* ---- open and close ---- */

int node_net_open(struct cs_node *n) {
  const char *listen = conf_get(n->conf, "listen");
  struct addr at;
  uint8_t seed[16];

  if (addr_parse(&at, listen) != 0) return err_set(CS_ERR_KEY, "listen = %s: not address:port", listen);
  randombytes_buf(seed, sizeof seed);
  if (idtable_init(&n->ids, seed) != 0) return err_set(CS_ERR_MEMORY, "out of memory");
  n->send_buf = malloc(UDP_BATCH_BYTES);
  n->stalled_buf = malloc(UDP_BATCH_BYTES);
  if (n->send_buf == NULL || n->stalled_buf == NULL) return err_set(CS_ERR_MEMORY, "out of memory");
  n->udp = udp_open(&at);
  if (n->udp == NULL && errno == EADDRINUSE)
    return err_set(CS_ERR_IN_USE, "the port of listen = %s is in use by another program", listen);
  if (n->udp == NULL) return err_set(CS_ERR_SYSTEM, "cannot open a UDP socket at listen = %s: %m", listen);
  n->udp_watch.fd = udp_fd(n->udp);
  n->udp_watch.ready = on_udp;
  n->udp_watch.owner = n;
  if (watch_add(n->loop, &n->udp_watch, EPOLLIN) != 0) return err_set(CS_ERR_SYSTEM, "cannot watch the UDP socket: %m");
  n->loopback_only = bootstrap_is_loopback(conf_get(n->conf, "bootstrap"));
  return 0;
}

void node_net_close(struct cs_node *n) {
  watch_del(&n->udp_watch);
  udp_close(n->udp);
  idtable_free(&n->ids);
  free(n->send_buf);
  free(n->stalled_buf);
  n->udp = NULL;
  n->send_buf = n->stalled_buf = NULL;
}
