/* test_dht_store.c - the vectors of BEP 44, its rules for seq and cas, and the bounds. */
#include "check.h"
#include "dht_store.h"
#include "identity.h"
#include "krpc.h"
#include "rng.h"

#include <sodium.h>
#include <string.h>

#define S UINT64_C(1000000)

static struct rng rng;
static struct identity *owner;
static const struct addr local = {.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = 1};
static const uint8_t own[DHT_ID_LEN] = {0x80};

struct mutable_item {
  uint8_t v[DHT_VALUE_MAX + 8], sig[64];
  size_t v_len;
  struct dht_put_args put;
};

static void sign(struct mutable_item *m, const char *v, int64_t seq, const char *salt) {
  uint8_t buf[1200];
  m->v_len = strlen(v);
  memcpy(m->v, v, m->v_len);
  size_t n = dht_mutable_buffer(buf, sizeof buf, (const uint8_t *)salt, strlen(salt), seq, m->v, m->v_len);
  CU_ASSERT_TRUE_FATAL(n > 0);
  identity_sign(owner, m->sig, buf, n);
  m->put = (struct dht_put_args){.k = identity_key(owner), .sig = m->sig, .salt = (const uint8_t *)salt,
                                 .salt_len = strlen(salt), .seq = seq, .v = m->v, .v_len = m->v_len};
}

static int put(struct dht_store *s, uint64_t now, const struct mutable_item *m) {
  return dht_store_put(s, now, &local, own, &m->put);
}

static void from_hex(uint8_t *out, size_t n, const char *hex) {
  size_t len;
  CU_ASSERT_EQUAL_FATAL(sodium_hex2bin(out, n, hex, strlen(hex), NULL, &len, NULL), 0);
  CU_ASSERT_EQUAL_FATAL(len, n);
}

static void bep44_vectors(void) {
  static const struct {
    const char *salt, *buffer, *target, *sig;
  } vectors[] = {
    {"", "3:seqi1e1:v12:Hello World!", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
     "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
     "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"},
    {"foobar", "4:salt6:foobar3:seqi1e1:v12:Hello World!", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
     "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
     "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"},
  };
  static const char v[] = "12:Hello World!";
  uint8_t k[32], target[DHT_ID_LEN], want[DHT_ID_LEN], sig[64], buf[256];
  struct dht_store s;
  dht_store_init(&s);
  from_hex(k, sizeof k, "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548");
  for (size_t i = 0; i < 2; i++) {
    const uint8_t *salt = (const uint8_t *)vectors[i].salt;
    size_t salt_len = strlen(vectors[i].salt);
    from_hex(want, sizeof want, vectors[i].target);
    from_hex(sig, sizeof sig, vectors[i].sig);
    CU_ASSERT_EQUAL(dht_target_mutable(target, k, salt, salt_len), 0);
    CU_ASSERT_EQUAL(memcmp(target, want, sizeof want), 0);
    size_t n = dht_mutable_buffer(buf, sizeof buf, salt, salt_len, 1, (const uint8_t *)v, strlen(v));
    CU_ASSERT_EQUAL_FATAL(n, strlen(vectors[i].buffer));
    CU_ASSERT_EQUAL(memcmp(buf, vectors[i].buffer, n), 0);
    CU_ASSERT_EQUAL(dht_mutable_buffer(buf, n - 1, salt, salt_len, 1, (const uint8_t *)v, strlen(v)), 0);
    struct dht_put_args p = {.k = k, .sig = sig, .salt = salt, .salt_len = salt_len, .seq = 1,
                             .v = (const uint8_t *)v, .v_len = strlen(v)};
    CU_ASSERT_EQUAL(dht_store_put(&s, 1, &local, own, &p), 0);
    const struct dht_item *item = dht_store_get(&s, 1, want);
    CU_ASSERT_PTR_NOT_NULL_FATAL(item);
    CU_ASSERT_EQUAL(item->v_len, strlen(v));
    CU_ASSERT_EQUAL(memcmp(item->v, v, item->v_len), 0);
    CU_ASSERT_EQUAL(item->seq, 1);
    CU_ASSERT_TRUE(item->is_mutable);
  }
  from_hex(want, sizeof want, "e5f96f6f38320f0f33959cb4d3d656452117aadb");
  CU_ASSERT_EQUAL(dht_target_immutable(target, (const uint8_t *)v, strlen(v)), 0);
  CU_ASSERT_EQUAL(memcmp(target, want, sizeof want), 0);
  struct dht_put_args p = {.v = (const uint8_t *)v, .v_len = strlen(v)};
  CU_ASSERT_EQUAL(dht_store_put(&s, 1, &local, own, &p), 0);
  CU_ASSERT_PTR_NOT_NULL(dht_store_get(&s, 1, want));
  CU_ASSERT_EQUAL(s.items, 3);
  dht_store_free(&s);
}

