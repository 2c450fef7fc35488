/*
 * cs-copy-client.c - sending: checks the files, connects, copies, reports.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "cs-copy-app.h"
#include "cs-copy-progress.h"
#include "cs-copy-transfer.h"

#define REDRAW_S 0.1
#define RATE_BYTES_MIN 1000000 /* below it the rate says nothing */
#define PATH_TIMEOUT_MS "5000"

/* What is shown while files go. */
struct show {
  bool quiet, tty;
  const struct copy_item *current;
  double started, drawn;      /* of current; the last redraw */
  uint64_t drawn_bytes;
  double rate;
  uint64_t saved_bytes;
  unsigned saved, failed;
};

static unsigned columns(void) {
  struct winsize ws;

  return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : 80;
}

static void on_progress(void *ctx, const struct copy_item *item) {
  struct show *s = ctx;
  double now = copy_app_now(), rate;
  char line[COPY_LINE_MAX];

  if (s->current != item) {
    s->current = item;
    s->started = s->drawn = now;
    s->drawn_bytes = 0;
    s->rate = 0;
  }
  if (!s->tty || s->quiet || now - s->drawn < REDRAW_S) return;
  rate = (double)(item->sent - s->drawn_bytes) / (now - s->drawn);
  s->rate = s->rate == 0 ? rate : 0.7 * s->rate + 0.3 * rate;
  s->drawn = now;
  s->drawn_bytes = item->sent;
  fprintf(stderr, "\r%s\033[K",
          copy_progress_line(line, &(struct copy_progress){item->name, item->sent, item->size, s->rate}, columns()));
}

static void show_saved(struct show *s, const struct copy_item *item) {
  double seconds = s->current == item ? copy_app_now() - s->started : 0;
  char size[COPY_SIZE_TEXT], rate[COPY_SIZE_TEXT];
  const char *base = item->text == NULL ? item->name : strrchr(item->text, '/');

  base = base == NULL ? item->text : base + (*base == '/');
  fprintf(stderr, "%s: %s", item->name, copy_format_size(size, (double)item->size));
  if (seconds > 0 && item->size >= RATE_BYTES_MIN)
    fprintf(stderr, ", %s/s", copy_format_size(rate, (double)item->size / seconds));
  if (strcmp(base, item->name) != 0) fprintf(stderr, ", saved as %s", item->text);
  fputc('\n', stderr);
}

static void on_result(void *ctx, const struct copy_item *item) {
  struct show *s = ctx;

  if (s->tty && !s->quiet) fputs("\r\033[K", stderr);
  if (item->status != COPY_OK) {
    s->failed++;
    copy_app_error("%s: %s: %s", item->name, copy_status_text(item->status), item->text != NULL ? item->text : "");
    return;
  }
  s->saved++;
  s->saved_bytes += item->size;
  if (!s->quiet) show_saved(s, item);
}

/* A name with control characters is not shown as it is. */
static void refuse_name(const char *file, const char *problem) {
  char *shown = strdup(file);

  if (shown != NULL) copy_clean_text(shown);
  copy_app_error("%s: %s cannot be sent; nothing was sent", shown != NULL ? shown : "a file", problem);
  free(shown);
}

/* Looks at every file before anything is sent. 0 or -1. */
static int check_files(struct copy_item *items, char **files, int n) {
  for (int i = 0; i < n; i++) {
    const char *slash = strrchr(files[i], '/'), *problem;
    struct stat st;

    items[i].path = files[i];
    items[i].name = slash == NULL ? files[i] : slash + 1;
    problem = items[i].name[0] == '.' ? NULL : copy_component_problem(items[i].name, strlen(items[i].name));
    if (stat(files[i], &st) != 0 || (S_ISREG(st.st_mode) && access(files[i], R_OK) != 0))
      copy_app_error("%s: %s; nothing was sent", files[i], strerror(errno));
    else if (S_ISDIR(st.st_mode))
      copy_app_error("%s: is a directory; copying directories is not offered in this version", files[i]);
    else if (!S_ISREG(st.st_mode))
      copy_app_error("%s: not a regular file; nothing was sent", files[i]);
    else if (problem != NULL)
      refuse_name(files[i], problem);
    else
      continue;
    return -1;
  }
  return 0;
}

/* Several files need a directory: PATH is one. */
static char *directory_target(const char *target, int n) {
  size_t len = strlen(target);
  char *dir = NULL;

  if (asprintf(&dir, "%s%s", target, n > 1 && len > 0 && target[len - 1] != '/' ? "/" : "") < 0) return NULL;
  return dir;
}

/* While the session is up: a receiver that takes one sender is gone after the copy. */
static void ask_path(cs_node *node, const char *user, struct cs_path *path) {
  cs_options *options = cs_options_new();

  if (options != NULL) (void)cs_options_set(options, "timeout-ms", PATH_TIMEOUT_MS);
  if (cs_ping(node, user, options, path) != 0) path->kind[0] = path->address[0] = '\0';
  cs_options_free(options);
}

static void print_json(const struct show *s, const struct cs_path *path, double connect_s, double seconds) {
  printf("{\"files\":%u,\"bytes\":%llu,\"failed\":%u,\"seconds\":%.6f,\"connect_ms\":%.3f,\"path\":\"%s\","
         "\"address\":\"%s\"}\n",
         s->saved, (unsigned long long)s->saved_bytes, s->failed, seconds, connect_s * 1e3, path->kind, path->address);
}

static int copy_all(const struct copy_app *app, cs_node *node, struct copy_item *items, int n, const char *user,
                    const char *target) {
  struct show show = {.quiet = app->quiet, .tty = isatty(STDERR_FILENO)};
  struct copy_send_watch watch = {on_progress, on_result, &show};
  struct cs_path path = {.kind = "", .address = ""};
  char why[COPY_WHY_MAX];
  double begun = copy_app_now(), connected;
  int rc, fd = cs_connect(node, user, COPY_SERVICE, app->options);

  if (fd < 0) {
    copy_app_error("%s", cs_last_error_text());
    if (cs_last_error() == CS_ERR_REFUSED)
      copy_app_error("does %s run cs-copy --receive, and has you as a contact?", user);
    return EXIT_FAILED;
  }
  connected = copy_app_now();
  if (app->json) ask_path(node, user, &path);
  rc = copy_send(fd, items, (size_t)n, target, &watch, why);
  if (rc < 0) {
    if (show.tty && !show.quiet) fputs("\r\033[K", stderr);
    copy_app_error("%s: %s; %u of %d files were saved", user, why, show.saved, n);
  }
  if (app->json) print_json(&show, &path, connected - begun, copy_app_now() - connected);
  close(fd);
  return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}

int copy_app_send(const struct copy_app *app, char **files, int n, const char *user, const char *target) {
  struct copy_item *items = calloc((size_t)n, sizeof *items);
  char *dir = directory_target(target, n), probe[COPY_PATH_MAX + 1];
  const char *problem = dir == NULL ? NULL : copy_path(probe, dir, "name", false);
  cs_node *node = NULL;
  int rc = EXIT_FAILED;

  if (items == NULL || dir == NULL)
    copy_app_error("out of memory");
  else if (problem != NULL)
    copy_app_error("%s:%s: %s cannot be asked for; nothing was sent", user, target, problem);
  else if (check_files(items, files, n) == 0) {
    node = ask_open(app->config);
    if (node == NULL)
      copy_app_error("%s", cs_last_error_text());
    else
      rc = copy_all(app, node, items, n, user, dir);
  }
  cs_close(node);
  if (items != NULL) copy_items_clear(items, (size_t)n);
  free(items);
  free(dir);
  return rc;
}
