/* The least that reading a topic with librdkafka costs: batches of 1,000 messages,
 * payload lengths summed, nothing decoded. The peer of riffle's reading; it sets the same
 * queue limits.
 *
 *     bare BROKERS TOPIC PARTITIONS RECORDS [MEMORY_MB]      reads RECORDS, from the
 * start
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usage.h"

enum { BATCH = 1000 };

static void set(rd_kafka_conf_t *conf, const char *key, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, key, value, why, sizeof why) != RD_KAFKA_CONF_INVALID)
    return;
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static rd_kafka_t *consumer(const char *brokers, long memory) {
  char why[256], messages[32], kbytes[32];
  /* As src/kafka/consumer.c: three quarters of the memory, 520 bytes a message. */
  snprintf(messages, sizeof messages, "%ld", memory / 4 * 3 / 520);
  snprintf(kbytes, sizeof kbytes, "%ld", memory / 4 * 3 / 1024);
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", brokers);
  set(conf, "group.id", "bare");
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "error");
  set(conf, "queued.min.messages", messages);
  set(conf, "queued.max.messages.kbytes", kbytes);
  set(conf, "fetch.queue.backoff.ms", "1"); /* where librdkafka knows it */
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (rk) return rk;
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static double read_some(rd_kafka_queue_t *q, long n, long *got) {
  static rd_kafka_message_t *message[BATCH];
  double bytes = 0;
  int quiet = 0;
  while (*got < n && quiet < 100) {
    ssize_t m = rd_kafka_consume_batch_queue(q, 100, message, BATCH);
    quiet = m > 0 ? 0 : quiet + 1;
    for (ssize_t i = 0; i < m; i++) {
      if (!message[i]->err) {
        bytes += (double)message[i]->len;
        ++*got;
      }
      rd_kafka_message_destroy(message[i]);
    }
  }
  return bytes;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "bare BROKERS TOPIC PARTITIONS RECORDS [MEMORY_MB]\n");
    return 2;
  }
  int partitions = atoi(argv[3]);
  long n = atol(argv[4]), got = 0;
  long memory = (argc > 5 ? atol(argv[5]) : 128) << 20;
  rd_kafka_t *rk = consumer(argv[1], memory);
  rd_kafka_poll_set_consumer(rk);
  rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(rk);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
  for (int p = 0; p < partitions; p++)
    rd_kafka_topic_partition_list_add(list, argv[2], p)->offset = 0;
  struct usage start = usage_now();
  rd_kafka_assign(rk, list);
  double bytes = read_some(q, n, &got);
  usage_print("bare", got, bytes, &start);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_queue_destroy(q);
  rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  return got != n;
}
