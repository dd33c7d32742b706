/* A checkpoint is named "<batch, 20 digits>-<instance>": names sort by age, and a run
 * that was fenced overwrites nothing. Its parts:
 *
 *     query     format, number of the batch that its cursor ends
 *     live      what rfl_live_write() writes: state, version, pending rows
 *     step.<i>  the i-th step's state, when it has one */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "stream/loop.h"

enum { FORMAT = 1, PART_NAME = 32 };

static bool step_keeps(const struct rfl_step *step) { return step->write != NULL; }

/* ---- writing ---- */

struct image { /* of everything that is saved */
  size_t n;
  struct rfl_part *part;
  struct rfl_buf *data;
  char (*name)[PART_NAME];
};

static void release_image(struct image *im) {
  for (size_t i = 0; im->data && i < im->n; i++) rfl_buf_release(&im->data[i]);
  rfl_free(im->part);
  rfl_free(im->data);
  rfl_free(im->name);
}

static enum rfl_code write_parts(struct rfl_loop *l, struct image *im,
                                 struct rfl_err *err) {
  const struct rfl_query_spec *spec = l->spec;
  snprintf(im->name[im->n], PART_NAME, "query");
  struct rfl_buf *out = &im->data[im->n++];
  rfl_buf_u32(out, FORMAT);
  rfl_buf_u64(out, l->number);
  RFL_TRY(rfl_buf_check(out, err));
  if (spec->learn) {
    snprintf(im->name[im->n], PART_NAME, "live");
    RFL_TRY(rfl_live_write(spec->learn, &im->data[im->n++], err));
  }
  for (size_t i = 0; i < spec->n_steps; i++) {
    if (!step_keeps(spec->step[i])) continue;
    snprintf(im->name[im->n], PART_NAME, "step.%zu", i);
    out = &im->data[im->n++];
    RFL_TRY(spec->step[i]->write(spec->step[i], out, err));
    RFL_TRY(rfl_buf_check(out, err));
  }
  return RFL_OK;
}

static enum rfl_code make_image(struct rfl_loop *l, struct image *im,
                                struct rfl_err *err) {
  size_t most = 2 + l->spec->n_steps;
  im->part = rfl_alloc(most, sizeof *im->part);
  im->data = rfl_alloc(most, sizeof *im->data);
  im->name = rfl_alloc(most, sizeof *im->name);
  if (!im->part || !im->data || !im->name) return rfl_no_memory(err);
  RFL_TRY(write_parts(l, im, err));
  for (size_t i = 0; i < im->n; i++)
    im->part[i] = (struct rfl_part){.name = im->name[i],
                                    .data = {.p = im->data[i].p, .n = im->data[i].n}};
  return RFL_OK;
}

