/* The bodies of ftrl_kernel.h for one type of number: included by ftrl_kernel_base.c and
 * its sister after TYPE (float or double), FIELD (f or d), BITS (the unsigned integer of
 * its size), the names LANES, WORDS (vector types) and KERNEL of what is defined, and
 * three functions over FTRL_LANES features were set: TAKE loads their pairs into two
 * arrays, GIVE adds two arrays to their pairs, one after the other, ROOT takes square
 * roots.
 *
 *     w = -(z - sign(z) l1) / ((beta + sqrt(n)) / alpha + l2)    0 where |z| <= l1
 *     z += g - (sqrt(n + g^2) - sqrt(n)) / alpha * w,  n += g^2     (McMahan et al. 2013)
 */
typedef TYPE LANES
    __attribute__((vector_size(8 * sizeof(TYPE)), may_alias, aligned(sizeof(TYPE))));
typedef BITS WORDS __attribute__((vector_size(8 * sizeof(TYPE))));

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define AT(array, i) (*(LANES *)&row->array.FIELD[i])

static TARGET double JOIN(weigh_, TYPE)(const struct ftrl_rates *rates,
                                        struct ftrl_row *row) {
  const TYPE once = (TYPE)rates->shrink, twice = (TYPE)(rates->shrink * rates->shrink);
  size_t n = row->n;
  const TYPE l1 = (TYPE)rates->l1, l2 = (TYPE)rates->l2;
  const TYPE per_rate = (TYPE)rates->per_rate, offset = (TYPE)rates->offset;
  const BITS top = (BITS)1 << (8 * sizeof(TYPE) - 1);
  LANES total = {0};
  for (size_t i = 0; i < n; i += FTRL_LANES) {
    TAKE(&row->at[i], &AT(z, i), &AT(sum, i));
    LANES zi = AT(z, i) * once, ni = AT(sum, i) * twice, root;
    AT(sum, i) = ni;
    ROOT(&ni, &root);
    WORDS sign = (WORDS)zi & top;
    LANES size = (LANES)((WORDS)zi & ~top) - l1;
    WORDS some = (WORDS)(size > 0);
    LANES w = (LANES)((WORDS)size & some) / ((offset + root) * per_rate + l2);
    w = (LANES)((WORDS)w | (~sign & top & some));
    AT(root, i) = root;
    AT(w, i) = w;
    total += w * AT(x, i);
  }
  return (((double)total[0] + (double)total[4]) + ((double)total[2] + (double)total[6])) +
         (((double)total[1] + (double)total[5]) + ((double)total[3] + (double)total[7]));
}

static TARGET void JOIN(step_, TYPE)(const struct ftrl_rates *rates, struct ftrl_row *row,
                                     double slope) {
  const TYPE once = (TYPE)rates->grow, twice = (TYPE)(rates->grow * rates->grow);
  const TYPE per_rate = (TYPE)rates->per_rate, g = (TYPE)slope;
  size_t n = row->n;
  for (size_t i = 0; i < n; i += FTRL_LANES) {
    LANES gi = g * AT(x, i), square = gi * gi, more = AT(sum, i) + square, root;
    ROOT(&more, &root);
    LANES zi = gi - (root - AT(root, i)) * per_rate * AT(w, i);
    AT(z, i) = zi * once;
    AT(sum, i) = square * twice;
    GIVE(&row->at[i], &AT(z, i), &AT(sum, i));
  }
}

const struct ftrl_kernel KERNEL = {JOIN(weigh_, TYPE), JOIN(step_, TYPE)};

#undef TYPE
#undef FIELD
#undef BITS
#undef LANES
#undef WORDS
#undef ROOT
#undef TAKE
#undef GIVE
#undef KERNEL
#undef JOIN
#undef JOIN_
#undef AT
