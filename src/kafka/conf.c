#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/errand.h"
#include "kafka/inside.h"
#include "kafka/nearest.h"

struct setting {
  const char *key, *value;
};

/* What we would rather have than librdkafka's defaults; the user's word goes before it.
 */
static const struct setting common_defaults[] = {
    {"client.id", "riffle"},
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.max.ms", "1000"}, /* a broker that is back is found within 1 s */
};
static const struct setting consumer_defaults[] = {
    {"group.id", "riffle"},          /* never joined: assign() asks for some name */
    {"fetch.error.backoff.ms", "50"} /* a leader that moved is found by then */
};
static const struct setting producer_defaults[] = {
    {"linger.ms", "5"},
    {"partitioner", "murmur2_random"}, /* as Java's producer: keys meet across clients */
    {"queue.buffering.max.messages", "200000"},
    {"queue.buffering.max.kbytes", "131072"},
};

/* What our contracts rest on: nobody else may set these to anything else. `value` NULL:
 * set elsewhere, or not at all. */
static const struct setting common_fixed[] = {
    {"bootstrap.servers", NULL}, {"metadata.broker.list", NULL},  {"log.queue", "true"},
    {"transactional.id", NULL},  {"test.mock.num.brokers", NULL},
};
static const struct setting consumer_fixed[] = {
    {"enable.auto.commit", "false"},  {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"}, /* expired positions are told, never jumped over */
    {"enable.partition.eof", "true"}, {"allow.auto.create.topics", "false"},
};
static const struct setting producer_fixed[] = {
    {"enable.idempotence", "true"}, /* and with it acks = all */
};

#define N_OF(a) (sizeof(a) / sizeof *(a))

static bool contains(const char *text, const char *part) {
  return strstr(text, part) != NULL;
}

static bool is_secret(const char *key) {
  return contains(key, "password") || contains(key, "secret") || contains(key, "token") ||
         contains(key, "key.pem") || contains(key, "oauthbearer.config") ||
         contains(key, "ssl.key");
}

void rfl_conf_mask(const struct rfl_kafka *k, char *text) {
  for (size_t i = 0; i < k->n; i++) {
    size_t n = strlen(k->value[i]);
    if (!n || !is_secret(k->key[i])) continue;
    for (char *at = text; (at = strstr(at, k->value[i])) != NULL; at += n)
      memset(at, '*', n);
  }
}

bool rfl_conf_given(const struct rfl_kafka *k, const char *key) {
  for (size_t i = 0; i < k->n; i++)
    if (strcmp(k->key[i], key) == 0) return true;
  return false;
}

enum rfl_code rfl_conf_set(rd_kafka_conf_t *conf, const char *key, const char *value,
                           struct rfl_err *err) {
  char why[512];
  if (rd_kafka_conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
    return RFL_OK;
  return rfl_fail(err, RFL_ECONFIG, "this librdkafka (%s) does not take `%s`: %s",
                  rd_kafka_version_str(), key, why);
}

/* Settings whose property this librdkafka has never heard of are left out. */
static enum rfl_code set_all(rd_kafka_conf_t *conf, const struct setting *s, size_t n,
                             struct rfl_err *err) {
  for (size_t i = 0; i < n; i++)
    if (s[i].value) RFL_TRY(rfl_conf_set(conf, s[i].key, s[i].value, err));
  return RFL_OK;
}

static enum rfl_code no_such_property(rd_kafka_conf_t *conf, const char *key,
                                      struct rfl_err *err) {
  size_t n = 0;
  const char **dump = rd_kafka_conf_dump(conf, &n); /* key, value, key, value ... */
  const char *near = NULL;
  const char **name = rfl_alloc(n / 2 + 1, sizeof *name);
  if (name) {
    for (size_t i = 0; i < n / 2; i++) name[i] = dump[2 * i];
    near = rfl_nearest(key, name, n / 2);
  }
  enum rfl_code code =
      near ? rfl_fail(err, RFL_ECONFIG,
                      "librdkafka %s has no property `%s`; did you mean `%s`?",
                      rd_kafka_version_str(), key, near)
           : rfl_fail(err, RFL_ECONFIG, "librdkafka %s has no property `%s`",
                      rd_kafka_version_str(), key);
  rd_kafka_conf_dump_free(dump, n);
  rfl_free(name);
  return code;
}

static enum rfl_code check_fixed(const struct setting *s, size_t n, const char *key,
                                 const char *value, struct rfl_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(s[i].key, key) != 0) continue;
    if (s[i].value && strcmp(s[i].value, value) == 0) return RFL_OK;
    if (s[i].value)
      return rfl_fail(err, RFL_ECONFIG, "`%s` must stay %s: the guarantees rest on it",
                      key, s[i].value);
    return rfl_fail(err, RFL_ECONFIG, "`%s` cannot be set as a property%s", key,
                    contains(key, "servers") || contains(key, "broker.list")
                        ? ": give `brokers`"
                        : "");
  }
  return RFL_OK;
}

