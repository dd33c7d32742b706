/* The cluster as one sees it from outside: connecting, topics, offsets, what is said when
 * something is wrong. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/nearest.h"
#include "stage.h"

static struct rfl_err err;

static bool says(const char *part) {
  if (strstr(err.message, part)) return true;
  printf("# the message is: %s\n", err.message);
  return false;
}

static enum rfl_code connect_to(const char *brokers, int32_t timeout_ms, const char *key,
                                const char *value) {
  struct rfl_kafka_options o = {.brokers = brokers,
                                .timeout_ms = timeout_ms,
                                .n = key != NULL,
                                .key = &key,
                                .value = &value};
  struct rfl_kafka *k = NULL;
  enum rfl_code code = rfl_kafka_new(&o, &k, &err);
  rfl_kafka_release(k);
  return code;
}

TEST(nobody_answering_is_told_in_time_with_host_port_and_reason) {
  int64_t before = rfl_now_ns();
  CHECK_EQ(connect_to("127.0.0.1:1", 1000, NULL, NULL), RFL_ETIMEOUT);
  CHECK(rfl_now_ns() - before < 2 * (int64_t)RFL_SECOND);
  CHECK_STR(err.message,
            "nobody answers at 127.0.0.1:1 (Connection refused). Is the broker running?");
}

/* A port that takes connections and never says a word. */
static int silent_port(char *brokers, size_t size) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  CHECK_EQ(bind(s, (struct sockaddr *)&a, n), 0);
  CHECK_EQ(listen(s, 8), 0);
  CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &n), 0);
  snprintf(brokers, size, "127.0.0.1:%d", ntohs(a.sin_port));
  return s;
}

TEST(a_port_that_never_answers_is_told_in_time) {
  char brokers[64];
  int s = silent_port(brokers, sizeof brokers);
  int64_t before = rfl_now_ns();
  CHECK_EQ(connect_to(brokers, 800, NULL, NULL), RFL_ETIMEOUT);
  CHECK(rfl_now_ns() - before < 3 * (int64_t)RFL_SECOND);
  CHECK(says(brokers) && says("no reply within 0.8 s"));
  close(s);
}

static bool never(void *asked) {
  ++*(int *)asked;
  return false;
}

TEST(an_interrupt_leaves_within_300_ms) {
  char brokers[64];
  int asked = 0;
  int s = silent_port(brokers, sizeof brokers);
  struct rfl_kafka_options o = {
      .brokers = brokers, .timeout_ms = 1500, .tick = {.go_on = never, .data = &asked}};
  struct rfl_kafka *k = NULL;
  int64_t live = rfl_mem_live(), before = rfl_now_ns();
  CHECK_EQ(rfl_kafka_new(&o, &k, &err), RFL_EHOST);
  CHECK(rfl_now_ns() - before < 300 * (int64_t)RFL_MS);
  CHECK_EQ(asked, 1);
  struct timespec pause = {.tv_nsec = 50 * RFL_MS}; /* the errand ends by itself */
  for (int i = 0; i < 200 && rfl_mem_live() != live; i++) nanosleep(&pause, NULL);
  CHECK_EQ(rfl_mem_live(), live);
  close(s);
}

TEST(an_unknown_property_is_named) {
  CHECK_EQ(connect_to("x:1", 500, "fetch.wait.maxms", "5"), RFL_ECONFIG);
  CHECK(says("`fetch.wait.maxms`; did you mean `fetch.wait.max.ms`?"));
  CHECK_EQ(connect_to("x:1", 500, "quite.another.thing", "5"), RFL_ECONFIG);
  CHECK(says("`quite.another.thing`"));
  CHECK_EQ(connect_to("x:1", 500, "security.protocol", "tlz"), RFL_ECONFIG);
  CHECK(says("security.protocol") && says("tlz"));
}

TEST(what_the_guarantees_rest_on_cannot_be_set) {
  CHECK_EQ(connect_to("x:1", 500, "auto.offset.reset", "latest"), RFL_ECONFIG);
  CHECK(says("`auto.offset.reset` must stay error"));
  CHECK_EQ(connect_to("x:1", 500, "enable.idempotence", "false"), RFL_ECONFIG);
  CHECK_EQ(connect_to("x:1", 500, "bootstrap.servers", "y:1"), RFL_ECONFIG);
  CHECK(says("give `brokers`"));
}

