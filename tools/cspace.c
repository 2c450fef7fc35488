/*
 * cspace.c - the command-line tool: finds the command and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

const struct tool_command tool_commands[] = {
    {"init", "[NAME]", "make an identity",
     "  NAME           what friends may call you; stored nowhere\n"
     "  --passphrase   seal the key; asked for, or in the file that CSPACE_PASSPHRASE_FILE names\n",
     cmd_init},
    {"id", "", "print the own id", "  --json   as JSON\n", cmd_id},
    {"passphrase", "", "set or change the passphrase",
     "  --new FILE   the new one is the first line of FILE, instead of asking\n"
     "  --remove     store the key without a passphrase\n",
     cmd_passphrase},
    {"contact", "add NAME ID | list | remove NAME | rename NAME NEW", "keep the people you know",
     "  --json   for list: as JSON\n", cmd_contact},
    {"connect", "USER SERVICE", "stdin and stdout to a service of a user",
     "  --timeout MS   give up connecting after so long (30000)\n", cmd_connect},
    {"listen", "SERVICE [-- COMMAND ARG...]", "offer a service: to one caller, or a command for each",
     "Without COMMAND the first caller gets stdin and stdout. With it every caller gets a COMMAND of\n"
     "their own, the connection as its stdin and stdout, and CSPACE_PEER, CSPACE_PEER_ID, CSPACE_SERVICE set.\n\n"
     "  --access WHO   contacts, anyone, or names and ids in one argument\n"
     "  --max N        commands at once (64); further callers wait\n"
     "  --once         end after one caller\n",
     cmd_listen},
    {"node", "", "run a plain DHT node",
     "Prints `ready ADDRESS:PORT`. Keys: listen, bootstrap (none starts a network).\n", cmd_node},
    {"ping", "USER", "reach a user: path and round trip",
     "  --count N      N round trips, a second apart (1)\n"
     "  --why          what was found and how long it took\n"
     "  --timeout MS   give up after so long (30000)\n"
     "  --json         a line of JSON each\n",
     cmd_ping},
    {NULL, NULL, NULL, NULL, NULL}};

static int unknown_command(const struct tool *t, const char *name) {
  fprintf(stderr, "cspace: no command %s; there are:", name);
  for (const struct tool_command *c = tool_commands; c->name != NULL; c++) fprintf(stderr, " %s", c->name);
  return fputc('\n', stderr), tool_usage(t, "%s is not offered in this version", name);
}

static int run(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {TOOL_OPTIONS};
  const struct tool_command *c = tool_commands;

  if (tool_option(t, argc, argv, options) == 0) return t->status;
  if (optind == argc) return tool_usage(t, "which command?");
  while (c->name != NULL && strcmp(c->name, argv[optind]) != 0) c++;
  if (c->name == NULL) return unknown_command(t, argv[optind]);
  t->command = c;
  argc -= optind;
  argv += optind;
  optind = 0; /* glibc: start anew */
  return c->run(t, argc, argv);
}

int main(int argc, char **argv) {
  struct tool t = {.config = cs_config_new()};
  int fd, rc;

  do fd = open("/dev/null", O_RDWR); /* so that no connection becomes fd 0, 1 or 2 */
  while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
  rc = t.config == NULL ? tool_error("out of memory") : run(&t, argc, argv);
  cs_config_free(t.config);
  if (fflush(stdout) != 0 && rc == TOOL_DONE) rc = tool_error("stdout: %s", strerror(errno));
  return rc;
}
