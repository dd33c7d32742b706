/* The crash sweep: a run of the loop over ends in memory, with one or two faults at every
 * call (or pair of calls) that it makes. The world is what survives: what sinks showed,
 * what the unit committed, what the store saved. A process that dies is followed by a new
 * one over the same world, until one comes to the end; then the world must look as if
 * nothing had happened.
 *
 * A hundred thousand plans, in seconds: a dead process leaves nothing but its world, so
 * what follows a death is tried once for each world that deaths leave (worlds.h), not
 * once for each plan.
 *
 * The script: two places with gaps in their positions, frames that mix them and do not
 * come in their order, batches that cut learning blocks of 7 rows, a border (places taken
 * and given back, one more given), and no checkpoint but those that the loop must make by
 * itself, so that commits are younger than the checkpoint that they name. */
#include <stdio.h>

#include "../harness.h"
#include "blas_fill.h"
#include "process.h"
#include "worlds.h"

#define SHORT(is_gone)                                                                   \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), ONE(0, 5, 9), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 9, 12), \
        {.what = RFL_BORDER, .gone = is_gone, .takes = {0, 1}, .gains = 2},              \
        {.what = RFL_IDLE}, TWO(2, 5, 9, 1, 17, 21), {.what = RFL_END},                  \
  }
/* The place is lost when a batch is in work: the border follows it. */
#define LATE                                                               \
  {                                                                        \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 5, 12), \
        {.what = RFL_IDLE},                                                \
        {.what = RFL_BORDER, .gone = true, .takes = {0, 1}, .gains = -1},  \
        ONE(1, 17, 21), {.what = RFL_END},                                 \
  }
/* The same before anything was committed. */
#define FIRST                                                                            \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE},                                         \
        {.what = RFL_BORDER, .gone = true, .takes = {0, 1}, .gains = -1},                \
        TWO(1, 14, 17, 0, 5, 12), {.what = RFL_IDLE}, ONE(1, 17, 21), {.what = RFL_END}, \
  }
/* No border: after a restart in the middle the plan goes on growing. */
#define QUIET                                                                  \
  {                                                                            \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 5, 9),      \
        {.what = RFL_IDLE}, ONE(1, 17, 21), {.what = RFL_IDLE}, ONE(0, 9, 14), \
        {.what = RFL_END},                                                     \
  }
/* The border and the end come when no batch is in work: the run ends with a commit that
 * has no rows, so that it names a checkpoint. */
#define APART                                                                   \
  {                                                                             \
    TWO(1, 10, 14, 0, 0, 5), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 5, 12),      \
        {.what = RFL_IDLE}, {.what = RFL_BORDER, .takes = {0, 1}, .gains = -1}, \
        ONE(1, 17, 21), {.what = RFL_IDLE}, ONE(0, 12, 15), {.what = RFL_IDLE}, \
        {.what = RFL_END},                                                      \
  }
/* Five batches; two checkpoints are older than the commits that name them. */
#define LONG(is_gone)                                                                    \
  {                                                                                      \
    TWO(1, 10, 14, 0, 0, 5), ONE(0, 5, 9), {.what = RFL_IDLE}, TWO(1, 14, 17, 0, 9, 12), \
        ONE(1, 17, 19), {.what = RFL_IDLE}, ONE(0, 12, 15),                              \
        {.what = RFL_BORDER, .gone = is_gone, .takes = {0, 1}, .gains = 2},              \
        {.what = RFL_IDLE}, TWO(2, 5, 9, 1, 19, 23), {.what = RFL_IDLE},                 \
        TWO(0, 15, 21, 2, 9, 11), {.what = RFL_IDLE}, ONE(1, 23, 29), {.what = RFL_END}, \
  }
static const struct event short_stays[] = SHORT(false), short_goes[] = SHORT(true);
static const struct event late[] = LATE, at_once[] = FIRST, quiet[] = QUIET,
                          apart[] = APART;
static const struct event long_stays[] = LONG(false), long_goes[] = LONG(true);
enum {
  N_SHORT = sizeof short_stays / sizeof *short_stays,
  N_LATE = sizeof late / sizeof *late,
  N_APART = sizeof apart / sizeof *apart,
  N_QUIET = sizeof quiet / sizeof *quiet,
  N_FIRST = sizeof at_once / sizeof *at_once,
  N_LONG = sizeof long_stays / sizeof *long_stays
};

