#include "num/layout.h"

#include <string.h>

#include "base/mem.h"

enum { MAX_EXTRA = 64 };
static const char damaged[] = "The layout of a model is damaged: %s.";

static void coding_release(struct rfl_coding *c) {
  rfl_free(c->select);
  rfl_free(c->matrix);
}

void rfl_layout_release(struct rfl_layout *l) {
  if (!l) return;
  for (size_t t = 0; l->term && t < l->n_terms; t++) {
    struct rfl_term *term = &l->term[t];
    for (size_t k = 0; term->coding && k < term->n_codings; k++)
      coding_release(&term->coding[k]);
    rfl_free(term->coding);
  }
  rfl_free(l->term);
  rfl_free(l->levels);
  *l = (struct rfl_layout){0};
}

static void *duplicate(const void *from, size_t n, size_t size) {
  void *to = rfl_alloc(n, size);
  if (to && n) memcpy(to, from, n * size);
  return to;
}

static bool coding_copy(const struct rfl_coding *from, struct rfl_coding *to) {
  *to = (struct rfl_coding){.levels = from->levels, .columns = from->columns};
  size_t levels = (size_t)from->levels, columns = (size_t)from->columns;
  if (from->select)
    return (to->select = duplicate(from->select, levels, sizeof *to->select)) != NULL;
  to->matrix = duplicate(from->matrix, levels * columns, sizeof *to->matrix);
  return to->matrix != NULL;
}

static bool term_copy(const struct rfl_term *from, struct rfl_term *to) {
  *to = *from;
  to->coding = rfl_alloc(from->n_codings, sizeof *to->coding);
  if (!to->coding) return false;
  for (size_t k = 0; k < from->n_codings; k++)
    if (!coding_copy(&from->coding[k], &to->coding[k])) return false;
  return true;
}

enum rfl_code rfl_layout_copy(const struct rfl_layout *from, struct rfl_layout *gives,
                              struct rfl_err *err) {
  struct rfl_layout to = *from;
  to.levels = duplicate(from->levels, from->n_coded, sizeof *to.levels);
  to.term = rfl_alloc(from->n_terms, sizeof *to.term);
  bool ok = to.levels && to.term;
  for (size_t t = 0; ok && t < from->n_terms; t++)
    ok = term_copy(&from->term[t], &to.term[t]);
  if (!ok) {
    rfl_layout_release(&to);
    return rfl_no_memory(err);
  }
  *gives = to;
  return RFL_OK;
}

void rfl_layout_write(const struct rfl_layout *l, struct rfl_buf *out) {
  rfl_buf_u64(out, l->n_dense);
  rfl_buf_u64(out, l->n_coded);
  rfl_buf_i32s(out, l->levels, l->n_coded);
  rfl_buf_u64(out, l->n_extra);
  rfl_buf_i32(out, l->slots);
  rfl_buf_u8(out, l->missing ? 1 : 0);
  rfl_buf_u64(out, l->n_terms);
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    const int32_t head[] = {term->coded, term->dense, term->assign, term->z,
                            term->n_z,   term->x,     term->n_x};
    rfl_buf_i32s(out, head, sizeof head / sizeof *head);
    rfl_buf_u64(out, term->n_codings);
    for (size_t k = 0; k < term->n_codings; k++) {
      const struct rfl_coding *c = &term->coding[k];
      rfl_buf_i32(out, c->levels);
      rfl_buf_i32(out, c->columns);
      rfl_buf_u8(out, c->select ? 1 : 0);
      if (c->select)
        rfl_buf_i32s(out, c->select, (size_t)c->levels);
      else
        rfl_buf_doubles(out, c->matrix, (size_t)c->levels * (size_t)c->columns);
    }
  }
  rfl_buf_i32(out, l->n_z);
  rfl_buf_i32(out, l->n_x);
  rfl_buf_u8(out, l->intercept ? 1 : 0);
}

/* An array of n things whose bytes still lie ahead: never more than the input can hold.
 */
static void *room(struct rfl_reader *in, size_t n, size_t size) {
  if (n > (size_t)(in->end - in->at) / size) in->bad = true;
  return in->bad ? NULL : rfl_alloc(n, size);
}

static enum rfl_code coding_read(struct rfl_reader *in, struct rfl_coding *c,
                                 struct rfl_err *err) {
  c->levels = rfl_read_i32(in);
  c->columns = rfl_read_i32(in);
  bool select = rfl_read_u8(in) != 0;
  if (c->levels < 1 || c->columns < 0) in->bad = true;
  if (in->bad) return RFL_OK;
  size_t levels = (size_t)c->levels, n = levels * (size_t)c->columns;
  void *to = select ? (void *)(c->select = room(in, levels, sizeof *c->select))
                    : (void *)(c->matrix = room(in, n, sizeof *c->matrix));
  if (in->bad) return RFL_OK;
  if (!to) return rfl_no_memory(err);
  if (select)
    rfl_read_i32s(in, c->select, levels);
  else
    rfl_read_doubles(in, c->matrix, n);
  return RFL_OK;
}

static enum rfl_code term_read(struct rfl_reader *in, struct rfl_term *term,
                               struct rfl_err *err) {
  int32_t head[7];
  rfl_read_i32s(in, head, 7);
  size_t n = (size_t)rfl_read_count(in, 9);
  if (in->bad) return RFL_OK;
  *term = (struct rfl_term){.coded = head[0],
                            .dense = head[1],
                            .assign = head[2],
                            .z = head[3],
                            .n_z = head[4],
                            .x = head[5],
                            .n_x = head[6]};
  term->coding = rfl_alloc(n, sizeof *term->coding);
  if (!term->coding) return rfl_no_memory(err);
  for (term->n_codings = 0; term->n_codings < n && !in->bad;)
    RFL_TRY(coding_read(in, &term->coding[term->n_codings++], err));
  return RFL_OK;
}

