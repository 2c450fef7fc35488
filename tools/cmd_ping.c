/*
 * cmd_ping.c - cspace ping: reach a user, and say how.
 */
#include "../samples/ask.h"
#include "tool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ping {
  const char *user;
  bool why, json;
  long count;
};

static void show(const struct ping *p, const struct cs_path *path, bool first) {
  double ms = path->rtt_us / 1e3;

  if (p->json) {
    printf("{\"user\":");
    tool_json_string(p->user);
    printf(",\"ok\":true,\"path\":\"%s\",\"address\":\"%s\",\"rtt_us\":%u,\"mtu\":%u,", path->kind, path->address,
           path->rtt_us, path->mtu);
    printf("\"find_ms\":%u,\"session_ms\":%u}\n", path->find_ms, path->session_ms);
  } else if (p->why && first) {
    printf("%s was found in the DHT after %u ms\n", p->user, path->find_ms);
    printf("%s answered at %s, the secure session stood after %u ms\n", p->user, path->address, path->session_ms);
    printf("the path is %s, with datagrams of up to %u bytes\n", path->kind, path->mtu);
    printf("%s: round trip %.3f ms\n", p->user, ms);
  } else {
    printf("%s: %s, %s, round trip %.3f ms\n", p->user, path->kind, path->address, ms);
  }
  fflush(stdout);
}

/* What to look at next, by where it ended. */
static const char *advice(enum cs_err err) {
  switch (err) {
    case CS_ERR_USER_UNKNOWN:
      return "cspace contact list shows whom you know; cspace contact add NAME ID adds someone";
    case CS_ERR_NETWORK:
      return "no DHT node answered: look at the network, and at the key bootstrap";
    case CS_ERR_NOT_PUBLISHED:
      return "the DHT answered and knows nothing of this user: no program of theirs that listens is running";
    case CS_ERR_RECORD:
      return "someone put a false record into the DHT, or the id is not the one its owner uses";
    case CS_ERR_LOOKUP:
      return "the DHT is slow: try a longer --timeout";
    case CS_ERR_NO_ANSWER:
      return "the record may be old, or a firewall stands between; a user who does not have you as a contact is "
             "silent as well";
    case CS_ERR_HANDSHAKE:
      return "whoever answered does not have this user's key, or does not take yours";
    case CS_ERR_PROTOCOL:
      return "one of the two sides needs a newer version";
    default:
      return NULL;
  }
}

static int failed(const struct ping *p) {
  enum cs_err err = cs_last_error();
  const char *next = advice(err);

  if (p->json) {
    printf("{\"user\":");
    tool_json_string(p->user);
    printf(",\"ok\":false,\"error\":%d,\"text\":", (int)err);
    tool_json_string(cs_last_error_text());
    puts("}");
  }
  tool_failed();
  if (p->why && next != NULL) fprintf(stderr, "%s\n", next);
  return TOOL_FAILED;
}

/* The first answer also waited for what a new session has to do beside it; how it came up stays as it was told. */
static void measure_again(cs_node *node, const char *user, const cs_options *options, struct cs_path *first) {
  struct cs_path path;

  if (cs_ping(node, user, options, &path) != 0) return;
  path.find_ms = first->find_ms;
  path.session_ms = first->session_ms;
  *first = path;
}

static int ping_all(struct tool *t, const struct ping *p, const cs_options *options) {
  cs_node *node = ask_open(t->config);
  int rc = TOOL_DONE;

  if (node == NULL) return tool_failed();
  for (long i = 0; i < p->count && rc == TOOL_DONE; i++) {
    struct cs_path path;

    if (i > 0) nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    if (cs_ping(node, p->user, options, &path) != 0) {
      rc = failed(p);
      continue;
    }
    if (i == 0) measure_again(node, p->user, options, &path);
    show(p, &path, i == 0);
  }
  cs_close(node);
  return rc;
}

static int take(struct tool *t, struct ping *p, cs_options *call, int c) {
  char *end;

  if (c == 'w') p->why = true;
  if (c == 'j') p->json = true;
  if (c == 't' && cs_options_set(call, "timeout-ms", optarg) != 0) return tool_usage(t, "%s", cs_last_error_text());
  if (c == 'c') {
    p->count = strtol(optarg, &end, 10);
    if (*end != '\0' || end == optarg || p->count < 1 || p->count > 1000000)
      return tool_usage(t, "--count wants a number from 1 to 1000000, not %s", optarg);
  }
  return TOOL_DONE;
}

int cmd_ping(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"why", no_argument, NULL, 'w'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"timeout", required_argument, NULL, 't'},
                                          TOOL_OPTIONS};
  struct ping p = {.count = 1};
  cs_options *call = cs_options_new();
  int c, rc = TOOL_DONE;

  if (call == NULL) return tool_error("out of memory");
  while (rc == TOOL_DONE && (c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) {
      cs_options_free(call);
      return t->status;
    }
    rc = take(t, &p, call, c);
  }
  if (rc == TOOL_DONE) rc = tool_want(t, argc, 1, 1);
  if (rc == TOOL_DONE) {
    p.user = argv[optind];
    rc = ping_all(t, &p, call);
  }
  cs_options_free(call);
  return rc;
}
