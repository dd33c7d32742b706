/* What R_init_riffle() calls, once, when the library is loaded. */
#ifndef RFL_GLUE_START_H
#define RFL_GLUE_START_H

void glue_start(void); /* glue.c: the token and the namespace */
void info_start(void); /* r_info.c: the BLAS table and the kernels */

#endif