static void signatures_are_checked(void) {
  struct mutable_item m;
  struct dht_store s;
  dht_store_init(&s);
  sign(&m, "5:hello", 7, "salt");
  for (unsigned bit = 0; bit < 512; bit += 7) {
    m.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SIGNATURE);
    m.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  m.put.seq = 8;
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SIGNATURE);
  m.put.seq = 7;
  m.put.salt_len = 3;
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SIGNATURE);
  m.put.salt_len = 4;
  m.v[3] ^= 1;
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SIGNATURE);
  m.v[3] ^= 1;
  CU_ASSERT_EQUAL(s.items, 0);
  CU_ASSERT_EQUAL(put(&s, 1, &m), 0);
  m.sig[0] ^= 1; /* also when the item is there already */
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SIGNATURE);
  sign(&m, "5:hello", -1, "");
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_PROTOCOL);
  dht_store_free(&s);
}

static void sizes(void) {
  struct mutable_item m;
  struct dht_store s;
  char big[DHT_VALUE_MAX + 2];
  dht_store_init(&s);
  memset(big, 'x', sizeof big);
  memcpy(big, "996:", 4);
  big[1000] = 0;
  sign(&m, big, 1, "");
  CU_ASSERT_EQUAL(put(&s, 1, &m), 0);
  big[1000] = 'x';
  big[1001] = 0;
  m.put.v = (const uint8_t *)big;
  m.put.v_len = 1001;
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_TOO_BIG);
  sign(&m, "1:x", 1, "0123456789012345678901234567890123456789012345678901234567890123");
  CU_ASSERT_EQUAL(put(&s, 1, &m), 0);
  m.put.salt_len = 65;
  CU_ASSERT_EQUAL(put(&s, 1, &m), KRPC_E_SALT);
  dht_store_free(&s);
}

static void seq_and_cas(void) {
  struct mutable_item m5, m5b, m6, m9;
  struct dht_store s;
  uint8_t target[DHT_ID_LEN];
  dht_store_init(&s);
  sign(&m5, "1:a", 5, "");
  sign(&m5b, "1:b", 5, "");
  sign(&m6, "1:c", 6, "");
  sign(&m9, "1:d", 9, "");
  dht_target_mutable(target, identity_key(owner), NULL, 0);
  m5.put.has_cas = true;
  m5.put.cas = 3;
  CU_ASSERT_EQUAL(put(&s, 1 * S, &m5), 0); /* nothing is there: cas does not count */
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m5), 0); /* resent */
  CU_ASSERT_EQUAL(dht_store_get(&s, 2 * S, target)->expires, 2 * S + DHT_STORE_LIFETIME);
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m5b), KRPC_E_SEQ);
  m6.put.has_cas = true;
  m6.put.cas = 4;
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m6), KRPC_E_CAS);
  CU_ASSERT_EQUAL(dht_store_get(&s, 2 * S, target)->v[2], 'a');
  m6.put.cas = 5;
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m6), 0);
  CU_ASSERT_EQUAL(dht_store_get(&s, 2 * S, target)->v[2], 'c');
  m5.put.has_cas = false;
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m5), KRPC_E_SEQ);
  m9.put.has_cas = true;
  m9.put.cas = 5;
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m9), KRPC_E_CAS);
  m9.put.has_cas = false;
  CU_ASSERT_EQUAL(put(&s, 2 * S, &m9), 0);
  CU_ASSERT_EQUAL(s.items, 1);
  dht_store_free(&s);
}

static void items_expire(void) {
  struct mutable_item m9, m5;
  struct dht_store s;
  uint8_t target[DHT_ID_LEN];
  dht_store_init(&s);
  sign(&m9, "1:a", 9, "");
  sign(&m5, "1:b", 5, "");
  dht_target_mutable(target, identity_key(owner), NULL, 0);
  CU_ASSERT_EQUAL(put(&s, 10, &m9), 0);
  CU_ASSERT_PTR_NOT_NULL(dht_store_get(&s, 9 + DHT_STORE_LIFETIME, target));
  CU_ASSERT_PTR_NULL(dht_store_get(&s, 10 + DHT_STORE_LIFETIME, target));
  CU_ASSERT_EQUAL(put(&s, 10 + DHT_STORE_LIFETIME, &m5), 0); /* an expired one is no hindrance */
  CU_ASSERT_EQUAL(s.items, 1);
  dht_store_expire(&s, 9 + 2 * DHT_STORE_LIFETIME);
  CU_ASSERT_EQUAL(s.items, 1);
  dht_store_expire(&s, 10 + 2 * DHT_STORE_LIFETIME);
  CU_ASSERT_EQUAL(s.items, 0);
  dht_store_free(&s);
}

