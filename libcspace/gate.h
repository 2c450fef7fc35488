/*
 * gate.h - the private Initial keys that keep a node silent towards whoever
 * does not know the identity behind it. PROTOCOL.md 6.2.
 *
 * RFC 9001 section 5.2 derives a connection's Initial keys from a public salt,
 * so anyone can make a server answer and show its key. Here the salt is
 * BLAKE2b("cspace gate v1", A) of the callee's identity A. Until an Initial
 * opens under these keys the node sends nothing. No I/O, no state, any thread.
 */
#ifndef CSPACE_GATE_H
#define CSPACE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity.h"

#define GATE_SALT_LEN 20
#define GATE_KEY_LEN 16
#define GATE_IV_LEN 12
#define GATE_CID_MIN 8  /* RFC 9000 section 7.2: a client's first DCID */
#define GATE_CID_MAX 20
#define GATE_INITIAL_MIN 1200

struct gate_keys { /* of one direction: AES-128-GCM and its header protection */
  uint8_t key[GATE_KEY_LEN], iv[GATE_IV_LEN], hp[GATE_KEY_LEN];
};

void gate_salt(uint8_t salt[GATE_SALT_LEN], const uint8_t callee[ID_KEY_LEN]);
/* Both directions' Initial keys for the client's chosen DCID. 0, or -1 + ENOMEM. */
int gate_derive(struct gate_keys *client, struct gate_keys *server, const uint8_t salt[GATE_SALT_LEN],
                const uint8_t *dcid, size_t dcid_len);
/* True when the datagram is at least GATE_INITIAL_MIN bytes and begins with a QUIC v1 Initial that opens under
 * salt. dcid points into p. Cheap enough to be asked for every stranger's datagram, and changes nothing. */
bool gate_check(const uint8_t salt[GATE_SALT_LEN], const uint8_t *p, size_t len, const uint8_t **dcid,
                size_t *dcid_len);

#endif
