/* Ends in memory around a world that survives a crash: a scripted source, two sinks, a
 * unit and a store. Every call of theirs is numbered; at chosen calls they die, answer
 * RFL_EAGAIN / RFL_EABORT / RFL_EUNSURE, or somebody else fences them.
 *
 *     world_new(&w, script, n, true);
 *     w.fault[0] = (struct fault){17, DIE_AFTER};
 *     struct ends e;
 *     ends_open(&e, &w);                        // a new process over the same world
 *     code = rfl_query_run(&spec, &status, &err);
 *     ends_close(&e);
 *
 * What a process put but did not commit is gone with it; what the world shows was seen by
 * everybody. `wrong` is the first promise that was broken. */
#ifndef RFL_TEST_ENDS_H
#define RFL_TEST_ENDS_H
#include "frame/flow.h"

enum { PLACES = 3, FAULTS = 2, SINKS = 2, MOST_ROWS = 256, MOST_CALLS = 2048 };
enum { MOST_PLAN = 32, MOST_SAVED = 64, MOST_PARTS = 4 };

enum call { /* kinds of calls, for what can go wrong in them */
            CALL_START,
            CALL_NEXT,
            CALL_SETTLE,
            CALL_PUT,
            CALL_FLUSH,
            CALL_RECOVER,
            CALL_BEGIN,
            CALL_COMMIT,
            CALL_ABORT,
            CALL_SAVE,
            CALL_LOAD,
            CALL_KEEP
};
enum fault_kind {
  NO_FAULT,
  DIE_BEFORE, /* it did not happen, and nothing after it */
  DIE_AFTER,  /* it happened; the process never learns it */
  AGAIN,
  ABORT,
  UNSURE_DONE,
  UNSURE_NOT,
  FENCE, /* somebody else takes the name just before */
  ZOMBIE /* `meanwhile` runs just before: a whole other process */
};
struct fault {
  uint64_t at; /* number of the call */
  enum fault_kind kind;
};

struct event { /* of the script */
  enum rfl_event what;
  int n; /* ROWS: pieces of a frame, in the order of its rows */
  struct piece {
    int place;
    int64_t first, next;
  } piece[2];
  bool gone;     /* BORDER */
  int takes[2];  /* BORDER: places lost and gained again; -1: none */
  bool for_good; /* BORDER: they are not gained again */
  int gains;     /* BORDER: a place that appears, -1: none */
};

struct seen { /* a row that a sink shows */
  int place;
  int64_t position;
  double score, version;
  uint64_t batch;
};
struct saved {
  char name[64];
  int64_t at[PLACES];
  size_t n;
  struct rfl_part part[MOST_PARTS];
};
struct commit { /* the last one */
  uint64_t batch;
  char checkpoint[64];
  int64_t at[PLACES];
  int64_t asked[PLACES]; /* what the call said, without what was committed before */
  size_t n_plan;
  int64_t plan[MOST_PLAN][PLACES];
};

struct world {
  const struct event *script;
  size_t n_script;
  bool unit, bound_store; /* the sinks (and the store) are bound to a unit */
  struct fault fault[FAULTS];
  void (*meanwhile)(struct world *);
  /* Runs before a call and after one that happened: what a death there would leave. */
  void (*watch)(const struct world *, uint64_t call, bool after);

  uint64_t calls; /* so far, over all processes */
  uint8_t log[MOST_CALLS];
  size_t rows[SINKS];
  struct seen row[SINKS][MOST_ROWS];
  uint64_t epoch; /* who holds the unit's name */
  struct commit commit;
  size_t n_saved;
  struct saved saved[MOST_SAVED];
  uint64_t saves, commits;
  bool gave_rows;  /* some process has been given rows */
  char wrong[200]; /* "": nothing */
};

struct ends {
  struct rfl_source source;
  struct rfl_sink sink[SINKS];
  struct rfl_unit unit;
  struct rfl_store store;
  struct world *world;
  struct rfl_schema *schema;
  struct rfl_builder *builder;
  bool dead, fenced; /* fenced: was told so; must write nothing any more */
  size_t at;         /* in the script */
  uint32_t settled;  /* a bit for each event that was a border and is settled */
  int64_t next[PLACES];
  bool border; /* waits to be settled */
  struct rfl_change change;
  uint64_t epoch; /* 0: has not recovered */
  bool open;
  size_t n_staged[SINKS]; /* put in the open step, or (without a unit) not flushed */
  struct seen staged[SINKS][MOST_ROWS];
  struct saved staged_save; /* by a store that is bound to the unit */
  bool has_staged_save;
};

void world_new(struct world *, const struct event *script, size_t n, bool unit);
void world_release(struct world *);
/* Whether the fault means anything at a call of that kind. */
bool fault_fits(enum call, enum fault_kind, bool unit);

enum rfl_code ends_open(struct ends *, struct world *, struct rfl_err *);
void ends_close(struct ends *);

/* Whether position `p` of a place has a record; every fifth has none. */
bool has_record(int place, int64_t p);
/* Records of the script's places from the beginning to its end: how many. */
size_t count_records(const struct event *script, size_t n);

#endif
