#include "frame/builder_place.h"

#include <string.h>

#include "base/mem.h"
#include "frame/builder_inline.h"

struct post {   /* a place */
  char *stream; /* NULL: not named */
  int32_t shard;
  int64_t expected; /* the next position; -1: it has not begun */
  size_t span;      /* 1 + index of its newest span in this frame; 0: none yet */
};

struct rfl_posts {
  struct post *post; /* by the source's index */
  size_t n_posts;
  struct rfl_span *span; /* `place` is the source's index, `row` is not set */
  size_t n_spans, span_cap;
};

struct rfl_posts *rfl_posts_new(void) {
  return rfl_alloc(1, sizeof(struct rfl_posts));
}

void rfl_posts_release(struct rfl_posts *posts) {
  if (!posts) return;
  for (size_t i = 0; i < posts->n_posts; i++) rfl_free(posts->post[i].stream);
  rfl_free(posts->post);
  rfl_free(posts->span);
  rfl_free(posts);
}

void rfl_posts_clear(struct rfl_posts *posts) {
  for (size_t i = 0; i < posts->n_spans; i++) posts->post[posts->span[i].place].span = 0;
  posts->n_spans = 0;
}

enum rfl_code rfl_builder_name_place(struct rfl_builder *b, uint32_t place,
                                     const char *stream, int32_t shard,
                                     struct rfl_err *err) {
  struct rfl_posts *posts = b->posts;
  if (place >= posts->n_posts) {
    size_t n = (size_t)place + 1;
    struct post *more = rfl_grow(posts->post, n, sizeof *more);
    if (!more) return rfl_no_memory(err);
    for (size_t i = posts->n_posts; i < n; i++) more[i] = (struct post){.expected = -1};
    posts->post = more;
    posts->n_posts = n;
  }
  char *name = rfl_strdup(stream);
  if (!name) return rfl_no_memory(err);
  struct post *p = &posts->post[place];
  rfl_free(p->stream);
  p->stream = name;
  p->shard = shard;
  return RFL_OK;
}

static struct post *find(const struct rfl_builder *b, uint32_t place) {
  if (place >= b->posts->n_posts || !b->posts->post[place].stream) return NULL;
  return &b->posts->post[place];
}

int64_t rfl_builder_expected(const struct rfl_builder *b, uint32_t place) {
  const struct post *p = find(b, place);
  return p ? p->expected : -1;
}

void rfl_builder_forget_place(struct rfl_builder *b, uint32_t place) {
  struct post *p = find(b, place);
  if (p) p->expected = -1;
}

static enum rfl_code begin_span(struct rfl_posts *posts, struct rfl_span span,
                                struct rfl_err *err) {
  if (posts->n_spans == posts->span_cap) {
    size_t cap = posts->span_cap ? posts->span_cap * 2 : 8;
    struct rfl_span *more = rfl_grow(posts->span, cap, sizeof *more);
    if (!more) return rfl_no_memory(err);
    posts->span = more;
    posts->span_cap = cap;
  }
  posts->span[posts->n_spans++] = span;
  return RFL_OK;
}

/* Moves a place from `first` to `next`. Its newest span is extended when that keeps the
 * spans in row order: it is the last of all, or no row comes with it. */
static enum rfl_code move_on(struct rfl_posts *posts, uint32_t place, int64_t next,
                             uint32_t rows, struct rfl_err *err) {
  struct post *p = &posts->post[place];
  struct rfl_span *own = p->span ? &posts->span[p->span - 1] : NULL;
  bool extends =
      own && own->next == p->expected && (rows == 0 || p->span == posts->n_spans);
  if (extends) {
    own->next = next;
    own->n_rows += rows;
  } else {
    struct rfl_span span = {
        .place = place, .n_rows = rows, .first = p->expected, .next = next};
    RFL_TRY(begin_span(posts, span, err));
    p->span = posts->n_spans;
  }
  p->expected = next;
  return RFL_OK;
}

static enum rfl_code no_such_place(uint32_t place, struct rfl_err *err) {
  return rfl_fail(err, RFL_EARGUMENT, "Place %lu of a source has no name.",
                  (unsigned long)place);
}

enum rfl_code rfl_builder_place(struct rfl_builder *b, uint32_t place, int64_t position,
                                uint32_t rows, struct rfl_err *err) {
  struct post *p = find(b, place);
  if (!p) return no_such_place(place, err);
  int64_t before = p->expected;
  if (before < 0) p->expected = position;
  if (position < p->expected)
    return rfl_fail(err, RFL_EARGUMENT,
                    "Position %lld of `%s` shard %d came again: %lld was expected.",
                    (long long)position, p->stream, (int)p->shard, (long long)before);
  enum rfl_code code = move_on(b->posts, place, position + 1, rows, err);
  if (code) p->expected = before;
  return code;
}

enum rfl_code rfl_builder_skip_to(struct rfl_builder *b, uint32_t place, int64_t next,
                                  struct rfl_err *err) {
  struct post *p = find(b, place);
  if (!p) return no_such_place(place, err);
  if (p->expected < 0) { /* nothing was skipped: this is where the place begins */
    p->expected = next;
    return RFL_OK;
  }
  if (next <= p->expected) return RFL_OK;
  return move_on(b->posts, place, next, 0, err);
}

/* Where a place stands in the frame's cursor. */
static uint32_t index_of(const struct rfl_cursor *places, const struct post *p) {
  return (uint32_t)(rfl_cursor_find(places, p->stream, p->shard) - places->place);
}

enum rfl_code rfl_posts_spans(const struct rfl_posts *posts,
                              struct rfl_cursor *gives_places, struct rfl_span **gives,
                              size_t *n, struct rfl_err *err) {
  struct rfl_cursor places = {0};
  struct rfl_span *span = NULL;
  if (posts->n_spans) {
    span = rfl_alloc(posts->n_spans, sizeof *span);
    if (!span) return rfl_no_memory(err);
  }
  for (size_t i = 0; i < posts->n_spans; i++) {
    const struct post *p = &posts->post[posts->span[i].place];
    enum rfl_code code =
        rfl_cursor_set(&places, p->stream, p->shard, posts->span[i].next, err);
    if (code) {
      rfl_cursor_release(&places);
      rfl_free(span);
      return code;
    }
  }
  uint32_t row = 0;
  for (size_t i = 0; i < posts->n_spans; i++) {
    span[i] = posts->span[i];
    span[i].place = index_of(&places, &posts->post[span[i].place]);
    span[i].row = row;
    row += span[i].n_rows;
  }
  *gives_places = places;
  *gives = span;
  *n = posts->n_spans;
  return RFL_OK;
}
