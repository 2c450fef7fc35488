/*
 * quic.c - QUIC v1 by ngtcp2 0.12 and GnuTLS. PROTOCOL.md 6.1 to 6.4.
 *
 * What is special here: Initial keys from a private salt (gate.c), raw public
 * keys (tls.c), and one constant path that ngtcp2 believes in, so that the
 * real paths may change underneath (path.c).
 */
#include "quic.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "log.h"

#define US NGTCP2_MICROSECONDS
#define PULL_IOV 4
#define INITIAL_RTT_US 100000 /* a lost Initial is sent again after 3 times this */
#define STALL_US 1000 /* after a migration with a full pipe ngtcp2's expiry may stay in the past */

struct quic {
  ngtcp2_conn *conn;
  gnutls_session_t tls;
  ngtcp2_crypto_conn_ref ref;
  const struct quic_callbacks *cb;
  void *ctx;
  void (*random)(void *, size_t);
  uint8_t salt[GATE_SALT_LEN];
  uint8_t peer[ID_KEY_LEN]; /* client: expected from the start; server: once verified */
  bool server, peer_known;
  struct sockaddr_in local_addr, remote_addr; /* the constant path's ends */
  enum quic_end end;
  uint64_t peer_code;
  int lib_error; /* ngtcp2's, of our side */
  uint64_t stalled_until;
  size_t unpaced; /* bytes sent that the pacer was not told of */
};

/* ngtcp2's decrypt callback carries no context. The engine is one thread, and the tests' threads have their own. */
static _Thread_local uint64_t packets_opened;

static int decrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *aead_ctx,
                      const uint8_t *ciphertext, size_t ciphertextlen, const uint8_t *nonce, size_t noncelen,
                      const uint8_t *aad, size_t aadlen) {
  int rc = ngtcp2_crypto_decrypt_cb(dest, aead, aead_ctx, ciphertext, ciphertextlen, nonce, noncelen, aad, aadlen);

  if (rc == 0) packets_opened++;
  return rc;
}

static ngtcp2_path constant_path(struct quic *q) {
  ngtcp2_path p = {{(ngtcp2_sockaddr *)&q->local_addr, sizeof q->local_addr},
                   {(ngtcp2_sockaddr *)&q->remote_addr, sizeof q->remote_addr},
                   NULL};
  return p;
}

/* ---- the gate ---- */

static int cipher_init(ngtcp2_crypto_cipher_ctx *ctx, const ngtcp2_crypto_cipher *hp, const uint8_t *key) {
  gnutls_datum_t k = {(uint8_t *)(uintptr_t)key, GATE_KEY_LEN};
  gnutls_cipher_hd_t hd;

  if (gnutls_cipher_init(&hd, (gnutls_cipher_algorithm_t)(intptr_t)hp->native_handle, &k, NULL) != 0) return -1;
  ctx->native_handle = hd;
  return 0;
}

