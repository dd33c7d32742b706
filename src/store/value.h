/* Values: R's plain vectors and lists as bytes, for what a model's file says of itself.
 * Nothing that could run: no environments, functions or promises; code is kept as text by
 * whoever writes it.
 *
 *     value   u8 kind, u8 named (0 or 1), u64 n, [n names: strings], then
 *             NULL none (n = 0) | LOGICAL n x u8 (0, 1, 2: NA) | INTEGER n x i32
 *             | DOUBLE n x 8 bytes | STRING n x (u32 length, bytes; 0xffffffff: NA)
 *             | RAW n bytes | LIST n values
 *
 *     RFL_TRY(rfl_value_check(bytes, err));       // once, before anything is made of it
 *     struct rfl_reader in = {...};
 *     struct rfl_value_head h = rfl_value_head(&in);   // then this cannot fail
 *
 * A checked value has UTF-8 text without NULs, lists no deeper than RFL_VALUE_DEPTH, and
 * ends where its bytes end. */
#ifndef RFL_STORE_VALUE_H
#define RFL_STORE_VALUE_H
#include "base/bytes.h"

enum rfl_value_kind {
  RFL_VALUE_NULL,
  RFL_VALUE_LOGICAL,
  RFL_VALUE_INTEGER,
  RFL_VALUE_DOUBLE,
  RFL_VALUE_STRING,
  RFL_VALUE_RAW,
  RFL_VALUE_LIST,
  RFL_N_VALUES
};
enum { RFL_VALUE_DEPTH = 64 };

struct rfl_value_head {
  enum rfl_value_kind kind;
  bool named;
  uint64_t n;
};
void rfl_value_open(struct rfl_buf *, const struct rfl_value_head *);
struct rfl_value_head rfl_value_head(struct rfl_reader *);
/* The bytes of one string; p NULL: NA. Borrowed. */
struct rfl_bytes rfl_value_text(struct rfl_reader *);
/* Hostile bytes. RFL_EDATA: what is wrong, as a sentence. */
enum rfl_code rfl_value_check(struct rfl_bytes, struct rfl_err *) RFL_CHECKED;

#endif