static int put_number(struct dht_store *s, uint64_t now, const struct addr *from, uint32_t n, uint8_t target[20]) {
  uint8_t v[8] = {'4', ':', (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
  struct dht_put_args p = {.v = v, .v_len = 6};
  dht_target_immutable(target, v, 6);
  return dht_store_put(s, now, from, own, &p);
}

static void bounded(void) {
  struct dht_store s;
  uint8_t target[DHT_ID_LEN];
  struct addr global = addr_v4(8, 8, 8, 8, 53);
  unsigned refused = 0;
  dht_store_init(&s);
  for (uint32_t i = 0; i < DHT_STORE_ITEMS_PER_SOURCE + 5; i++) {
    global.port = (uint16_t)(i + 1); /* another port is no other source */
    int want = i < DHT_STORE_ITEMS_PER_SOURCE ? 0 : KRPC_E_SERVER;
    CU_ASSERT_EQUAL(put_number(&s, 1, &global, i, target), want);
  }
  CU_ASSERT_EQUAL(put_number(&s, 1, &global, 0, target), 0); /* a refresh needs no room */
  for (uint32_t i = 1000; i < 1000 + 2 * DHT_STORE_ITEMS_MAX; i++) { /* loopback may fill it, and no more */
    refused += put_number(&s, 1, &local, i, target) == KRPC_E_SERVER;
    CU_ASSERT_TRUE_FATAL(s.items <= DHT_STORE_ITEMS_MAX);
  }
  CU_ASSERT_EQUAL(s.items, DHT_STORE_ITEMS_MAX);
  CU_ASSERT_TRUE(refused > 0); /* those farther from us than what is there */
  unsigned near = 0;
  for (unsigned i = 0; i < DHT_STORE_SLOTS; i++)
    for (struct dht_item *item = s.slots[i]; item; item = item->next)
      near += item->target[0] >= 0x80;
  CU_ASSERT_TRUE(near > DHT_STORE_ITEMS_MAX * 9 / 10); /* our half of the space has pushed out the other */
  dht_store_free(&s);
}

static void peers(void) {
  struct dht_store s;
  uint8_t hash[DHT_ID_LEN] = {1}, other[DHT_ID_LEN] = {2};
  struct addr out[64], a6 = addr_from_ip((const uint8_t[16]){0xfd, 1, [15] = 1}, 16, 5);
  dht_store_init(&s);
  for (unsigned i = 0; i < DHT_STORE_PEERS_MAX + 3; i++) {
    struct addr a = addr_v4(10, 0, 0, (uint8_t)i, 100);
    CU_ASSERT_EQUAL(dht_store_announce(&s, 1 + i, &a, hash, &a), 0);
    CU_ASSERT_EQUAL(dht_store_announce(&s, 1 + i, &a, hash, &a), 0);
  }
  CU_ASSERT_EQUAL(dht_store_peers(&s, 100, hash, ADDR_V4, 7, out, 64), DHT_STORE_PEERS_MAX);
  for (unsigned i = 0; i < DHT_STORE_PEERS_MAX; i++)
    CU_ASSERT_TRUE(out[i].ip[3] >= 3); /* the three announced longest ago went */
  CU_ASSERT_EQUAL(dht_store_peers(&s, 100, hash, ADDR_V4, 0, out, 5), 5);
  CU_ASSERT_EQUAL(dht_store_peers(&s, 100, hash, ADDR_V6, 0, out, 64), 0);
  CU_ASSERT_EQUAL(dht_store_peers(&s, 100, other, ADDR_V4, 0, out, 64), 0);
  CU_ASSERT_EQUAL(dht_store_announce(&s, 100, &a6, other, &a6), 0);
  CU_ASSERT_EQUAL(dht_store_peers(&s, 100, other, ADDR_V6, 0, out, 64), 1);
  CU_ASSERT_TRUE(addr_equal(&out[0], &a6));
  dht_store_expire(&s, 50 + DHT_STORE_LIFETIME);
  CU_ASSERT_EQUAL(s.n_swarms, 1);
  struct addr global = addr_v4(8, 8, 8, 8, 1);
  unsigned taken = 0;
  for (unsigned i = 0; i < 2 * DHT_STORE_PEERS_PER_SOURCE; i++) {
    hash[1] = (uint8_t)i;
    taken += dht_store_announce(&s, 100, &global, hash, &global) == 0;
  }
  CU_ASSERT_EQUAL(taken, DHT_STORE_PEERS_PER_SOURCE);
  for (unsigned i = 0; i < 2 * DHT_STORE_SWARMS_MAX; i++) {
    hash[2] = (uint8_t)i;
    hash[3] = (uint8_t)(i >> 8);
    dht_store_announce(&s, 100, &local, hash, &local);
  }
  CU_ASSERT_EQUAL(s.n_swarms, DHT_STORE_SWARMS_MAX);
  dht_store_free(&s);
}

static const struct check_test tests[] = {
  {"the vectors of BEP 44", bep44_vectors},
  {"signatures are checked", signatures_are_checked},
  {"values and salts too big", sizes},
  {"seq and cas", seq_and_cas},
  {"items expire", items_expire},
  {"bounded overall and per source", bounded},
  {"peers", peers},
};

int main(void) {
  uint8_t seed[RNG_SEED_LEN] = "store";
  rng_init(&rng, seed);
  if (identity_init() != 0 || !(owner = identity_new(seed)))
    return 1;
  int failed = check_main("dht_store", tests, sizeof tests / sizeof tests[0]);
  identity_free(owner);
  return failed;
}
