/* How much librdkafka queues, and the second that it sleeps.
 *
 * librdkafka stops fetching a partition once its queue holds queued.min.messages or
 * queued.max.messages.kbytes, both counted over the whole data queue since all partitions
 * are forwarded to it. A broker thread that finds nothing to fetch then sleeps up to one
 * second, however soon the queue has run empty again: a reader a little slower than the
 * fetcher would get one burst a second. From 2.2 on fetch.queue.backoff.ms ends that
 * sleep. Before, we do: when the queue was full and has fallen to a half, we ask the
 * leaders for offsets and do not wait for the answer, since a request wakes the broker
 * thread that must send it.
 *
 * The limits come from the memory budget: a message of librdkafka costs its bytes and
 * about 330 more (measured: 505 to 522 for a record of 184).
 *
 * Messages are taken and freed by the thousand, and not one by one as they are decoded:
 * librdkafka frees in our thread what its broker thread allocates, under one lock of the
 * C library, and a free between two records sends one of both to sleep far more often
 * than a run of frees does (measured: a quarter of the processor time of reading). The
 * batch call waits for a full batch, so what it must wait for is taken by the call for
 * one message. */
#include "kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/inside.h"

enum { MESSAGE_COST = 520, FEWEST = 1000, MOST = 10000000, KICK_MS = 2, AHEAD = 8 };

static size_t queue_limit(size_t memory) {
  size_t n = memory / MESSAGE_COST;
  return n < FEWEST ? FEWEST : n > MOST ? MOST : n;
}

static enum rfl_code set_number(rd_kafka_conf_t *conf, const struct rfl_kafka *k,
                                const char *key, size_t value, struct rfl_err *err) {
  char text[32];
  if (rfl_conf_given(k, key)) return RFL_OK;
  snprintf(text, sizeof text, "%zu", value);
  return rfl_conf_set(conf, key, text, err);
}

static bool resumes_fast(rd_kafka_conf_t *conf, const struct rfl_kafka *k) {
  char why[256];
  if (rfl_conf_given(k, "fetch.queue.backoff.ms")) return true;
  return rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "1", why, sizeof why) ==
         RD_KAFKA_CONF_OK;
}

static size_t length_when_full(const rd_kafka_conf_t *conf) {
  char text[32] = "";
  size_t size = sizeof text;
  rd_kafka_conf_get(conf, "queued.min.messages", text, &size);
  return (size_t)strtoul(text, NULL, 10);
}

static enum rfl_code open_handle(struct rfl_consumer *c, struct rfl_kafka *k,
                                 size_t memory, struct rfl_err *err) {
  rd_kafka_conf_t *conf = NULL;
  size_t n = queue_limit(memory), kbytes = memory / 1024;
  if (kbytes < 1024) kbytes = 1024;
  if (kbytes > 2000000) kbytes = 2000000;
  RFL_TRY(rfl_conf_new(k, RFL_CONSUMES, &conf, err));
  bool fast = resumes_fast(conf, k);
  enum rfl_code code = set_number(conf, k, "queued.min.messages", n, err);
  if (!code) code = set_number(conf, k, "queued.max.messages.kbytes", kbytes, err);
  if (code) {
    rd_kafka_conf_destroy(conf);
    return code;
  }
  c->full = length_when_full(conf);
  c->needs_kick = !fast;
  RFL_TRY(rfl_handle_new(k, RD_KAFKA_CONSUMER, conf, &c->rk, err));
  rd_kafka_poll_set_consumer(c->rk);
  c->events = rd_kafka_queue_get_consumer(c->rk);
  c->data = rd_kafka_queue_new(c->rk);
  return RFL_OK;
}

