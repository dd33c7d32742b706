/* What tests of the query have in their hands: a source that makes rows, a live model, a
 * sink and a store in memory, and a spec of them all. */
#ifndef RFL_TEST_KIT_H
#define RFL_TEST_KIT_H
#include <pthread.h>

#include "ends.h"
#include "stream/memory_sink.h"
#include "stream/query.h"

/* The rows of rows.h, from the cursor on. Idles after every frame. */
struct maker {
  struct rfl_source base;
  struct rfl_builder *builder;
  int64_t at, end;     /* positions; end: where it ends */
  uint32_t frame;      /* rows of a frame */
  uint32_t idle_every; /* positions between pauses, 0: none */
  int64_t pause_until;
  bool idle;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool wake; /* under lock */
};

/* end < 0: an endless one, which has -end rows and is idle after them. */
enum rfl_code new_maker(int64_t end, uint32_t frame, struct rfl_source **gives,
                        struct rfl_err *err);
struct maker *maker_of(struct rfl_source *);

struct kit {
  struct rfl_recipe *recipe;
  struct rfl_live *live;
  struct rfl_memory_sink *memory;
  struct rfl_sink *sink;
  struct rfl_source *source;
  struct world world; /* for its store */
  struct ends ends;
  struct rfl_query_spec spec;
};

enum rfl_code kit_new(struct kit *, int64_t end, uint32_t frame, struct rfl_err *);
/* The model anew, as in a new process. */
enum rfl_code kit_new_live(struct kit *, struct rfl_err *);
/* The rows of [0, n) that can be learnt. */
uint64_t usable(int64_t n);
int64_t in_ms(int64_t ms);
void kit_release(struct kit *);

#endif
