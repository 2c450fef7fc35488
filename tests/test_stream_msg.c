/* test_stream_msg.c - the stream header and the control stream's messages. */
#include "check.h"
#include "stream_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t vector[] = {1, 1, 1, 0, 4, 'c', 'h', 'a', 't'}; /* PROTOCOL.md 6.5 */
static const uint8_t hello_vector[] = {1, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7};

static struct stream_header chat(void) {
  struct stream_header h = {.kind = STREAM_KIND_STREAM, .stripes = 1, .service = "chat"};

  return h;
}

static void header_vector(void) {
  struct stream_header h = chat(), got;
  uint8_t out[STREAM_HEADER_MAX];

  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), sizeof vector);
  CU_ASSERT_EQUAL(memcmp(out, vector, sizeof vector), 0);
  memset(&got, 0xff, sizeof got);
  CU_ASSERT_EQUAL(stream_header_decode(&got, vector, sizeof vector), (int)sizeof vector);
  CU_ASSERT_EQUAL(got.kind, STREAM_KIND_STREAM);
  CU_ASSERT_EQUAL(got.stripes, 1);
  CU_ASSERT_EQUAL(got.flags, 0);
  CU_ASSERT_STRING_EQUAL(got.service, "chat");
}

static void header_comes_in_pieces(void) {
  uint8_t with_data[sizeof vector + 10];
  struct stream_header got;

  for (size_t n = 0; n < sizeof vector; n++) {
    uint8_t *p = malloc(n > 0 ? n : 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memcpy(p, vector, n);
    CU_ASSERT_EQUAL(stream_header_decode(&got, p, n), 0);
    free(p);
  }
  memset(with_data, 'x', sizeof with_data);
  memcpy(with_data, vector, sizeof vector);
  CU_ASSERT_EQUAL(stream_header_decode(&got, with_data, sizeof with_data), (int)sizeof vector);
}

static void longest_header(void) {
  struct stream_header h = chat(), got;
  uint8_t out[STREAM_HEADER_MAX];

  memset(h.service, 'Z', STREAM_SERVICE_MAX);
  h.kind = STREAM_KIND_DATAGRAM;
  h.stripes = 4;
  h.flags = 0xa5;
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), STREAM_HEADER_MAX);
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out - 1, &h), 0);
  CU_ASSERT_EQUAL(stream_header_decode(&got, out, sizeof out), STREAM_HEADER_MAX);
  CU_ASSERT_EQUAL(memcmp(&got, &h, sizeof h), 0);
}

static void bad_fields_are_not_written(void) {
  struct stream_header h = chat();
  uint8_t out[STREAM_HEADER_MAX];

  h.kind = 0;
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
  h.kind = 3;
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
  h = chat();
  h.stripes = 0;
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
  h.stripes = 5;
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
  h = chat();
  h.service[0] = '\0';
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
  memset(h.service, 'a', sizeof h.service); /* no NUL at all */
  CU_ASSERT_EQUAL(stream_header_encode(out, sizeof out, &h), 0);
}

static void bad_headers_are_refused(void) {
  /* every value of every byte of the vector that is not one of the good ones */
  for (size_t i = 0; i < sizeof vector; i++)
    for (unsigned v = 0; v < 256; v++) {
      uint8_t p[STREAM_HEADER_MAX];
      struct stream_header got;
      bool good;
      int used;

      memset(p, 'x', sizeof p);
      memcpy(p, vector, sizeof vector);
      p[i] = (uint8_t)v;
      good = i == 0 ? v == 1 : i == 1 ? v == 1 || v == 2 : i == 2 ? v >= 1 && v <= 4 : i == 3 ? true : false;
      if (i == 4) good = v >= 1 && v <= 32;
      if (i > 4) good = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", (int)v) && v != 0;
      errno = 0;
      used = stream_header_decode(&got, p, sizeof p);
      CU_ASSERT_EQUAL(used > 0, good);
      CU_ASSERT_EQUAL(errno, good ? 0 : EPROTO);
    }
}

static void another_version_is_refused_at_once(void) {
  struct stream_header got;

  errno = 0;
  CU_ASSERT_EQUAL(stream_header_decode(&got, (const uint8_t *)"\x02", 1), -1);
  CU_ASSERT_EQUAL(errno, EPROTO);
}

