/*
 * test_path_policy.c - PROTOCOL.md 7.6: which addresses are tried.
 */
#include "path.h"

#include "check.h"

static void policy(void) {
  static const struct { const char *addr; bool plain, loopback, same_nat; } cases[] = {
    {"8.8.8.8:1", true, true, true}, {"[2a00:1450::1]:1", true, true, true},
    {"8.8.8.8:0", false, false, false}, {"127.0.0.1:1", false, true, false}, {"[::1]:1", false, true, false},
    {"192.168.1.7:1", true, true, true}, {"192.168.1.255:1", false, false, false},
    {"192.168.1.0:1", false, false, false},
    {"192.168.2.7:1", false, false, true}, {"10.200.0.1:1", false, false, true}, {"10.16.31.1:1", true, true, true},
    {"10.16.32.1:1", false, false, true}, {"169.254.1.1:1", false, false, false}, {"0.0.0.0:1", false, false, false},
    {"224.0.0.5:1", false, false, false}, {"255.255.255.255:1", false, false, false},
    {"240.0.0.1:1", false, false, false},
    {"[fe80::5%3]:1", true, true, true}, {"[fe80::5%4]:1", false, false, false}, {"[ff02::1]:1", false, false, false},
    {"[fd00:1::9]:1", true, true, true}, {"[fd00:2::9]:1", false, false, true},
  };
  static const struct { const char *addr; uint8_t bits; } nets[] = {
    {"192.168.1.2:0", 24}, {"10.16.16.1:0", 20}, {"[fe80::1%3]:0", 64}, {"[fd00:1::1]:0", 64},
  };
  struct path_prefix attached[4];
  struct addr here = addr_v4(8, 8, 4, 4, 5), there = addr_v4(8, 8, 4, 4, 9), far = addr_v4(8, 8, 4, 5, 9), a;

  for (size_t i = 0; i < 4; i++) {
    CU_ASSERT_EQUAL_FATAL(addr_parse(&attached[i].addr, nets[i].addr), 0);
    attached[i].bits = nets[i].bits;
  }
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct path_policy p = {attached, 4, false, &here, &far};
    CU_ASSERT_EQUAL_FATAL(addr_parse(&a, cases[i].addr), 0);
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].plain);
    p.allow_loopback = true;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].loopback);
    p.allow_loopback = false;
    p.peer_reflexive = &there;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].same_nat);
    p.reflexive = NULL;
    CU_ASSERT_EQUAL(path_target_allowed(&a, &p), cases[i].plain);
  }
}

int main(void) {
  static const struct check_test tests[] = {
    {"which addresses of a record may be tried", policy},
  };
  return check_main("path_policy", tests, sizeof tests / sizeof tests[0]);
}
