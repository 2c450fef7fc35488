/*
 * path_msg.h - path datagrams: probes and their echoes, sealed under keys
 * that the TLS handshake exported. PROTOCOL.md 7. Sans-IO, no allocation.
 *
 *   0x20|version (1)   receiver's probe id (8)   counter (8)   sealed body, to the end
 *   body: type (1) challenge (8) size (2) reason (1), zeroes; ChaCha20-Poly1305
 */
#ifndef CSPACE_PATH_MSG_H
#define CSPACE_PATH_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_MSG_VERSION 1
#define PATH_MSG_FIRST (0x20 | PATH_MSG_VERSION)
#define PATH_ID_LEN 8
#define PATH_KEY_LEN 32
#define PATH_MSG_HEADER_LEN (1 + PATH_ID_LEN + 8)
#define PATH_MSG_MIN (PATH_MSG_HEADER_LEN + 12 + 16) /* every datagram is at least this, and a REPLY exactly this */
#define PATH_MSG_MAX 65507

/* From the TLS exporter: this label, no context, this many bytes. */
#define PATH_EXPORTER_LABEL "EXPORTER-cspace path v1"
#define PATH_EXPORTER_LEN (2 * PATH_KEY_LEN + 2 * PATH_ID_LEN)

struct path_keys {
  uint8_t tx[PATH_KEY_LEN], rx[PATH_KEY_LEN];
  uint8_t own_id[PATH_ID_LEN];   /* on datagrams to us */
  uint8_t peer_id[PATH_ID_LEN];  /* on datagrams to the peer */
};
/* Splits the exported bytes: client's key, server's key, id of the client, id of the server. */
void path_keys_split(struct path_keys *out, bool client, const uint8_t exported[PATH_EXPORTER_LEN]);

enum path_msg_type { PATH_MSG_PROBE = 1, PATH_MSG_REPLY = 2 };
enum path_reason {
  PATH_FOR_ADDRESS = 1, PATH_FOR_MTU = 2, PATH_FOR_SUSPECT = 3, PATH_FOR_WARMTH = 4, PATH_FOR_PING = 5
};

struct path_msg {
  uint8_t type;        /* enum path_msg_type */
  uint64_t challenge;
  uint16_t size;       /* the probe's UDP payload; echoed in the reply as it was received */
  uint8_t reason;      /* enum path_reason; echoed, unknown values too */
};

/* By form alone: long enough and of a version we speak. */
bool path_msg_is(const uint8_t *p, size_t len);
/* The receiver's probe id in a datagram for which path_msg_is. */
const uint8_t *path_msg_id(const uint8_t *p);
/* Seals into out a datagram of m->size bytes for a probe, PATH_MSG_MIN for a reply. A counter is used once per key.
 * Returns the length, or 0 when a field is out of range or cap is short. */
size_t path_msg_seal(uint8_t *out, size_t cap, const struct path_msg *m, const struct path_keys *keys,
                     uint64_t counter);
/* Opens one that came to keys->own_id; replays are the caller's to see by *counter. 0, or -1 + EBADMSG with m and
 * *counter untouched: other id or key, changed, cut, a form not allowed. */
int path_msg_open(struct path_msg *m, uint64_t *counter, const uint8_t *p, size_t len, const struct path_keys *keys);

/* Counters seen: true once for each, false for repeats and those too old. 0 is never used. */
#define PATH_REPLAY_WORDS 4
#define PATH_REPLAY_WINDOW (64 * (PATH_REPLAY_WORDS - 1))
struct path_replay {
  uint64_t top;                        /* the highest seen */
  uint64_t seen[PATH_REPLAY_WORDS];    /* bit c % 256; the window is (top - 192, top] */
};
bool path_replay_take(struct path_replay *r, uint64_t counter);

#endif
