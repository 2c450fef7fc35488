/* test_identity.c - ids as text, sound keys, plain and blinded signatures. */
#include "check.h"
#include "identity.h"
#include "rng.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* PROTOCOL.md 2.4 and 3.4, made by tests/vectors/protocol_vectors.py. */
static const char *const vector_key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
static const char *const vector_id = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4c6wib";
static const char *const vector_id_2 = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4isfqc";
static const char *const vector_sig =
    "8f32901c01166d6f231fd4c0997f87a72b05899ae5ccc4c0f006f728708bceb5"
    "6a7a5807f0ce4f78f6236785ac26e91d849dec18aa612d6e2159c66b46527d0e";
static const struct {
  uint64_t day;
  const char *key, *sig;
} blind_vectors[] = {
    {0, "0828ef4ec565d606ec93cdbbe0bb7f60b30d6cce723731d395aebbafa81a3309",
     "f95a772fcf0e4cb74c23b786b89b173e0738a91bf213c5348cc015b40634fe17"
     "0faecbc2b6845739bdab23568b7c0202b9d2732204c8e43ed54a3bc86fe88905"},
    {20000, "62b6aa131a05182d482edd78f5b1cb259a720af1f2b52811a3b3b6651888a4e1",
     "6b652ae88a5c379eda6402770fb5cbaf5f797e8c8f609ba5b4192ac54423a8d3"
     "20820c5201e9fe24f1687c680b22e27a00b5056892e5eb2a1daa947693f4850f"},
    {UINT64_MAX, "6779c78160a05fd984b35c5b64d84bd806120bdbf670228e10b8702ca9af13bf",
     "5d3e3c7b3b701522c2c1d9b090187d3b559baff438d7cde84aeea9c7b3aed7e4"
     "6a5fd37c16abf69896eb3152cd0bd4fc49b881b9e5c95e18096cd1114fc3d406"},
};

static void hex(uint8_t *out, size_t len, const char *text) {
  size_t got = 0;

  CU_ASSERT_EQUAL_FATAL(sodium_hex2bin(out, len, text, strlen(text), NULL, &got, NULL), 0);
  CU_ASSERT_EQUAL_FATAL(got, len);
}

static bool is_hex(const uint8_t *p, size_t len, const char *text) {
  uint8_t want[64];

  hex(want, len, text);
  return memcmp(p, want, len) == 0;
}

/* Seed 00 01 .. 1f, with its first byte replaced. */
static struct identity *numbered(uint8_t n) {
  uint8_t seed[ID_SEED_LEN];
  struct identity *id;

  for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)i;
  seed[0] = n;
  id = identity_new(seed);
  CU_ASSERT_PTR_NOT_NULL_FATAL(id);
  return id;
}

static void text_vector(void) {
  struct identity *id = numbered(0);
  uint8_t key[ID_KEY_LEN], seed[ID_SEED_LEN], sig[ID_SIG_LEN];
  char text[ID_TEXT_LEN + 1];

  CU_ASSERT_TRUE(is_hex(identity_key(id), ID_KEY_LEN, vector_key));
  id_format(text, identity_key(id));
  CU_ASSERT_STRING_EQUAL(text, vector_id);
  CU_ASSERT_EQUAL(id_parse(key, text), ID_OK);
  CU_ASSERT_EQUAL(memcmp(key, identity_key(id), ID_KEY_LEN), 0);
  for (char *c = text; *c != '\0'; c++) *c = (char)toupper((unsigned char)*c);
  memset(key, 0, sizeof key);
  CU_ASSERT_EQUAL(id_parse(key, text), ID_OK);
  CU_ASSERT_EQUAL(memcmp(key, identity_key(id), ID_KEY_LEN), 0);
  identity_seed(id, seed);
  CU_ASSERT_EQUAL(seed[0], 0);
  CU_ASSERT_EQUAL(seed[31], 31);
  identity_sign(id, sig, "cspace", 6);
  CU_ASSERT_TRUE(is_hex(sig, ID_SIG_LEN, vector_sig));
  CU_ASSERT_TRUE(id_verify(identity_key(id), sig, "cspace", 6));
  CU_ASSERT_FALSE(id_verify(identity_key(id), sig, "cspacE", 6));
  sig[63] ^= 1;
  CU_ASSERT_FALSE(id_verify(identity_key(id), sig, "cspace", 6));
  identity_free(id);
}

