/* test_addr.c - addresses: text, compact form, classes. */
#include "check.h"
#include "addr.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static struct addr parsed(const char *text) {
  struct addr a;

  memset(&a, 0, sizeof a);
  if (addr_parse(&a, text) != 0) {
    fprintf(stderr, "not parsed: %s\n", text);
    CU_FAIL("a good address is refused");
  }
  return a;
}

enum { LOOP = 1, UNSPEC = 2, MULTI = 4, LINK = 8, PRIV = 16, GLOBAL = 32 };

static const struct {
  const char *ip;
  int classes;
} classes[] = {
    {"8.8.8.8", GLOBAL},           {"1.0.0.1", GLOBAL},           {"0.0.0.0", UNSPEC},
    {"0.1.2.3", UNSPEC},           {"0.255.255.255", UNSPEC},     {"127.0.0.1", LOOP},
    {"127.255.255.255", LOOP},     {"126.255.255.255", GLOBAL},   {"128.0.0.1", GLOBAL},
    {"169.254.0.1", LINK},         {"169.253.0.1", GLOBAL},       {"169.255.0.1", GLOBAL},
    {"10.0.0.1", PRIV},            {"9.255.255.255", GLOBAL},     {"11.0.0.0", GLOBAL},
    {"172.15.255.255", GLOBAL},    {"172.16.0.0", PRIV},          {"172.31.255.255", PRIV},
    {"172.32.0.0", GLOBAL},        {"192.168.0.1", PRIV},         {"192.167.0.1", GLOBAL},
    {"192.169.0.1", GLOBAL},       {"100.63.255.255", GLOBAL},    {"100.64.0.0", PRIV},
    {"100.127.255.255", PRIV},     {"100.128.0.0", GLOBAL},       {"192.0.0.1", 0},
    {"192.0.1.1", GLOBAL},         {"192.0.2.1", 0},              {"192.0.2.255", 0},
    {"192.0.3.0", GLOBAL},         {"198.17.255.255", GLOBAL},    {"198.18.0.0", 0},
    {"198.19.255.255", 0},         {"198.20.0.0", GLOBAL},        {"198.51.100.7", 0},
    {"198.51.101.0", GLOBAL},      {"203.0.113.7", 0},            {"203.0.114.0", GLOBAL},
    {"223.255.255.255", GLOBAL},   {"224.0.0.1", MULTI},          {"239.255.255.255", MULTI},
    {"240.0.0.1", 0},              {"255.255.255.254", 0},        {"255.255.255.255", MULTI},
    {"[::]", UNSPEC},              {"[::1]", LOOP},               {"[::2]", 0},
    {"[2000::1]", GLOBAL},         {"[2a00:1450::1]", GLOBAL},    {"[2002:c000:204::1]", GLOBAL},
    {"[2001:db8::1]", 0},          {"[2001:db7::1]", GLOBAL},     {"[2001:db9::1]", GLOBAL},
    {"[2001::1]", 0},              {"[2001:1ff::1]", 0},          {"[2001:200::1]", GLOBAL},
    {"[3fff::1]", 0},              {"[3fff:1000::1]", GLOBAL},    {"[1fff::1]", 0},
    {"[4000::1]", 0},              {"[64:ff9b::808:808]", GLOBAL}, {"[64:ff9b:1::1]", 0},
    {"[fe80::1]", LINK},           {"[febf::1]", LINK},           {"[fe7f::1]", 0},
    {"[fec0::1]", 0},              {"[fc00::1]", PRIV},           {"[fdff::1]", PRIV},
    {"[fbff::1]", 0},              {"[fe00::1]", 0},              {"[ff00::1]", MULTI},
    {"[ff02::fb]", MULTI},         {"[feff::1]", 0},              {"[::ffff:127.0.0.1]", LOOP},
    {"[::ffff:10.1.2.3]", PRIV},   {"[::ffff:8.8.8.8]", GLOBAL},  {"[::127.0.0.1]", 0},
};

static void every_class(void) {
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
    char text[ADDR_TEXT_MAX];
    struct addr a;
    int got;

    snprintf(text, sizeof text, "%s:80", classes[i].ip);
    a = parsed(text);
    got = (addr_is_loopback(&a) ? LOOP : 0) | (addr_is_unspecified(&a) ? UNSPEC : 0) |
          (addr_is_multicast_or_broadcast(&a) ? MULTI : 0) | (addr_is_link_local(&a) ? LINK : 0) |
          (addr_is_private(&a) ? PRIV : 0) | (addr_is_global(&a) ? GLOBAL : 0);
    if (got != classes[i].classes) fprintf(stderr, "%s: %d, expected %d\n", text, got, classes[i].classes);
    CU_ASSERT_EQUAL(got, classes[i].classes);
  }
}

