/*
 * cmd_connect.c - cspace connect: stdin and stdout to a service of a user. Fit
 * to be ssh's ProxyCommand.
 */
#include "../samples/ask.h"
#include "tool.h"

#include <errno.h>
#include <unistd.h>

#include "leave.h"
#include "pipe.h"

static int connect_and_copy(cs_node *node, const char *user, const char *service, const cs_options *options) {
  char why[PIPE_WHY_MAX];
  int fd = cs_connect(node, user, service, options);

  if (fd < 0) {
    leave_check();
    return tool_failed();
  }
  if (pipe_run(STDIN_FILENO, STDOUT_FILENO, fd, why) != 0) {
    if (errno == EPIPE) leave_broken_pipe(node);
    leave_check();
    return tool_error("%s %s: %s", user, service, why); /* fd stays open: cs_close resets it */
  }
  close(fd);
  return TOOL_DONE;
}

int cmd_connect(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"timeout", required_argument, NULL, 't'}, TOOL_OPTIONS};
  cs_options *call = cs_options_new();
  cs_node *node = NULL;
  int c, rc = TOOL_DONE;

  if (call == NULL) return tool_error("out of memory");
  while (rc == TOOL_DONE && (c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) {
      cs_options_free(call);
      return t->status;
    }
    if (cs_options_set(call, "timeout-ms", optarg) != 0) rc = tool_usage(t, "%s", cs_last_error_text());
  }
  if (rc == TOOL_DONE) rc = tool_want(t, argc, 2, 2);
  if (rc == TOOL_DONE) {
    leave_prepare();
    node = ask_open(t->config);
    if (node == NULL) {
      rc = tool_failed();
    } else {
      leave_watch(node);
      rc = connect_and_copy(node, argv[optind], argv[optind + 1], call);
    }
  }
  leave_close(node);
  cs_options_free(call);
  return rc;
}
