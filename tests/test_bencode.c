/* test_bencode.c - reading in place, writing, and everything that is not bencoding. */
#include "bencode.h"
#include "check.h"
#include "rng.h"

#include <errno.h>
#include <string.h>

static bool well_formed(const char *text) {
  struct ben v;
  return ben_parse(&v, text, strlen(text)) == 0;
}

static void good_values(void) {
  static const char *const good[] = {
    "0:",      "4:spam", "10:0123456789", "i0e", "i-1e", "i9223372036854775807e", "i99999999999999999999e",
    "le",      "de",     "l4:spami3ee",   "d1:ai1e1:bl1:cee", "lllleeee", "d1:ad1:bd1:cleeee", "d1:b0:1:a0:e",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    CU_ASSERT_TRUE(well_formed(good[i]));
}

static void bad_values(void) {
  static const char *const bad[] = {
    "",    "i",     "ie",     "i-e",   "i-0e",  "i01e",   "i1",    "i 1e", "1:",   "5:spam", "01:a", "00:",
    ":",   "4spam", "-1:a",   "l",     "d",     "e",      "lee",   "dee",  "d1:a", "d1:ae",  "di1ei2ee",
    "dlei1ee", "d1:ai1e", "i1ei2e", "4:spamx", "99999999999999999999999:a", "x", "li1e", "d1:ai1e1:be",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CU_ASSERT_FALSE(well_formed(bad[i]));
    CU_ASSERT_EQUAL(errno, EBADMSG);
  }
}

static void depth_is_bounded(void) {
  char text[2 * (BEN_DEPTH_MAX + 1) + 1];
  for (unsigned depth = BEN_DEPTH_MAX; depth <= BEN_DEPTH_MAX + 1; depth++) {
    memset(text, 'l', depth);
    memset(text + depth, 'e', depth);
    text[2 * depth] = 0;
    CU_ASSERT_EQUAL(well_formed(text), depth <= BEN_DEPTH_MAX);
  }
}

static void integers(void) {
  static const struct {
    const char *text;
    bool fits;
    int64_t value;
  } cases[] = {
    {"i0e", true, 0}, {"i42e", true, 42}, {"i-42e", true, -42},
    {"i9223372036854775807e", true, INT64_MAX}, {"i9223372036854775808e", false, 0},
    {"i-9223372036854775808e", true, INT64_MIN}, {"i-9223372036854775809e", false, 0},
    {"i18446744073709551616e", false, 0}, {"1:1", false, 0}, {"le", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ben v;
    int64_t n = 77;
    CU_ASSERT_EQUAL_FATAL(ben_parse(&v, cases[i].text, strlen(cases[i].text)), 0);
    CU_ASSERT_EQUAL(ben_int(&v, &n), cases[i].fits);
    CU_ASSERT_EQUAL(n, cases[i].fits ? cases[i].value : 77);
  }
}

static void dictionaries(void) {
  static const char text[] = "d3:bari-7e3:foo4:spam3:foo5:other1:zli1ei2eee";
  struct ben d, v, item;
  struct ben_iter it;
  const uint8_t *s;
  size_t n;
  int64_t i;
  CU_ASSERT_EQUAL_FATAL(ben_parse(&d, text, strlen(text)), 0);
  CU_ASSERT_TRUE(ben_is_dict(&d));
  CU_ASSERT_TRUE(ben_get(&d, "foo", &v));
  CU_ASSERT_TRUE(ben_str(&v, &s, &n));
  CU_ASSERT_EQUAL(n, 4); /* the first of two */
  CU_ASSERT_TRUE(ben_str_is(&v, "spam"));
  CU_ASSERT_FALSE(ben_str_is(&v, "spa"));
  CU_ASSERT_FALSE(ben_str_n(&v, &s, 5));
  CU_ASSERT_TRUE(ben_get(&d, "bar", &v));
  CU_ASSERT_TRUE(ben_int(&v, &i));
  CU_ASSERT_EQUAL(i, -7);
  CU_ASSERT_FALSE(ben_str(&v, &s, &n));
  CU_ASSERT_FALSE(ben_get(&d, "fo", &v));
  CU_ASSERT_FALSE(ben_get(&d, "spam", &v)); /* a value is no key */
  CU_ASSERT_TRUE(ben_get(&d, "z", &v));
  CU_ASSERT_TRUE(ben_is_list(&v));
  CU_ASSERT_FALSE(ben_get(&v, "z", &item));
  CU_ASSERT_TRUE(ben_iter_init(&it, &v));
  for (int64_t want = 1; want <= 2; want++) {
    CU_ASSERT_TRUE(ben_list_next(&it, &item));
    CU_ASSERT_TRUE(ben_int(&item, &i));
    CU_ASSERT_EQUAL(i, want);
  }
  CU_ASSERT_FALSE(ben_list_next(&it, &item));
  CU_ASSERT_FALSE(ben_iter_init(&it, &item));
}

static void writing(void) {
  uint8_t buf[64];
  struct ben_out o;
  static const char want[] = "d1:ai-9223372036854775808e1:bl4:spam0:i0ee1:ci9223372036854775807ee";
  for (size_t cap = 0; cap <= sizeof want; cap++) {
    uint8_t exact[sizeof want];
    ben_out_init(&o, exact, cap);
    ben_put_dict(&o);
    ben_put_text(&o, "a");
    ben_put_int(&o, INT64_MIN);
    ben_put_text(&o, "b");
    ben_put_list(&o);
    ben_put_raw(&o, "4:spam", 6);
    ben_put_str(&o, NULL, 0);
    ben_put_int(&o, 0);
    ben_put_end(&o);
    ben_put_text(&o, "c");
    ben_put_int(&o, INT64_MAX);
    ben_put_end(&o);
    CU_ASSERT_EQUAL(o.bad, cap < sizeof want - 1);
    if (!o.bad) {
      CU_ASSERT_EQUAL(o.len, sizeof want - 1);
      CU_ASSERT_EQUAL(memcmp(exact, want, o.len), 0);
    }
  }
  ben_out_init(&o, buf, sizeof buf);
  ben_put_str(&o, "0123456789", 10);
  CU_ASSERT_EQUAL(memcmp(buf, "10:0123456789", o.len), 0);
}

/* What ben_length takes, a plain recursive reader takes too, and the other way round. */
static size_t twin(const char *p, const char *end, unsigned depth) {
  const char *at = p;
  if (at == end)
    return 0;
  if (*at == 'i') {
    at++;
    bool minus = at < end && *at == '-';
    at += minus;
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9')
      at++;
    if (at == first || at == end || *at != 'e' || (*first == '0' && (minus || at - first > 1)))
      return 0;
    return (size_t)(at + 1 - p);
  }
  if (*at == 'l' || *at == 'd') {
    bool dict = *at++ == 'd';
    if (depth == 0)
      return 0;
    while (at < end && *at != 'e') {
      if (dict && (*at < '0' || *at > '9'))
        return 0;
      for (int i = 0; i < (dict ? 2 : 1); i++) {
        size_t n = twin(at, end, depth - 1);
        if (n == 0)
          return 0;
        at += n;
      }
    }
    return at == end ? 0 : (size_t)(at + 1 - p);
  }
  size_t n = 0;
  const char *first = at;
  while (at < end && *at >= '0' && *at <= '9' && n < 1000)
    n = n * 10 + (size_t)(*at++ - '0');
  if (at == first || at == end || *at != ':' || (*first == '0' && at - first > 1) || n > (size_t)(end - at - 1))
    return 0;
  return (size_t)(at + 1 - p) + n;
}

static void like_its_twin(void) {
  static const char letters[] = "lldeee:::i-01234aa";
  uint8_t seed[RNG_SEED_LEN] = "bencode";
  struct rng rng;
  unsigned taken = 0;
  rng_init(&rng, seed);
  for (unsigned round = 0; round < 300000; round++) {
    char text[16];
    size_t len = rng_below(&rng, sizeof text + 1);
    for (size_t i = 0; i < len; i++)
      text[i] = letters[rng_below(&rng, sizeof letters - 1)];
    size_t want = twin(text, text + len, BEN_DEPTH_MAX), have = ben_length(text, len);
    CU_ASSERT_EQUAL_FATAL(want, have);
    taken += have > 0;
  }
  CU_ASSERT_TRUE(taken > 1000); /* the letters make enough good ones for this to mean something */
}

static const struct check_test tests[] = {
  {"well-formed values", good_values},
  {"malformed values", bad_values},
  {"nesting is bounded", depth_is_bounded},
  {"integers", integers},
  {"dictionaries and lists", dictionaries},
  {"writing, and never past the end", writing},
  {"a recursive reader agrees", like_its_twin},
};

int main(void) {
  return check_main("bencode", tests, sizeof tests / sizeof tests[0]);
}