static enum rfl_code body_read(struct rfl_reader *in, struct rfl_layout *l,
                               struct rfl_err *err) {
  l->n_dense = (size_t)rfl_read_u64(in);
  l->n_coded = (size_t)rfl_read_count(in, sizeof *l->levels);
  if (l->n_dense > INT32_MAX) in->bad = true;
  if (in->bad) return RFL_OK;
  if (!(l->levels = rfl_alloc(l->n_coded, sizeof *l->levels))) return rfl_no_memory(err);
  rfl_read_i32s(in, l->levels, l->n_coded);
  l->n_extra = (size_t)rfl_read_u64(in);
  l->slots = rfl_read_i32(in);
  l->missing = rfl_read_u8(in) != 0;
  if (l->n_extra > MAX_EXTRA) in->bad = true;
  size_t n = (size_t)rfl_read_count(in, 36);
  if (in->bad) return RFL_OK;
  if (!(l->term = rfl_alloc(n, sizeof *l->term))) return rfl_no_memory(err);
  for (l->n_terms = 0; l->n_terms < n && !in->bad;)
    RFL_TRY(term_read(in, &l->term[l->n_terms++], err));
  l->n_z = rfl_read_i32(in);
  l->n_x = rfl_read_i32(in);
  l->intercept = rfl_read_u8(in) != 0;
  return RFL_OK;
}

enum rfl_code rfl_layout_read(struct rfl_reader *in, struct rfl_layout *gives,
                              struct rfl_err *err) {
  struct rfl_layout l = {0};
  enum rfl_code code = body_read(in, &l, err);
  if (!code && in->bad) code = rfl_fail(err, RFL_EDATA, damaged, "it ends too early");
  if (!code) code = rfl_layout_check(&l, err);
  if (code) {
    rfl_layout_release(&l);
    return code;
  }
  *gives = l;
  return RFL_OK;
}

/* Whether the codings of a coded term multiply to its columns, and select within them. */
static bool codings_fit(const struct rfl_term *term, int32_t levels) {
  int64_t rows = 1, columns = 1;
  for (size_t k = 0; k < term->n_codings; k++) {
    const struct rfl_coding *c = &term->coding[k];
    if (c->levels < 1 || c->columns < 0 || c->columns > c->levels) return false;
    if (!c->select && !c->matrix && c->columns) return false;
    for (int32_t i = 0; c->select && i < c->levels; i++)
      if (c->select[i] < -1 || c->select[i] >= c->columns) return false;
    rows *= c->levels;
    columns *= c->columns;
    if (rows > INT32_MAX) return false;
  }
  if (!term->n_codings) return term->n_x == levels;
  return rows == levels && columns == term->n_x;
}

static const char *term_fault(const struct rfl_layout *l, const struct rfl_term *term) {
  if (term->coded < -1 || term->coded >= (int64_t)l->n_coded) return "a coded column";
  if (term->dense < -1 || term->dense >= (int64_t)l->n_dense) return "a dense column";
  if (term->coded < 0)
    return term->n_z == 1 && term->n_x == 1 && !term->n_codings ? NULL : "a term's size";
  int32_t levels = l->levels[term->coded];
  if (l->slots && !term->n_codings && levels != l->slots) return "the slots of a term";
  return term->n_z == levels && codings_fit(term, levels) ? NULL : "a factor's coding";
}

bool rfl_term_shared(const struct rfl_layout *l, const struct rfl_term *term) {
  return l->slots && term->coded >= 0 && !term->n_codings;
}

/* Where the columns of the terms end; those of the shared table come last, once. */
static const char *places_fault(const struct rfl_layout *l) {
  int64_t z = 0, x = 0;
  int32_t shared = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    const char *fault = term_fault(l, term);
    if (fault) return fault;
    if (rfl_term_shared(l, term)) {
      if (term->z != l->n_z - l->slots || term->x != l->n_x - l->slots)
        return "the place of a term";
      shared = l->slots;
      continue;
    }
    if (term->z != z || term->x != x) return "the place of a term";
    z += term->n_z;
    x += term->n_x;
    if (z > INT32_MAX) return "its size";
  }
  return z + shared == l->n_z && x + shared == l->n_x ? NULL : "its size";
}

enum rfl_code rfl_layout_check(const struct rfl_layout *l, struct rfl_err *err) {
  int ones = 0;
  const char *fault = NULL;
  if (l->n_extra > MAX_EXTRA || l->slots < 0) fault = "its size";
  for (size_t k = 0; k < l->n_coded; k++)
    if (l->levels[k] < 0) fault = "the levels of a column";
  if (!fault) fault = places_fault(l);
  for (size_t t = 0; !fault && t < l->n_terms; t++)
    ones += l->term[t].coded < 0 && l->term[t].dense < 0;
  if (!fault && ones != (l->intercept ? 1 : 0)) fault = "the intercept";
  return fault ? rfl_fail(err, RFL_EDATA, damaged, fault) : RFL_OK;
}

enum rfl_code rfl_layout_plain(const struct rfl_layout *l, struct rfl_err *err) {
  bool open = false;
  for (size_t k = 0; k < l->n_coded; k++) open = open || l->levels[k] == 0;
  if (!l->slots && !l->missing && !open) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT,
                  "This learner needs declared levels and complete rows.");
}
