/*
 * tls.h - TLS 1.3 with raw public keys (RFC 7250) on both sides, through
 * GnuTLS, for QUIC. The private key stays in the identity's guarded memory:
 * GnuTLS gets a signing callback. PROTOCOL.md 6.3.
 */
#ifndef CSPACE_TLS_H
#define CSPACE_TLS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "identity.h"

#define TLS_ALPN "cspace/1"

/* Credentials of one identity, shared by its sessions. id is borrowed and must outlive them. */
struct tls_creds;
struct tls_creds *tls_creds_new(const struct identity *id); /* NULL + errno */
void tls_creds_free(struct tls_creds *c);

/* A session's half. ptr becomes gnutls_session_get_ptr for the QUIC glue, which also sets the verify function.
 * NULL + errno. Freed by gnutls_deinit. */
gnutls_session_t tls_session_new(const struct tls_creds *c, bool server, void *ptr);

/* The verified peer key of a handshake that has completed, or inside the verify callback. 0, or -1 + EPROTO. */
int tls_peer_key(gnutls_session_t s, uint8_t key[ID_KEY_LEN]);

#endif
