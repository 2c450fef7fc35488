/*
 * cs-copy-app.h - the program's parts: cs-copy.c reads the command line,
 * cs-copy-client.c sends, cs-copy-serve.c receives.
 */
#ifndef CS_COPY_APP_H
#define CS_COPY_APP_H

#include <stdbool.h>
#include <stdint.h>

#include <cspace/cspace.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct copy_app {
  cs_config *config;
  cs_options *options;  /* timeout-ms for sending, access for receiving */
  bool json, quiet, once, overwrite;
};

/* Both return the exit status and have said what went wrong. */
int copy_app_send(const struct copy_app *app, char **files, int n, const char *user, const char *target);
int copy_app_receive(const struct copy_app *app, const char *dir);

/* "cs-copy: ..." on stderr. Returns EXIT_FAILED. */
int copy_app_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
double copy_app_now(void); /* monotonic seconds */

#endif