/* Replaces the Initial keys that ngtcp2's own callback just installed by those of the gate. */
static int install_gate_keys(struct quic *q, const ngtcp2_cid *dcid) {
  const ngtcp2_crypto_ctx *cc = ngtcp2_conn_get_initial_crypto_ctx(q->conn);
  struct gate_keys client, server;
  const struct gate_keys *rx = q->server ? &client : &server, *tx = q->server ? &server : &client;
  ngtcp2_crypto_aead_ctx rx_aead = {NULL}, tx_aead = {NULL};
  ngtcp2_crypto_cipher_ctx rx_hp = {NULL}, tx_hp = {NULL};
  int rc = NGTCP2_ERR_CALLBACK_FAILURE;

  if (gate_derive(&client, &server, q->salt, dcid->data, dcid->datalen) != 0) return rc;
  if (ngtcp2_crypto_aead_ctx_decrypt_init(&rx_aead, &cc->aead, rx->key, GATE_IV_LEN) != 0 ||
      ngtcp2_crypto_aead_ctx_encrypt_init(&tx_aead, &cc->aead, tx->key, GATE_IV_LEN) != 0 ||
      cipher_init(&rx_hp, &cc->hp, rx->hp) != 0 || cipher_init(&tx_hp, &cc->hp, tx->hp) != 0)
    goto out;
  if (ngtcp2_conn_install_initial_key(q->conn, &rx_aead, rx->iv, &rx_hp, &tx_aead, tx->iv, &tx_hp, GATE_IV_LEN) == 0)
    rc = 0;
out:
  if (rc != 0) {
    ngtcp2_crypto_aead_ctx_free(&rx_aead);
    ngtcp2_crypto_aead_ctx_free(&tx_aead);
    if (rx_hp.native_handle != NULL) gnutls_cipher_deinit(rx_hp.native_handle);
    if (tx_hp.native_handle != NULL) gnutls_cipher_deinit(tx_hp.native_handle);
  }
  sodium_memzero(&client, sizeof client);
  sodium_memzero(&server, sizeof server);
  return rc;
}