static const char *judge(const struct setting *s, const struct world *w,
                         const struct world *calm, const struct image *image,
                         const struct image *calm_image) {
  if (w->wrong[0]) return w->wrong;
  if (image->n != calm_image->n || memcmp(image->bytes, calm_image->bytes, image->n))
    return "the model is not what it would have been";
  if ((s->with & UNIT) && !same_rows(w, calm)) return "rows were put twice or lost";
  if (!(s->with & UNIT) && !no_row_lost(w, calm)) return "rows were lost";
  return NULL;
}

/* ---- the sweep ---- */

static const enum fault_kind kinds[] = {DIE_BEFORE,  DIE_AFTER,  AGAIN, ABORT,
                                        UNSURE_DONE, UNSURE_NOT, FENCE};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* One thread only: pairs would cost the thread sanitizer a minute and tell it nothing. */
#if defined(__SANITIZE_THREAD__)
static const bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
static const bool under_tsan = true;
#else
static const bool under_tsan = false;
#endif
#else
static const bool under_tsan = false;
#endif

enum pairs {
  NO_PAIRS,
  AFTER_ABORT, /* those whose first fault is an abort: a commit that is tried again */
  ALL_PAIRS
};

struct sweep {
  const struct setting *setting;
  struct world calm;
  struct image calm_image;
  enum pairs pairs;
  struct worlds worlds;  /* that dead processes left */
  uint64_t plans, known; /* of them: went on as another did */
  bool failed;
};

static struct world disturbed; /* large: not on the stack */

static bool faults_are_over(const struct world *w) {
  for (int i = 0; i < FAULTS; i++)
    if (w->fault[i].kind && w->fault[i].at >= w->calls) return false;
  return true;
}

/* One process over the world. *ended: it came to the end; else the next one follows. */
static const char *live_once(struct sweep *s, struct image *image, bool *ended) {
  struct rfl_query_status status;
  struct rfl_err err = {0};
  enum rfl_code code = run_process(s->setting, &disturbed, image, &status, &err);
  *ended = !code && status.phase == RFL_QUERY_DONE;
  if (*ended || code == RFL_EIO || code == RFL_EFENCED) return NULL;
  printf("# a process ended with code %d: %s\n", code, err.message);
  return "a process ended by itself";
}

/* Processes follow each other until one comes to the end; then the world is judged. Once
 * the faults are over and somebody has died before the same world, the rest is known. */
static const char *live_on(struct sweep *s, bool to_the_end) {
  static struct image image;
  for (int i = 0; i < MOST_PROCESSES; i++) {
    bool ended;
    const char *why = live_once(s, &image, &ended);
    if (why) return why;
    if (ended) return judge(s->setting, &disturbed, &s->calm, &image, &s->calm_image);
    if (to_the_end || disturbed.wrong[0] || !faults_are_over(&disturbed)) continue;
    struct meeting *m = worlds_meet(&s->worlds, &disturbed);
    if (!m) return "there is no memory";
    if (!m->seen++) continue;
    s->known++;
    return NULL;
  }
  return "it did not come to the end";
}

/* ---- deaths that need not be died: bit 0, before the call; bit 1, after it ---- */

static uint8_t known_death[MOST_CALLS];
static struct worlds *watched;

static void watch_death(const struct world *w, uint64_t call, bool after) {
  if (call >= MOST_CALLS || w->wrong[0] || !faults_are_over(w)) return;
  const struct meeting *m = worlds_meet(watched, w);
  if (m && m->seen) known_death[call] |= after ? 2 : 1;
}

static bool is_known_death(const struct fault *f) {
  if (f->kind == DIE_BEFORE) return known_death[f->at] & 1;
  return f->kind == DIE_AFTER && known_death[f->at] & 2;
}

static void begin_plan(struct sweep *s, const struct fault *fault, int n) {
  open_world(&disturbed, s->setting);
  for (int i = 0; i < n; i++) disturbed.fault[i] = fault[i];
  s->plans++;
}

static void end_plan(struct sweep *s, const char *why) {
  if (!why) return;
  s->failed = true;
  printf("# %s:", s->setting->name);
  for (int i = 0; i < FAULTS && disturbed.fault[i].kind; i++)
    printf(" fault %d at call %d", (int)disturbed.fault[i].kind,
           (int)disturbed.fault[i].at);
  printf(": %s\n", why);
}