static void every_wrong_letter_is_caught(void) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
  uint8_t key[ID_KEY_LEN];
  unsigned tried = 0;

  for (uint8_t n = 0; n < 8; n++) {
    struct identity *id = numbered(n);
    char text[ID_TEXT_LEN + 1], wrong[ID_TEXT_LEN + 1];

    id_format(text, identity_key(id));
    identity_free(id);
    for (size_t i = 0; i < ID_TEXT_LEN; i++)
      for (const char *l = letters; *l != '\0'; l++) {
        if (*l == text[i]) continue;
        memcpy(wrong, text, sizeof wrong);
        wrong[i] = *l;
        CU_ASSERT_EQUAL(id_parse(key, wrong), ID_BAD_CHECK);
        tried++;
      }
    for (size_t i = 0; i + 1 < ID_TEXT_LEN; i++) {
      if (text[i] == text[i + 1]) continue;
      memcpy(wrong, text, sizeof wrong);
      wrong[i] = text[i + 1];
      wrong[i + 1] = text[i];
      CU_ASSERT_EQUAL(id_parse(key, wrong), ID_BAD_CHECK);
      tried++;
    }
  }
  CU_ASSERT_TRUE(tried > 8 * (56 * 31 + 40));
}

static void each_problem_has_its_name(void) {
  uint8_t key[ID_KEY_LEN] = {0x55}, bad_key[ID_KEY_LEN] = {1};
  char text[80];

  CU_ASSERT_EQUAL(id_parse(key, NULL), ID_BAD_LENGTH);
  CU_ASSERT_EQUAL(id_parse(key, ""), ID_BAD_LENGTH);
  snprintf(text, sizeof text, "%.55s", vector_id);
  CU_ASSERT_EQUAL(id_parse(key, text), ID_BAD_LENGTH);
  snprintf(text, sizeof text, "%sa", vector_id);
  CU_ASSERT_EQUAL(id_parse(key, text), ID_BAD_LENGTH);
  for (const char *c = "0189-_ =\xc3"; *c != '\0'; c++) {
    snprintf(text, sizeof text, "%s", vector_id);
    text[20] = *c;
    CU_ASSERT_EQUAL(id_parse(key, text), ID_BAD_LETTER);
  }
  CU_ASSERT_EQUAL(id_parse(key, vector_id_2), ID_BAD_VERSION);
  id_format(text, bad_key);
  CU_ASSERT_EQUAL(id_parse(key, text), ID_BAD_KEY);
  CU_ASSERT_EQUAL(key[0], 0x55); /* untouched by all of them */
  for (int a = ID_OK; a <= ID_BAD_KEY; a++)
    for (int b = a + 1; b <= ID_BAD_KEY; b++)
      CU_ASSERT_STRING_NOT_EQUAL(id_problem_text((enum id_problem)a), id_problem_text((enum id_problem)b));
  CU_ASSERT_PTR_NOT_NULL(strstr(id_problem_text(ID_BAD_CHECK), "typing error"));
}

static void torsion(uint8_t out[8][ID_KEY_LEN]) {
  /* T of order 8 as in id.c; libsodium's group addition needs no point of prime order. */
  static const char *const t = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";

  memset(out[0], 0, ID_KEY_LEN);
  out[0][0] = 1;
  hex(out[1], ID_KEY_LEN, t);
  for (int i = 2; i < 8; i++) CU_ASSERT_EQUAL(crypto_core_ed25519_add(out[i], out[i - 1], out[1]), 0);
}

