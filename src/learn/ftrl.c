/* FTRL's table of verbs, and how states are made and copied. */
#include "learn/ftrl.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "learn/ftrl_state.h"

void ftrl_release(struct rfl_state *s) {
  if (!s) return;
  rfl_layout_release(&s->layout);
  ftrl_dict_release(&s->dict);
  rfl_free(s->number);
  rfl_free(s->feature);
  rfl_free(s->pair);
  rfl_free(s->row);
  rfl_free(s);
}

/* ---- open ---- */

/* Within these no sum of squares leaves the range of a float in 1e15 rows. */
static bool rate(double x) { return x >= 1e-8 && x <= 1e6; }
static bool penalty(double x) { return x >= 0 && x <= 1e12; }
static bool share(double x) { return x > 0 && x <= 1; }

static enum rfl_code check_options(const struct rfl_ftrl_options *o,
                                   struct rfl_err *err) {
  const char *wrong = NULL;
  if ((unsigned)o->family >= RFL_FTRL_N_FAMILIES) wrong = "the family";
  if (!rate(o->rate) || !rate(o->bias_rate)) wrong = "the learning rate";
  if (!rate(o->offset)) wrong = "the offset of the learning rate";
  if (!penalty(o->l1) || !penalty(o->l2)) wrong = "the penalty";
  if (!share(o->keep_negatives)) wrong = "the share of negatives";
  if (!share(o->admit_share)) wrong = "the probability of admission";
  if (o->admit_count < 1 || o->admit_count > RFL_FTRL_MOST_ADMIT)
    wrong = "the count of admission";
  if (o->passes < 1) wrong = "the number of passes";
  if (!(o->half_life >= 1)) wrong = "the half-life";
  if (!(o->clip > 0)) wrong = "the clip";
  if (o->settle_scale < 1) wrong = "the rows that settle a scale";
  if (!wrong) return RFL_OK;
  return rfl_fail(err, RFL_EARGUMENT, "FTRL cannot work with %s it was given.", wrong);
}

static enum rfl_code count_terms(const struct rfl_layout *l, size_t *numbers,
                                 size_t *features, struct rfl_err *err) {
  *numbers = *features = 0;
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    if (term->coded >= 0 && term->n_codings)
      return rfl_fail(err, RFL_EARGUMENT,
                      "FTRL takes categories as hashed terms, not by contrasts.");
    *features += term->coded >= 0;
    *numbers += term->coded < 0 && term->dense >= 0;
  }
  if (*features > RFL_FTRL_MOST_FEATURES || *numbers > RFL_FTRL_MOST_NUMBERS)
    return rfl_fail(err, RFL_EARGUMENT,
                    "FTRL takes up to %d categories and %d numbers, not %zu and %zu.",
                    RFL_FTRL_MOST_FEATURES, RFL_FTRL_MOST_NUMBERS, *features, *numbers);
  return RFL_OK;
}

static void place_terms(struct rfl_state *s) {
  const struct rfl_layout *l = &s->layout;
  struct ftrl_number *number = s->number;
  struct ftrl_feature *feature = s->feature;
  s->plain = true;
  for (size_t t = 0; t < l->n_terms; t++) {
    const struct rfl_term *term = &l->term[t];
    if (term->coded < 0) {
      if (term->dense >= 0) (number++)->dense = term->dense;
      continue;
    }
    *feature = (struct ftrl_feature){
        .coded = term->coded, .dense = term->dense, .levels = l->levels[term->coded]};
    if (term->dense >= 0) feature->turn = rfl_random(0x7475726e, (uint64_t)t, 0) >> 32;
    if (!rfl_term_shared(l, term)) {
      feature->at = s->n_pairs;
      s->n_pairs += (size_t)feature->levels;
    }
    s->open_sets = s->open_sets || !feature->levels;
    s->plain = s->plain && feature->levels && feature->dense < 0;
    feature++;
  }
}

/* In large pages where the system has them: the table is read at random places, and
 * looking up small pages would cost more than the reads. */
static void *new_table(size_t n, size_t size) {
  void *table = rfl_alloc(n, size);
  if (table) rfl_mem_will_fill(table, n * size);
  return table;
}

