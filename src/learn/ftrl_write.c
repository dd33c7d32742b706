/* States as bytes:
 *
 *     format, options, layout, intercept, numbers, scales of features, response, counts
 *     table       runs of pairs that are not zero: gap, length (u32 each), the pairs
 *     dictionary  entries in the order in which they entered: key, pair
 *     sights      runs of counters that are not zero: gap, length, bytes
 *
 * so that a table of 2^26 slots of which few are used is few bytes. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "learn/ftrl_state.h"

enum { FORMAT = 1, OPTIONS = 11 };
static const char damaged[] = "The stored FTRL model is damaged.";

/* ---- fields, listed once for both directions ---- */

static size_t option_doubles(struct rfl_ftrl_options *o, double *at[OPTIONS]) {
  double *all[] = {&o->rate,           &o->offset,      &o->bias_rate, &o->l1,  &o->l2,
                   &o->keep_negatives, &o->admit_share, &o->half_life, &o->clip};
  memcpy(at, all, sizeof all);
  return sizeof all / sizeof *all;
}

static void write_options(const struct rfl_ftrl_options *from, struct rfl_buf *out) {
  struct rfl_ftrl_options o = *from;
  double *at[OPTIONS];
  size_t n = option_doubles(&o, at);
  rfl_buf_i32(out, (int32_t)o.family);
  for (size_t k = 0; k < n; k++) rfl_buf_double(out, *at[k]);
  rfl_buf_i32(out, o.admit_count);
  rfl_buf_i32(out, o.passes);
  rfl_buf_i32(out, o.settle_scale);
  rfl_buf_u8(out, o.wide ? 1 : 0);
  rfl_buf_u64(out, o.seed);
}

static void read_options(struct rfl_reader *in, struct rfl_ftrl_options *o) {
  double *at[OPTIONS];
  size_t n = option_doubles(o, at);
  int32_t family = rfl_read_i32(in);
  if (family < 0 || family >= RFL_FTRL_N_FAMILIES) in->bad = true;
  o->family = in->bad ? RFL_FTRL_BINOMIAL : (enum rfl_ftrl_family)family;
  for (size_t k = 0; k < n; k++) *at[k] = rfl_read_double(in);
  o->admit_count = rfl_read_i32(in);
  o->passes = rfl_read_i32(in);
  o->settle_scale = rfl_read_i32(in);
  o->wide = rfl_read_u8(in) != 0;
  o->seed = rfl_read_u64(in);
}

static void write_scale(const struct ftrl_scale *s, struct rfl_buf *out) {
  const double all[] = {s->n, s->mean, s->m2};
  rfl_buf_doubles(out, all, 3);
}

static void read_scale(struct rfl_reader *in, struct ftrl_scale *s) {
  s->n = rfl_read_double(in);
  s->mean = rfl_read_double(in);
  s->m2 = rfl_read_double(in);
  if (!(s->n >= 0 && isfinite(s->n) && isfinite(s->mean) && s->m2 >= 0)) in->bad = true;
}

/* ---- the table ---- */

static bool pair_used(const struct rfl_state *s, size_t k) {
  if (s->o.wide) {
    const double *p = (const double *)s->pair + 2 * k;
    return p[0] != 0 || p[1] != 0;
  }
  const float *p = (const float *)s->pair + 2 * k;
  return p[0] != 0 || p[1] != 0;
}

static void write_pair(const struct rfl_state *s, const void *pair, struct rfl_buf *out) {
  if (s->o.wide) {
    rfl_buf_doubles(out, pair, 2);
    return;
  }
  uint32_t bits[2];
  memcpy(bits, pair, sizeof bits);
  rfl_buf_u32(out, bits[0]);
  rfl_buf_u32(out, bits[1]);
}