static void none_is_nothing(void) {
  struct addr none = {0};
  uint8_t out[18];
  char text[ADDR_TEXT_MAX];

  CU_ASSERT_FALSE(addr_is_loopback(&none) || addr_is_unspecified(&none) || addr_is_multicast_or_broadcast(&none) ||
                  addr_is_link_local(&none) || addr_is_private(&none) || addr_is_global(&none));
  CU_ASSERT_EQUAL(addr_ip_len(&none), 0);
  CU_ASSERT_EQUAL(addr_to_compact(&none, out), 0);
  CU_ASSERT_FALSE(addr_same_subnet(&none, &none));
  CU_ASSERT_STRING_EQUAL(addr_format(&none, text), "none");
}

/* Read, and what it is written as: NULL for the same. */
static const struct {
  const char *in, *out;
} texts[] = {
    {"1.2.3.4:5", NULL},
    {"255.255.255.255:65535", NULL},
    {"0.0.0.0:0", NULL},
    {"[::]:0", NULL},
    {"[::1]:5", NULL},
    {"[1::]:5", NULL},
    {"[fe80::1%3]:5", NULL},
    {"[fe80::1%4294967295]:65535", NULL},
    {"[1:2:3:4:5:6:7:8]:9", NULL},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", NULL},
    {"[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", NULL},
    {"[2001:DB8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"}, /* the first of two equal runs */
    {"[2001:db8:0:1:1:1:1:1]:1", NULL},                    /* one zero group is written out */
    {"[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1"},
    {"[0:0:0:0:0:0:0:0]:1", "[::]:1"},
    {"[1:0:0:0:0:0:0:0]:1", "[1::]:1"},
    {"[00ab::0001]:1", "[ab::1]:1"},
    {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"},
    {"[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"},
    {"[1::8]:1", NULL},
    {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    {"[::FFFF:102:304]:5", "1.2.3.4:5"},
    {"[0:0:0:0:0:ffff:1.2.3.4]:5", "1.2.3.4:5"},
    {"[64:ff9b::1.2.3.4]:5", "[64:ff9b::102:304]:5"},
    {"[1:2:3:4:5:6:1.2.3.4]:5", "[1:2:3:4:5:6:102:304]:5"},
    {"[fe80::1%0]:5", "[fe80::1]:5"},
};

static void text_round_trip(void) {
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    const char *want = texts[i].out != NULL ? texts[i].out : texts[i].in;
    struct addr a = parsed(texts[i].in), again;
    char text[ADDR_TEXT_MAX];

    CU_ASSERT_STRING_EQUAL(addr_format(&a, text), want);
    again = parsed(text);
    CU_ASSERT_TRUE(addr_equal(&a, &again));
  }
}

static const char *const bad_texts[] = {
    "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4: 5", "1.2.3.4:5 ", " 1.2.3.4:5",
    "1.2.3.4:05", "1.2.3:5", "1.2.3.4.5:6", "256.1.1.1:5", "01.2.3.4:5", "1..2.3:5", "+1.2.3.4:5",
    "1.2.3.4:99999999999999999999", "1.2.3.4:5x", "0x1.2.3.4:5", "::1:5", "[::1]", "[::1]:", "[::1:5", "[]:5",
    "[:]:5", "[:::]:5", "[1:::2]:5", "[1::2::3]:5", "[:1::2]:5", "[1:2:3:4:5:6:7]:5", "[1:2:3:4:5:6:7:8:9]:5",
    "[1:2:3:4:5:6:7:8::]:5", "[::1:2:3:4:5:6:7:8]:5", "[1:2:3:4::5:6:7:8]:5", "[12345::]:5", "[g::]:5",
    "[1:]:5", "[1.2.3.4]:5", "[::1.2.3]:5", "[::1.2.3.4.5]:5", "[::1.2.3.4:5]:5", "[1:2:3:4:5:6:7:1.2.3.4]:5",
    "[::256.2.3.4]:5", "[fe80::1%]:5", "[fe80::1%eth0]:5", "[fe80::1%4294967296]:5", "[::1%3]:5",
    "[2001:db8::1%3]:5", "[::ffff:1.2.3.4%3]:5", "[fe80::1%3:5", "localhost:5", "[::1]5", "[::1]]:5",
};

static void bad_text_is_refused(void) {
  struct addr a = addr_v4(9, 9, 9, 9, 9), before = a;

  for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
    errno = 0;
    if (addr_parse(&a, bad_texts[i]) == 0) fprintf(stderr, "taken: %s\n", bad_texts[i]);
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_TRUE(addr_equal(&a, &before));
    a = before;
  }
  CU_ASSERT_EQUAL(addr_parse(&a, NULL), -1);
}

