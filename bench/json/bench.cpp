// JSON records to typed columns on one core: riffle's decoder against simdjson On-Demand.
//
// Both fill the same builder through the same inline setters and code their strings with
// the same dictionaries, 1,000 rows a frame, one record a message, as a topic gives them.
// simdjson looks for the fields in the order in which they come, its fastest way. The
// runs are interleaved and taken in processor time; rates are medians, the ratio is the
// median of the ratios of neighbouring runs. Before anything is timed, every column of
// both is compared, level by level.
#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

extern "C" {
#include "decode/json.h"
#include "frame/builder_inline.h"
}
#include "gen.h"

namespace {

constexpr size_t n_records = 400000, frame_rows = 1000, repeats = 15;

[[noreturn]] void die(const char *why) {
  std::fprintf(stderr, "bench/json: %s\n", why);
  std::exit(1);
}

void check(rfl_code code, const rfl_err &err) {
  if (code) die(err.message);
}

struct Messages {
  std::vector<char> text;
  std::vector<size_t> at;  // one more than there are messages

  explicit Messages(size_t n) : text(n * 256 + simdjson::SIMDJSON_PADDING + 256) {
    Records records;
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
      at.push_back(end);
      end += static_cast<size_t>(records.write(&text[end], static_cast<int64_t>(i)));
    }
    at.push_back(end);
  }
  size_t n() const { return at.size() - 1; }
  size_t bytes() const { return at.back(); }
};

rfl_field field(const char *name, rfl_type type) {
  rfl_field f{};
  f.name = name;
  f.type = type;
  return f;
}

rfl_schema *make_schema() {
  const rfl_field fields[] = {field("ts", RFL_DOUBLE),      field("user_id", RFL_DOUBLE),
                              field("ad_id", RFL_INTEGER),  field("campaign", RFL_FACTOR),
                              field("site", RFL_FACTOR),    field("device", RFL_FACTOR),
                              field("country", RFL_FACTOR), field("bid", RFL_DOUBLE),
                              field("pos", RFL_INTEGER),    field("age", RFL_DOUBLE),
                              field("click", RFL_INTEGER)};
  rfl_schema *schema;
  rfl_err err{};
  check(rfl_schema_new(fields, sizeof fields / sizeof *fields, &schema, &err), err);
  return schema;
}

class Riffle {
 public:
  explicit Riffle(rfl_schema *schema) {
    check(rfl_json_decoder_new(schema, &decoder_, &err_), err_);
  }
  ~Riffle() { decoder_->release(decoder_); }
  void row(const Messages &m, size_t i, rfl_builder *b) {
    rfl_bytes value{reinterpret_cast<const uint8_t *>(&m.text[m.at[i]]),
                    m.at[i + 1] - m.at[i]};
    check(decoder_->row(decoder_, value, b, &fault_, &err_), err_);
  }

 private:
  rfl_decoder *decoder_;
  rfl_fault fault_{};
  rfl_err err_{};
};

