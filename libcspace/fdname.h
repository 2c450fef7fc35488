/*
 * fdname.h - who is at the other end of an fd, in the fd itself: sealed
 * abstract AF_UNIX names. PROTOCOL.md 8 (local, not on the wire).
 *
 *   name = "cs1." nonce(16) seal(65 bytes) tag(16): 101 bytes after the leading NUL
 *   subkey = BLAKE2b-256(key = user key, side(1) | nonce(16)); ChaCha20-Poly1305-IETF, zero nonce
 *   our end ('p'):  peer key(32) length(1) service padded with zeroes to 32; no associated data
 *   app's end ('o'): own key(32)  length(1) petname padded with zeroes to 32; associated data: our end's whole name
 *
 * Both names of one pair carry the same nonce. With peer-names = clear our end's name is readable instead:
 *   "cs1!" 8 bytes of nonce as 16 hex digits, '.', the first 20 characters of the peer id, '.', service
 * and the application's end ('c') seals the *peer's* key and the petname, our end's readable name being the associated
 * data: so cs_peer verifies all it reads there too, the service included.
 *
 * A name alone could be copied from /proc/net/unix by another user once the pair is gone. So whoever reads also wants
 * the pair made by its own user (SO_PEERCRED).
 */
#ifndef CSPACE_FDNAME_H
#define CSPACE_FDNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cspace/cspace.h>
#include "identity.h"

#define FDNAME_KEY_LEN 32
#define FDNAME_NONCE_LEN 16
#define FDNAME_MAX 106 /* without the leading NUL */

struct fdname {
  const uint8_t *user_key;             /* FDNAME_KEY_LEN, from fdname_key */
  uint8_t peer_key[ID_KEY_LEN];
  uint8_t own_key[ID_KEY_LEN];
  char service[CS_SERVICE_MAX + 1];
  char petname[CS_NAME_MAX + 1];
  bool clear;                          /* peer-names = clear */
};

/* One name, without the leading NUL. */
struct fdname_text {
  uint8_t bytes[FDNAME_MAX];
  size_t len;
};

/* The per-user key in the runtime directory (file fd-key, 0600), made if there is none; safe against two processes
 * making it at once. 0 or -1 with err_set. */
int fdname_key(uint8_t key[FDNAME_KEY_LEN]);
/* Binds both ends. 0 or -1 + errno. */
int fdname_bind(int ours, int app, const struct fdname *names);
/* The public cs_peer: getpeername, getsockname and decryption under any of the user's keys. Works while the fd is open,
 * after the other end is gone too. 0, or -1 with err_set: CS_ERR_NOT_CSPACE (ENOTSOCK for what is no such socket,
 * EBADMSG for a name that does not authenticate); peer is then all zero. */
int fdname_read(int app, struct cs_peer *peer);

/* The names of a pair, and their reading: pure, for fdname_bind, fdname_read, tests and fuzzing. unseal: 0 or -1. */
void fdname_seal(struct fdname_text *ours, struct fdname_text *app, const struct fdname *names,
                 const uint8_t nonce[FDNAME_NONCE_LEN]);
int fdname_unseal(struct cs_peer *peer, const struct fdname_text *ours, const struct fdname_text *app,
                  const uint8_t user_key[FDNAME_KEY_LEN]);

#endif