TEST(secrets_are_never_in_a_message) {
  const char *keys_given[] = {"security.protocol", "ssl.key.pem"};
  const char *values_given[] = {"ssl", "hunter2-not-a-key"};
  struct rfl_kafka_options o = {
      .brokers = "x:1", .n = 2, .key = keys_given, .value = values_given};
  struct rfl_kafka *none = NULL;
  CHECK_EQ(rfl_kafka_new(&o, &none, &err), RFL_ECONFIG);
  CHECK(says("ssl.key.pem"));
  CHECK(strstr(err.message, "hunter2") == NULL);
  struct rfl_kafka k = {.n = 1};
  char key[] = "sasl.password", value[] = "hunter2";
  char *keys[] = {key}, *values[] = {value};
  k.key = keys;
  k.value = values;
  char text[] = "login hunter2/hunter2 failed";
  rfl_conf_mask(&k, text);
  CHECK_STR(text, "login *******/******* failed");
}

TEST(a_typo_in_a_topics_name_is_told_and_creates_nothing) {
  const char *topic = stage_topic("adclicks", 1);
  char wrong[160];
  snprintf(wrong, sizeof wrong, "%s", topic);
  memmove(wrong + 3, wrong + 4, strlen(wrong + 3)); /* adcicks-... */
  int32_t n = 0;
  CHECK_EQ(rfl_kafka_partitions(stage.k, wrong, &n, &err), RFL_EBROKER);
  char expected[400];
  snprintf(expected, sizeof expected, "there is no topic `%s`; did you mean `%s`?", wrong,
           topic);
  CHECK_STR(err.message, expected);
  struct rfl_topic_source_options o = stage_options(wrong);
  struct rfl_source *s = stage_source(stage.k, &o, &err);
  CHECK_EQ(s->start(s, NULL, &err), RFL_EBROKER);
  s->release(s);
  struct rfl_topic_sink_options so = {.topic = wrong, .key_column = -1};
  struct rfl_sink *sink = NULL;
  CHECK_EQ(rfl_topic_sink_new(stage.k, &so, NULL, &sink, &err), RFL_EBROKER);
  struct rfl_topic_info *t = NULL;
  size_t n_topics = 0;
  CHECK_OK(rfl_kafka_topics(stage.k, &t, &n_topics, &err), &err);
  bool found = false, typo = false;
  for (size_t i = 0; i < n_topics; i++) {
    found |= strcmp(t[i].name, topic) == 0 && t[i].partitions == 1;
    typo |= strcmp(t[i].name, wrong) == 0;
    if (i) CHECK(strcmp(t[i - 1].name, t[i].name) < 0);
  }
  CHECK(found && !typo);
  rfl_topics_free(t, n_topics);
}

TEST(topics_are_created_with_defaults_and_only_once) {
  char name[100];
  snprintf(name, sizeof name, "made-%ld", (long)getpid());
  bool existed = true;
  CHECK_OK(
      rfl_kafka_create_topic(stage.k, name, 0, 0, 0, NULL, NULL, false, &existed, &err),
      &err);
  CHECK(!existed);
  int32_t n = 0;
  CHECK_OK(rfl_kafka_partitions(stage.k, name, &n, &err), &err);
  CHECK(n >= 1);
  CHECK_EQ(rfl_kafka_create_topic(stage.k, name, 5, 1, 0, NULL, NULL, false, NULL, &err),
           RFL_EBROKER);
  CHECK(says("exists already"));
  CHECK_OK(
      rfl_kafka_create_topic(stage.k, name, 5, 1, 0, NULL, NULL, true, &existed, &err),
      &err);
  CHECK(existed);
  CHECK_EQ(
      rfl_kafka_create_topic(stage.k, "no spaces", 1, 1, 0, NULL, NULL, true, NULL, &err),
      RFL_EARGUMENT);
}