static void weak_keys_are_refused(void) {
  struct identity *id = numbered(9);
  uint8_t t[8][ID_KEY_LEN], mixed[ID_KEY_LEN], out[ID_KEY_LEN];

  torsion(t);
  for (int i = 0; i < 8; i++) {
    CU_ASSERT_FALSE(id_key_valid(t[i]));
    CU_ASSERT_EQUAL(id_blind(out, t[i], 1), -1);
    CU_ASSERT_EQUAL_FATAL(crypto_core_ed25519_add(mixed, identity_key(id), t[i]), 0);
    CU_ASSERT_EQUAL(id_key_valid(mixed), i == 0); /* A + identity is A; the other seven are of mixed order */
    CU_ASSERT_EQUAL(id_blind(out, mixed, 1) == 0, i == 0);
  }
  identity_free(id);
}

/* y + p for the few y below 19, and x = 0 with the sign bit: other spellings of a point. */
static void other_spellings_are_refused(void) {
  for (int y = 0; y < 19; y++) {
    uint8_t key[ID_KEY_LEN];

    memset(key, 0xff, sizeof key);
    key[0] = (uint8_t)(0xed + y);
    key[31] = 0x7f;
    CU_ASSERT_FALSE(id_key_valid(key));
    key[31] = 0xff;
    CU_ASSERT_FALSE(id_key_valid(key));
  }
}

/* A random y is on the curve half of the time and then in the prime-order group one time in eight. */
static void random_bytes_are_seldom_a_key(void) {
  static const uint8_t seed[RNG_SEED_LEN] = {5};
  struct rng rng;
  int valid = 0;

  rng_init(&rng, seed);
  for (int i = 0; i < 400; i++) {
    uint8_t key[ID_KEY_LEN];

    rng_bytes(&rng, key, sizeof key);
    valid += id_key_valid(key);
  }
  CU_ASSERT_TRUE(valid > 8 && valid < 50); /* 25 expected */
}

static void blind_vectors_hold(void) {
  struct identity *id = numbered(0);

  for (size_t i = 0; i < sizeof blind_vectors / sizeof blind_vectors[0]; i++) {
    uint8_t key[ID_KEY_LEN], sig[ID_SIG_LEN];

    CU_ASSERT_EQUAL(id_blind(key, identity_key(id), blind_vectors[i].day), 0);
    CU_ASSERT_TRUE(is_hex(key, ID_KEY_LEN, blind_vectors[i].key));
    CU_ASSERT_EQUAL(identity_blind_sign(id, blind_vectors[i].day, sig, "cspace", 6), 0);
    CU_ASSERT_TRUE(is_hex(sig, ID_SIG_LEN, blind_vectors[i].sig));
  }
  identity_free(id);
}

static void blind_signatures_verify(void) {
  uint8_t last[ID_KEY_LEN] = {0}, msg[300];

  memset(msg, 'm', sizeof msg);
  for (uint8_t n = 0; n < 20; n++) {
    struct identity *id = numbered(n);

    for (uint64_t day = 20000; day < 20003; day++) {
      uint8_t key[ID_KEY_LEN], sig[ID_SIG_LEN];
      size_t len = (size_t)n * 15;

      CU_ASSERT_EQUAL(id_blind(key, identity_key(id), day), 0);
      CU_ASSERT_TRUE(id_key_valid(key));
      CU_ASSERT_NOT_EQUAL(memcmp(key, last, sizeof key), 0);
      CU_ASSERT_EQUAL(identity_blind_sign(id, day, sig, msg, len), 0);
      CU_ASSERT_TRUE(id_verify(key, sig, msg, len));
      CU_ASSERT_FALSE(id_verify(key, sig, msg, len + 1));
      CU_ASSERT_FALSE(id_verify(identity_key(id), sig, msg, len));
      CU_ASSERT_FALSE(id_verify(last, sig, msg, len)); /* yesterday's key */
      memcpy(last, key, sizeof key);
    }
    identity_free(id);
  }
}

