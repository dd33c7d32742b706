/* A topic as a source of frames.
 *
 * start() turns the declared positions into numbers, once: the first and the end of every
 * partition are kept, and every rewind reads the same range. The drain begins with the
 * first next(), which knows whether positions are to be reached but not passed
 * (want.upto). Such a bound is made the drain's end: it stops there exactly, and when the
 * bound is lifted a new handle reads on from what was given. That costs some 10 ms a
 * bound and holds no rows back, however far apart the partitions run. */
#include "kafka/topic_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/drain.h"
#include "kafka/inside.h"

enum { DEFAULT_MEMORY = 128 << 20, LEAST_MEMORY = 4 << 20, DEFAULT_ROWS = 8192 };

struct topic_source {
  struct rfl_source face; /* first: a source is one of these */
  struct rfl_kafka *k;
  struct rfl_schema *schema;
  char *topic;
  struct rfl_topic_source_options options; /* cursors: ours, below */
  struct rfl_cursor from, to;
  pid_t pid;
  bool resolved, started; /* positions are numbers; since the last start() */
  struct rfl_cursor ends; /* of a bounded source */
  int32_t n;
  int64_t *first, *end; /* as resolved at the first start() */
  int64_t *given;       /* the first position that next() has not given yet */
  int64_t *low;         /* at the last start() */
  bool bounded_by;      /* `upto` is in force */
  struct rfl_cursor upto;
  double most; /* rows that may still be given */
  struct rfl_drain drain;
  struct rfl_crate *held; /* taken from the ring, given up to row `row` */
  uint32_t row;
};

static struct topic_source *self(const struct rfl_source *s) {
  return (struct topic_source *)s;
}

static enum rfl_code here(const struct topic_source *s, struct rfl_err *err) {
  return rfl_pid_here(s->pid, "topic source", err);
}

/* ---- positions ---- */

/* Room for `n` partitions; those that are new begin at 0 and are not resolved. */
static enum rfl_code make_room(struct topic_source *s, int32_t n, struct rfl_err *err) {
  int64_t **array[] = {&s->first, &s->end, &s->given, &s->low};
  for (size_t i = 0; i < sizeof array / sizeof *array; i++) {
    int64_t *more = rfl_grow(*array[i], (size_t)n, sizeof *more);
    if (!more) return rfl_no_memory(err);
    *array[i] = more;
  }
  struct rfl_lane *lane = rfl_grow(s->drain.lane, (size_t)n, sizeof *lane);
  if (!lane) return rfl_no_memory(err);
  s->drain.lane = lane;
  for (int32_t p = s->n; p < n; p++)
    RFL_TRY(rfl_builder_name_place(s->drain.builder, (uint32_t)p, s->topic, p, err));
  return RFL_OK;
}

struct found { /* what the cluster says; each by rfl_free */
  int32_t n;
  int64_t *from, *to, *low;
};

static enum rfl_code find(struct topic_source *s, struct found *f, struct rfl_err *err) {
  int32_t n = 0;
  RFL_TRY(rfl_kafka_offsets(s->k, s->topic, s->resolved ? NULL : &s->options.from, &f->n,
                            s->resolved ? NULL : &f->from, &f->low, NULL, err));
  if (s->resolved || !s->options.bounded) return RFL_OK;
  return rfl_kafka_offsets(s->k, s->topic, &s->options.to, &n, &f->to, NULL, NULL, err);
}

static enum rfl_code check_range(const struct topic_source *s, int32_t p, int64_t from,
                                 int64_t to, struct rfl_err *err) {
  if (from <= to) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT,
                  "`from` is past `to` in topic `%s`, partition %ld: offset %lld, %lld",
                  s->topic, (long)p, (long long)from, (long long)to);
}

static enum rfl_code fix_ends(struct topic_source *s, struct rfl_err *err) {
  for (int32_t p = 0; s->options.bounded && p < s->n; p++) {
    enum rfl_code code = check_range(s, p, s->first[p], s->end[p], err);
    if (!code) code = rfl_cursor_set(&s->ends, s->topic, p, s->end[p], err);
    if (!code) continue;
    rfl_cursor_release(&s->ends);
    return code;
  }
  return RFL_OK;
}

