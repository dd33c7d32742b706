/* Fills a topic for the benchmarks.
 *
 *     produce BROKERS TOPIC RECORDS PARTITIONS [CODEC]
 *
 * BROKERS "embedded": an embedded broker in this process; it prints its address and lives
 * until standard input ends. Else the topic is created there. Runs of 2,000 records go to
 * one partition after the other. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/inside.h"
#include "record.h"

struct count {
  long sent, failed;
};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
  (void)rk;
  struct count *c = opaque;
  c->sent++;
  c->failed += m->err != 0;
}

static rd_kafka_t *producer(const char *brokers, const char *codec, struct count *count) {
  char why[256];
  const char *const set[][2] = {{"bootstrap.servers", brokers},
                                {"compression.type", codec},
                                {"linger.ms", "100"},
                                {"batch.num.messages", "100000"},
                                {"queue.buffering.max.messages", "1000000"}};
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  for (size_t i = 0; i < sizeof set / sizeof *set; i++)
    if (rd_kafka_conf_set(conf, set[i][0], set[i][1], why, sizeof why)) {
      fprintf(stderr, "%s\n", why);
      exit(1);
    }
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  rd_kafka_conf_set_opaque(conf, count);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!rk) {
    fprintf(stderr, "%s\n", why);
    exit(1);
  }
  return rk;
}

static long fill(const char *brokers, const char *topic, long n, int partitions,
                 const char *codec) {
  struct count count = {0};
  rd_kafka_t *rk = producer(brokers, codec, &count);
  rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
  char text[256];
  long bytes = 0;
  int64_t before = rfl_now_ns();
  for (long i = 0; i < n; i++) {
    size_t size = (size_t)record_write(text, i);
    bytes += (long)size;
    while (rd_kafka_produce(rkt, (int32_t)(i / 2000 % partitions), RD_KAFKA_MSG_F_COPY,
                            text, size, NULL, 0, NULL))
      rd_kafka_poll(rk, 5);
    if ((i & 1023) == 0) rd_kafka_poll(rk, 0);
  }
  rd_kafka_flush(rk, 60000);
  fprintf(stderr, "produced %ld records of %.1f bytes in %.2f s, %ld failed\n", n,
          (double)bytes / (double)(n ? n : 1), (double)(rfl_now_ns() - before) * 1e-9,
          count.failed + n - count.sent);
  rd_kafka_topic_destroy(rkt);
  rd_kafka_destroy(rk);
  return count.failed + n - count.sent;
}

static struct rfl_broker *broker;

static struct rfl_kafka *connect_to(const char *brokers) {
  struct rfl_err err;
  struct rfl_kafka *k = NULL;
  struct rfl_kafka_options o = {.brokers = brokers};
  enum rfl_code code = RFL_OK;
  if (strcmp(brokers, "embedded") == 0) code = rfl_broker_new(1, &broker, &err);
  if (!code)
    code =
        broker ? rfl_broker_connect(broker, &o, &k, &err) : rfl_kafka_new(&o, &k, &err);
  if (code) {
    fprintf(stderr, "%s\n", err.message);
    exit(1);
  }
  return k;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "produce BROKERS|embedded TOPIC RECORDS PARTITIONS [CODEC]\n");
    return 2;
  }
  long n = atol(argv[3]);
  int partitions = atoi(argv[4]);
  struct rfl_err err;
  struct rfl_kafka *k = connect_to(argv[1]);
  if (rfl_kafka_create_topic(k, argv[2], partitions, 1, 0, NULL, NULL, false, NULL,
                             &err)) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  long failed = fill(rfl_kafka_brokers(k), argv[2], n, partitions,
                     argc > 5 ? argv[5]
                     : broker ? "zstd"
                              : "lz4");
  int64_t kept = 0, gone = 0;
  if (rfl_kafka_kept(k, argv[2], &kept, &gone, &err)) return 1;
  if (gone || kept != n)
    fprintf(stderr, "%lld records are there, %lld gone\n", (long long)kept,
            (long long)gone);
  if (broker) {
    char c;
    printf("%s\n", rfl_kafka_brokers(k));
    fflush(stdout);
    while (read(0, &c, 1) > 0) continue;
  }
  rfl_kafka_release(k);
  rfl_broker_release(broker);
  return failed || gone || kept != n;
}
