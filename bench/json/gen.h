// The record of the bench: 11 fields, about 184 bytes, of an ad server's impression log.
// The same seed gives the same records everywhere.
#pragma once
#include <cstdint>
#include <cstdio>

class Records {
 public:
  // Writes record `i`, at most 256 bytes, without a NUL that counts; gives its length.
  int write(char *to, int64_t i) {
    static const char *const devices[] = {"mobile", "desktop", "tablet", "tv"};
    unsigned site = below(200), country = below(50);
    unsigned long long user = random() % 100000000;
    unsigned ad = below(100000), campaign = below(1000), device = below(4);
    double bid = 5 * uniform(), age = 18 + 60 * uniform();
    unsigned pos = below(8);
    bool click = uniform() < 0.05;
    return std::snprintf(
        to, 256,
        "{\"ts\":%lld,\"user_id\":%llu,\"ad_id\":%u,\"campaign\":\"cmp_%04u\","
        "\"site\":\"www.site%03u.example.com\",\"device\":\"%s\",\"country\":\"%c%c\","
        "\"bid\":%.5f,\"pos\":%u,\"age\":%.1f,\"click\":%d}",
        1712345678901LL + static_cast<long long>(i), user, ad, campaign, site,
        devices[device], 'A' + country / 10, 'A' + country % 10, bid, pos, age, click);
  }

 private:
  uint64_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  unsigned below(unsigned n) { return static_cast<unsigned>(random() % n); }
  double uniform() { return static_cast<double>(random() >> 11) / 9007199254740992.0; }

  uint64_t state_ = 88172645463325252u;
};