/* Partitions [s->n, f->n) of an unbounded source were added since: they begin at their
 * start. Those of a bounded one are not part of it. */
static enum rfl_code note_positions(struct topic_source *s, const struct found *f,
                                    struct rfl_err *err) {
  int32_t n = s->resolved && s->options.bounded ? s->n : f->n;
  if (n > f->n)
    return rfl_fail(err, RFL_ELOSS,
                    "topic `%s` had %ld partitions and has %ld: was it made again?",
                    s->topic, (long)n, (long)f->n);
  RFL_TRY(make_room(s, n, err));
  for (int32_t p = 0; p < n; p++) {
    s->low[p] = f->low[p];
    if (s->resolved && p < s->n) continue;
    s->first[p] = f->from ? f->from[p] : f->low[p];
    s->end[p] = f->to ? f->to[p] : INT64_MAX;
  }
  s->n = n;
  if (!s->resolved) RFL_TRY(fix_ends(s, err));
  s->resolved = true;
  return RFL_OK;
}

static enum rfl_code resolve(struct topic_source *s, struct rfl_err *err) {
  struct found f = {0};
  enum rfl_code code = find(s, &f, err);
  if (!code) code = note_positions(s, &f, err);
  rfl_free(f.from);
  rfl_free(f.to);
  rfl_free(f.low);
  return code;
}

/* Where this reading begins. A partition that `from` does not name begins where it was
 * declared to. */
static enum rfl_code set_given(struct topic_source *s, const struct rfl_cursor *from,
                               struct rfl_err *err) {
  for (int32_t p = 0; p < s->n; p++) {
    const struct rfl_place *place = from ? rfl_cursor_find(from, s->topic, p) : NULL;
    int64_t at = place ? place->next : s->first[p];
    RFL_TRY(check_range(s, p, at, s->end[p], err));
    if (at < s->low[p] && at < s->end[p] && !s->options.warn_on_loss)
      return rfl_fail(
          err, RFL_ELOSS,
          "topic `%s`, partition %ld: offset %lld was expected, but the topic "
          "now begins at %lld: the records between are gone",
          s->topic, (long)p, (long long)at, (long long)s->low[p]);
    s->given[p] = at;
  }
  return RFL_OK;
}

/* ---- the drain ---- */

static enum rfl_code halt(struct topic_source *s, struct rfl_err *err) {
  rfl_crate_release(s->held);
  s->held = NULL;
  s->row = 0;
  s->started = false;
  if (rfl_drain_stop(&s->drain)) return RFL_OK;
  s->pid = 0; /* nobody may use or free it any more */
  return rfl_fail(err, RFL_EFATAL,
                  "the reader of topic `%s` does not answer: librdkafka is stuck",
                  s->topic);
}

static int64_t end_of(const struct topic_source *s, int32_t p) {
  if (!s->bounded_by) return s->end[p];
  const struct rfl_place *place = rfl_cursor_find(&s->upto, s->topic, p);
  int64_t upto = place ? place->next : s->given[p]; /* not named: no row of it */
  if (upto < s->given[p]) upto = s->given[p];
  return upto < s->end[p] ? upto : s->end[p];
}

static enum rfl_code launch(struct topic_source *s, struct rfl_err *err) {
  struct rfl_drain *d = &s->drain;
  d->n = s->n;
  for (int32_t p = 0; p < s->n; p++)
    d->lane[p] =
        (struct rfl_lane){.expected = s->given[p], .end = end_of(s, p), .low = s->low[p]};
  d->bounded = s->options.bounded || s->bounded_by;
  d->most = s->most;
  RFL_TRY(rfl_drain_start(d, err));
  s->started = true;
  return RFL_OK;
}

/* Makes want.upto the bound in force; a drain with another one is stopped. */
static enum rfl_code bound(struct topic_source *s, const struct rfl_cursor *upto,
                           struct rfl_err *err) {
  if (!upto && !s->bounded_by) return RFL_OK;
  if (upto && s->bounded_by && rfl_cursor_equal(&s->upto, upto)) return RFL_OK;
  struct rfl_cursor copy = {0};
  if (upto) RFL_TRY(rfl_cursor_copy(upto, &copy, err));
  rfl_cursor_release(&s->upto);
  s->upto = copy;
  s->bounded_by = upto != NULL;
  return halt(s, err);
}

