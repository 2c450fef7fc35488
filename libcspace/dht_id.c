/*
 * dht_id.c - XOR distance, and node ids from addresses (BEP 42).
 */
#include "dht_id.h"

#include <string.h>

unsigned dht_id_prefix(const uint8_t a[DHT_ID_LEN], const uint8_t b[DHT_ID_LEN]) {
  for (unsigned i = 0; i < DHT_ID_LEN; i++)
    if (a[i] != b[i])
      return i * 8 + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
  return DHT_ID_LEN * 8;
}

int dht_id_compare(const uint8_t target[DHT_ID_LEN], const uint8_t a[DHT_ID_LEN], const uint8_t b[DHT_ID_LEN]) {
  for (unsigned i = 0; i < DHT_ID_LEN; i++)
    if (a[i] != b[i])
      return (int)(a[i] ^ target[i]) - (int)(b[i] ^ target[i]);
  return 0;
}

/* CRC-32C (Castagnoli), reflected; at most 8 bytes, so no table. */
static uint32_t crc32c(const uint8_t *p, size_t n) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

/* The hash whose first 21 bits an id of this address begins with; r is the id's last byte. */
static uint32_t prefix_hash(const struct addr *addr, uint8_t r) {
  static const uint8_t mask4[4] = {0x03, 0x0f, 0x3f, 0xff};
  static const uint8_t mask6[8] = {0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff};
  const uint8_t *mask = addr->family == ADDR_V4 ? mask4 : mask6;
  size_t n = addr->family == ADDR_V4 ? sizeof mask4 : sizeof mask6;
  uint8_t ip[8];
  for (size_t i = 0; i < n; i++)
    ip[i] = addr->ip[i] & mask[i];
  ip[0] |= (uint8_t)((r & 7) << 5);
  return crc32c(ip, n);
}

void dht_id_for(uint8_t id[DHT_ID_LEN], const struct addr *addr, struct rng *rng) {
  rng_bytes(rng, id, DHT_ID_LEN);
  uint32_t h = prefix_hash(addr, id[DHT_ID_LEN - 1]);
  id[0] = (uint8_t)(h >> 24);
  id[1] = (uint8_t)(h >> 16);
  id[2] = (uint8_t)((h >> 8 & 0xf8) | (id[2] & 7));
}

bool dht_id_belongs(const uint8_t id[DHT_ID_LEN], const struct addr *addr) {
  if (!addr_is_global(addr))
    return true;
  uint32_t h = prefix_hash(addr, id[DHT_ID_LEN - 1]);
  return id[0] == (uint8_t)(h >> 24) && id[1] == (uint8_t)(h >> 16) && (id[2] & 0xf8) == (h >> 8 & 0xf8);
}