static enum rfl_code save_image(struct rfl_loop *l, const char *name,
                                const struct image *im, struct rfl_err *err) {
  struct rfl_store *store = l->spec->store;
  enum rfl_code code;
  int tries = 0;
  do {
    code = store->save(store, name, &l->cursor, im->part, im->n, rfl_loop_until(l), err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

enum rfl_code rfl_save(struct rfl_loop *l, char name[64], struct rfl_err *err) {
  int64_t from = rfl_now_ns();
  char mine[64];
  snprintf(mine, sizeof mine, "%020" PRIu64 "-%s", l->number, l->instance);
  struct image im = {0};
  enum rfl_code code = make_image(l, &im, err);
  if (!code) code = save_image(l, mine, &im, err);
  release_image(&im);
  if (code) return code;
  memcpy(name, mine, sizeof mine);
  l->saved_ns = rfl_now_ns();
  l->progress.save_ms = (double)(l->saved_ns - from) / RFL_MS;
  pthread_mutex_lock(&l->control->lock);
  l->control->status.saves++;
  pthread_mutex_unlock(&l->control->lock);
  return RFL_OK;
}

/* The two checkpoints that were named last are kept, whatever else was prepared. */
enum rfl_code rfl_keep(struct rfl_loop *l, struct rfl_err *err) {
  if (!l->before[0] || !l->spec->store->keep) return RFL_OK;
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->store->keep(l->spec->store, l->before, err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  return code;
}

/* ---- reading ---- */

struct loaded {
  struct rfl_cursor cursor;
  struct rfl_part *part;
  size_t n;
};

static const struct rfl_part *find_part(const struct loaded *in, const char *name) {
  for (size_t i = 0; i < in->n; i++)
    if (strcmp(in->part[i].name, name) == 0) return &in->part[i];
  return NULL;
}

static enum rfl_code read_number(const struct rfl_part *part, uint64_t *gives,
                                 struct rfl_err *err) {
  struct rfl_reader in = {.at = part->data.p, .end = part->data.p + part->data.n};
  uint32_t format = rfl_read_u32(&in);
  uint64_t number = rfl_read_u64(&in);
  RFL_TRY(rfl_read_done(&in, "The checkpoint's part `query`", err));
  if (format != FORMAT)
    return rfl_fail(err, RFL_EDATA, "The checkpoint has format %u, not %d.", format,
                    FORMAT);
  *gives = number;
  return RFL_OK;
}

/* A model that has learnt something else must not be overwritten in silence; the very
 * state that the checkpoint holds may be. */
static enum rfl_code check_untouched(struct rfl_loop *l, const struct rfl_part *part,
                                     struct rfl_err *err) {
  if (!rfl_live_touched(l->spec->learn)) return RFL_OK;
  struct rfl_buf mine = {0};
  enum rfl_code code = rfl_live_write(l->spec->learn, &mine, err);
  if (!code && (mine.n != part->data.n || memcmp(mine.p, part->data.p, mine.n) != 0))
    code = rfl_fail(err, RFL_EBUSY,
                    "`live` was updated since live_model() and `checkpoint` holds a "
                    "state of its own: begin with a new live_model(), which will get "
                    "that state, or name another checkpoint.");
  rfl_buf_release(&mine);
  return code;
}

static enum rfl_code read_model(struct rfl_loop *l, const struct loaded *in, bool fresh,
                                struct rfl_err *err) {
  const struct rfl_part *live = find_part(in, "live");
  if (!live)
    return rfl_fail(err, RFL_EMODEL,
                    "The checkpoint belongs to a query that learns nothing: it holds no "
                    "model.");
  if (fresh) RFL_TRY(check_untouched(l, live, err));
  return rfl_live_read(l->spec->learn, live->data, err);
}

static enum rfl_code read_steps(struct rfl_loop *l, const struct loaded *in,
                                struct rfl_err *err) {
  for (size_t i = 0; i < l->spec->n_steps; i++) {
    struct rfl_step *step = l->spec->step[i];
    if (!step_keeps(step)) continue;
    char name[PART_NAME];
    snprintf(name, sizeof name, "step.%zu", i);
    const struct rfl_part *part = find_part(in, name);
    if (!part)
      return rfl_fail(err, RFL_EMODEL, "The checkpoint holds no state of step %zu.",
                      i + 1);
    RFL_TRY(step->read(step, part->data, err));
  }
  return RFL_OK;
}

static enum rfl_code read_parts(struct rfl_loop *l, struct loaded *in, bool fresh,
                                struct rfl_err *err) {
  const struct rfl_part *query = find_part(in, "query");
  if (!query)
    return rfl_fail(err, RFL_EDATA, "The checkpoint was not written by a query.");
  uint64_t number = 0;
  RFL_TRY(read_number(query, &number, err));
  if (l->spec->learn) RFL_TRY(read_model(l, in, fresh, err));
  RFL_TRY(read_steps(l, in, err));
  l->number = number;
  rfl_cursor_release(&l->cursor);
  l->cursor = in->cursor;
  in->cursor = (struct rfl_cursor){0};
  return RFL_OK;
}

enum rfl_code rfl_load(struct rfl_loop *l, const char *name, bool fresh, bool *found,
                       struct rfl_err *err) {
  struct loaded in = {0};
  enum rfl_code code;
  int tries = 0;
  do {
    code = l->spec->store->load(l->spec->store, name, &in.cursor, &in.part, &in.n, err);
  } while (code == RFL_EAGAIN && rfl_loop_patient(l, &tries));
  if (code) return code;
  *found = in.n > 0;
  if (in.n) code = read_parts(l, &in, fresh, err);
  rfl_cursor_release(&in.cursor);
  rfl_parts_release(in.part, in.n);
  return code;
}

/* ---- the state before the first commit, kept in memory ---- */

enum rfl_code rfl_write_state(struct rfl_loop *l, struct rfl_buf *out,
                              struct rfl_err *err) {
  struct image im = {0};
  enum rfl_code code = make_image(l, &im, err);
  for (size_t i = 0; !code && i < im.n; i++)
    rfl_buf_blob(out, im.data[i].p, im.data[i].n);
  release_image(&im);
  return code ? code : rfl_buf_check(out, err);
}

enum rfl_code rfl_read_state(struct rfl_loop *l, struct rfl_bytes bytes,
                             struct rfl_err *err) {
  struct rfl_reader in = {.at = bytes.p, .end = bytes.p + bytes.n};
  struct rfl_part query = {.data = rfl_read_blob(&in)};
  RFL_TRY(read_number(&query, &l->number, err));
  if (l->spec->learn) RFL_TRY(rfl_live_read(l->spec->learn, rfl_read_blob(&in), err));
  for (size_t i = 0; i < l->spec->n_steps; i++)
    if (step_keeps(l->spec->step[i]))
      RFL_TRY(l->spec->step[i]->read(l->spec->step[i], rfl_read_blob(&in), err));
  return RFL_OK;
}