static enum rfl_code set_given(rd_kafka_conf_t *conf, const struct rfl_kafka *k, size_t i,
                               struct rfl_err *err) {
  const char *key = k->key[i], *value = k->value[i];
  char why[512];
  RFL_TRY(check_fixed(common_fixed, N_OF(common_fixed), key, value, err));
  RFL_TRY(check_fixed(consumer_fixed, N_OF(consumer_fixed), key, value, err));
  RFL_TRY(check_fixed(producer_fixed, N_OF(producer_fixed), key, value, err));
  switch (rd_kafka_conf_set(conf, key, value, why, sizeof why)) {
    case RD_KAFKA_CONF_OK:
      return RFL_OK;
    case RD_KAFKA_CONF_UNKNOWN:
      return no_such_property(conf, key, err);
    default:
      if (is_secret(key))
        return rfl_fail(err, RFL_ECONFIG, "the value of `%s` is not accepted", key);
      rfl_conf_mask(k, why);
      return rfl_fail(err, RFL_ECONFIG, "%s", why);
  }
}

static bool has_feature(const char *name) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  char features[512];
  size_t size = sizeof features;
  bool has =
      rd_kafka_conf_get(conf, "builtin.features", features, &size) == RD_KAFKA_CONF_OK &&
      contains(features, name);
  rd_kafka_conf_destroy(conf);
  return has;
}

static enum rfl_code role_defaults(rd_kafka_conf_t *conf, const struct rfl_kafka *k,
                                   enum rfl_role role, struct rfl_err *err) {
  RFL_TRY(set_all(conf, common_defaults, N_OF(common_defaults), err));
  if (role == RFL_CONSUMES)
    RFL_TRY(set_all(conf, consumer_defaults, N_OF(consumer_defaults), err));
  /* The embedded broker answers an empty fetch only when this has passed. */
  if (role == RFL_CONSUMES && k->broker)
    RFL_TRY(rfl_conf_set(conf, "fetch.wait.max.ms", "10", err));
  if (role != RFL_PRODUCES) return RFL_OK;
  RFL_TRY(set_all(conf, producer_defaults, N_OF(producer_defaults), err));
  /* Every client of a real cluster reads lz4, not every one zstd. The embedded broker
   * keeps 5 MB a partition, compressed: zstd keeps most. */
  const char *codec = k->broker && has_feature("zstd") ? "zstd" : "lz4";
  return rfl_conf_set(conf, "compression.type", codec, err);
}

static enum rfl_code fill(rd_kafka_conf_t *conf, const struct rfl_kafka *k,
                          enum rfl_role role, struct rfl_err *err) {
  RFL_TRY(role_defaults(conf, k, role, err));
  for (size_t i = 0; i < k->n; i++) RFL_TRY(set_given(conf, k, i, err));
  RFL_TRY(rfl_conf_set(conf, "bootstrap.servers", k->brokers, err));
  RFL_TRY(set_all(conf, common_fixed, N_OF(common_fixed), err));
  if (role == RFL_PRODUCES)
    return set_all(conf, producer_fixed, N_OF(producer_fixed), err);
  return set_all(conf, consumer_fixed, N_OF(consumer_fixed), err);
}

enum rfl_code rfl_conf_new(const struct rfl_kafka *k, enum rfl_role role,
                           rd_kafka_conf_t **gives, struct rfl_err *err) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  enum rfl_code code = fill(conf, k, role, err);
  if (code) {
    rd_kafka_conf_destroy(conf);
    return code;
  }
  int events = RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG;
  if (role == RFL_PRODUCES) events |= RD_KAFKA_EVENT_DR;
  rd_kafka_conf_set_events(conf, events);
  *gives = conf;
  return RFL_OK;
}

enum rfl_code rfl_handle_new(const struct rfl_kafka *k, rd_kafka_type_t type,
                             rd_kafka_conf_t *conf, rd_kafka_t **gives,
                             struct rfl_err *err) {
  char why[512];
  struct rfl_errand_seat *seat = NULL; /* for its end, which must not want memory */
  enum rfl_code code = rfl_errand_seat_new(&seat, err);
  if (code) {
    rd_kafka_conf_destroy(conf);
    return code;
  }
  rd_kafka_conf_set_opaque(conf, seat);
  rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) {
    rd_kafka_conf_destroy(conf);
    rfl_errand_seat_release(seat);
    rfl_conf_mask(k, why);
    return rfl_fail(err, RFL_ECONFIG, "librdkafka refuses these settings: %s", why);
  }
  rd_kafka_set_log_queue(rk, NULL); /* to the main queue; cannot fail with log.queue */
  *gives = rk;
  return RFL_OK;
}

static void destroy(void *rk) {
  rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
static void nothing(void *rk) { (void)rk; }

void rfl_handle_release(rd_kafka_t *rk) {
  if (!rk) return;
  struct rfl_errand e = {.run = destroy, .drop = nothing, .arg = rk};
  int64_t until = rfl_now_ns() + 5 * (int64_t)RFL_SECOND;
  enum rfl_code code = rfl_errand_go_seated(rd_kafka_opaque(rk), &e, until, NULL, NULL);
  if (code && code != RFL_EAGAIN) destroy(rk); /* no thread to be had */
}