/* All second faults behind the first, in the calls of the run that the first one made. */
static void try_seconds(struct sweep *s, const struct fault *first) {
  uint64_t calls = disturbed.calls;
  uint8_t log[MOST_CALLS];
  if (calls > MOST_CALLS) calls = MOST_CALLS;
  memcpy(log, disturbed.log, calls);
  for (uint64_t at = first->at + 1; at < calls && !s->failed; at++) {
    for (int k = 0; k < N_KINDS && !s->failed; k++) {
      if (!fault_fits((enum call)log[at], kinds[k], (s->setting->with & UNIT))) continue;
      struct fault both[2] = {*first, {at, kinds[k]}};
      if (is_known_death(&both[1])) {
        s->plans++;
        s->known++;
        continue;
      }
      world_release(&disturbed);
      begin_plan(s, both, 2);
      end_plan(s, live_on(s, false));
    }
  }
}

/* A first fault, and all second ones behind it. When it kills at once, what it leaves is
 * a world; where another first fault left the same, all that follows has been tried. */
static void try_pairs(struct sweep *s, const struct fault *first) {
  static struct image image;
  begin_plan(s, first, 1);
  memset(known_death, 0, sizeof known_death);
  disturbed.watch = watch_death;
  watched = &s->worlds;
  bool ended;
  const char *why = live_once(s, &image, &ended);
  bool killed = !why && !ended && disturbed.calls == first->at + 1;
  size_t at = 0;
  if (killed) {
    struct meeting *m = worlds_meet(&s->worlds, &disturbed);
    if (!m) why = "there is no memory";
    if (m && m->seconds && !disturbed.wrong[0]) {
      s->plans += m->seconds;
      s->known += 1 + m->seconds;
      return;
    }
    if (m) at = (size_t)(m - s->worlds.meeting);
  }
  if (!why) {
    why = ended ? judge(s->setting, &disturbed, &s->calm, &image, &s->calm_image)
                : live_on(s, true);
  }
  end_plan(s, why);
  uint64_t before = s->plans;
  if (!s->failed) try_seconds(s, first);
  if (killed && !s->failed) s->worlds.meeting[at].seconds = s->plans - before;
}

static void try_firsts(struct sweep *s) {
  for (uint64_t at = 0; at < s->calm.calls && !s->failed; at++) {
    for (int k = 0; k < N_KINDS && !s->failed; k++) {
      if (!fault_fits((enum call)s->calm.log[at], kinds[k], (s->setting->with & UNIT)))
        continue;
      struct fault one = {at, kinds[k]};
      bool pairs =
          s->pairs == ALL_PAIRS || (s->pairs == AFTER_ABORT && kinds[k] == ABORT);
      if (pairs && !under_tsan) {
        try_pairs(s, &one);
      } else {
        begin_plan(s, &one, 1);
        end_plan(s, live_on(s, false));
      }
      world_release(&disturbed);
    }
  }
}

static bool right_when_calm(const struct sweep *s) {
  size_t rows = count_records(s->setting->script, s->setting->n_script);
  if (s->calm.wrong[0]) printf("# undisturbed: %s\n", s->calm.wrong);
  for (int k = 0; k < SINKS; k++)
    if (s->calm.rows[k] != rows) return false;
  return !s->calm.wrong[0] && s->calm_image.n > 0;
}

static void sweep(const struct setting *setting, enum pairs pairs) {
  static struct sweep s;
  s = (struct sweep){.setting = setting, .pairs = pairs};
  open_world(&s.calm, setting);
  CHECK(run_plan(setting, &s.calm, &s.calm_image));
  CHECK(right_when_calm(&s));
  if (!harness_failed_) try_firsts(&s);
  CHECK(!s.failed);
  printf(
      "# %s: %llu plans (%llu of them go on as others) over %llu calls, %llu commits, "
      "%llu checkpoints\n",
      setting->name, (unsigned long long)s.plans, (unsigned long long)s.known,
      (unsigned long long)s.calm.calls, (unsigned long long)s.calm.commits,
      (unsigned long long)s.calm.saves);
  world_release(&s.calm);
  worlds_release(&s.worlds);
}