/* The same message under two days' keys, and unblinded, must not share its nonce. */
static void nonces_differ_between_keys(void) {
  struct identity *id = numbered(0);
  uint8_t a[ID_SIG_LEN], b[ID_SIG_LEN], c[ID_SIG_LEN];

  identity_sign(id, a, "x", 1);
  CU_ASSERT_EQUAL(identity_blind_sign(id, 1, b, "x", 1), 0);
  CU_ASSERT_EQUAL(identity_blind_sign(id, 2, c, "x", 1), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(a, b, 32), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(b, c, 32), 0);
  CU_ASSERT_NOT_EQUAL(memcmp(a, c, 32), 0);
  identity_free(id);
}

static void generated_ones_differ(void) {
  struct identity *a = identity_generate(), *b = identity_generate();

  CU_ASSERT_PTR_NOT_NULL_FATAL(a);
  CU_ASSERT_PTR_NOT_NULL_FATAL(b);
  CU_ASSERT_TRUE(id_key_valid(identity_key(a)));
  CU_ASSERT_NOT_EQUAL(memcmp(identity_key(a), identity_key(b), ID_KEY_LEN), 0);
  identity_free(a);
  identity_free(b);
  identity_free(NULL);
}

static void *sign_often(void *arg) {
  const struct identity *id = arg;
  unsigned long bad = 0;

  for (int i = 0; i < 200; i++) {
    uint8_t key[ID_KEY_LEN], sig[ID_SIG_LEN];

    identity_sign(id, sig, &i, sizeof i);
    bad += !id_verify(identity_key(id), sig, &i, sizeof i);
    bad += id_blind(key, identity_key(id), (uint64_t)i) != 0;
    bad += identity_blind_sign(id, (uint64_t)i, sig, &i, sizeof i) != 0;
    bad += !id_verify(key, sig, &i, sizeof i);
  }
  return (void *)bad;
}

static void threads_may_sign_at_once(void) {
  struct identity *id = numbered(0);
  pthread_t threads[4];
  void *bad;

  for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, sign_often, id), 0);
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], &bad);
    CU_ASSERT_PTR_NULL(bad);
  }
  identity_free(id);
}

static bool no_memory;

/* Stands in for libsodium's in this program. */
void *sodium_malloc(const size_t size) {
  void *(*real)(size_t);

  if (no_memory) {
    errno = ENOMEM;
    return NULL;
  }
  *(void **)&real = dlsym(RTLD_NEXT, "sodium_malloc");
  return real(size);
}

static void without_guarded_memory_there_is_no_identity(void) {
  static const uint8_t seed[ID_SEED_LEN];

  no_memory = true;
  errno = 0;
  CU_ASSERT_PTR_NULL(identity_new(seed));
  CU_ASSERT_EQUAL(errno, ENOMEM);
  CU_ASSERT_PTR_NULL(identity_generate());
  no_memory = false;
}

static void starting_twice_is_fine(void) {
  CU_ASSERT_EQUAL(identity_init(), 0);
  CU_ASSERT_EQUAL(identity_init(), 0);
}

static const struct check_test tests[] = {
    {"libsodium passes the self-test, twice", starting_twice_is_fine},
    {"the vector: key, text, signature", text_vector},
    {"every wrong letter and every swap is caught", every_wrong_letter_is_caught},
    {"each problem has its name", each_problem_has_its_name},
    {"small and mixed order are refused", weak_keys_are_refused},
    {"other spellings of a point are refused", other_spellings_are_refused},
    {"random bytes are seldom a key", random_bytes_are_seldom_a_key},
    {"vectors of blinding", blind_vectors_hold},
    {"blinded signatures verify as plain Ed25519", blind_signatures_verify},
    {"nonces differ between keys", nonces_differ_between_keys},
    {"generated identities differ", generated_ones_differ},
    {"without guarded memory there is no identity", without_guarded_memory_there_is_no_identity},
    {"threads may sign at once", threads_may_sign_at_once},
};

int main(void) {
  return identity_init() != 0 ? 1 : check_main("identity", tests, sizeof tests / sizeof tests[0]);
}
