#include "base/bytes.h"
#include "base/random.h"
#include "harness.h"

static void with_both_kernels(void (*check)(void)) {
  check();
  rfl_cpu_use(RFL_CPU_BASE);
  check();
  rfl_cpu_use(rfl_cpu_best());
}

/* RFC 3720, appendix B.4, and the check value of the polynomial's catalogue. */
static void check_vectors(void) {
  uint8_t bytes[48] = {0};
  CHECK_EQ(rfl_crc32c(0, bytes, 32), 0x8a9136aa);
  memset(bytes, 0xff, 32);
  CHECK_EQ(rfl_crc32c(0, bytes, 32), 0x62a8ab43);
  for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
  CHECK_EQ(rfl_crc32c(0, bytes, 32), 0x46dd794e);
  for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
  CHECK_EQ(rfl_crc32c(0, bytes, 32), 0x113fdb5c);
  static const uint8_t iscsi_read[48] = {
      0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
      0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
      0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
  CHECK_EQ(rfl_crc32c(0, iscsi_read, 48), 0xd9963a56);
  CHECK_EQ(rfl_crc32c(0, "123456789", 9), 0xe3069283);
  CHECK_EQ(rfl_crc32c(0, NULL, 0), 0);
}

TEST(the_vectors_of_rfc_3720) { with_both_kernels(check_vectors); }

/* The definition: one bit at a time. */
static uint32_t by_bits(uint32_t crc, const uint8_t *p, size_t n) {
  crc = ~crc;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

static void check_cuts(void) {
  uint8_t bytes[100];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)rfl_random(3, 0, i);
  for (size_t from = 0; from < 9; from++)
    for (size_t n = 0; from + n <= sizeof bytes; n++) {
      uint32_t whole = by_bits(0, bytes + from, n);
      CHECK_EQ(rfl_crc32c(0, bytes + from, n), whole);
      uint32_t half = rfl_crc32c(0, bytes + from, n / 3);
      CHECK_EQ(rfl_crc32c(half, bytes + from + n / 3, n - n / 3), whole);
    }
}

TEST(any_cut_and_any_alignment_give_the_same) { with_both_kernels(check_cuts); }

TEST(every_flipped_bit_is_noticed) {
  uint8_t bytes[64] = "The checksum of a changed file differs.";
  uint32_t crc = rfl_crc32c(0, bytes, sizeof bytes);
  for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1 << bit % 8);
    CHECK(rfl_crc32c(0, bytes, sizeof bytes) != crc);
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1 << bit % 8);
  }
}

int main(void) {
  RUN(the_vectors_of_rfc_3720);
  RUN(any_cut_and_any_alignment_give_the_same);
  RUN(every_flipped_bit_is_noticed);
  return harness_end();
}