static enum rfl_code topic_start(struct rfl_source *face, const struct rfl_cursor *from,
                                 struct rfl_err *err) {
  struct topic_source *s = self(face);
  RFL_TRY(here(s, err));
  RFL_TRY(halt(s, err));
  rfl_cursor_release(&s->upto);
  s->bounded_by = false;
  RFL_TRY(resolve(s, err));
  RFL_TRY(set_given(s, from, err));
  s->most = s->options.max_records;
  return RFL_OK;
}

static enum rfl_code topic_where(struct rfl_source *face, struct rfl_cursor *gives,
                                 struct rfl_err *err) {
  struct topic_source *s = self(face);
  struct rfl_cursor c = {0};
  for (int32_t p = 0; p < s->n; p++) {
    enum rfl_code code = rfl_cursor_set(&c, s->topic, p, s->given[p], err);
    if (!code) continue;
    rfl_cursor_release(&c);
    return code;
  }
  *gives = c;
  return RFL_OK;
}

/* ---- giving ---- */

static uint32_t rows_wanted(const struct topic_source *s, const struct rfl_want *want) {
  const struct rfl_frame *f = s->held->frame;
  uint32_t n = f->n_rows - s->row;
  if (want->max_rows && n > want->max_rows) n = want->max_rows;
  if (want->max_bytes && f->n_rows) {
    double each = (double)s->held->bytes / f->n_rows;
    double fit = floor((double)want->max_bytes / (each > 1 ? each : 1));
    if (n > fit) n = fit < 1 ? 1 : (uint32_t)fit;
  }
  return n;
}

static enum rfl_code give(struct topic_source *s, const struct rfl_want *want,
                          struct rfl_frame **gives, struct rfl_err *err) {
  uint32_t n = rows_wanted(s, want);
  RFL_TRY(rfl_crate_cut(s->held, s->row, n, gives, err));
  for (size_t i = 0; i < (*gives)->n_spans; i++) {
    const struct rfl_span *span = &(*gives)->span[i];
    s->given[(*gives)->places.place[span->place].shard] = span->next;
  }
  s->row += n;
  s->most -= n;
  if (s->row < s->held->frame->n_rows) return RFL_OK;
  rfl_crate_release(s->held);
  s->held = NULL;
  s->row = 0;
  return RFL_OK;
}

static enum rfl_code closed(struct topic_source *s, enum rfl_event *event,
                            struct rfl_err *err) {
  struct rfl_ring *r = &s->drain.ring;
  pthread_mutex_lock(&r->lock);
  enum rfl_code code = r->code;
  if (code && err) *err = r->why;
  pthread_mutex_unlock(&r->lock);
  if (!code) *event = s->bounded_by && s->most > 0 ? RFL_UPTO : RFL_END;
  return code;
}

static enum rfl_code topic_next(struct rfl_source *face, const struct rfl_want *want,
                                enum rfl_event *event, struct rfl_frame **gives,
                                struct rfl_err *err) {
  struct topic_source *s = self(face);
  RFL_TRY(here(s, err));
  if (!s->resolved)
    return rfl_fail(err, RFL_EBUSY, "the source of topic `%s` was not started", s->topic);
  RFL_TRY(bound(s, want->upto, err));
  if (!s->started) RFL_TRY(launch(s, err));
  if (!s->held) {
    switch (rfl_ring_take(&s->drain.ring, want->until_ns, &s->held)) {
      case RFL_TOOK_NOTHING:
        *event = RFL_IDLE;
        return RFL_OK;
      case RFL_TOOK_CLOSED:
        return closed(s, event, err);
      case RFL_TOOK_LAST: /* rows that wait for a fuller frame may come now */
        rfl_drain_hurry(&s->drain);
        break;
      default:
        break;
    }
  }
  RFL_TRY(give(s, want, gives, err));
  *event = RFL_ROWS;
  return RFL_OK;
}

/* ---- life ---- */