/* A script and its length. */
#define STAYS short_stays, N_SHORT
#define GOES short_goes, N_SHORT
#define LONG_STAYS long_stays, N_LONG
#define LONG_GOES long_goes, N_LONG

TEST(with_a_unit_nothing_is_put_lost_or_learnt_twice_whatever_two_calls_fail) {
  sweep(&(struct setting){"unit", STAYS, UNIT}, ALL_PAIRS);
  sweep(&(struct setting){"unit, quiet", quiet, N_QUIET, UNIT}, ALL_PAIRS);
  sweep(&(struct setting){"unit, apart", apart, N_APART, UNIT}, AFTER_ABORT);
  sweep(&(struct setting){"unit, scores", STAYS, UNIT | SCORES}, ALL_PAIRS);
}

TEST(with_a_unit_a_place_that_was_lost_uncommitted_is_taken_up_again_whatever_fails) {
  sweep(&(struct setting){"unit, lost", GOES, UNIT}, ALL_PAIRS);
  sweep(&(struct setting){"unit, late", late, N_LATE, UNIT}, AFTER_ABORT);
  sweep(&(struct setting){"unit, at once", at_once, N_FIRST, UNIT}, AFTER_ABORT);
}

TEST(with_a_store_bound_to_the_unit_whatever_two_calls_fail) {
  sweep(&(struct setting){"unit, bound store", STAYS, UNIT | BOUND}, ALL_PAIRS);
}

TEST(with_a_unit_in_a_longer_run_whatever_call_fails) {
  sweep(&(struct setting){"unit, long", LONG_STAYS, UNIT}, NO_PAIRS);
  sweep(&(struct setting){"unit, long, lost", LONG_GOES, UNIT}, NO_PAIRS);
  sweep(&(struct setting){"unit, saves", LONG_GOES, UNIT | SAVES}, NO_PAIRS);
  sweep(&(struct setting){"unit, bound saves", LONG_GOES, UNIT | BOUND | SAVES},
        NO_PAIRS);
}

TEST(without_a_unit_nothing_is_lost_and_only_unsaved_rows_are_put_again) {
  sweep(&(struct setting){"plain", STAYS, 0}, ALL_PAIRS);
  sweep(&(struct setting){"plain, saves", GOES, SAVES}, ALL_PAIRS);
  sweep(&(struct setting){"plain, long", LONG_STAYS, 0}, NO_PAIRS);
}

TEST(the_glm_comes_to_the_same_bits_whatever_call_fails) {
  sweep(&(struct setting){"glm, unit", LONG_STAYS, UNIT | GLM}, NO_PAIRS);
  sweep(&(struct setting){"glm, lost", LONG_GOES, UNIT | GLM}, NO_PAIRS);
  sweep(&(struct setting){"glm, plain", LONG_STAYS, GLM}, NO_PAIRS);
}

TEST(the_state_of_a_step_is_what_it_would_have_been_whatever_call_fails) {
  sweep(&(struct setting){"step, unit", LONG_STAYS, UNIT | STEP}, NO_PAIRS);
  sweep(&(struct setting){"step, lost", LONG_GOES, UNIT | STEP}, NO_PAIRS);
  sweep(&(struct setting){"step, plain", LONG_STAYS, STEP | SAVES}, NO_PAIRS);
}

/* A sweep makes millions of short-lived objects: AddressSanitizer need not remember long
 * who made each nor to fill them, which takes half of its time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "malloc_context_size=1:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:"
         "max_malloc_fill_size=0";
}

int main(void) {
  harness_cpu();
  blas_fill();
  RUN(with_a_unit_nothing_is_put_lost_or_learnt_twice_whatever_two_calls_fail);
  RUN(with_a_unit_a_place_that_was_lost_uncommitted_is_taken_up_again_whatever_fails);
  RUN(with_a_store_bound_to_the_unit_whatever_two_calls_fail);
  RUN(with_a_unit_in_a_longer_run_whatever_call_fails);
  RUN(without_a_unit_nothing_is_lost_and_only_unsaved_rows_are_put_again);
  RUN(the_glm_comes_to_the_same_bits_whatever_call_fails);
  RUN(the_state_of_a_step_is_what_it_would_have_been_whatever_call_fails);
  return harness_end();
}