TEST(settings_of_a_topic_need_a_real_broker) {
  char name[100];
  snprintf(name, sizeof name, "set-%ld", (long)getpid());
  const char *key = "retention.ms", *value = "100000";
  enum rfl_code code =
      rfl_kafka_create_topic(stage.k, name, 1, 1, 1, &key, &value, false, NULL, &err);
  if (!stage.broker) {
    CHECK_OK(code, &err);
    key = "no.such.setting";
    name[0] = 'z';
    CHECK_EQ(
        rfl_kafka_create_topic(stage.k, name, 1, 1, 1, &key, &value, false, NULL, &err),
        RFL_ECONFIG);
    CHECK(says("no.such.setting"));
    return;
  }
  CHECK_EQ(code, RFL_EARGUMENT);
  CHECK_STR(err.message, "`retention.ms` needs a real broker");
  CHECK_EQ(rfl_kafka_needs_real(stage.k, "exactly_once", &err), RFL_EARGUMENT);
  const char *secure = "security.protocol", *ssl = "ssl";
  struct rfl_kafka_options o = {.n = 1, .key = &secure, .value = &ssl};
  struct rfl_kafka *k = NULL;
  CHECK_EQ(rfl_broker_connect(stage.broker, &o, &k, &err), RFL_EARGUMENT);
  CHECK(says("`security.protocol` needs a real broker"));
}

static enum rfl_code offsets(const char *topic, struct rfl_at at, int64_t *gives) {
  int32_t n = 0;
  int64_t *x = NULL;
  RFL_TRY(rfl_kafka_offsets(stage.k, topic, &at, &n, &x, NULL, NULL, &err));
  for (int32_t p = 0; p < n; p++) gives[p] = x[p];
  rfl_free(x);
  return RFL_OK;
}

TEST(offsets_by_end_cursor_and_time) {
  const char *topic = stage_topic("offsets", 2);
  struct stage_record r[20];
  for (int i = 0; i < 20; i++)
    r[i] = (struct stage_record){i % 4 == 3, NULL, "1,a", 1000 * (i + 1)};
  CHECK_EQ(stage_produce(topic, r, 20), 0); /* 15 and 5; seconds 1 .. 20 */
  int64_t x[2];
  CHECK_OK(offsets(topic, (struct rfl_at){.kind = RFL_EARLIEST}, x), &err);
  CHECK(x[0] == 0 && x[1] == 0);
  CHECK_OK(offsets(topic, (struct rfl_at){.kind = RFL_LATEST}, x), &err);
  CHECK(x[0] == 15 && x[1] == 5);
  struct rfl_at at = {.kind = RFL_AT_TIME, .time_ms = 10000};
  CHECK_OK(offsets(topic, at, x), &err); /* seconds 10 and 12 */
  CHECK_EQ(x[0], 7);
  CHECK_EQ(x[1], 2);
  at.time_ms = 20001;
  CHECK_OK(offsets(topic, at, x), &err); /* past all: the ends */
  CHECK(x[0] == 15 && x[1] == 5);
  at.time_ms = -5;
  CHECK_OK(offsets(topic, at, x), &err);
  CHECK(x[0] == 0 && x[1] == 0);
  struct rfl_cursor c = {0};
  CHECK_OK(rfl_cursor_set(&c, topic, 0, 15, &err), &err);
  at = (struct rfl_at){.kind = RFL_AT_CURSOR, .cursor = &c};
  CHECK_EQ(offsets(topic, at, x), RFL_EARGUMENT);
  CHECK(says("partition 1 of"));
  CHECK_OK(rfl_cursor_set(&c, topic, 1, 6, &err), &err);
  CHECK_EQ(offsets(topic, at, x), RFL_EARGUMENT);
  CHECK(says("offset 6") && says("0 to 5"));
  CHECK_OK(rfl_cursor_set(&c, topic, 1, 5, &err), &err);
  CHECK_OK(offsets(topic, at, x), &err);
  CHECK(x[0] == 15 && x[1] == 5);
  CHECK_OK(rfl_cursor_set(&c, topic, 2, 0, &err), &err);
  CHECK_EQ(offsets(topic, at, x), RFL_EARGUMENT);
  CHECK(says("no partition 2"));
  rfl_cursor_release(&c);
}

