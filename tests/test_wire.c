/* test_wire.c - the checked reader and writer. */
#include "check.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t sample[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

static void reads_big_endian(void) {
  struct wire_in in;

  wire_in_init(&in, sample, sizeof sample);
  CU_ASSERT_EQUAL(wire_get_u8(&in), 0x01);
  CU_ASSERT_EQUAL(wire_get_u16(&in), 0x0203);
  CU_ASSERT_EQUAL(wire_get_u32(&in), 0x04050607);
  CU_ASSERT_FALSE(wire_in_done(&in));
  CU_ASSERT_EQUAL(wire_get_u64(&in), 0x08090a0b0c0d0e0full);
  CU_ASSERT_TRUE(wire_in_done(&in));
}

static void short_read_gives_zero_and_sticks(void) {
  struct wire_in in;
  uint8_t copy[4];

  wire_in_init(&in, sample, 3);
  CU_ASSERT_EQUAL(wire_get_u32(&in), 0);
  CU_ASSERT_TRUE(in.bad);
  CU_ASSERT_EQUAL(wire_get_u8(&in), 0); /* though a byte is there: what comes after a failure means nothing */
  CU_ASSERT_PTR_NULL(wire_get_bytes(&in, 0));
  memset(copy, 0xff, sizeof copy);
  wire_get_copy(&in, copy, sizeof copy);
  CU_ASSERT_EQUAL(memcmp(copy, "\0\0\0\0", 4), 0);
  CU_ASSERT_FALSE(wire_in_done(&in));
}

static void bytes_are_in_place(void) {
  struct wire_in in;
  uint8_t copy[3];

  wire_in_init(&in, sample, 5);
  CU_ASSERT_PTR_EQUAL(wire_get_bytes(&in, 0), sample);
  CU_ASSERT_PTR_EQUAL(wire_get_bytes(&in, 2), sample);
  wire_get_copy(&in, copy, sizeof copy);
  CU_ASSERT_EQUAL(memcmp(copy, sample + 2, 3), 0);
  CU_ASSERT_TRUE(wire_in_done(&in));
  CU_ASSERT_PTR_EQUAL(wire_get_bytes(&in, 0), sample + 5);
  CU_ASSERT_FALSE(in.bad);
  CU_ASSERT_PTR_NULL(wire_get_bytes(&in, SIZE_MAX));
  CU_ASSERT_TRUE(in.bad);
}

static void nothing_to_read(void) {
  struct wire_in in;

  wire_in_init(&in, NULL, 0);
  CU_ASSERT_TRUE(wire_in_done(&in));
  CU_ASSERT_PTR_NOT_NULL(wire_get_bytes(&in, 0));
  CU_ASSERT_EQUAL(wire_get_u8(&in), 0);
  CU_ASSERT_TRUE(in.bad);
}

static void writes_what_it_reads(void) {
  uint8_t buf[16];
  struct wire_out out;

  wire_out_init(&out, buf, sizeof buf);
  wire_put_u8(&out, 0x01);
  wire_put_u16(&out, 0x0203);
  wire_put_u32(&out, 0x04050607);
  wire_put_u64(&out, 0x08090a0b0c0d0e0full);
  wire_put_bytes(&out, NULL, 0);
  CU_ASSERT_FALSE(out.bad);
  CU_ASSERT_EQUAL(out.len, sizeof sample);
  CU_ASSERT_EQUAL(memcmp(buf, sample, sizeof sample), 0);
}

static void full_writer_stops(void) {
  uint8_t buf[5];
  struct wire_out out;

  memset(buf, 0xee, sizeof buf);
  wire_out_init(&out, buf, 3);
  wire_put_u16(&out, 0x0102);
  wire_put_u16(&out, 0x0304);
  CU_ASSERT_TRUE(out.bad);
  CU_ASSERT_EQUAL(out.len, 2);
  wire_put_u8(&out, 5); /* would fit, but the message has a hole already */
  CU_ASSERT_EQUAL(out.len, 2);
  CU_ASSERT_EQUAL(memcmp(buf, "\x01\x02\xee\xee\xee", 5), 0);
  wire_out_init(&out, buf, 5);
  wire_put_bytes(&out, sample, SIZE_MAX);
  CU_ASSERT_TRUE(out.bad);
}

/* Every cut of every buffer on the heap, so that a sanitizer sees a read past the end. */
static void no_cut_reads_past_the_end(void) {
  for (size_t len = 0; len <= sizeof sample; len++) {
    uint8_t *p = malloc(len > 0 ? len : 1);
    struct wire_in in;

    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memcpy(p, sample, len);
    wire_in_init(&in, p, len);
    wire_get_u8(&in);
    wire_get_u16(&in);
    wire_get_u32(&in);
    wire_get_u64(&in);
    CU_ASSERT_EQUAL(in.bad, len < sizeof sample);
    free(p);
  }
}

static const struct check_test tests[] = {
    {"integers are big-endian", reads_big_endian},
    {"a short read gives zero, and so do all after it", short_read_gives_zero_and_sticks},
    {"bytes are handed out in place", bytes_are_in_place},
    {"an empty buffer", nothing_to_read},
    {"what is written reads back", writes_what_it_reads},
    {"a full writer stops for good", full_writer_stops},
    {"no cut reads past the end", no_cut_reads_past_the_end},
};

int main(void) { return check_main("wire", tests, sizeof tests / sizeof tests[0]); }
