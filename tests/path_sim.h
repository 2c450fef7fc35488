/*
 * path_sim.h - two ends of a session's paths and the links between them under
 * a virtual clock: latency, jitter, loss, MTU, NAT, one-way failures.
 *
 * A link joins an address of the server with the address under which the
 * server sees the client there; what goes to an address without a link is
 * lost, and counted.
 */
#ifndef CSPACE_PATH_SIM_H
#define CSPACE_PATH_SIM_H

#include "path.h"
#include "rng.h"

#define MS 1000u /* in us */
#define S 1000000u
#define SIM_LINKS 12
#define SIM_PACKETS 4096

struct sim_link {
  struct path_target server, client; /* what the client sends to; what the server sends to */
  uint64_t latency, jitter;
  size_t mtu;                        /* UDP payload */
  unsigned loss;                     /* per mille */
  bool down_up, down_down;           /* client to server, server to client is dead */
  uint64_t to_server, to_client;     /* bytes sent, lost ones too */
  unsigned n_to_server, n_to_client;
};

struct sim_packet {
  uint64_t at;
  bool to_server, quic;
  struct path_target from;
  size_t len;
  uint8_t *data;                     /* NULL for QUIC */
};

struct sim_end {
  struct paths *p;
  unsigned switched, dead, pongs, probes;
  uint64_t pong_rtt, got;            /* QUIC bytes that came */
  uint64_t last_switch, rtt_old, rtt_new, mtu_at, got_at;
  size_t mtu;
};

struct sim {
  uint64_t now;
  struct rng rng;
  struct sim_link link[SIM_LINKS];
  size_t links;
  struct sim_packet packet[SIM_PACKETS];
  size_t packets;
  struct sim_end client, server;
  bool server_keyed;                 /* by the client's first datagram below 1200 bytes */
  uint64_t stray;                    /* bytes sent to addresses without a link */
  void (*tap)(struct sim *s, bool to_server, const uint8_t *data, size_t len);
  void *tap_arg;
};

struct sim *sim_new(uint64_t seed, uint16_t max_datagram);
void sim_free(struct sim *s);
struct sim_link *sim_link(struct sim *s, struct path_target server, struct path_target client, uint64_t latency,
                          size_t mtu);
/* One QUIC datagram; returns on how many paths it went. */
size_t sim_quic(struct sim *s, bool from_client, size_t bytes);
void sim_key(struct sim *s, bool client);
/* Runs until `until` us. */
void sim_run(struct sim *s, uint64_t until);
/* One Initial, answered, and keyed at both ends; needs the candidates added. */
void sim_handshake(struct sim *s);
struct path_target sim_target(uint8_t kind, uint8_t host, uint16_t port);
/* Both send at their MTU every 5 ms; what a peer did not get for 100 ms is a probe timeout of its sender. */
void sim_flow(struct sim *s, uint64_t us);
bool sim_on(struct paths *p, const struct path_target *t); /* t is the current path */
/* Ready worlds: one link, just keyed; two links (5 ms at 1500, latency2 at 1452) after 2 s of sim_flow. */
struct sim *sim_joined(uint64_t seed, size_t mtu, uint64_t latency, uint16_t max_datagram);
struct sim *sim_twofold(uint64_t seed, uint8_t kind2, uint64_t latency2);

#endif