static int client_initial_cb(ngtcp2_conn *conn, void *user) {
  struct quic *q = user;

  if (ngtcp2_crypto_client_initial_cb(conn, user) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  return install_gate_keys(q, ngtcp2_conn_get_client_initial_dcid(conn));
}

static int recv_client_initial_cb(ngtcp2_conn *conn, const ngtcp2_cid *dcid, void *user) {
  struct quic *q = user;

  if (ngtcp2_crypto_recv_client_initial_cb(conn, dcid, user) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  return install_gate_keys(q, dcid);
}

static int recv_retry_cb(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd, void *user) {
  struct quic *q = user;

  if (ngtcp2_crypto_recv_retry_cb(conn, hd, user) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  return install_gate_keys(q, &hd->scid);
}

/* ---- ngtcp2's callbacks ---- */

static int handshake_completed_cb(ngtcp2_conn *conn, void *user) {
  struct quic *q = user;
  uint8_t key[ID_KEY_LEN];

  (void)conn;
  /* Once more here, whatever the verify function saw: it does not run on every kind of handshake. */
  if (tls_peer_key(q->tls, key) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  if (q->peer_known && sodium_memcmp(key, q->peer, ID_KEY_LEN) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  memcpy(q->peer, key, ID_KEY_LEN);
  q->peer_known = true;
  q->cb->connected(q->ctx);
  return 0;
}

/* After quic_drop_tls: session tickets and the like, which nobody asked for. */
static int recv_crypto_cb(ngtcp2_conn *conn, ngtcp2_crypto_level level, uint64_t offset, const uint8_t *data, size_t len,
                          void *user) {
  struct quic *q = user;

  if (q->tls == NULL) return 0;
  return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, len, user);
}

static int stream_open_cb(ngtcp2_conn *conn, int64_t sid, void *user) {
  struct quic *q = user;

  (void)conn;
  q->cb->opened(q->ctx, sid, ngtcp2_is_bidi_stream(sid));
  return 0;
}

static int recv_stream_data_cb(ngtcp2_conn *conn, uint32_t flags, int64_t sid, uint64_t offset, const uint8_t *data,
                               size_t len, void *user, void *stream) {
  struct quic *q = user;

  (void)offset;
  /* Connection credit on arrival, so that one unread stream never stalls the others. */
  ngtcp2_conn_extend_max_offset(conn, len);
  q->cb->data(q->ctx, sid, stream, data, len, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
  return 0;
}

static int acked_cb(ngtcp2_conn *conn, int64_t sid, uint64_t offset, uint64_t len, void *user, void *stream) {
  struct quic *q = user;

  (void)conn;
  (void)sid;
  (void)offset;
  if (stream != NULL) q->cb->acked(q->ctx, stream, len);
  return 0;
}

static int stream_close_cb(ngtcp2_conn *conn, uint32_t flags, int64_t sid, uint64_t code, void *user, void *stream) {
  struct quic *q = user;

  (void)flags;
  (void)code;
  if (!ngtcp2_conn_is_local_stream(conn, sid)) {
    if (ngtcp2_is_bidi_stream(sid))
      ngtcp2_conn_extend_max_streams_bidi(conn, 1);
    else
      ngtcp2_conn_extend_max_streams_uni(conn, 1);
  }
  q->cb->closed(q->ctx, sid, stream);
  return 0;
}

static int stream_reset_cb(ngtcp2_conn *conn, int64_t sid, uint64_t final_size, uint64_t code, void *user,
                           void *stream) {
  struct quic *q = user;

  (void)conn;
  (void)final_size;
  q->cb->reset(q->ctx, sid, stream, code);
  return 0;
}

static int extend_stream_data_cb(ngtcp2_conn *conn, int64_t sid, uint64_t max_data, void *user, void *stream) {
  struct quic *q = user;

  (void)conn;
  (void)sid;
  (void)max_data;
  if (stream != NULL) q->cb->unblocked(q->ctx, stream);
  return 0;
}

static int extend_streams_cb(ngtcp2_conn *conn, uint64_t max, void *user) {
  struct quic *q = user;

  (void)conn;
  (void)max;
  q->cb->streams_left(q->ctx);
  return 0;
}

static void rand_cb(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *rand_ctx) {
  const struct quic *q = rand_ctx->native_handle;

  q->random(dest, len);
}

static int new_cid_cb(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user) {
  struct quic *q = user;

  (void)conn;
  cid->datalen = len;
  q->random(cid->data, len);
  q->random(token, NGTCP2_STATELESS_RESET_TOKENLEN);
  q->cb->cid_new(q->ctx, cid->data, len);
  return 0;
}

static int remove_cid_cb(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user) {
  struct quic *q = user;

  (void)conn;
  q->cb->cid_gone(q->ctx, cid->data, cid->datalen);
  return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = client_initial_cb,
    .recv_client_initial = recv_client_initial_cb,
    .recv_crypto_data = recv_crypto_cb,
    .handshake_completed = handshake_completed_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = recv_stream_data_cb,
    .acked_stream_data_offset = acked_cb,
    .stream_open = stream_open_cb,
    .stream_close = stream_close_cb,
    .recv_retry = recv_retry_cb,
    .extend_max_local_streams_bidi = extend_streams_cb,
    .rand = rand_cb,
    .get_new_connection_id = new_cid_cb,
    .remove_connection_id = remove_cid_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .stream_reset = stream_reset_cb,
    .extend_max_stream_data = extend_stream_data_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* ---- making one ---- */

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *ref) { return ((struct quic *)ref->user_data)->conn; }

/* Runs before a client sends its own key: an impostor never learns who called. */
static int verify_peer(gnutls_session_t s) {
  ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(s);
  struct quic *q = ref->user_data;
  uint8_t key[ID_KEY_LEN];

  if (tls_peer_key(s, key) != 0) return GNUTLS_E_CERTIFICATE_ERROR;
  if (q->peer_known && sodium_memcmp(key, q->peer, ID_KEY_LEN) != 0) return GNUTLS_E_CERTIFICATE_ERROR;
  return 0;
}

static void fake_address(struct sockaddr_in *sa, uint16_t port) {
  memset(sa, 0, sizeof *sa);
  sa->sin_family = AF_INET;
  sa->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sa->sin_port = htons(port);
}

static struct quic *quic_new(const struct quic_config *cfg, bool server, const uint8_t gate_key[ID_KEY_LEN]) {
  struct quic *q = calloc(1, sizeof *q);

  if (q == NULL) return NULL;
  q->cb = cfg->callbacks;
  q->ctx = cfg->ctx;
  q->random = cfg->random;
  q->server = server;
  q->peer_code = UINT64_MAX;
  q->ref.get_conn = conn_of;
  q->ref.user_data = q;
  fake_address(&q->local_addr, server ? 2 : 1);
  fake_address(&q->remote_addr, server ? 1 : 2);
  gate_salt(q->salt, gate_key);
  q->tls = tls_session_new(cfg->creds, server, &q->ref);
  if (q->tls == NULL) goto fail;
  gnutls_session_set_verify_function(q->tls, verify_peer);
  if ((server ? ngtcp2_crypto_gnutls_configure_server_session(q->tls)
              : ngtcp2_crypto_gnutls_configure_client_session(q->tls)) != 0)
    goto fail;
  return q;
fail:
  quic_free(q);
  errno = ENOMEM;
  return NULL;
}

static void make_settings(struct quic *q, const struct quic_config *cfg, uint64_t now, ngtcp2_settings *s,
                          ngtcp2_transport_params *p) {
  ngtcp2_settings_default(s);
  s->cc_algo = NGTCP2_CC_ALGO_BBR2;
  s->initial_ts = now * US;
  s->initial_rtt = INITIAL_RTT_US * US;
  s->max_tx_udp_payload_size = cfg->max_datagram; /* also sizes the first congestion window */
  s->no_tx_udp_payload_size_shaping = 1;          /* path.c knows the sizes */
  s->no_pmtud = 1;
  s->rand_ctx.native_handle = q;
  s->max_window = QUIC_SESSION_WINDOW;
  s->max_stream_window = QUIC_STREAM_WINDOW_MAX;
  s->handshake_timeout = UINT64_MAX; /* the session has its own deadline */
  ngtcp2_transport_params_default(p);
  p->initial_max_stream_data_bidi_local = QUIC_STREAM_WINDOW_MIN;
  p->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW_MIN;
  p->initial_max_stream_data_uni = 64 << 10;
  p->initial_max_data = QUIC_SESSION_WINDOW;
  p->initial_max_streams_bidi = QUIC_STREAMS_MAX;
  p->initial_max_streams_uni = 3;
  p->max_idle_timeout = cfg->idle_us * US;
  p->active_connection_id_limit = 4;
  p->max_udp_payload_size = 65527;
}

struct quic *quic_connect(const struct quic_config *cfg, const uint8_t callee[ID_KEY_LEN], uint64_t now) {
  struct quic *q = quic_new(cfg, false, callee);
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  ngtcp2_cid dcid, scid;
  ngtcp2_path path;

  if (q == NULL) return NULL;
  memcpy(q->peer, callee, ID_KEY_LEN);
  q->peer_known = true;
  make_settings(q, cfg, now, &settings, &params);
  dcid.datalen = scid.datalen = QUIC_CID_LEN;
  q->random(dcid.data, dcid.datalen);
  q->random(scid.data, scid.datalen);
  path = constant_path(q);
  if (ngtcp2_conn_client_new(&q->conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL,
                             q) != 0) {
    quic_free(q);
    errno = ENOMEM;
    return NULL;
  }
  ngtcp2_conn_set_tls_native_handle(q->conn, q->tls);
  ngtcp2_conn_set_keep_alive_timeout(q->conn, cfg->keepalive_us * US);
  q->cb->cid_new(q->ctx, scid.data, scid.datalen);
  return q;
}

struct quic *quic_accept(const struct quic_config *cfg, const uint8_t own[ID_KEY_LEN], const uint8_t *p, size_t len,
                         uint64_t now) {
  struct quic *q;
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  ngtcp2_pkt_hd hd;
  ngtcp2_cid scid;
  ngtcp2_path path;

  if (ngtcp2_accept(&hd, p, len) != 0) {
    errno = EPROTO;
    return NULL;
  }
  q = quic_new(cfg, true, own);
  if (q == NULL) return NULL;
  make_settings(q, cfg, now, &settings, &params);
  params.original_dcid = hd.dcid;
  scid.datalen = QUIC_CID_LEN;
  q->random(scid.data, scid.datalen);
  path = constant_path(q);
  if (ngtcp2_conn_server_new(&q->conn, &hd.scid, &scid, &path, hd.version, &callbacks, &settings, &params, NULL, q) !=
      0) {
    quic_free(q);
    errno = ENOMEM;
    return NULL;
  }
  ngtcp2_conn_set_tls_native_handle(q->conn, q->tls);
  ngtcp2_conn_set_keep_alive_timeout(q->conn, cfg->keepalive_us * US);
  /* The client's first id stays in the table too: its Initials repeat under it. */
  q->cb->cid_new(q->ctx, hd.dcid.data, hd.dcid.datalen);
  q->cb->cid_new(q->ctx, scid.data, scid.datalen);
  return q;
}

void quic_free(struct quic *q) {
  if (q == NULL) return;
  ngtcp2_conn_del(q->conn);
  if (q->tls != NULL) gnutls_deinit(q->tls);
  sodium_memzero(q, sizeof *q);
  free(q);
}

/* ---- running it ---- */

static int over(struct quic *q, int lib_error) {
  if (q->end != QUIC_ALIVE) return -1;
  q->lib_error = lib_error;
  switch (lib_error) {
  case NGTCP2_ERR_DRAINING: {
    ngtcp2_connection_close_error ce;

    q->end = QUIC_END_PEER;
    ngtcp2_conn_get_connection_close_error(q->conn, &ce);
    if (ce.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION) q->peer_code = ce.error_code;
    else if ((ce.error_code & ~0xffull) == NGTCP2_CRYPTO_ERROR) q->end = QUIC_END_TLS;
    break;
  }
  case NGTCP2_ERR_IDLE_CLOSE:
  case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
    q->end = QUIC_END_IDLE;
    break;
  case NGTCP2_ERR_CRYPTO:
  case NGTCP2_ERR_CALLBACK_FAILURE:
    q->end = QUIC_END_TLS;
    break;
  default:
    q->end = QUIC_END_PROTOCOL;
  }
  log_debug("quic: connection over: %s", ngtcp2_strerror(lib_error));
  return -1;
}

/* Version Negotiation is unauthenticated and we know one version: neither it nor an empty datagram is for ngtcp2. */
static bool speaks_our_version(const uint8_t *p, size_t len) {
  static const uint8_t v1[4] = {0, 0, 0, 1};

  return len > 0 && (!(p[0] & 0x80) || (len > 5 && memcmp(p + 1, v1, sizeof v1) == 0));
}

int quic_read(struct quic *q, uint64_t now, const uint8_t *p, size_t len, bool *valid) {
  ngtcp2_path path = constant_path(q);
  ngtcp2_pkt_info pi = {0};
  uint64_t before = packets_opened;
  int rc;

  *valid = false;
  if (q->end != QUIC_ALIVE) return -1;
  if (!speaks_our_version(p, len)) return 0;
  rc = ngtcp2_conn_read_pkt(q->conn, &path, &pi, p, len, now * US);
  *valid = packets_opened != before;
  return rc == 0 ? 0 : over(q, rc);
}

/* One packet into dest. Length, 0 for none, or ngtcp2's negative error. */
static ngtcp2_ssize write_packet(struct quic *q, uint64_t now, uint8_t *dest, size_t mtu) {
  for (;;) {
    struct iovec iov[PULL_IOV];
    ngtcp2_vec vec[PULL_IOV];
    ngtcp2_ssize n, took = -1;
    size_t total = 0;
    void *stream = NULL;
    int64_t sid = -1;
    int cnt = PULL_IOV;
    bool fin = false, have;

    have = ngtcp2_conn_get_max_data_left(q->conn) > 0 && q->cb->pull(q->ctx, &sid, &stream, iov, &cnt, &fin);
    if (!have) {
      sid = -1;
      cnt = 0;
      fin = false;
    }
    for (int i = 0; i < cnt; i++) {
      vec[i].base = iov[i].iov_base;
      vec[i].len = iov[i].iov_len;
      total += iov[i].iov_len;
    }
    n = ngtcp2_conn_writev_stream(q->conn, NULL, NULL, dest, mtu, &took,
                                  (have ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0) | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0),
                                  sid, vec, (size_t)cnt, now * US);
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      q->cb->sent(q->ctx, stream, 0, false, true);
      continue;
    }
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
      /* ngtcp2 tells of the peer's STOP_SENDING in no other way: its callback of that name is about our own. */
      q->cb->stopped(q->ctx, sid, stream, 0);
      q->cb->sent(q->ctx, stream, -1, false, false);
      continue;
    }
    if (have && took >= 0) q->cb->sent(q->ctx, stream, took, fin && (size_t)took == total, false);
    if (n == NGTCP2_ERR_WRITE_MORE) continue;
    return n;
  }
}

ssize_t quic_write(struct quic *q, uint64_t now, uint8_t *buf, size_t room, size_t mtu, size_t *segment) {
  size_t len = 0, quantum;

  *segment = 0;
  if (q->end != QUIC_ALIVE) return -1;
  quantum = ngtcp2_conn_get_send_quantum(q->conn);
  if (quantum < mtu) quantum = mtu;
  while (len + mtu <= room && len < quantum) {
    ngtcp2_ssize n = write_packet(q, now, buf + len, mtu);

    if (n < 0) {
      if (len > 0) break; /* what was written still goes; the error comes again */
      return over(q, (int)n);
    }
    if (n == 0) break;
    if (*segment == 0) *segment = (size_t)n;
    len += (size_t)n;
    if ((size_t)n < *segment || (size_t)n < mtu) break;
  }
  if (len > 0) {
    /* A lone packet is charged to the pacer together with what follows it: its timer would wake us for nothing. */
    q->unpaced += len;
    if (q->unpaced > 2 * mtu) {
      ngtcp2_conn_update_pkt_tx_time(q->conn, now * US);
      q->unpaced = 0;
    }
    q->stalled_until = 0;
  } else if (ngtcp2_conn_get_expiry(q->conn) <= now * US) {
    q->stalled_until = now + STALL_US;
  }
  return (ssize_t)len;
}

uint64_t quic_deadline(const struct quic *q) {
  ngtcp2_tstamp t;
  uint64_t at;

  if (q->end != QUIC_ALIVE) return UINT64_MAX;
  t = ngtcp2_conn_get_expiry(q->conn);
  if (t == UINT64_MAX) return UINT64_MAX;
  at = (t + US - 1) / US;
  return at < q->stalled_until ? q->stalled_until : at;
}

int quic_expire(struct quic *q, uint64_t now) {
  int rc;

  if (q->end != QUIC_ALIVE) return -1;
  rc = ngtcp2_conn_handle_expiry(q->conn, now * US);
  return rc == 0 ? 0 : over(q, rc);
}

size_t quic_close(struct quic *q, uint64_t now, enum quic_code code, uint8_t *buf, size_t room, size_t mtu) {
  ngtcp2_connection_close_error ce;
  ngtcp2_ssize n;

  if (q->end == QUIC_END_PEER || q->end == QUIC_END_IDLE || q->lib_error == NGTCP2_ERR_DROP_CONN) return 0;
  ngtcp2_connection_close_error_default(&ce);
  if (q->end == QUIC_ALIVE)
    ngtcp2_connection_close_error_set_application_error(&ce, code, NULL, 0);
  else if (q->lib_error == NGTCP2_ERR_CRYPTO)
    ngtcp2_connection_close_error_set_transport_error_tls_alert(&ce, ngtcp2_conn_get_tls_alert(q->conn), NULL, 0);
  else
    ngtcp2_connection_close_error_set_transport_error_liberr(&ce, q->lib_error, NULL, 0);
  n = ngtcp2_conn_write_connection_close(q->conn, NULL, NULL, buf, room < mtu ? room : mtu, &ce, now * US);
  if (q->end == QUIC_ALIVE) q->end = QUIC_END_PROTOCOL;
  return n > 0 ? (size_t)n : 0;
}

enum quic_end quic_over(const struct quic *q, uint64_t *code) {
  if (code != NULL) *code = q->peer_code;
  return q->end;
}

bool quic_connected(const struct quic *q) { return ngtcp2_conn_get_handshake_completed(q->conn) != 0; }

bool quic_is_client(const struct quic *q) { return !q->server; }

const uint8_t *quic_peer(const struct quic *q) { return q->peer; }

int quic_export(struct quic *q, const char *label, uint8_t *out, size_t len) {
  if (q->tls == NULL) return -1;
  return gnutls_prf_rfc5705(q->tls, strlen(label), label, 0, "", len, (char *)out) == 0 ? 0 : -1;
}

void quic_drop_tls(struct quic *q) {
  if (q->tls == NULL || !quic_connected(q)) return;
  ngtcp2_conn_set_tls_native_handle(q->conn, NULL);
  gnutls_deinit(q->tls);
  q->tls = NULL;
}

/* ---- streams ---- */

int quic_stream_open(struct quic *q, bool bidi, void *stream, int64_t *sid) {
  int rc = bidi ? ngtcp2_conn_open_bidi_stream(q->conn, sid, stream) : ngtcp2_conn_open_uni_stream(q->conn, sid, stream);

  if (rc == 0) return 0;
  errno = rc == NGTCP2_ERR_STREAM_ID_BLOCKED ? EAGAIN : ENOMEM;
  return -1;
}

void quic_stream_set(struct quic *q, int64_t sid, void *stream) { ngtcp2_conn_set_stream_user_data(q->conn, sid, stream); }

void quic_stream_credit(struct quic *q, int64_t sid, uint64_t bytes) {
  ngtcp2_conn_extend_max_stream_offset(q->conn, sid, bytes);
}

void quic_stream_reset(struct quic *q, int64_t sid, enum quic_code code) {
  ngtcp2_conn_shutdown_stream(q->conn, sid, code);
}

void quic_stream_stop(struct quic *q, int64_t sid, enum quic_code code) {
  ngtcp2_conn_shutdown_stream_read(q->conn, sid, code);
}

size_t quic_streams_left(const struct quic *q) { return (size_t)ngtcp2_conn_get_streams_bidi_left(q->conn); }

void quic_get_info(const struct quic *q, struct quic_info *info) {
  ngtcp2_conn_stat st;

  ngtcp2_conn_get_conn_stat(q->conn, &st);
  info->rtt_us = st.smoothed_rtt / US;
  info->cwnd = st.cwnd;
  info->in_flight = st.bytes_in_flight;
  info->pto_count = (unsigned)st.pto_count;
}

void quic_path_changed(struct quic *q, uint64_t now, bool longer) {
  ngtcp2_path path;

  /* Congestion state is reset for a longer path only. Each sender resets its own by a new constant path, both ends
   * different: a client migrates to it; a server, which must not migrate by itself, sees it in the next packet. */
  if (!longer || q->end != QUIC_ALIVE || !quic_connected(q)) return;
  if (!q->server && ngtcp2_conn_get_num_active_dcid(q->conn) < 2) return;
  fake_address(&q->local_addr, (uint16_t)(ntohs(q->local_addr.sin_port) + 2));
  fake_address(&q->remote_addr, (uint16_t)(ntohs(q->remote_addr.sin_port) + 2));
  path = constant_path(q);
  if (!q->server && ngtcp2_conn_initiate_immediate_migration(q->conn, &path, now * US) != 0)
    log_debug("quic: congestion state kept on a path change");
}
