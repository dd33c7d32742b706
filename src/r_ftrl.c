/* What the glue knows of FTRL alone. */
#include "learn/ftrl.h"

#include "r_model.h"

static const struct rfl_options *read_options(SEXP from) {
  struct rfl_ftrl_options *to = r_scratch(1, sizeof *to);
  to->family = (enum rfl_ftrl_family)r_number(r_get(from, "family"));
  to->rate = r_number(r_get(from, "learn_rate"));
  to->offset = r_number(r_get(from, "learn_offset"));
  to->bias_rate = r_number(r_get(from, "bias_rate"));
  to->l1 = r_number(r_get(from, "l1"));
  to->l2 = r_number(r_get(from, "l2"));
  to->keep_negatives = r_number(r_get(from, "keep_negatives"));
  to->admit_share = r_number(r_get(from, "admit_share"));
  to->admit_count = (int32_t)r_number(r_get(from, "admit_count"));
  to->passes = (int32_t)r_number(r_get(from, "passes"));
  to->wide = r_flag(r_get(from, "wide"));
  to->half_life = r_number(r_get(from, "half_life"));
  to->clip = r_number(r_get(from, "clip"));
  to->settle_scale = (int32_t)r_number(r_get(from, "settle_scale"));
  to->seed = (uint64_t)r_number(r_get(from, "seed"));
  return &to->base;
}

static SEXP tell(struct r_bench *b) {
  struct rfl_ftrl_result r;
  rfl_ftrl_result(b->state, &r);
  const char *names[] = {"rows",      "kept",    "weight",   "events",   "loss",
                         "base_loss", "slots",   "occupied", "non_zero", "distinct",
                         "shared",    "entries", "size",     "passes",   "intercept",
                         "numbers",   ""};
  const double number[] = {r.rows,      r.kept,    r.weight,   r.events,   r.loss,
                           r.base_loss, r.slots,   r.occupied, r.non_zero, r.distinct,
                           r.shared,    r.entries, r.size,     r.passes,   r.intercept};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  R_xlen_t n = sizeof number / sizeof *number;
  for (R_xlen_t k = 0; k < n; k++)
    SET_VECTOR_ELT(list, k, Rf_ScalarReal(ISNAN(number[k]) ? NA_REAL : number[k]));
  SET_VECTOR_ELT(list, n, Rf_allocVector(REALSXP, (R_xlen_t)r.n_numbers));
  rfl_ftrl_numbers(b->state, REAL(VECTOR_ELT(list, n)));
  UNPROTECT(1);
  return list;
}

const struct r_family r_ftrl = {
    .name = "ftrl", .learner = &rfl_ftrl, .options = read_options, .result = tell};