/* Forwards first, assigns then: in this order librdkafka keeps the forward. */
static enum rfl_code assign(struct rfl_consumer *c, const struct rfl_consumer_plan *plan,
                            struct rfl_err *err) {
  c->list = rd_kafka_topic_partition_list_new(plan->n);
  for (int32_t p = 0; p < plan->n; p++) {
    if (plan->skip && plan->skip[p]) continue;
    rd_kafka_topic_partition_list_add(c->list, plan->topic, p)->offset = plan->from[p];
    rd_kafka_queue_t *q = rd_kafka_queue_get_partition(c->rk, plan->topic, p);
    if (!q)
      return rfl_fail(err, RFL_EBROKER, "the topic `%s` has no partition %ld",
                      plan->topic, (long)p);
    rd_kafka_queue_forward(q, c->data);
    rd_kafka_queue_destroy(q);
  }
  rd_kafka_resp_err_t error = rd_kafka_assign(c->rk, c->list);
  if (!error) return RFL_OK;
  return rfl_fail(err, rfl_kafka_code(error), "the topic `%s` cannot be read: %s",
                  plan->topic, rd_kafka_err2str(error));
}

enum rfl_code rfl_consumer_open(struct rfl_consumer *gives, struct rfl_kafka *k,
                                const struct rfl_consumer_plan *plan,
                                struct rfl_err *err) {
  struct rfl_consumer c = {0};
  enum rfl_code code = open_handle(&c, k, plan->memory, err);
  if (!code) code = assign(&c, plan, err);
  if (code) {
    rfl_consumer_close(&c);
    return code;
  }
  *gives = c;
  return RFL_OK;
}

static void kick(struct rfl_consumer *c) {
  for (int i = 0; i < c->list->cnt; i++) c->list->elems[i].offset = RFL_TIME_LATEST;
  rd_kafka_offsets_for_times(c->rk, c->list, KICK_MS);
}

/* What is there; when there is nothing, the first that comes. */
static size_t take(struct rfl_consumer *c, rd_kafka_message_t **message, size_t most,
                   int wait_ms) {
  size_t n = 0;
  if (rd_kafka_queue_length(c->data) == 0) {
    message[0] = rd_kafka_consume_queue(c->data, wait_ms);
    if (!message[0]) return 0;
    n = 1;
  }
  ssize_t more = 0;
  if (n < most) more = rd_kafka_consume_batch_queue(c->data, 0, message + n, most - n);
  return more > 0 ? n + (size_t)more : n;
}

/* Wakes the fetchers of a queue that was full and has fallen to a half. */
static void fetch_on(struct rfl_consumer *c, size_t most) {
  size_t length = rd_kafka_queue_length(c->data);
  if (length + most >= c->full) c->was_full = true;
  if (!c->was_full || length >= c->full / 2) return;
  c->was_full = false;
  if (c->needs_kick) kick(c);
}

size_t rfl_consumer_serve(struct rfl_consumer *c, const struct rfl_serve *serve,
                          size_t most, int wait_ms) {
  rd_kafka_message_t *message[RFL_CONSUMER_BATCH];
  if (most > RFL_CONSUMER_BATCH) most = RFL_CONSUMER_BATCH;
  fetch_on(c, most);
  size_t n = take(c, message, most, wait_ms);
  bool go_on = true;
  for (size_t i = 0; go_on && i < n; i++) {
    if (i + AHEAD < n) __builtin_prefetch(message[i + AHEAD]);
    go_on = serve->see(serve->data, message[i]);
  }
  for (size_t i = 0; i < n; i++) rd_kafka_message_destroy(message[i]);
  return n;
}

void rfl_consumer_news(struct rfl_consumer *c) { rfl_news_poll(&c->news, c->events); }
void rfl_consumer_wake(struct rfl_consumer *c) { rd_kafka_queue_yield(c->data); }

void rfl_consumer_stop(struct rfl_consumer *c, const char *topic, int32_t partition) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, partition);
  rd_kafka_pause_partitions(c->rk, list); /* what it had queued is never wanted again */
  rd_kafka_topic_partition_list_destroy(list);
}

void rfl_consumer_close(struct rfl_consumer *c) {
  if (c->list) rd_kafka_topic_partition_list_destroy(c->list);
  if (c->data) rd_kafka_queue_destroy(c->data);
  if (c->events) rd_kafka_queue_destroy(c->events);
  rfl_handle_release(c->rk);
  memset(c, 0, sizeof *c);
}
