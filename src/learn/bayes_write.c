/* A state as bytes: version, settings, layout, likelihoods, sums. The book is made anew
 * when it is read. */
#include <math.h>

#include "base/mem.h"
#include "learn/bayes_state.h"

enum { FORMAT = 1 };
static const char damaged[] = "The bytes of a naive Bayes model are damaged.";

void bayes_write(const struct rfl_state *s, struct rfl_buf *out) {
  const struct bayes_design *d = s->design;
  rfl_buf_u32(out, FORMAT);
  rfl_buf_i32(out, (int32_t)d->n_classes);
  rfl_layout_write(&d->layout, out);
  rfl_buf_u64(out, d->n_features);
  for (size_t k = 0; k < d->n_features; k++)
    rfl_buf_i32(out, (int32_t)d->feature[k].kind);
  rfl_buf_double(out, s->laplace);
  rfl_buf_double(out, s->keep);
  rfl_buf_u64(out, s->version);
  rfl_buf_u8(out, s->streaming);
  rfl_buf_u8(out, s->book != NULL);
  rfl_buf_u8(out, s->prior != NULL);
  if (s->prior) rfl_buf_doubles(out, s->prior, d->n_classes);
  rfl_buf_doubles(out, s->sum, d->n_sums);
  rfl_buf_i32s(out, s->scale, d->n_features);
}

static enum rfl_code read_design(struct rfl_reader *in, struct bayes_design **gives,
                                 struct rfl_err *err) {
  int32_t n_classes = rfl_read_i32(in);
  struct rfl_layout layout = {0};
  RFL_TRY(rfl_layout_read(in, &layout, err));
  uint64_t n = rfl_read_count(in, sizeof(int32_t));
  size_t features = 0;
  int32_t *kind = rfl_alloc(layout.n_terms, sizeof *kind);
  enum rfl_code code = kind ? RFL_OK : rfl_no_memory(err);
  for (size_t t = 0; !code && t < layout.n_terms; t++)
    if (layout.term[t].coded >= 0 || layout.term[t].dense >= 0) {
      kind[t] = rfl_read_i32(in);
      features++;
    }
  /* Every class has a sum at least, every level one a class: no design is larger than its
   * bytes. */
  double room = (double)(in->end - in->at) / sizeof(double);
  if (in->bad || n != features || n_classes < 1 ||
      (double)n_classes * (1 + (double)layout.n_z) > room)
    code = code ? code : rfl_fail(err, RFL_EDATA, damaged);
  struct bayes_shape shape = {&layout, n_classes, kind};
  if (!code) code = bayes_design_new(&shape, gives, err);
  if (code == RFL_EARGUMENT) code = rfl_fail(err, RFL_EDATA, damaged);
  rfl_free(kind);
  rfl_layout_release(&layout);
  return code;
}

/* Sums as absorb() could have left them: what the estimates count on. */
static bool sound(const struct rfl_state *s) {
  const struct bayes_design *d = s->design;
  if (!(s->laplace >= 0 && s->laplace <= 1e100 && s->keep > 0 && s->keep <= 1))
    return false;
  for (size_t j = 0; j < d->n_sums; j++)
    if (!(fabs(s->sum[j]) < 1e300)) return false;
  for (size_t j = 0; j < d->faded + d->n_classes; j++)
    if (s->sum[j] < 0) return false;
  if (s->sum[BAYES_ROWS] > 9007199254740992.0) return false;
  for (size_t k = 0; k < d->n_features; k++) {
    const struct bayes_feature *f = &d->feature[k];
    size_t rows = f->levels ? (size_t)f->levels + BAYES_LEVELS : 2;
    bool normal = f->kind == RFL_LIKE_GAUSSIAN;
    for (size_t j = 0; !normal && j < rows * d->n_classes; j++)
      if (s->sum[f->sum + j] < 0) return false;
    for (size_t c = 0; normal && c < d->n_classes; c++) {
      struct bayes_moments m = bayes_moments_of(s, k, c);
      if (m.n < 0 || m.m2 < 0 || fabs(m.mean) > 1e150) return false;
    }
    int32_t scale = s->scale[k];
    if (scale < BAYES_LOWEST_SCALE || scale > -BAYES_LOWEST_SCALE || scale % BAYES_STEP)
      return false;
  }
  return true;
}

static enum rfl_code read_sums(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  const struct bayes_design *d = s->design;
  s->laplace = rfl_read_double(in);
  s->keep = rfl_read_double(in);
  s->version = rfl_read_u64(in);
  s->streaming = rfl_read_u8(in) != 0;
  bool settled = rfl_read_u8(in) != 0, prior = rfl_read_u8(in) != 0;
  if (prior) {
    double *own = rfl_alloc(d->n_classes, sizeof *own);
    if (!own) return rfl_no_memory(err);
    rfl_read_doubles(in, own, d->n_classes);
    enum rfl_code code = bayes_set_prior(s, own, err);
    rfl_free(own);
    if (code == RFL_EARGUMENT) return rfl_fail(err, RFL_EDATA, damaged);
    if (code) return code;
  }
  rfl_read_doubles(in, s->sum, d->n_sums);
  rfl_read_i32s(in, s->scale, d->n_features);
  if (in->bad || !sound(s)) return rfl_fail(err, RFL_EDATA, damaged);
  RFL_TRY(rfl_read_done(in, "The state of a naive Bayes model", err));
  bool again;
  return settled ? bayes_settle(s, &again, err) : RFL_OK;
}

enum rfl_code bayes_read(struct rfl_bytes bytes, struct rfl_state **gives,
                         struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  if (rfl_read_u32(&in) != FORMAT) return rfl_fail(err, RFL_EDATA, damaged);
  struct bayes_design *design = NULL;
  struct rfl_state *s = NULL;
  RFL_TRY(read_design(&in, &design, err));
  enum rfl_code code = bayes_state_new(design, &s, err);
  bayes_design_release(design);
  if (!code) code = read_sums(&in, s, err);
  if (code) {
    bayes_release(s);
    return code;
  }
  *gives = s;
  return RFL_OK;
}