static void read_pair(struct rfl_reader *in, const struct rfl_state *s, void *pair) {
  double z, n;
  if (s->o.wide) {
    double both[2];
    rfl_read_doubles(in, both, 2);
    z = both[0];
    n = both[1];
    memcpy(pair, both, sizeof both);
  } else {
    uint32_t bits[2] = {rfl_read_u32(in), 0};
    bits[1] = rfl_read_u32(in);
    float both[2];
    memcpy(both, bits, sizeof both);
    z = (double)both[0];
    n = (double)both[1];
    memcpy(pair, both, sizeof both);
  }
  if (!(isfinite(z) && n >= 0 && n < INFINITY)) in->bad = true;
}

static void write_table(const struct rfl_state *s, struct rfl_buf *out) {
  size_t size = ftrl_pair_size(s), last = 0;
  for (size_t k = 0; k < s->n_pairs; k++) {
    if (!pair_used(s, k)) continue;
    size_t end = k;
    while (end < s->n_pairs && pair_used(s, end)) end++;
    rfl_buf_u32(out, (uint32_t)(k - last));
    rfl_buf_u32(out, (uint32_t)(end - k));
    for (; k < end; k++) write_pair(s, (const char *)s->pair + k * size, out);
    last = end;
  }
  rfl_buf_u32(out, 0);
  rfl_buf_u32(out, 0); /* a run of nothing ends it */
}

static void read_table(struct rfl_reader *in, struct rfl_state *s) {
  size_t size = ftrl_pair_size(s), at = 0;
  while (!in->bad) {
    size_t gap = rfl_read_u32(in), n = rfl_read_u32(in);
    if (!n) break;
    if (gap > s->n_pairs - at || n > s->n_pairs - at - gap) in->bad = true;
    at += gap;
    for (; n && !in->bad; n--, at++) read_pair(in, s, (char *)s->pair + at * size);
  }
}

/* ---- the dictionary ---- */

static void write_dict(const struct rfl_state *s, struct rfl_buf *out) {
  const struct ftrl_dict *d = &s->dict;
  size_t stride = 8 + ftrl_pair_size(s);
  rfl_buf_u64(out, d->n);
  for (size_t e = 0; e < d->n; e++) {
    uint64_t key;
    memcpy(&key, d->entry + e * stride, 8);
    rfl_buf_u64(out, key);
    write_pair(s, d->entry + e * stride + 8, out);
  }
  for (size_t k = 0, last = 0; d->seen && k < FTRL_SEEN; k++) {
    if (!d->seen[k]) continue;
    size_t end = k;
    while (end < FTRL_SEEN && d->seen[end]) end++;
    rfl_buf_u32(out, (uint32_t)(k - last));
    rfl_buf_u32(out, (uint32_t)(end - k));
    rfl_buf_put(out, d->seen + k, end - k);
    last = k = end;
  }
  rfl_buf_u32(out, 0);
  rfl_buf_u32(out, 0);
}

static void read_seen(struct rfl_reader *in, struct ftrl_dict *d) {
  size_t at = 0;
  while (!in->bad) {
    size_t gap = rfl_read_u32(in), n = rfl_read_u32(in);
    if (!n) break;
    if (!d->seen || gap > FTRL_SEEN - at || n > FTRL_SEEN - at - gap) in->bad = true;
    for (at += gap; n && !in->bad; n--) d->seen[at++] = rfl_read_u8(in);
  }
}

static enum rfl_code read_dict(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  size_t size = ftrl_pair_size(s), n = (size_t)rfl_read_count(in, 8 + size);
  if (n && !s->open_sets) in->bad = true;
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  if (n) RFL_TRY(ftrl_dict_reserve(&s->dict, n, size, err));
  for (size_t e = 0; e < n && !in->bad; e++) {
    uint64_t key = rfl_read_u64(in);
    if (ftrl_dict_find(&s->dict, key, size))
      in->bad = true; /* a key may be there once */
    else
      read_pair(in, s, ftrl_dict_enter(&s->dict, key, size));
  }
  read_seen(in, &s->dict);
  return RFL_OK;
}

/* ---- the state ---- */

