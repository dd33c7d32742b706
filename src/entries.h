/* Every routine that R may call, one a line: ENTRY(name, arity). R sees it as c_<name>, C
 * as ffi_<name>. Included by init.c only, once for the prototypes and once for the table:
 * a wrong arity does not compile. */
/* glue.c */
ENTRY(handles_close, 0)
ENTRY(mem_live, 0)
ENTRY(mem_fail_after, 1)
/* r_info.c */
ENTRY(info, 0)
