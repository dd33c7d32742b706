/* riffle's own reading without R: topic -> typed columns, the JSON record of record.h.
 *
 *     frames BROKERS TOPIC [MEMORY_MB [FRAME_ROWS]]      reads what is there
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <stdio.h>
#include "base/clock.h"
#include "decode/json.h"
#include "kafka/topic_source.h"
#include "usage.h"

static struct rfl_err err;

static void must(enum rfl_code code) {
  if (!code) return;
  fprintf(stderr, "%s\n", err.message);
  exit(1);
}

static struct rfl_schema *schema_of_record(void) {
  const struct rfl_field f[] = {
      {.name = "ts", .type = RFL_DOUBLE},      {.name = "user_id", .type = RFL_INTEGER},
      {.name = "ad_id", .type = RFL_INTEGER},  {.name = "campaign", .type = RFL_FACTOR},
      {.name = "site", .type = RFL_FACTOR},    {.name = "device", .type = RFL_FACTOR},
      {.name = "country", .type = RFL_FACTOR}, {.name = "bid", .type = RFL_DOUBLE},
      {.name = "pos", .type = RFL_INTEGER},    {.name = "age", .type = RFL_DOUBLE},
      {.name = "click", .type = RFL_INTEGER}};
  struct rfl_schema *schema = NULL;
  must(rfl_schema_new(f, sizeof f / sizeof *f, &schema, &err));
  return schema;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "frames BROKERS TOPIC [MEMORY_MB [FRAME_ROWS]]\n");
    return 2;
  }
  struct rfl_kafka_options ko = {.brokers = argv[1]};
  struct rfl_topic_source_options o = {
      .topic = argv[2],
      .from = {.kind = RFL_EARLIEST},
      .bounded = true,
      .to = {.kind = RFL_LATEST},
      .max_records = INFINITY,
      .memory = (size_t)(argc > 3 ? atol(argv[3]) : 128) << 20,
      .frame_rows = argc > 4 ? (uint32_t)atol(argv[4]) : 0};
  struct rfl_kafka *k = NULL;
  struct rfl_decoder *decoder = NULL;
  struct rfl_source *source = NULL;
  struct rfl_schema *schema = schema_of_record();
  must(rfl_kafka_new(&ko, &k, &err));
  must(rfl_json_decoder_new(schema, &decoder, &err));
  must(rfl_topic_source_new(k, &o, schema, decoder, &source, &err));
  struct usage start = usage_now();
  must(source->start(source, NULL, &err));
  long rows = 0, frames = 0;
  double bids = 0;
  for (;;) {
    struct rfl_want want = {.until_ns = rfl_now_ns() + 60 * (int64_t)RFL_SECOND};
    enum rfl_event event;
    struct rfl_frame *f = NULL;
    must(source->next(source, &want, &event, &f, &err));
    if (event != RFL_ROWS) break;
    for (uint32_t i = 0; i < f->n_rows; i++) bids += f->column[7].f64[i];
    rows += f->n_rows;
    frames++;
    rfl_frame_release(f);
  }
  usage_print("frames", rows, 0, &start);
  printf("# %ld frames, sum of bids %.5f\n", frames, bids);
  source->release(source);
  rfl_schema_release(schema);
  rfl_kafka_release(k);
  return 0;
}
