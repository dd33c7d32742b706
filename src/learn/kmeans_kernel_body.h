/* The nearest and the second nearest of the points for 32 rows at once, one row a lane,
 * two points at a time: |c|^2 / 2 - x c is smallest where the distance is. Approximate:
 * kmeans_near.c knows by how much. */
#include "learn/kmeans_parts.h"
#include "num/vec.h"

enum { LANES = 4 * VEC };

struct rank {
  vec best, second, which;
};
VEC_FN void put(struct rank *r, vec a, vec which) {
  __typeof__(a < r->best) closer = a < r->best;
  vec other = VEC_IF(closer, r->best, a);
  r->best = VEC_IF(closer, a, r->best);
  r->which = VEC_IF(closer, which, r->which);
  r->second = VEC_IF(other < r->second, other, r->second);
}

static VEC_TARGET void some_lanes(const struct km_field *f, struct km_tile *t,
                                  size_t from) {
  const vec none = VEC_ALL(INFINITY);
  struct rank r[4];
  for (int q = 0; q < 4; q++) r[q] = (struct rank){none, none, VEC_ALL(0.0)};
  const double *x = t->x + from;
  for (size_t c = 0; c < f->n; c += 2) {
    bool pair = c + 1 < f->n;
    const double *p = f->minus + c * t->stride, *o = pair ? p + t->stride : p;
    vec a0 = VEC_ALL(f->half[c]), a1 = a0, a2 = a0, a3 = a0;
    vec b0 = pair ? VEC_ALL(f->half[c + 1]) : none, b1 = b0, b2 = b0, b3 = b0;
    for (size_t j = 0; j < t->d; j++) {
      const double *at = x + j * KM_TILE;
      vec u = VEC_ALL(p[j]), v = VEC_ALL(o[j]);
      vec x0 = VEC_LOAD(at), x1 = VEC_LOAD(at + VEC);
      vec x2 = VEC_LOAD(at + 2 * VEC), x3 = VEC_LOAD(at + 3 * VEC);
      a0 = VEC_FMA(u, x0, a0);
      a1 = VEC_FMA(u, x1, a1);
      a2 = VEC_FMA(u, x2, a2);
      a3 = VEC_FMA(u, x3, a3);
      b0 = VEC_FMA(v, x0, b0);
      b1 = VEC_FMA(v, x1, b1);
      b2 = VEC_FMA(v, x2, b2);
      b3 = VEC_FMA(v, x3, b3);
    }
    vec first = VEC_ALL((double)c), then = VEC_ALL((double)(c + 1));
    put(&r[0], a0, first);
    put(&r[1], a1, first);
    put(&r[2], a2, first);
    put(&r[3], a3, first);
    if (!pair) continue;
    put(&r[0], b0, then);
    put(&r[1], b1, then);
    put(&r[2], b2, then);
    put(&r[3], b3, then);
  }
  for (int q = 0; q < 4; q++) {
    size_t lane = from + (size_t)q * VEC;
    VEC_STORE(t->best + lane, r[q].best);
    VEC_STORE(t->second + lane, r[q].second);
    VEC_STORE(t->which + lane, r[q].which);
  }
}

static VEC_TARGET void near(const struct km_field *f, struct km_tile *t) {
  for (size_t from = 0; from < KM_TILE; from += LANES) some_lanes(f, t, from);
}

const struct km_kernels KERNELS = {.near = near};