static void service_names(void) {
  CU_ASSERT_TRUE(service_name_valid("a"));
  CU_ASSERT_TRUE(service_name_valid("My_service.v2-x"));
  CU_ASSERT_TRUE(service_name_valid("12345678901234567890123456789012"));
  CU_ASSERT_FALSE(service_name_valid("123456789012345678901234567890123"));
  CU_ASSERT_FALSE(service_name_valid(""));
  CU_ASSERT_FALSE(service_name_valid(NULL));
  CU_ASSERT_FALSE(service_name_valid("a b"));
  CU_ASSERT_FALSE(service_name_valid("a/b"));
  CU_ASSERT_FALSE(service_name_valid("caf\xc3\xa9"));
}

static void hello_round_trip(void) {
  struct control_hello m = {{0, 1, 2, 3, 4, 5, 6, 7}}, got;
  uint8_t out[16], longer[20] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const uint8_t *body = NULL;
  size_t body_len = 0;
  uint8_t type = 0;

  CU_ASSERT_EQUAL(control_hello_encode(out, sizeof out, &m), sizeof hello_vector);
  CU_ASSERT_EQUAL(memcmp(out, hello_vector, sizeof hello_vector), 0);
  CU_ASSERT_EQUAL(control_hello_encode(out, sizeof hello_vector - 1, &m), 0);
  for (size_t n = 0; n < sizeof hello_vector; n++)
    CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, hello_vector, n), 0);
  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, hello_vector, sizeof hello_vector), 11);
  CU_ASSERT_EQUAL(type, CONTROL_HELLO);
  CU_ASSERT_EQUAL(body_len, 8);
  CU_ASSERT_EQUAL(control_hello_decode(&got, body, body_len), 0);
  CU_ASSERT_EQUAL(memcmp(&got, &m, sizeof m), 0);
  CU_ASSERT_EQUAL(control_hello_decode(&got, longer, sizeof longer), 0); /* a later version's fields */
  memset(&got, 0x77, sizeof got);
  errno = 0;
  CU_ASSERT_EQUAL(control_hello_decode(&got, body, 7), -1);
  CU_ASSERT_EQUAL(errno, EPROTO);
  CU_ASSERT_EQUAL(got.endpoint_id[0], 0x77);
}

static void goodbye(void) {
  static const uint8_t want[] = {2, 0, 0};
  const uint8_t *body = NULL;
  size_t body_len = 9;
  uint8_t out[3], type = 0;

  CU_ASSERT_EQUAL(control_goodbye_encode(out, 2), 0);
  CU_ASSERT_EQUAL(control_goodbye_encode(out, sizeof out), sizeof want);
  CU_ASSERT_EQUAL(memcmp(out, want, sizeof want), 0);
  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, out, sizeof out), 3);
  CU_ASSERT_EQUAL(type, CONTROL_GOODBYE);
  CU_ASSERT_EQUAL(body_len, 0);
}

static void control_lengths(void) {
  static uint8_t p[3 + CONTROL_BODY_MAX] = {9, CONTROL_BODY_MAX >> 8, CONTROL_BODY_MAX & 255};
  const uint8_t *body;
  size_t body_len;
  uint8_t type;

  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, p, sizeof p - 1), 0);
  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, p, sizeof p), (int)sizeof p);
  CU_ASSERT_EQUAL(type, 9);
  CU_ASSERT_PTR_EQUAL(body, p + 3);
  p[2]++; /* one byte too many is told before any of it is waited for */
  errno = 0;
  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, p, 3), -1);
  CU_ASSERT_EQUAL(errno, EPROTO);
  p[1] = p[2] = 0;
  CU_ASSERT_EQUAL(control_next(&type, &body, &body_len, p, 3), 3);
  CU_ASSERT_EQUAL(body_len, 0);
}

static const struct check_test tests[] = {
    {"the header's vector", header_vector},
    {"a header in pieces", header_comes_in_pieces},
    {"the longest header", longest_header},
    {"bad fields are not written", bad_fields_are_not_written},
    {"bad headers are refused", bad_headers_are_refused},
    {"another version is refused at its first byte", another_version_is_refused_at_once},
    {"service names", service_names},
    {"hello", hello_round_trip},
    {"goodbye", goodbye},
    {"lengths on the control stream", control_lengths},
};

int main(void) { return check_main("stream_msg", tests, sizeof tests / sizeof tests[0]); }
