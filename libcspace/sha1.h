/*
 * sha1.h - SHA-1, which the BitTorrent DHT uses to name items (BEP 44). It
 * names, it protects nothing: mutable items are verified by their signature.
 */
#ifndef CSPACE_SHA1_H
#define CSPACE_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20

/* 0, or -1 + EIO when the library refuses. Any thread. */
int sha1(uint8_t out[SHA1_LEN], const void *data, size_t len);

#endif
