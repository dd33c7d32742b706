/* Elapsed time and CPU time of this process, all threads, from a start on. */
#ifndef RFL_BENCH_USAGE_H
#define RFL_BENCH_USAGE_H
#include <sys/resource.h>
#include <time.h>

struct usage {
  double seconds, cpu;
};

static inline struct usage usage_now(void) {
  struct timespec t;
  struct rusage r;
  clock_gettime(CLOCK_MONOTONIC, &t);
  getrusage(RUSAGE_SELF, &r);
  return (struct usage){.seconds = (double)t.tv_sec + (double)t.tv_nsec * 1e-9,
                        .cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6};
}

static inline void usage_print(const char *who, long records, double bytes,
                               const struct usage *since) {
  struct usage now = usage_now();
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  double s = now.seconds - since->seconds, cpu = now.cpu - since->cpu;
  printf(
      "%s\t%ld records\t%.0f bytes\t%.3f s\t%.3f cpu s\t%.3f us/record\t%.0f "
      "records/s\t%ld MB\n",
      who, records, bytes, s, cpu, cpu * 1e6 / (double)records, (double)records / s,
      r.ru_maxrss / 1024);
}

#endif