class Simdjson {
 public:
  explicit Simdjson(rfl_schema *) {}
  void row(const Messages &m, size_t i, rfl_builder *b) {
    size_t n = m.at[i + 1] - m.at[i];
    simdjson::padded_string_view view(&m.text[m.at[i]], n,
                                      n + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document doc = parser_.iterate(view);
    simdjson::ondemand::object o = doc.get_object();
    rfl_row_double(b, 0, static_cast<double>(int64_t(o.find_field("ts").get_int64())));
    rfl_row_double(b, 1,
                   static_cast<double>(int64_t(o.find_field("user_id").get_int64())));
    rfl_row_int(b, 2, integer(o, "ad_id"));
    text(o, "campaign", 3, b);
    text(o, "site", 4, b);
    text(o, "device", 5, b);
    text(o, "country", 6, b);
    rfl_row_double(b, 7, double(o.find_field("bid").get_double()));
    rfl_row_int(b, 8, integer(o, "pos"));
    rfl_row_double(b, 9, double(o.find_field("age").get_double()));
    rfl_row_int(b, 10, integer(o, "click"));
  }

 private:
  static int32_t integer(simdjson::ondemand::object &o, const char *name) {
    return static_cast<int32_t>(int64_t(o.find_field(name).get_int64()));
  }
  // simdjson unescapes into a buffer of its own, padded by more than the 16 bytes that a
  // dictionary may read.
  void text(simdjson::ondemand::object &o, const char *name, size_t c, rfl_builder *b) {
    std::string_view s = o.find_field(name).get_string();
    check(rfl_row_factor(b, c, s.data(), s.size(), &err_), err_);
  }
  simdjson::ondemand::parser parser_;
  rfl_err err_{};
};

// One pass over all messages; `keep` gets the frames, or they are dropped at once.
template <class Decoder>
void pass(Decoder &decoder, const Messages &m, rfl_builder *b,
          std::vector<rfl_frame *> *keep) {
  rfl_err err{};
  for (size_t i = 0; i < m.n(); i++) {
    check(rfl_row_open(b, &err), err);
    decoder.row(m, i, b);
    rfl_row_commit(b);
    if ((i + 1) % frame_rows != 0) continue;
    rfl_frame *frame;
    check(rfl_builder_finish(b, &frame, &err), err);
    if (keep)
      keep->push_back(frame);
    else
      rfl_frame_release(frame);
  }
}

rfl_builder *make_builder(rfl_schema *schema) {
  rfl_builder *b;
  rfl_err err{};
  check(rfl_builder_new(schema, &b, &err), err);
  return b;
}

template <class Decoder>
std::vector<rfl_frame *> all_frames(rfl_schema *schema, const Messages &m) {
  std::vector<rfl_frame *> frames;
  Decoder decoder(schema);
  rfl_builder *b = make_builder(schema);
  pass(decoder, m, b, &frames);
  rfl_builder_release(b);
  return frames;
}

void compare_columns(const rfl_column &x, const rfl_column &y, size_t rows) {
  size_t width = x.type == RFL_DOUBLE ? 8 : 4;
  if (x.valid || y.valid) die("a value is missing");
  if (std::memcmp(x.data, y.data, rows * width) != 0) die("columns differ");
  if (x.levels != y.levels) die("numbers of levels differ");
  for (int32_t k = 0; k < x.levels; k++) {
    rfl_bytes a = rfl_dict_level(x.dict, k), b = rfl_dict_level(y.dict, k);
    if (a.n != b.n || std::memcmp(a.p, b.p, a.n) != 0) die("levels differ");
  }
}

void compare(rfl_schema *schema, const Messages &m) {
  std::vector<rfl_frame *> x = all_frames<Riffle>(schema, m);
  std::vector<rfl_frame *> y = all_frames<Simdjson>(schema, m);
  if (x.size() != y.size() || x.size() != m.n() / frame_rows) die("frames are missing");
  for (size_t i = 0; i < x.size(); i++) {
    if (x[i]->n_rows != frame_rows || y[i]->n_rows != frame_rows) die("rows are missing");
    for (size_t c = 0; c < schema->n; c++)
      compare_columns(x[i]->column[c], y[i]->column[c], frame_rows);
  }
  for (rfl_frame *f : x) rfl_frame_release(f);
  for (rfl_frame *f : y) rfl_frame_release(f);
}

// Processor time of this thread: what others do on the machine is not in it.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
double seconds(F f) {
  double start = now();
  f();
  return now() - start;
}

double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

// Reads every byte once, eight at a time in four lanes: what memory gives to one core.
uint64_t read_all(const Messages &m) {
  uint64_t lane[4] = {0, 0, 0, 0};
  for (size_t i = 0; i + 32 <= m.bytes(); i += 32)
    for (size_t k = 0; k < 4; k++) {
      uint64_t word;
      std::memcpy(&word, &m.text[i + 8 * k], 8);
      lane[k] += word;
    }
  return lane[0] + lane[1] + lane[2] + lane[3];
}

}  // namespace

int main(int argc, char **argv) {
  const char *label = argc > 1 ? argv[1] : "json_decode";
  Messages m(n_records);
  rfl_schema *schema = make_schema();
  compare(schema, m);
  Riffle riffle(schema);
  Simdjson simd(schema);
  rfl_builder *x = make_builder(schema), *y = make_builder(schema);
  std::vector<double> ours, theirs, ratio, reading;
  volatile uint64_t sink = 0;
  for (size_t r = 0; r < repeats; r++) {
    ours.push_back(seconds([&] { pass(riffle, m, x, nullptr); }));
    theirs.push_back(seconds([&] { pass(simd, m, y, nullptr); }));
    ratio.push_back(theirs.back() / ours.back());
    reading.push_back(seconds([&] { sink = sink + read_all(m); }));
  }
  double bytes = static_cast<double>(m.bytes()), n = static_cast<double>(m.n());
  double t = median(ours), u = median(theirs), limit = median(reading);
  std::printf(
      "%s  riffle %.2f GB/s  simdjson %.2f GB/s  ratio %.2f  %.2f Mrec/s  %.0f ns/record"
      "  %.0f %% of read bandwidth (%.1f GB/s)\n",
      label, bytes / t / 1e9, bytes / u / 1e9, median(ratio), n / t / 1e6, t / n * 1e9,
      100 * limit / t, bytes / limit / 1e9);
  rfl_builder_release(x);
  rfl_builder_release(y);
  rfl_schema_release(schema);
  return 0;
}