static enum rfl_code make_room(struct rfl_state *s, struct rfl_err *err) {
  const struct rfl_layout *l = &s->layout;
  RFL_TRY(count_terms(l, &s->n_numbers, &s->n_features, err));
  s->number = rfl_alloc(s->n_numbers, sizeof *s->number);
  s->feature = rfl_alloc(s->n_features, sizeof *s->feature);
  if (!s->number || !s->feature) return rfl_no_memory(err);
  s->n_pairs = 0;
  for (size_t t = 0; t < l->n_terms; t++)
    if (rfl_term_shared(l, &l->term[t])) s->n_pairs = (size_t)l->slots;
  place_terms(s);
  if (s->n_pairs > RFL_FTRL_MOST_SLOTS)
    return rfl_fail(err, RFL_EARGUMENT, "FTRL takes up to %d slots, not %zu.",
                    RFL_FTRL_MOST_SLOTS, s->n_pairs);
  if (s->n_pairs && !(s->pair = new_table(s->n_pairs, ftrl_pair_size(s))))
    return rfl_no_memory(err);
  if (s->open_sets && s->o.admit_count > 1) return ftrl_dict_count_sights(&s->dict, err);
  return RFL_OK;
}

enum rfl_code ftrl_new(const struct rfl_ftrl_options *o, const struct rfl_layout *l,
                       struct rfl_state **gives, struct rfl_err *err) {
  RFL_TRY(check_options(o, err));
  RFL_TRY(rfl_layout_check(l, err));
  struct rfl_state *s = rfl_alloc(1, sizeof *s);
  if (!s) return rfl_no_memory(err);
  s->o = *o;
  enum rfl_code code = rfl_layout_copy(l, &s->layout, err);
  if (!code) code = make_room(s, err);
  if (code) {
    ftrl_release(s);
    return code;
  }
  *gives = s;
  return RFL_OK;
}

static enum rfl_code ftrl_open(const struct rfl_options *options,
                               const struct rfl_layout *layout, struct rfl_state **gives,
                               struct rfl_err *err) {
  return ftrl_new((const struct rfl_ftrl_options *)options, layout, gives, err);
}

/* ---- copies ---- */

static bool duplicate(void *to, const void *from, size_t n, size_t size) {
  void **at = to;
  *at = NULL;
  if (!from) return true;
  if (!(*at = rfl_alloc(n, size))) return false;
  if (n) memcpy(*at, from, n * size);
  return true;
}

static enum rfl_code ftrl_copy(const struct rfl_state *s, struct rfl_state **gives,
                               struct rfl_err *err) {
  struct rfl_state *to = rfl_alloc(1, sizeof *to);
  if (!to) return rfl_no_memory(err);
  *to = *s;
  to->layout = (struct rfl_layout){0};
  to->dict = (struct ftrl_dict){0};
  to->row = NULL;
  to->pair = NULL;
  bool ok = duplicate(&to->number, s->number, s->n_numbers, sizeof *s->number);
  ok &= duplicate(&to->feature, s->feature, s->n_features, sizeof *s->feature);
  if (s->pair) ok &= (to->pair = new_table(s->n_pairs, ftrl_pair_size(s))) != NULL;
  if (ok && s->pair) memcpy(to->pair, s->pair, s->n_pairs * ftrl_pair_size(s));
  enum rfl_code code = ok ? RFL_OK : rfl_no_memory(err);
  if (!code) code = rfl_layout_copy(&s->layout, &to->layout, err);
  if (!code) code = ftrl_dict_copy(&s->dict, &to->dict, ftrl_pair_size(s), err);
  if (code) {
    ftrl_release(to);
    return code;
  }
  *gives = to;
  return RFL_OK;
}

/* ---- the table ---- */

static uint32_t ftrl_traits(const struct rfl_options *options) {
  (void)options;
  return RFL_ORDERED | RFL_PASSES;
}

/* Of no consequence to what is learnt; enough rows to make a cell's costs small. */
static uint32_t ftrl_grid(const struct rfl_layout *l) {
  (void)l;
  return 8192;
}

static enum rfl_code ftrl_settle(struct rfl_state *s, bool *again, struct rfl_err *err) {
  (void)err;
  if (s->passes < s->o.passes) s->passes++;
  *again = s->passes < s->o.passes;
  return RFL_OK;
}

static const struct rfl_layout *ftrl_layout(const struct rfl_state *s) {
  return &s->layout;
}

const struct rfl_learner rfl_ftrl = {.name = "ftrl",
                                     .traits = ftrl_traits,
                                     .grid = ftrl_grid,
                                     .open = ftrl_open,
                                     .absorb = ftrl_absorb,
                                     .settle = ftrl_settle,
                                     .width = ftrl_width,
                                     .score = ftrl_score,
                                     .copy = ftrl_copy,
                                     .write = ftrl_write,
                                     .read = ftrl_read,
                                     .size = ftrl_size,
                                     .layout = ftrl_layout,
                                     .release = ftrl_release};