TEST(by_time_the_first_record_at_or_past_it_counts_even_out_of_order) {
  const char *topic = stage_topic("outoforder", 1);
  const struct stage_record r[] = {{0, NULL, "0,a", 1000},
                                   {0, NULL, "1,a", 9000},
                                   {0, NULL, "2,a", 2000},
                                   {0, NULL, "3,a", 3000},
                                   {0, NULL, "4,a", 9500}};
  CHECK_EQ(stage_produce(topic, r, 5), 0);
  int64_t x[1];
  struct rfl_at at = {.kind = RFL_AT_TIME, .time_ms = 2500};
  CHECK_OK(offsets(topic, at, x), &err);
  CHECK_EQ(x[0], 1);
}

TEST(a_peek_is_spread_over_the_partitions) {
  const char *topic = stage_topic("peek", 3);
  CHECK_EQ(stage_count(topic, 3, 300), 0);
  const struct stage_record more = {0, NULL, NULL, 0};
  CHECK_EQ(stage_produce(topic, &more, 1), 0);
  const size_t wanted[] = {9, 1, 10000};
  for (int i = 0; i < 3; i++) {
    struct rfl_bytes *v = NULL;
    size_t n = 0, by[3] = {0}, tombs = 0;
    struct rfl_at at = {.kind = RFL_EARLIEST};
    CHECK_OK(rfl_kafka_peek(stage.k, topic, &at, wanted[i], &v, &n, &err), &err);
    CHECK_EQ(n, i == 2 ? 301 : wanted[i]);
    for (size_t j = 0; j < n; j++) {
      if (v[j].p)
        by[strtol((const char *)v[j].p, NULL, 10) % 3]++;
      else
        tombs++;
      rfl_free((void *)(uintptr_t)v[j].p);
    }
    if (i == 0) CHECK(by[0] == 3 && by[1] == 3 && by[2] == 3);
    CHECK_EQ(tombs, i == 2);
    rfl_free(v);
  }
}

