/*
 * tool.c - options, messages, configuration for all commands.
 */
#include "config.h"

#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"

#define CONF_FILE "cspace.conf"

int tool_error(const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  fputs("cspace: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  return TOOL_FAILED;
}

int tool_failed(void) { return tool_error("%s", cs_last_error_text()); }

int tool_usage(const struct tool *t, const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  fputs("cspace: ", stderr);
  vfprintf(stderr, fmt, ap);
  if (t->command != NULL)
    fprintf(stderr, " (see cspace %s --help)\n", t->command->name);
  else
    fputs(" (see cspace --help)\n", stderr);
  va_end(ap);
  return TOOL_USAGE;
}

int tool_want(const struct tool *t, int argc, int min, int max) {
  int n = argc - optind;

  if (n >= min && n <= max) return TOOL_DONE;
  return tool_usage(t, "%s: %s arguments; it takes: %s", t->command->name, n < min ? "too few" : "too many",
                    t->command->args[0] != '\0' ? t->command->args : "none");
}

static void print_help(const struct tool_command *c) {
  const struct tool_command *all = tool_commands;

  if (c != NULL) {
    printf("usage: cspace [--home DIR] [--set KEY=VALUE]... %s%s%s\n%c%s.\n%s%s", c->name,
           c->args[0] != '\0' ? " " : "", c->args, toupper((unsigned char)c->summary[0]), c->summary + 1,
           c->help[0] != '\0' ? "\n" : "", c->help);
    return;
  }
  puts("usage: cspace [--home DIR] [--set KEY=VALUE]... COMMAND [ARGUMENT]...\n"
       "Encrypted connections to people, by name.\n");
  for (; all->name != NULL; all++)
    printf("  %-10s %-30s%s%*s%s\n", all->name, all->args, strlen(all->args) > 29 ? "\n" : "",
           strlen(all->args) > 29 ? 43 : 0, "", all->summary);
  puts("\n  --home DIR        where identity and contacts are (else $CSPACE_HOME, ~/.config/cspace)\n"
       "  --set KEY=VALUE   a key of cspace.conf(5)\n"
       "  --help, --version; cspace COMMAND --help");
}

static int set_pair(struct tool *t, const char *pair) {
  const char *equals = strchr(pair, '=');
  char *key;
  int rc;

  if (equals == NULL || equals == pair) return tool_usage(t, "--set wants KEY=VALUE, not %s", pair);
  key = strndup(pair, (size_t)(equals - pair));
  if (key == NULL) return tool_error("out of memory");
  rc = cs_config_set(t->config, key, equals + 1);
  free(key);
  return rc == 0 ? TOOL_DONE : tool_usage(t, "%s", cs_last_error_text());
}

/* One of TOOL_OPTIONS. 0: stop with t->status, 1: go on. */
static int common_option(struct tool *t, int c, char **argv) {
  char letter[] = "-?";

  switch (c) {
    case 1:
      t->status = TOOL_DONE;
      if (cs_config_set(t->config, "home", optarg) != 0) t->status = tool_usage(t, "%s", cs_last_error_text());
      return t->status == TOOL_DONE;
    case 2:
      t->status = set_pair(t, optarg);
      return t->status == TOOL_DONE;
    case 3:
      print_help(t->command);
      break;
    case 4:
      puts("cspace " PACKAGE_VERSION);
      break;
    case ':':
      t->status = tool_usage(t, "option %s wants a value", argv[optind - 1]);
      return 0;
    default:
      letter[1] = (char)optopt;
      t->status = tool_usage(t, "unknown option %s", optopt > 4 ? letter : argv[optind - 1]);
      return 0;
  }
  t->status = TOOL_DONE;
  return 0;
}

int tool_option(struct tool *t, int argc, char **argv, const struct option *options) {
  int c;

  opterr = 0;
  while ((c = getopt_long(argc, argv, t->command == NULL ? "+:" : ":", options, NULL)) != -1) {
    if (c > 4 && c != ':' && c != '?') return c;
    if (common_option(t, c, argv) == 0) return 0;
  }
  return -1;
}

int tool_home(const struct tool *t, char home[HOME_PATH_MAX]) {
  return home_path(home, conf_get(t->config, "home")) == 0 ? TOOL_DONE : tool_failed();
}

static void on_log(enum log_level level, const char *line) {
  static const char *const names[] = {"", "error", "warning", "info", "debug"};

  fprintf(stderr, "cspace: %s: %s\n", names[level], line);
}

static int read_conf_file(cs_config *c, const char *home) {
  char *text = NULL, name[HOME_PATH_MAX + sizeof CONF_FILE];
  size_t len = 0;
  int rc = home_read(home, CONF_FILE, CONF_FILE_MAX, &text, &len);

  if (rc != 0) return errno == ENOENT ? 0 : -1;
  snprintf(name, sizeof name, "%s/%s", home, CONF_FILE);
  rc = conf_parse(c, text, len, name);
  free(text);
  return rc;
}

cs_config *tool_config(const struct tool *t, char home[HOME_PATH_MAX]) {
  cs_config *c = conf_copy(t->config);
  enum log_level level;

  if (c == NULL) {
    tool_error("out of memory");
    return NULL;
  }
  if (conf_environment(c) != 0 || home_path(home, conf_get(c, "home")) != 0 || read_conf_file(c, home) != 0) {
    tool_failed();
    cs_config_free(c);
    return NULL;
  }
  if (log_level_parse(&level, conf_get(c, "log-level")) == 0) log_setup(level, on_log);
  return c;
}

void tool_json_string(const char *text) {
  putchar('"');
  for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
    if (*p == '"' || *p == '\\')
      printf("\\%c", *p);
    else if (*p < 0x20)
      printf("\\u%04x", *p);
    else
      putchar(*p);
  }
  putchar('"');
}
