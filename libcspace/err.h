/*
 * err.h - the last error of each thread: a stage code and one sentence that
 * names the user, the stage and the cause. Above the sans-IO line.
 */
#ifndef CSPACE_ERR_H
#define CSPACE_ERR_H

#include <cspace/cspace.h>

/* The errno that goes with a code, as cspace.h says; 0 for those where the system's is kept. */
int err_errno(enum cs_err code);
/* Sets this thread's code and sentence, and errno (err_errno(code), else the errno at the call). Returns -1.
 * %m in fmt is the system's text of errno at the call. */
int err_set(enum cs_err code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with an errno of the caller's choice. */
int err_set_errno(enum cs_err code, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
