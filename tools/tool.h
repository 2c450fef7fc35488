/*
 * tool.h - what the commands of `cspace` share: options that every command
 * takes, messages, exit status.
 */
#ifndef CSPACE_TOOL_H
#define CSPACE_TOOL_H

#include <getopt.h>
#include <stdbool.h>

#include <cspace/cspace.h>

#include "home.h"

enum tool_status { TOOL_DONE = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

struct tool {
  cs_config *config;                  /* what --home and --set say */
  const struct tool_command *command; /* that runs; NULL before */
  int status;                         /* when tool_option returned 0 */
};

struct tool_command {
  const char *name, *args, *summary;
  const char *help;                   /* its own options, lines of text; "" without any */
  int (*run)(struct tool *t, int argc, char **argv); /* argv[0] is the command */
};

extern const struct tool_command tool_commands[]; /* up to a NULL name */

/* Ends every command's list of options. */
#define TOOL_OPTIONS                                                                     \
  {"home", required_argument, NULL, 1}, {"set", required_argument, NULL, 2},             \
  {"help", no_argument, NULL, 3}, {"version", no_argument, NULL, 4}, {NULL, 0, NULL, 0}

/* The next option of the command itself; -1 at the end (optind is the first argument); 0: stop with t->status.
 * Arguments and options may be mixed; "--" ends the options. */
int tool_option(struct tool *t, int argc, char **argv, const struct option *options);

/* "cspace: ..." on stderr. Returns TOOL_FAILED. */
int tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The library's sentence. Returns TOOL_FAILED. */
int tool_failed(void);
/* The same with a hint to --help. Returns TOOL_USAGE. */
int tool_usage(const struct tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* TOOL_DONE when argc - optind is min..max, else TOOL_USAGE and said so. */
int tool_want(const struct tool *t, int argc, int min, int max);

/* The home in force. TOOL_DONE or TOOL_FAILED, and said why. */
int tool_home(const struct tool *t, char home[HOME_PATH_MAX]);
/* The whole configuration: cspace.conf, the environment, --set; sets up the log. The caller frees. NULL: said why. */
cs_config *tool_config(const struct tool *t, char home[HOME_PATH_MAX]);

/* A passphrase from the first line of file; NULL: asked for twice. For sodium_free. NULL: said why. */
char *tool_new_passphrase(const char *file);

/* Prints text as a JSON string on stdout. */
void tool_json_string(const char *text);

/* The commands. */
int cmd_init(struct tool *t, int argc, char **argv);
int cmd_id(struct tool *t, int argc, char **argv);
int cmd_passphrase(struct tool *t, int argc, char **argv);
int cmd_contact(struct tool *t, int argc, char **argv);
int cmd_connect(struct tool *t, int argc, char **argv);
int cmd_listen(struct tool *t, int argc, char **argv);
int cmd_node(struct tool *t, int argc, char **argv);
int cmd_ping(struct tool *t, int argc, char **argv);

#endif
