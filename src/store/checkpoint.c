#include "store/checkpoint.h"

#include <string.h>

#include "base/mem.h"

static const char magic[8] = {'R', 'F', 'L', 'C', 'K', 'P', 'T', '1'};

enum {
  VERSION = 1,
  PLAIN = 0, /* the only format of a part's data */
  CRC_SIZE = 4,
  PART_SIZE = 4 + 4 + 4 + 4 + 8 /* what a part takes in the head at least */
};

void rfl_checkpoint_release(struct rfl_checkpoint *c) {
  if (!c) return;
  rfl_free(c->name);
  rfl_cursor_release(&c->cursor);
  for (size_t i = 0; i < c->n; i++) {
    rfl_free(c->part[i].name);
    rfl_free(c->part[i].base);
  }
  rfl_free(c->part);
  *c = (struct rfl_checkpoint){0};
}

bool rfl_checkpoint_named(const char *name) {
  size_t n =
      strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return n > 0 && n < RFL_CHECKPOINT_NAME && name[n] == '\0' && name[0] != '.';
}

enum rfl_code rfl_checkpoint_write(const char *name, const struct rfl_cursor *cursor,
                                   const struct rfl_part *part, size_t n,
                                   struct rfl_buf *out, struct rfl_err *err) {
  size_t start = out->n;
  rfl_buf_put(out, magic, sizeof magic);
  rfl_buf_u32(out, VERSION);
  rfl_buf_u32(out, 0); /* the head's size, below */
  rfl_buf_string(out, name);
  rfl_cursor_write(cursor, out);
  rfl_buf_u64(out, n);
  for (size_t i = 0; i < n; i++) {
    rfl_buf_string(out, part[i].name);
    rfl_buf_string(out, part[i].base);
    rfl_buf_u32(out, PLAIN);
    rfl_buf_u32(out, rfl_crc32c(0, part[i].data.p, part[i].data.n));
    rfl_buf_u64(out, part[i].data.n);
  }
  RFL_TRY(rfl_buf_check(out, err));
  size_t size = out->n - start + CRC_SIZE;
  if (size > UINT32_MAX)
    return rfl_fail(err, RFL_EARGUMENT, "A checkpoint of %zu parts is too large.", n);
  for (int i = 0; i < 4; i++) out->p[start + 12 + (size_t)i] = (uint8_t)(size >> 8 * i);
  rfl_buf_u32(out, rfl_crc32c(0, out->p + start, out->n - start));
  return rfl_buf_check(out, err);
}

enum rfl_code rfl_checkpoint_lead(const uint8_t lead[RFL_CHECKPOINT_LEAD],
                                  uint64_t file_size, uint32_t *gives_head_size,
                                  struct rfl_err *err) {
  struct rfl_reader in = {.at = lead + 12, .end = lead + RFL_CHECKPOINT_LEAD};
  uint32_t size = rfl_read_u32(&in);
  if (memcmp(lead, magic, sizeof magic) != 0)
    return rfl_fail(err, RFL_EDATA, "It does not begin as a checkpoint does.");
  if (size < RFL_CHECKPOINT_LEAD + CRC_SIZE || size > file_size)
    return rfl_fail(err, RFL_EDATA, "It is cut short.");
  *gives_head_size = size;
  return RFL_OK;
}

static enum rfl_code read_part(struct rfl_reader *in, struct rfl_checkpoint *c,
                               struct rfl_err *err) {
  struct rfl_checkpoint_part *p = &c->part[c->n++];
  RFL_TRY(rfl_read_string(in, &p->name, err));
  RFL_TRY(rfl_read_string(in, &p->base, err));
  uint32_t format = rfl_read_u32(in);
  p->crc = rfl_read_u32(in);
  p->size = rfl_read_u64(in);
  bool based =
      !p->base || (rfl_checkpoint_named(p->base) && strcmp(p->base, c->name) < 0);
  if (in->bad || !p->name || format != PLAIN || !based)
    return rfl_fail(err, RFL_EDATA, "Its part %zu cannot be.", c->n);
  return RFL_OK;
}

static enum rfl_code read_head(struct rfl_reader *in, struct rfl_checkpoint *c,
                               struct rfl_err *err) {
  RFL_TRY(rfl_read_string(in, &c->name, err));
  if (!c->name || !rfl_checkpoint_named(c->name))
    return rfl_fail(err, RFL_EDATA, "Its name cannot be.");
  RFL_TRY(rfl_cursor_read(in, &c->cursor, err));
  uint64_t n = rfl_read_count(in, PART_SIZE);
  if (n) {
    c->part = rfl_alloc((size_t)n, sizeof *c->part);
    if (!c->part) return rfl_no_memory(err);
  }
  for (uint64_t i = 0; i < n; i++) RFL_TRY(read_part(in, c, err));
  return rfl_read_done(in, "Its head", err);
}

static enum rfl_code check_sizes(const struct rfl_checkpoint *c, uint64_t left,
                                 struct rfl_err *err) {
  for (size_t i = 0; i < c->n; i++) {
    if (c->part[i].size > left) return rfl_fail(err, RFL_EDATA, "It is cut short.");
    left -= c->part[i].size;
  }
  if (left) return rfl_fail(err, RFL_EDATA, "Something follows its end.");
  return RFL_OK;
}

enum rfl_code rfl_checkpoint_read(struct rfl_bytes head, uint64_t file_size,
                                  struct rfl_checkpoint *gives, struct rfl_err *err) {
  size_t body = head.n - CRC_SIZE;
  struct rfl_reader tail = {.at = head.p + body, .end = head.p + head.n};
  if (rfl_read_u32(&tail) != rfl_crc32c(0, head.p, body))
    return rfl_fail(err, RFL_EDATA, "Its head does not match its checksum.");
  struct rfl_reader in = {.at = head.p + 8, .end = head.p + body};
  uint32_t version = rfl_read_u32(&in);
  if (version > VERSION)
    return rfl_fail(err, RFL_ECONFIG,
                    "It is of version %lu and this riffle reads version %d.",
                    (unsigned long)version, VERSION);
  rfl_read_u32(&in); /* the head's size */
  struct rfl_checkpoint c = {0};
  enum rfl_code code = version ? read_head(&in, &c, err)
                               : rfl_fail(err, RFL_EDATA, "Its version cannot be.");
  if (!code) code = check_sizes(&c, file_size - head.n, err);
  if (code) {
    rfl_checkpoint_release(&c);
    return code;
  }
  *gives = c;
  return RFL_OK;
}
