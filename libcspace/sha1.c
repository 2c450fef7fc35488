/*
 * sha1.c - SHA-1 by GnuTLS, kept in one place.
 */
#include "sha1.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

int sha1(uint8_t out[SHA1_LEN], const void *data, size_t len) {
  if (gnutls_hash_fast(GNUTLS_DIG_SHA1, data, len, out) < 0) {
    errno = EIO;
    return -1;
  }
  return 0;
}
