/* The bytes of a checkpoint's file: a head that says what is there, then the data of the
 * parts, back to back, to the end of the file. Little-endian.
 *
 *     lead    "RFLCKPT1", u32 version (1), u32 size of the head, lead and CRC included
 *     head    string name, cursor, u64 parts, each: string name, string base (or NULL),
 *             u32 format (0: as it is), u32 CRC32C of the data, u64 size of the data
 *             u32 CRC32C of everything before
 *     data    of part 0, of part 1, ...
 *
 * Every byte is under a checksum, sizes are checked against the file's before anything is
 * allocated, and the head alone tells which checkpoints this one builds on. */
#ifndef RFL_STORE_CHECKPOINT_H
#define RFL_STORE_CHECKPOINT_H
#include "frame/flow.h"

enum { RFL_CHECKPOINT_LEAD = 16, RFL_CHECKPOINT_NAME = 64 /* NUL included */ };

struct rfl_checkpoint_part {
  char *name, *base;
  uint32_t crc;
  uint64_t size;
};
struct rfl_checkpoint { /* a head, read */
  char *name;
  struct rfl_cursor cursor;
  size_t n;
  struct rfl_checkpoint_part *part;
};
void rfl_checkpoint_release(struct rfl_checkpoint *);

/* One to 63 of [A-Za-z0-9._-], no dot in front: safe as a file's name. */
bool rfl_checkpoint_named(const char *name);

/* Appends lead and head; the caller writes them and the data of the parts. */
enum rfl_code rfl_checkpoint_write(const char *name, const struct rfl_cursor *,
                                   const struct rfl_part *, size_t n, struct rfl_buf *,
                                   struct rfl_err *) RFL_CHECKED;

/* Hostile bytes. RFL_EDATA: the message is only the reason, "It is cut short.". */
enum rfl_code rfl_checkpoint_lead(const uint8_t lead[RFL_CHECKPOINT_LEAD],
                                  uint64_t file_size, uint32_t *gives_head_size,
                                  struct rfl_err *) RFL_CHECKED;
/* `head` holds the lead too. RFL_ECONFIG: whole, but of a later version. */
enum rfl_code rfl_checkpoint_read(struct rfl_bytes head, uint64_t file_size,
                                  struct rfl_checkpoint *gives,
                                  struct rfl_err *) RFL_CHECKED;

#endif