static void topic_wake(struct rfl_source *face) {
  rfl_ring_wake(&self(face)->drain.ring);
}

static void topic_release(struct rfl_source *face) {
  struct topic_source *s = self(face);
  if (!s || s->pid != getpid()) return;
  if (halt(s, NULL)) return; /* its thread still uses it: better lost than freed */
  rfl_ring_destroy(&s->drain.ring);
  rfl_free(s->drain.lane);
  rfl_builder_release(s->drain.builder);
  if (s->drain.decoder) s->drain.decoder->release(s->drain.decoder);
  rfl_cursor_release(&s->from);
  rfl_cursor_release(&s->to);
  rfl_cursor_release(&s->ends);
  rfl_cursor_release(&s->upto);
  rfl_free(s->first);
  rfl_free(s->end);
  rfl_free(s->given);
  rfl_free(s->low);
  rfl_free(s->topic);
  rfl_schema_release(s->schema);
  rfl_kafka_release(s->k);
  rfl_free(s);
}

static enum rfl_code copy_at(const struct rfl_at *from, struct rfl_at *to,
                             struct rfl_cursor *keeps, struct rfl_err *err) {
  *to = *from;
  to->cursor = keeps;
  return from->cursor ? rfl_cursor_copy(from->cursor, keeps, err) : RFL_OK;
}

static enum rfl_code fill(struct topic_source *s,
                          const struct rfl_topic_source_options *o, struct rfl_err *err) {
  s->options = *o;
  s->topic = rfl_strdup(o->topic);
  if (!s->topic) return rfl_no_memory(err);
  RFL_TRY(copy_at(&o->from, &s->options.from, &s->from, err));
  RFL_TRY(copy_at(&o->to, &s->options.to, &s->to, err));
  struct rfl_drain *d = &s->drain;
  d->k = s->k;
  d->topic = s->topic;
  d->warn_on_loss = o->warn_on_loss;
  d->frame_rows = o->frame_rows ? o->frame_rows : DEFAULT_ROWS;
  d->memory = o->memory ? o->memory : DEFAULT_MEMORY;
  if (d->memory < LEAST_MEMORY) d->memory = LEAST_MEMORY;
  if (!(o->max_records >= 0))
    return rfl_fail(err, RFL_EARGUMENT, "the most records to read must be a number >= 0");
  RFL_TRY(rfl_record_init(&d->record, s->topic, s->schema, o->on_bad, err));
  return rfl_builder_new(s->schema, &d->builder, err);
}

static void release_decoder(struct rfl_decoder *d) {
  if (d) d->release(d);
}

enum rfl_code rfl_topic_source_new(struct rfl_kafka *k,
                                   const struct rfl_topic_source_options *o,
                                   struct rfl_schema *schema, struct rfl_decoder *decoder,
                                   struct rfl_source **gives, struct rfl_err *err) {
  enum rfl_code code = rfl_kafka_here(k, err);
  struct topic_source *s = code ? NULL : rfl_alloc(1, sizeof *s);
  if (!code && !s) code = rfl_no_memory(err);
  if (!code) code = rfl_ring_init(&s->drain.ring, err);
  if (code) {
    rfl_free(s);
    release_decoder(decoder);
    return code;
  }
  s->face = (struct rfl_source){.start = topic_start,
                                .where = topic_where,
                                .next = topic_next,
                                .wake = topic_wake,
                                .release = topic_release};
  s->pid = getpid();
  s->k = rfl_kafka_keep(k);
  s->schema = rfl_schema_keep(schema);
  s->drain.decoder = decoder;
  code = fill(s, o, err);
  if (code) {
    topic_release(&s->face);
    return code;
  }
  *gives = &s->face;
  return RFL_OK;
}

const struct rfl_cursor *rfl_topic_source_ends(const struct rfl_source *face) {
  return &self(face)->ends;
}

void rfl_topic_source_trouble(const struct rfl_source *face, char *to, size_t size) {
  struct rfl_ring *r = &self(face)->drain.ring;
  pthread_mutex_lock(&r->lock);
  snprintf(to, size, "%s", r->trouble);
  pthread_mutex_unlock(&r->lock);
}
