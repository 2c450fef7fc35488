/*
 * tls.c - raw public keys for TLS 1.3 (RFC 7250, RFC 8410 for the Ed25519
 * SubjectPublicKeyInfo), signed from guarded memory. PROTOCOL.md 6.3.
 */
#include "tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#define SPKI_LEN 44

/* SubjectPublicKeyInfo { algorithm id-Ed25519, BIT STRING of 32 bytes }: the key is the last 32 bytes. */
static const uint8_t spki_prefix[SPKI_LEN - ID_KEY_LEN] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                           0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

/* One suite per hardware kind, one group, one certificate type: nothing to downgrade to. AES first; a CPU without AES
 * instructions asks for ChaCha20 first and the server follows the client's order. */
#define PRIORITY_REST \
  ":+MAC-ALL:-GROUP-ALL:+GROUP-X25519:-SIGN-ALL:+SIGN-EDDSA-ED25519:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK" \
  ":%DISABLE_TLS13_COMPAT_MODE"
static const char priority_aes[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305" PRIORITY_REST;
static const char priority_chacha[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305:+AES-128-GCM" PRIORITY_REST;

struct tls_creds {
  gnutls_certificate_credentials_t cred;
  gnutls_priority_t priority;
};

static bool cpu_has_aes(void) {
#if defined __x86_64__ || defined __i386__
  return __builtin_cpu_supports("aes");
#else
  return true; /* every 64-bit ARM server and phone of the last decade has it */
#endif
}

static int sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algo, void *userdata, unsigned flags,
                     const gnutls_datum_t *data, gnutls_datum_t *signature) {
  const struct identity *id = userdata;

  (void)key;
  (void)flags;
  if (algo != GNUTLS_SIGN_EDDSA_ED25519) return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
  signature->data = gnutls_malloc(ID_SIG_LEN);
  if (signature->data == NULL) return GNUTLS_E_MEMORY_ERROR;
  signature->size = ID_SIG_LEN;
  identity_sign(id, signature->data, data->data, data->size);
  return 0;
}

static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata) {
  (void)key;
  (void)userdata;
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) return GNUTLS_PK_EDDSA_ED25519;
  if (flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO) return GNUTLS_SIGN_EDDSA_ED25519;
  if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
    return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_EDDSA_ED25519;
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) return 256;
  return -1;
}

/* Gives cred our raw key; on success cred owns what pcert holds and the key. */
static int set_key(gnutls_certificate_credentials_t cred, const struct identity *id) {
  uint8_t spki[SPKI_LEN];
  gnutls_datum_t der = {spki, sizeof spki};
  gnutls_privkey_t key = NULL;
  gnutls_pcert_st pcert;

  memcpy(spki, spki_prefix, sizeof spki_prefix);
  memcpy(spki + sizeof spki_prefix, identity_key(id), ID_KEY_LEN);
  memset(&pcert, 0, sizeof pcert);
  if (gnutls_pcert_import_rawpk_raw(&pcert, &der, GNUTLS_X509_FMT_DER, GNUTLS_KEY_DIGITAL_SIGNATURE, 0) != 0) return -1;
  if (gnutls_privkey_init(&key) != 0) goto fail;
  if (gnutls_privkey_import_ext4(key, (void *)(uintptr_t)id, sign_data, NULL, NULL, NULL, key_info, 0) != 0) goto fail;
  if (gnutls_certificate_set_key(cred, NULL, 0, &pcert, 1, key) != 0) goto fail;
  return 0;
fail:
  if (key != NULL) gnutls_privkey_deinit(key);
  gnutls_pcert_deinit(&pcert);
  return -1;
}

struct tls_creds *tls_creds_new(const struct identity *id) {
  struct tls_creds *c = calloc(1, sizeof *c);

  if (c == NULL) return NULL;
  if (gnutls_certificate_allocate_credentials(&c->cred) != 0) goto fail;
  if (gnutls_priority_init(&c->priority, cpu_has_aes() ? priority_aes : priority_chacha, NULL) != 0) goto fail;
  if (set_key(c->cred, id) != 0) goto fail;
  return c;
fail:
  tls_creds_free(c);
  errno = ENOMEM;
  return NULL;
}

void tls_creds_free(struct tls_creds *c) {
  if (c == NULL) return;
  if (c->priority != NULL) gnutls_priority_deinit(c->priority);
  if (c->cred != NULL) gnutls_certificate_free_credentials(c->cred);
  free(c);
}

gnutls_session_t tls_session_new(const struct tls_creds *c, bool server, void *ptr) {
  static const gnutls_datum_t alpn = {(uint8_t *)(uintptr_t)TLS_ALPN, sizeof TLS_ALPN - 1};
  gnutls_session_t s = NULL;
  unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_SIGNAL |
                   GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;

  if (gnutls_init(&s, flags) != 0) {
    errno = ENOMEM;
    return NULL;
  }
  gnutls_session_set_ptr(s, ptr);
  if (gnutls_priority_set(s, c->priority) != 0 ||
      gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c->cred) != 0 ||
      gnutls_alpn_set_protocols(s, &alpn, 1, GNUTLS_ALPN_MANDATORY) != 0) {
    gnutls_deinit(s);
    errno = EPROTO;
    return NULL;
  }
  if (server) gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
  return s;
}

int tls_peer_key(gnutls_session_t s, uint8_t key[ID_KEY_LEN]) {
  unsigned n = 0;
  const gnutls_datum_t *certs;

  certs = gnutls_certificate_type_get2(s, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK
              ? gnutls_certificate_get_peers(s, &n)
              : NULL;
  if (certs == NULL || n != 1 || certs[0].size != SPKI_LEN ||
      memcmp(certs[0].data, spki_prefix, sizeof spki_prefix) != 0 ||
      !id_key_valid(certs[0].data + sizeof spki_prefix)) {
    errno = EPROTO;
    return -1;
  }
  memcpy(key, certs[0].data + sizeof spki_prefix, ID_KEY_LEN);
  return 0;
}
