/*
 * cmd_node.c - cspace node: a DHT node and nothing else. It keeps what others
 * put, answers whoever asks, and has no identity.
 */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "conf.h"
#include "mainline.h"
#include "leave.h"
#include "loop.h"
#include "udp.h"

static int run(struct loop *l, struct udp *u, const char *bootstrap, const sigset_t *mask) {
  struct mainline host = {.loop = NULL};
  char text[ADDR_TEXT_MAX];
  struct addr local = udp_local(u);
  int rc, sig;

  loop_lock(l);
  rc = mainline_open(&host, l, u, false, bootstrap, NULL, NULL) != 0 || mainline_serve(&host) != 0;
  if (rc != 0) rc = tool_error("the DHT node does not start: %s", strerror(errno));
  loop_unlock(l);
  if (rc == TOOL_DONE) {
    printf("ready %s\n", addr_format(&local, text));
    if (fflush(stdout) != 0) rc = tool_error("stdout: %s", strerror(errno));
  }
  if (rc == TOOL_DONE) sigwait(mask, &sig);
  loop_lock(l);
  mainline_close(&host);
  loop_unlock(l);
  return rc;
}

static int open_and_run(const cs_config *config) {
  struct loop *l;
  struct udp *u;
  struct addr at;
  sigset_t mask;
  int rc;

  if (sodium_init() < 0) return tool_error("libsodium does not start");
  leave_signals(&mask);
  sigprocmask(SIG_BLOCK, &mask, NULL); /* before the engine's thread is there */
  if (addr_parse(&at, conf_get(config, "listen")) != 0) return tool_error("listen: not an address and port");
  u = udp_open(&at);
  if (u == NULL) return tool_error("cannot listen on %s: %s", conf_get(config, "listen"), strerror(errno));
  l = loop_get();
  if (l == NULL) {
    rc = tool_error("the engine does not start: %s", strerror(errno));
  } else {
    rc = run(l, u, conf_get(config, "bootstrap"), &mask);
    loop_put(l);
  }
  udp_close(u);
  return rc;
}

int cmd_node(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {TOOL_OPTIONS};
  char home[HOME_PATH_MAX];
  cs_config *config;
  int rc;

  if (tool_option(t, argc, argv, options) == 0) return t->status;
  if (tool_want(t, argc, 0, 0) != TOOL_DONE) return TOOL_USAGE;
  config = tool_config(t, home);
  if (config == NULL) return TOOL_FAILED;
  rc = home_create(home) == 0 ? open_and_run(config) : tool_failed();
  cs_config_free(config);
  return rc;
}