void ftrl_write(const struct rfl_state *s, struct rfl_buf *out) {
  rfl_buf_u32(out, FORMAT);
  write_options(&s->o, out);
  rfl_layout_write(&s->layout, out);
  rfl_buf_double(out, s->bias_z);
  rfl_buf_double(out, s->bias_n);
  for (size_t k = 0; k < s->n_numbers; k++) {
    write_scale(&s->number[k].scale, out);
    rfl_buf_double(out, s->number[k].z);
    rfl_buf_double(out, s->number[k].n);
  }
  for (size_t k = 0; k < s->n_features; k++) write_scale(&s->feature[k].scale, out);
  write_scale(&s->response, out);
  rfl_buf_u64(out, s->rows);
  rfl_buf_u64(out, s->kept);
  rfl_buf_u64(out, s->clock);
  rfl_buf_i32(out, s->passes);
  const double sums[] = {s->sums.weight, s->sums.events, s->sums.loss, s->sums.mean,
                         s->sums.shape};
  rfl_buf_doubles(out, sums, 5);
  write_table(s, out);
  write_dict(s, out);
}

static bool sound_one(double z, double n) {
  return isfinite(z) && n >= 0 && n < INFINITY;
}

static void read_numbers(struct rfl_reader *in, struct rfl_state *s) {
  s->bias_z = rfl_read_double(in);
  s->bias_n = rfl_read_double(in);
  if (!sound_one(s->bias_z, s->bias_n)) in->bad = true;
  for (size_t k = 0; k < s->n_numbers; k++) {
    struct ftrl_number *number = &s->number[k];
    read_scale(in, &number->scale);
    number->z = rfl_read_double(in);
    number->n = rfl_read_double(in);
    if (!sound_one(number->z, number->n)) in->bad = true;
  }
  for (size_t k = 0; k < s->n_features; k++) read_scale(in, &s->feature[k].scale);
  read_scale(in, &s->response);
}

static void read_counts(struct rfl_reader *in, struct rfl_state *s) {
  s->rows = rfl_read_u64(in);
  s->kept = rfl_read_u64(in);
  s->clock = rfl_read_u64(in);
  s->passes = rfl_read_i32(in);
  double *sums[] = {&s->sums.weight, &s->sums.events, &s->sums.loss, &s->sums.mean,
                    &s->sums.shape};
  for (size_t k = 0; k < 5; k++) *sums[k] = rfl_read_double(in);
  if (s->passes < 0 || s->passes > s->o.passes) in->bad = true;
  if (s->clock && !((double)s->clock <= 8 * s->o.half_life + 1)) in->bad = true;
}

static enum rfl_code read_rest(struct rfl_reader *in, struct rfl_state *s,
                               struct rfl_err *err) {
  read_numbers(in, s);
  read_counts(in, s);
  if (!in->bad) read_table(in, s);
  if (in->bad) return rfl_fail(err, RFL_EDATA, damaged);
  RFL_TRY(read_dict(in, s, err));
  return rfl_read_done(in, "The state of an FTRL model", err);
}

enum rfl_code ftrl_read(struct rfl_bytes bytes, struct rfl_state **gives,
                        struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct rfl_ftrl_options o = {0};
  if (rfl_read_u32(&in) != FORMAT) return rfl_fail(err, RFL_EDATA, damaged);
  read_options(&in, &o);
  if (in.bad) return rfl_fail(err, RFL_EDATA, damaged);
  struct rfl_layout layout = {0};
  RFL_TRY(rfl_layout_read(&in, &layout, err));
  struct rfl_state *s = NULL;
  enum rfl_code code = ftrl_new(&o, &layout, &s, err);
  rfl_layout_release(&layout);
  if (code == RFL_EARGUMENT) code = rfl_fail(err, RFL_EDATA, damaged);
  if (code) return code;
  code = read_rest(&in, s, err);
  if (code) {
    ftrl_release(s);
    return code;
  }
  *gives = s;
  return RFL_OK;
}