TEST(a_connection_is_dead_in_a_forked_child) {
  pid_t child = fork();
  if (child == 0) {
    int32_t n;
    int bad = rfl_kafka_partitions(stage.k, "t", &n, &err) != RFL_EBUSY;
    bad |= strstr(err.message, "connect again after a fork") == NULL;
    bad |= rfl_kafka_create_topic(stage.k, "t", 1, 1, 0, NULL, NULL, true, NULL, &err) !=
           RFL_EBUSY;
    struct rfl_topic_sink_options o = {.topic = "t", .key_column = -1};
    struct rfl_sink *sink = NULL;
    bad |= rfl_topic_sink_new(stage.k, &o, NULL, &sink, &err) != RFL_EBUSY;
    struct rfl_kafka *k = NULL;
    if (stage.broker)
      bad |= rfl_broker_connect(stage.broker, NULL, &k, &err) != RFL_EBUSY;
    stage_close(); /* does nothing */
    _exit(bad);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
}

TEST(the_broker_lives_as_long_as_its_clients) {
  struct rfl_broker *b = NULL;
  struct rfl_kafka *k = NULL;
  CHECK_OK(rfl_broker_new(3, &b, &err), &err);
  CHECK_OK(rfl_broker_connect(b, NULL, &k, &err), &err);
  rfl_broker_release(b);
  CHECK_OK(rfl_kafka_create_topic(k, "t", 0, 0, 0, NULL, NULL, false, NULL, &err), &err);
  int32_t n = 0;
  CHECK_OK(rfl_kafka_partitions(k, "t", &n, &err), &err);
  CHECK_EQ(n, RFL_BROKER_PARTITIONS);
  CHECK_EQ(rfl_kafka_nodes(k), 3);
  CHECK(rfl_kafka_embedded(k));
  rfl_kafka_release(k);
}

static void note_signal(int signal) { (void)signal; }

/* librdkafka's mock cluster ends itself when a signal interrupts its thread's poll(). */
TEST(the_broker_survives_signals) {
  struct rfl_broker *broker = NULL;
  struct sigaction take = {.sa_handler = note_signal}, old;
  sigset_t usr, before;
  sigemptyset(&usr);
  sigaddset(&usr, SIGUSR2);
  sigaction(SIGUSR2, &take, &old);
  CHECK_OK(rfl_broker_new(1, &broker, &err), &err);
  /* Blocked here, a signal to the process goes to any thread that takes it. */
  pthread_sigmask(SIG_BLOCK, &usr, &before);
  for (int i = 0; i < 50; i++) {
    kill(getpid(), SIGUSR2);
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  sigaction(SIGUSR2, &old, NULL);
  struct rfl_kafka *k = NULL;
  CHECK_OK(rfl_broker_create_topic(broker, "t", 1, &err), &err);
  CHECK_OK(rfl_broker_connect(broker, NULL, &k, &err), &err);
  rfl_kafka_release(k);
  rfl_broker_release(broker);
}

TEST(nearest_names) {
  const char *const name[] = {"adclicks", "scores", "impressions"};
  CHECK_STR(rfl_nearest("adclick", name, 3), "adclicks");
  CHECK_STR(rfl_nearest("AdClicks", name, 3), "adclicks");
  CHECK_STR(rfl_nearest("impresions", name, 3), "impressions");
  CHECK_STR(rfl_nearest("clicks", name, 3), "adclicks");
  CHECK(rfl_nearest("orders", name, 1) == NULL);
  CHECK(rfl_nearest("x", name, 3) == NULL);
  CHECK(rfl_nearest("", name, 3) == NULL);
}

static enum rfl_code connect_and_ask(const char *topic) {
  const char *key = "client.id", *value = "sweep";
  struct rfl_kafka_options o = {
      .brokers = stage.brokers, .n = 1, .key = &key, .value = &value};
  struct rfl_kafka *k = NULL;
  struct rfl_topic_info *t = NULL;
  size_t n = 0;
  int32_t parts = 0;
  int64_t *low = NULL;
  struct rfl_bytes *v = NULL;
  struct rfl_at at = {.kind = RFL_EARLIEST};
  RFL_TRY(stage.broker ? rfl_broker_connect(stage.broker, &o, &k, &err)
                       : rfl_kafka_new(&o, &k, &err));
  enum rfl_code code = rfl_kafka_topics(k, &t, &n, &err);
  if (!code) rfl_topics_free(t, n);
  if (!code) code = rfl_kafka_offsets(k, topic, &at, &parts, NULL, &low, NULL, &err);
  rfl_free(low);
  if (!code) code = rfl_kafka_peek(k, topic, &at, 3, &v, &n, &err);
  for (size_t i = 0; !code && i < n; i++) rfl_free((void *)(uintptr_t)v[i].p);
  if (!code) rfl_free(v);
  rfl_kafka_release(k);
  return code;
}

TEST(every_allocation_may_fail) {
  const char *topic = stage_topic("sweep", 2);
  CHECK_EQ(stage_count(topic, 2, 10), 0);
  SWEEP(connect_and_ask(topic));
}

int main(void) {
  if (stage_open(1)) return 1;
  RUN(nobody_answering_is_told_in_time_with_host_port_and_reason);
  RUN(a_port_that_never_answers_is_told_in_time);
  RUN(an_interrupt_leaves_within_300_ms);
  RUN(an_unknown_property_is_named);
  RUN(what_the_guarantees_rest_on_cannot_be_set);
  RUN(secrets_are_never_in_a_message);
  RUN(a_typo_in_a_topics_name_is_told_and_creates_nothing);
  RUN(topics_are_created_with_defaults_and_only_once);
  RUN(settings_of_a_topic_need_a_real_broker);
  RUN(offsets_by_end_cursor_and_time);
  RUN(by_time_the_first_record_at_or_past_it_counts_even_out_of_order);
  RUN(a_peek_is_spread_over_the_partitions);
  RUN(a_connection_is_dead_in_a_forked_child);
  RUN(the_broker_lives_as_long_as_its_clients);
  RUN(the_broker_survives_signals);
  RUN(nearest_names);
  RUN(every_allocation_may_fail);
  stage_close();
  return harness_end();
}
