/* test_krpc.c - the messages of BEP 5, 32, 42, 43 and 44, byte for byte. */
#include "check.h"
#include "krpc.h"

#include <errno.h>
#include <string.h>

#define ID "abcdefghij0123456789"
#define ID2 "mnopqrstuvwxyz123456"

static int decode(struct krpc *m, const char *text) {
  return krpc_decode(m, (const uint8_t *)text, strlen(text));
}

/* Decodes text and encodes it again to the same bytes. */
static void round_trip(struct krpc *m, const char *text) {
  uint8_t out[KRPC_READ_MAX];
  CU_ASSERT_EQUAL_FATAL(decode(m, text), 0);
  CU_ASSERT_FALSE(m->malformed);
  size_t n = krpc_encode(out, sizeof out, m);
  CU_ASSERT_EQUAL_FATAL(n, strlen(text));
  CU_ASSERT_EQUAL(memcmp(out, text, n), 0);
  for (size_t cap = 0; cap < n; cap++)
    CU_ASSERT_EQUAL(krpc_encode(out, cap, m), 0);
}

static void bep5_examples(void) {
  struct krpc m;
  round_trip(&m, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(m.method, KRPC_PING);
  CU_ASSERT_EQUAL(memcmp(m.id, ID, 20), 0);
  round_trip(&m, "d1:rd2:id20:" ID2 "e1:t2:aa1:y1:re");
  CU_ASSERT_EQUAL(m.type, KRPC_REPLY);
  round_trip(&m, "d1:ad2:id20:" ID "6:target20:" ID2 "e1:q9:find_node1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(m.method, KRPC_FIND_NODE);
  CU_ASSERT_EQUAL(memcmp(m.target, ID2, 20), 0);
  round_trip(&m, "d1:ad2:id20:" ID "9:info_hash20:" ID2 "e1:q9:get_peers1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(m.method, KRPC_GET_PEERS);
  CU_ASSERT_EQUAL(memcmp(m.target, ID2, 20), 0);
  round_trip(&m, "d1:rd2:id20:" ID "5:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
  CU_ASSERT_TRUE(ben_is_list(&m.values));
  round_trip(&m, "d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" ID2 "4:porti6881e5:token8:aoeusnthe"
                 "1:q13:announce_peer1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(m.port, 6881);
  CU_ASSERT_TRUE(m.implied_port);
  round_trip(&m, "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
  CU_ASSERT_EQUAL(m.code, KRPC_E_GENERIC);
  CU_ASSERT_EQUAL(m.text.len, 23);
}

static void extensions(void) {
  struct krpc m;
  char text[512];
  round_trip(&m, "d1:ad2:id20:" ID "6:target20:" ID2 "4:wantl2:n42:n6ee1:q9:find_node2:roi1e1:t2:aa1:y1:qe");
  CU_ASSERT_EQUAL(m.want, KRPC_WANT4 | KRPC_WANT6);
  CU_ASSERT_TRUE(m.ro);
  round_trip(&m, "d2:ip6:abcdef1:rd2:id20:" ID "5:nodes26:abcdefghijklmnopqrstuvwxyz"
                 "6:nodes638:abcdefghijklmnopqrstuvwxyz0123456789!!e1:t4:abcd1:y1:re");
  CU_ASSERT_EQUAL(m.ip.len, 6);
  CU_ASSERT_EQUAL(m.nodes.len, 26);
  CU_ASSERT_EQUAL(m.nodes6.len, 38);
  snprintf(text, sizeof text,
           "d1:ad3:casi3e2:id20:" ID "1:k32:%032d4:salt6:foobar3:seqi4e3:sig64:%064d5:token2:tt1:v12:Hello world!e"
           "1:q3:put1:t1:x1:y1:qe", 1, 2);
  round_trip(&m, text);
  CU_ASSERT_EQUAL(m.method, KRPC_PUT);
  CU_ASSERT_EQUAL(m.cas, 3);
  CU_ASSERT_EQUAL(m.seq, 4);
  CU_ASSERT_EQUAL(m.v.len, 15);
  CU_ASSERT_EQUAL(m.salt.len, 6);
  CU_ASSERT_EQUAL(memcmp(m.v.p, "12:Hello world!", 15), 0); /* verbatim */
  round_trip(&m, "d1:ad2:id20:" ID "3:seqi9e6:target20:" ID2 "e1:q3:get1:t1:x1:y1:qe");
  CU_ASSERT_TRUE(m.has_seq);
  CU_ASSERT_EQUAL(decode(&m, "d1:ad2:id20:" ID "6:target20:" ID2 "4:wantl2:n62:xxi4eee1:q3:get1:t1:x1:y1:qe"), 0);
  CU_ASSERT_EQUAL(m.want, KRPC_WANT6); /* other strings are for the future, BEP 32 */
}

static void what_gets_no_answer(void) {
  static const char *const bad[] = {
    "", "x", "i1e", "le", "de", "d1:t2:aae", "d1:t2:aa1:y1:qe", "d1:y1:q1:q4:pinge", "d1:t0:1:y1:qe",
    "d1:q4:ping1:ti3e1:y1:qe", "d1:q4:ping1:t33:0123456789012345678901234567890121:y1:qe", "d1:t2:aa1:y1:xe",
    "d1:rd2:id20:" ID2 "e1:t2:aa1:y1:rex", "d1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re",
    "d1:rde1:t2:aa1:y1:re", "d1:rle1:t2:aa1:y1:re", "d1:t2:aa1:y1:re", "d1:qi3e1:t2:aa1:y1:qe",
    "d1:rd2:id20:" ID2 "5:nodes3:abce1:t2:aa1:y1:re", "d1:rd2:id20:" ID2 "6:valuesi3ee1:t2:aa1:y1:re",
  };
  struct krpc m;
  char big[KRPC_READ_MAX + 8];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CU_ASSERT_EQUAL(decode(&m, bad[i]), -1);
    CU_ASSERT_EQUAL(errno, EBADMSG);
  }
  memset(big, 'a', sizeof big);
  size_t n = (size_t)snprintf(big, sizeof big, "d1:rd2:id20:" ID2 "e1:t2:aa1:y1:r1:z1984:");
  big[n] = 'a';
  big[n + 1984] = 'e';
  CU_ASSERT_EQUAL(krpc_decode(&m, (uint8_t *)big, n + 1985), 0);
  CU_ASSERT_EQUAL(krpc_decode(&m, (uint8_t *)big, sizeof big), -1);
}

static void malformed_queries_are_known_as_such(void) {
  static const char *const bad[] = {
    "d1:q4:ping1:t2:aa1:y1:qe",                                          /* no arguments */
    "d1:ale1:q4:ping1:t2:aa1:y1:qe",                                     /* of the wrong type */
    "d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe",           /* a short id */
    "d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe",                   /* no target */
    "d1:ad2:id20:" ID "6:target20:" ID2 "e1:q9:get_peers1:t2:aa1:y1:qe", /* under another name */
    "d1:ad2:id20:" ID "9:info_hash20:" ID2 "4:porti1ee1:q13:announce_peer1:t2:aa1:y1:qe",            /* no token */
    "d1:ad2:id20:" ID "9:info_hash20:" ID2 "5:token1:te1:q13:announce_peer1:t2:aa1:y1:qe",           /* no port */
    "d1:ad2:id20:" ID "9:info_hash20:" ID2 "4:porti65536e5:token1:te1:q13:announce_peer1:t2:aa1:y1:qe",
    "d1:ad2:id20:" ID "5:token1:te1:q3:put1:t2:aa1:y1:qe",               /* no value */
    "d1:ad2:id20:" ID "1:v1:xe1:q3:put1:t2:aa1:y1:qe",                   /* no token */
    "d1:ad2:id20:" ID "1:k32:abcdefghijklmnopqrstuvwxyz0123455:token1:t1:v1:xe1:q3:put1:t2:aa1:y1:qe", /* k alone */
    "d1:ad2:id20:" ID "1:k3:abc5:token1:t1:v1:xe1:q3:put1:t2:aa1:y1:qe", /* a short key */
    "d1:ad2:id20:" ID "6:target20:" ID2 "4:want2:n4e1:q3:get1:t2:aa1:y1:qe",
  };
  struct krpc m;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CU_ASSERT_EQUAL_FATAL(decode(&m, bad[i]), 0);
    CU_ASSERT_TRUE(m.malformed);
  }
  CU_ASSERT_EQUAL(decode(&m, "d1:ad2:id20:" ID "e1:q4:vote1:t2:aa1:y1:qe"), 0);
  CU_ASSERT_EQUAL(m.method, KRPC_UNKNOWN);
}

static void odd_but_taken(void) {
  struct krpc m;
  CU_ASSERT_EQUAL(decode(&m, "d1:y1:r1:t2:aa1:rd2:id20:" ID2 "e1:v4:LT20e"), 0); /* keys out of order */
  CU_ASSERT_EQUAL(decode(&m, "d2:ip4:abcd1:rd2:id20:" ID2 "e1:t2:aa1:y1:re"), 0); /* an ip without a port */
  CU_ASSERT_PTR_NULL(m.ip.p);
  CU_ASSERT_EQUAL(decode(&m, "d1:e4:oops1:t2:aa1:y1:ee"), 0);
  CU_ASSERT_EQUAL(m.code, KRPC_E_GENERIC);
}

static const struct check_test tests[] = {
  {"the examples of BEP 5", bep5_examples},
  {"want, ro, ip, nodes6, get and put", extensions},
  {"what gets no answer", what_gets_no_answer},
  {"malformed queries", malformed_queries_are_known_as_such},
  {"odd messages that others send", odd_but_taken},
};

int main(void) {
  return check_main("krpc", tests, sizeof tests / sizeof tests[0]);
}
