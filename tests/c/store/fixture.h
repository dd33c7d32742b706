/* A folder for a test, checkpoints whose content follows from their number, and a disk
 * whose k-th call goes wrong.
 *
 *     char *folder = fixture_folder();                  // empty, under TMPDIR
 *     CHECK_OK(fixture_save(store, 2, &err), &err);     // checkpoint 2
 *     CHECK_EQ(fixture_load(store, NULL), 2);           // whole, every byte compared
 *     fixture_remove(folder);                           // with all that is in it
 */
#ifndef RFL_TEST_FIXTURE_H
#define RFL_TEST_FIXTURE_H
#include "store/disk.h"
#include "store/folder.h"

enum { FIXTURE_NAME = 64, FIXTURE_PARTS = 3 };

char *fixture_folder(void);
void fixture_remove(char *folder);
/* "<number, 20 digits>-ab12" */
void fixture_name(char to[FIXTURE_NAME], int number);
/* "<folder>/<name>.ckpt", valid until the next call. */
const char *fixture_path(const char *folder, int number);

/* Checkpoint `number`: a cursor and three parts of sizes and bytes that follow from it,
 * one of them empty. `base` > 0: its first part builds on that one. */
enum rfl_code fixture_save_on(struct rfl_store *, int number, int base, struct rfl_err *);
enum rfl_code fixture_save(struct rfl_store *, int number, struct rfl_err *);
/* The number of what was loaded; 0: there is none; -1: an error, in fixture_error; -2:
 * not what was saved. */
int fixture_load(struct rfl_store *, const char *name);
extern struct rfl_err fixture_error;

/* Descriptors that this process has open. */
int fixture_descriptors(void);
/* Files in the folder that end with `suffix`. */
int fixture_count(const char *folder, const char *suffix);

/* ---- the disk ---- */
enum bad_how {
  BAD_NEVER,
  BAD_ERROR,       /* the call does nothing and fails with bad_disk.error */
  BAD_ERROR_AFTER, /* it is done, and still says that it failed */
  BAD_SHORT,       /* a write takes half; other calls are well */
  BAD_DIES_BEFORE, /* the process ends before the call, ... */
  BAD_DIES_HALF,   /* ... in the middle of a write, ... */
  BAD_DIES_AFTER   /* ... after it */
};
struct bad_disk {
  enum bad_how how;
  int error;
  long at;    /* which call, from 0 */
  bool stays; /* and all after it */
  long calls; /* so far */
  /* What was called, once for calls of a kind in a row: o w f r c u. */
  char log[200];
};
extern struct bad_disk bad_disk;
extern const struct rfl_disk bad_disk_calls;
enum { BAD_EXIT = 9 };

#endif
