/* Which kernels this CPU can run. The core is told (rfl_cpu_use), once, before work
 * starts: it does not read the environment.
 *
 *     if (rfl_cpu_level() >= RFL_CPU_AVX2) return gram_avx2(x, w, n, p, out);
 */
#ifndef RFL_BASE_CPU_H
#define RFL_BASE_CPU_H

enum rfl_cpu { RFL_CPU_BASE = 0, RFL_CPU_AVX2 = 1, RFL_CPU_AVX512 = 2 };

enum rfl_cpu rfl_cpu_best(void); /* what the machine has: AVX2 means avx2 + fma, AVX512
                                    means f + dq + vl + bw */
void rfl_cpu_use(enum rfl_cpu level); /* never above best; the default is best */
enum rfl_cpu rfl_cpu_level(void);     /* what kernels choose by */
const char *rfl_cpu_name(enum rfl_cpu);
/* "base", "avx2", "avx512", "best" or NULL (best) to a level; -1 for anything else. */
int rfl_cpu_parse(const char *text);

#endif