static void compact_round_trip(void) {
  static const uint8_t v4[6] = {1, 2, 3, 4, 0x1a, 0xe1};
  static const uint8_t mapped[18] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0x1a, 0xe1};
  struct addr a, b = parsed("[2001:db8::5]:258");
  uint8_t out[18];

  CU_ASSERT_EQUAL(addr_from_compact(&a, v4, 6), 0);
  CU_ASSERT_EQUAL(a.port, 6881);
  CU_ASSERT_EQUAL(addr_to_compact(&a, out), 6);
  CU_ASSERT_EQUAL(memcmp(out, v4, 6), 0);
  CU_ASSERT_EQUAL(addr_from_compact(&b, mapped, 18), 0);
  CU_ASSERT_TRUE(addr_equal(&a, &b));
  b = parsed("[2001:db8::5]:258");
  CU_ASSERT_EQUAL(addr_to_compact(&b, out), 18);
  CU_ASSERT_EQUAL(memcmp(out + 15, "\x05\x01\x02", 3), 0);
  CU_ASSERT_EQUAL(addr_from_compact(&a, out, 18), 0);
  CU_ASSERT_TRUE(addr_equal(&a, &b));
  for (size_t n = 0; n < 24; n++) {
    uint8_t buf[24] = {0};

    CU_ASSERT_EQUAL(addr_from_compact(&a, buf, n) == 0, n == 6 || n == 18);
  }
  CU_ASSERT_EQUAL(addr_from_ip(out, 5, 1).family, ADDR_NONE);
}

static void equality_and_subnets(void) {
  struct addr a = parsed("1.2.3.4:5"), b = parsed("1.2.3.4:6"), c = parsed("1.2.3.5:5"), d = parsed("1.2.4.4:5");
  struct addr e = parsed("[2001:db8:1:2::1]:5"), f = parsed("[2001:db8:1:3::9]:5"), g = parsed("[2001:db8:2::1]:5");
  struct addr h = parsed("[fe80::1%1]:5"), i = parsed("[fe80::1%2]:5");

  CU_ASSERT_TRUE(addr_same_ip(&a, &b));
  CU_ASSERT_FALSE(addr_equal(&a, &b));
  CU_ASSERT_FALSE(addr_same_ip(&a, &c));
  CU_ASSERT_TRUE(addr_same_subnet(&a, &c));
  CU_ASSERT_FALSE(addr_same_subnet(&a, &d));
  CU_ASSERT_TRUE(addr_same_subnet(&e, &f));
  CU_ASSERT_FALSE(addr_same_subnet(&e, &g));
  CU_ASSERT_FALSE(addr_same_subnet(&a, &e));
  CU_ASSERT_FALSE(addr_equal(&h, &i)); /* one text, two interfaces: two neighbours */
  CU_ASSERT_FALSE(addr_same_ip(&a, &e));
}

static void hash_goes_with_equality(void) {
  struct addr a = parsed("1.2.3.4:5"), b = parsed("[::ffff:1.2.3.4]:5"), c = parsed("1.2.3.4:6");
  struct addr h = parsed("[fe80::1%1]:5"), i = parsed("[fe80::1%2]:5"), z6 = parsed("[102:304::]:5");

  CU_ASSERT_EQUAL(addr_hash(&a, 1), addr_hash(&b, 1));
  CU_ASSERT_NOT_EQUAL(addr_hash(&a, 1), addr_hash(&a, 2));
  CU_ASSERT_NOT_EQUAL(addr_hash(&a, 1), addr_hash(&c, 1));
  CU_ASSERT_NOT_EQUAL(addr_hash(&h, 1), addr_hash(&i, 1));
  CU_ASSERT_NOT_EQUAL(addr_hash(&a, 1), addr_hash(&z6, 1));
}

static const struct check_test tests[] = {
    {"every class of address", every_class},
    {"the empty address belongs to no class", none_is_nothing},
    {"text reads and writes as RFC 5952 says", text_round_trip},
    {"bad text is refused", bad_text_is_refused},
    {"the compact form of BEP 5 and 32", compact_round_trip},
    {"equality and subnets", equality_and_subnets},
    {"the hash goes with equality", hash_goes_with_equality},
};

int main(void) { return sodium_init() < 0 ? 1 : check_main("addr", tests, sizeof tests / sizeof tests[0]); }
