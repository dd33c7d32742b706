#include "kafka/news.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void copy(char *to, size_t size, const char *from, size_t n) {
  if (n >= size) n = rfl_utf8_prefix(from, size - 1);
  memcpy(to, from, n);
  to[n] = '\0';
}

/* librdkafka writes "sasl_ssl://localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092
 * failed: Connection refused (after 0ms in state CONNECT)": the broker, then what
 * happened, then how it felt. */
static void split(struct rfl_news *news, const char *text) {
  const char *at = strstr(text, "://");
  const char *name = at && at < text + 20 ? at + 3 : text;
  const char *slash = strchr(name, '/');
  const char *colon = slash ? strstr(slash, ": ") : NULL;
  const char *reason = text;
  if (colon && !memchr(name, ' ', (size_t)(colon - name))) {
    copy(news->where, sizeof news->where, name, (size_t)(slash - name));
    reason = colon + 2;
  }
  const char *failed = strstr(reason, " failed: ");
  if (failed && strncmp(reason, "Connect to ", 11) == 0) reason = failed + 9;
  const char *resolve = strstr(reason, "Failed to resolve '");
  const char *why = resolve ? strstr(resolve, "': ") : NULL;
  if (why) reason = why + 3;
  const char *end = strstr(reason, " (after ");
  copy(news->reason, sizeof news->reason, reason,
       end && end > reason ? (size_t)(end - reason) : strlen(reason));
}

static void take_error(struct rfl_news *news, rd_kafka_event_t *event) {
  rd_kafka_resp_err_t error = rd_kafka_event_error(event);
  const char *text = rd_kafka_event_error_string(event);
  if (error == RD_KAFKA_RESP_ERR__FATAL) news->fatal = true;
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && news->error) return; /* no news */
  if (error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
    return;                                                        /* no group is used */
  if (news->refused && rfl_kafka_code(error) != RFL_EAUTH) return; /* what follows it */
  news->error = error;
  split(news, text ? text : rd_kafka_err2str(error));
  if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION || error == RD_KAFKA_RESP_ERR__SSL ||
      error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
    news->refused = true;
}

bool rfl_news_take(struct rfl_news *news, rd_kafka_event_t *event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_ERROR:
      take_error(news, event);
      return true;
    case RD_KAFKA_EVENT_LOG: /* every error comes as an event too: logs say no more */
      return true;
    default:
      return false;
  }
}

void rfl_news_poll(struct rfl_news *news, rd_kafka_queue_t *queue) {
  for (rd_kafka_event_t *e; (e = rd_kafka_queue_poll(queue, 0)) != NULL;) {
    rfl_news_take(news, e);
    rd_kafka_event_destroy(e);
  }
}

void rfl_news_say(const struct rfl_news *news, char *to, size_t size) {
  to[0] = '\0';
  if (!news->error) return;
  if (news->where[0])
    snprintf(to, size, "%s (%s)", news->where, news->reason);
  else
    snprintf(to, size, "%s", news->reason);
}

enum rfl_code rfl_kafka_code(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return RFL_OK;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return RFL_EAUTH;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return RFL_ETIMEOUT;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return RFL_EARGUMENT;
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
      return RFL_ECONFIG;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      return RFL_EFENCED;
    case RD_KAFKA_RESP_ERR__FATAL:
      return RFL_EFATAL;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return RFL_ELOSS;
    default:
      return RFL_EBROKER;
  }
}
