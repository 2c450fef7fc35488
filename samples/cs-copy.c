/*
 * cs-copy.c - copy files to a person: cs-copy FILE... USER:[PATH], and at the
 * other end cs-copy --receive DIR. The command line.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#else
#define PACKAGE_VERSION "unknown"
#endif

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cs-copy-app.h"

static const char help[] =
    "usage: cs-copy [OPTION]... FILE... USER:[PATH]\n"
    "       cs-copy [OPTION]... --receive DIR\n"
    "Copies files to a contact, encrypted end to end. The other side runs cs-copy --receive.\n"
    "\n"
    "  PATH               where to in the other's DIR: a new name, or a directory (with / at its end)\n"
    "  --timeout MS       give up connecting after so long (30000)\n"
    "  --receive DIR      take files into DIR, from many senders at once, until interrupted\n"
    "  --once             with --receive: end after one sender\n"
    "  --overwrite        with --receive: replace files of the same name; else \"name (1).ext\"\n"
    "  --access WHO       with --receive: contacts (the default), anyone, or names and ids\n"
    "  --json             one line of JSON on stdout at the end\n"
    "  --quiet            no progress, no line per file; errors are still shown\n"
    "  --home DIR         where identity and contacts are\n"
    "  --set KEY=VALUE    a key of cspace.conf(5)\n"
    "  --help, --version\n";

int copy_app_error(const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  fputs("cs-copy: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  return EXIT_FAILED;
}

double copy_app_now(void) {
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int usage(const char *what, const char *which) {
  copy_app_error("%s%s (see cs-copy --help)", what, which);
  return EXIT_USAGE;
}

/* --set KEY=VALUE. */
static int set_pair(cs_config *config, char *pair) {
  char *value = strchr(pair, '=');

  if (value == NULL) return usage("--set wants KEY=VALUE, not ", pair);
  *value++ = '\0';
  return cs_config_set(config, pair, value) == 0 ? 0 : usage(cs_last_error_text(), "");
}

struct choice {
  const char *receive;
  bool sender_only, receiver_only; /* an option of that side was given */
};

static int take_option(int c, struct copy_app *app, struct choice *choice) {
  switch (c) {
    case 'h':
      if (cs_config_set(app->config, "home", optarg) != 0) return usage(cs_last_error_text(), "");
      return 0;
    case 's':
      return set_pair(app->config, optarg);
    case 'r':
      choice->receive = optarg;
      return 0;
    case 't':
      choice->sender_only = true;
      return cs_options_set(app->options, "timeout-ms", optarg) == 0 ? 0 : usage(cs_last_error_text(), "");
    case 'a':
      choice->receiver_only = true;
      return cs_options_set(app->options, "access", optarg) == 0 ? 0 : usage(cs_last_error_text(), "");
    case 'j':
      app->json = true;
      return 0;
    case 'q':
      app->quiet = true;
      return 0;
    case '1':
      app->once = choice->receiver_only = true;
      return 0;
    case 'w':
      app->overwrite = choice->receiver_only = true;
      return 0;
    case 'R':
      return usage("copying directories (-r) is not offered in this version", "");
    default:
      fputs("See cs-copy --help.\n", stderr);
      return EXIT_USAGE;
  }
}

static int run_choice(struct copy_app *app, const struct choice *choice, int argc, char **argv) {
  const char *colon;
  char user[CS_ID_LEN + 1];

  if (choice->receive != NULL) {
    if (argc > 0) return usage("--receive takes no files: ", argv[0]);
    if (choice->sender_only) return usage("--timeout is for sending", "");
    return copy_app_receive(app, choice->receive);
  }
  if (choice->receiver_only) return usage("--once, --overwrite and --access are for --receive", "");
  if (argc == 0) return usage("which files, and to whom?", "");
  colon = strchr(argv[argc - 1], ':');
  if (colon == NULL) return usage("the last argument must be USER:[PATH], with a colon: ", argv[argc - 1]);
  if (argc == 1) return usage("which files are to be sent to ", argv[0]);
  if (colon == argv[argc - 1] || (size_t)(colon - argv[argc - 1]) > CS_ID_LEN)
    return usage("no user stands before the colon: ", argv[argc - 1]);
  snprintf(user, sizeof user, "%.*s", (int)(colon - argv[argc - 1]), argv[argc - 1]);
  return copy_app_send(app, argv, argc - 1, user, colon + 1);
}

static int parse_and_run(struct copy_app *app, int argc, char **argv) {
  static const struct option options[] = {
      {"receive", required_argument, NULL, 'r'}, {"home", required_argument, NULL, 'h'},
      {"set", required_argument, NULL, 's'},     {"timeout", required_argument, NULL, 't'},
      {"access", required_argument, NULL, 'a'},  {"json", no_argument, NULL, 'j'},
      {"quiet", no_argument, NULL, 'q'},         {"once", no_argument, NULL, '1'},
      {"overwrite", no_argument, NULL, 'w'},     {"recursive", no_argument, NULL, 'R'},
      {"help", no_argument, NULL, 'H'},          {"version", no_argument, NULL, 'V'},
      {NULL, 0, NULL, 0}};
  struct choice choice = {NULL, false, false};
  int c, rc;

  while ((c = getopt_long(argc, argv, "r", options, NULL)) != -1) {
    if (c == 'H') return fputs(help, stdout) == EOF ? EXIT_FAILED : EXIT_DONE;
    if (c == 'V') return puts("cs-copy " PACKAGE_VERSION) == EOF ? EXIT_FAILED : EXIT_DONE;
    if (c == 'r' && optarg == NULL) c = 'R';
    rc = take_option(c, app, &choice);
    if (rc != 0) return rc;
  }
  return run_choice(app, &choice, argc - optind, argv + optind);
}

int main(int argc, char **argv) {
  struct copy_app app = {.config = cs_config_new(), .options = cs_options_new()};
  int fd, rc;

  do fd = open("/dev/null", O_RDWR); /* so that no connection becomes fd 0, 1 or 2 */
  while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
  if (app.config == NULL || app.options == NULL)
    rc = copy_app_error("out of memory");
  else
    rc = parse_and_run(&app, argc, argv);
  cs_options_free(app.options);
  cs_config_free(app.config);
  if (fflush(stdout) != 0 && rc == EXIT_DONE) rc = copy_app_error("stdout: %s", strerror(errno));
  return rc;
}
