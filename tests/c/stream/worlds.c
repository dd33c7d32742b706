#include "worlds.h"

#include <string.h>

#include "base/mem.h"

/* A checkpoint's name is "<batch, 20 digits>-<instance>", and an instance is drawn at
 * random: written is the how-manieth it is of those that the world knows. */
enum { DIGITS = 20 };
struct instances {
  size_t n;
  const char *name[MOST_SAVED + 1];
};

static void write_name(const char *name, struct instances *seen, struct rfl_buf *out) {
  size_t n = strlen(name), i = 0;
  rfl_buf_put(out, name, n < DIGITS ? n : DIGITS);
  rfl_buf_u8(out, 0);
  if (n <= DIGITS) return;
  while (i < seen->n && strcmp(seen->name[i], name + DIGITS) != 0) i++;
  if (i == seen->n) seen->name[seen->n++] = name + DIGITS;
  rfl_buf_u64(out, i);
}

/* Left out: numbers and kinds of the calls, the faults, and the epoch, which is only ever
 * compared with what a living process holds. */
static void write_world(const struct world *w, struct rfl_buf *out) {
  struct instances instances = {0};
  rfl_buf_u8(out, !w->unit && w->gave_rows);
  for (int k = 0; k < SINKS; k++) {
    rfl_buf_u64(out, w->rows[k]);
    for (size_t i = 0; i < w->rows[k]; i++) {
      const struct seen *row = &w->row[k][i];
      rfl_buf_i32(out, row->place);
      rfl_buf_i64(out, row->position);
      rfl_buf_double(out, row->score);
      rfl_buf_double(out, row->version);
      rfl_buf_u64(out, row->batch);
    }
  }
  const struct commit *c = &w->commit;
  rfl_buf_u64(out, c->batch);
  write_name(c->checkpoint, &instances, out);
  rfl_buf_put(out, c->at, sizeof c->at);
  rfl_buf_put(out, c->asked, sizeof c->asked);
  rfl_buf_u64(out, c->n_plan);
  rfl_buf_put(out, c->plan, c->n_plan * sizeof c->plan[0]);
  rfl_buf_u64(out, w->n_saved);
  for (size_t i = 0; i < w->n_saved; i++) {
    const struct saved *s = &w->saved[i];
    write_name(s->name, &instances, out);
    rfl_buf_put(out, s->at, sizeof s->at);
    rfl_buf_u64(out, s->n);
    for (size_t j = 0; j < s->n; j++) {
      rfl_buf_put(out, s->part[j].name, strlen(s->part[j].name) + 1);
      rfl_buf_u64(out, s->part[j].data.n);
      rfl_buf_put(out, s->part[j].data.p, s->part[j].data.n);
    }
  }
  rfl_buf_put(out, w->wrong, strlen(w->wrong) + 1);
}

static uint64_t hash_of(const struct rfl_buf *b) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < b->n; i++) h = (h ^ ((const uint8_t *)b->p)[i]) * 0x100000001b3u;
  return h;
}

static bool grow(struct worlds *ws) {
  if (ws->n == ws->cap) {
    size_t cap = ws->cap ? 2 * ws->cap : 64;
    struct meeting *more = rfl_grow(ws->meeting, cap, sizeof *more);
    if (!more) return false;
    ws->meeting = more;
    ws->cap = cap;
  }
  if (2 * (ws->n + 1) <= ws->n_slots) return true;
  size_t n_slots = ws->n_slots ? 2 * ws->n_slots : 128;
  uint32_t *slot = rfl_alloc(n_slots, sizeof *slot);
  if (!slot) return false;
  for (size_t i = 0; i < ws->n; i++) {
    size_t at = ws->meeting[i].hash & (n_slots - 1);
    while (slot[at]) at = (at + 1) & (n_slots - 1);
    slot[at] = (uint32_t)i + 1;
  }
  rfl_free(ws->slot);
  ws->slot = slot;
  ws->n_slots = n_slots;
  return true;
}

struct meeting *worlds_meet(struct worlds *ws, const struct world *w) {
  struct rfl_buf *bytes = &ws->scratch;
  rfl_buf_clear(bytes);
  write_world(w, bytes);
  if (bytes->failed || !grow(ws)) return NULL;
  uint64_t hash = hash_of(bytes);
  size_t at = hash & (ws->n_slots - 1);
  for (; ws->slot[at]; at = (at + 1) & (ws->n_slots - 1)) {
    struct meeting *m = &ws->meeting[ws->slot[at] - 1];
    if (m->hash != hash || m->bytes.n != bytes->n) continue;
    if (memcmp(m->bytes.p, bytes->p, bytes->n) == 0) return m;
  }
  struct meeting *m = &ws->meeting[ws->n];
  *m = (struct meeting){.hash = hash};
  rfl_buf_put(&m->bytes, bytes->p, bytes->n);
  if (m->bytes.failed) {
    rfl_buf_release(&m->bytes);
    return NULL;
  }
  ws->slot[at] = (uint32_t)++ws->n;
  return m;
}

void worlds_release(struct worlds *ws) {
  for (size_t i = 0; i < ws->n; i++) rfl_buf_release(&ws->meeting[i].bytes);
  rfl_free(ws->meeting);
  rfl_free(ws->slot);
  rfl_buf_release(&ws->scratch);
  memset(ws, 0, sizeof *ws);
}
