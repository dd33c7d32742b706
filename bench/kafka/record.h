/* The record of the benchmarks: an ad impression of 11 fields, 184 bytes of JSON on
 * average, the same sequence in every run (xorshift64 from a fixed seed). */
#ifndef RFL_BENCH_RECORD_H
#define RFL_BENCH_RECORD_H
#include <stdint.h>
#include <stdio.h>

static uint64_t record_state_ = 88172645463325252u;

static inline uint64_t record_draw(void) {
  record_state_ ^= record_state_ << 13;
  record_state_ ^= record_state_ >> 7;
  record_state_ ^= record_state_ << 17;
  return record_state_;
}
static inline double record_uniform(void) {
  return (double)(record_draw() >> 11) * (1.0 / 9007199254740992.0);
}
static inline uint64_t record_below(uint64_t n) { return record_draw() % n; }

/* Writes record i at `to` (256 bytes are enough); gives its length. */
static inline int record_write(char *to, int64_t i) {
  static const char *const device[] = {"mobile", "desktop", "tablet", "tv"};
  int site = (int)record_below(200), country = (int)record_below(50);
  unsigned long long user = record_below(100000000);
  int ad = (int)record_below(100000), campaign = (int)record_below(1000);
  const char *on = device[record_below(4)];
  double bid = record_uniform() * 5;
  int pos = (int)record_below(8);
  double age = 18 + record_uniform() * 60;
  int click = record_uniform() < 0.05;
  return snprintf(to, 256,
                  "{\"ts\":%lld,\"user_id\":%llu,\"ad_id\":%d,\"campaign\":\"cmp_%04d\","
                  "\"site\":\"www.site%03d.example.com\",\"device\":\"%s\","
                  "\"country\":\"%c%c\",\"bid\":%.5f,\"pos\":%d,\"age\":%.1f,"
                  "\"click\":%d}",
                  1712345678901 + (long long)i, user, ad, campaign, site, on,
                  'A' + country / 10, 'A' + country % 10, bid, pos, age, click);
}

#endif
