/*
 * cmd_listen.c - cspace listen: a service from the command line. One pipe for
 * the first caller, or a command for every caller.
 *
 * The connections of the commands go through this process. So SIGTERM and
 * SIGINT close the service and wait for the commands that run; a second one
 * ends everything at once.
 */
#include "../samples/ask.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "leave.h"
#include "pipe.h"

#define COMMANDS_DEFAULT 64
#define COMMANDS_MAX 10000
#define TWICE_MS 300  /* timeout(1) sends one signal twice at once: that is one */
#define SLOW_MS 15000 /* say that publishing takes long */

extern char **environ;

struct service {
  const char *name;
  char **command;       /* NULL: one pipe */
  long max;
  bool once;
  cs_node *node;
  int listener, signals;
  sigset_t old_mask;    /* for the commands */
  long running, served;
  bool stopping, cut;
  struct timespec stopped_at;
};

/* ---- "ready" ---- */

static void *announce(void *arg) {
  const struct service *s = arg;
  int rc = cs_published(s->node, SLOW_MS);

  if (rc != 0 && errno == ETIMEDOUT) {
    tool_error("%s; trying on", cs_last_error_text());
    rc = cs_published(s->node, -1);
  }
  if (rc == 0) fprintf(stderr, "ready %s\n", s->name);
  return NULL;
}

/* ---- a command for a caller ---- */

/* The environment with the three variables that name the caller first; free_environment. NULL when out of memory. */
static char **caller_environment(const struct cs_peer *peer) {
  static const char *const ours[] = {"CSPACE_PEER=", "CSPACE_PEER_ID=", "CSPACE_SERVICE="};
  const char *values[] = {peer->name, peer->id, peer->service};
  size_t n = 0, at = 0;
  char **env;

  while (environ[n] != NULL) n++;
  env = calloc(n + 4, sizeof *env);
  if (env == NULL) return NULL;
  for (; at < 3; at++)
    if (asprintf(&env[at], "%s%s", ours[at], values[at]) < 0) {
      while (at-- > 0) free(env[at]);
      free(env);
      return NULL;
    }
  for (size_t i = 0; i < n; i++) {
    bool replaced = false;

    for (size_t k = 0; k < 3; k++) replaced |= strncmp(environ[i], ours[k], strlen(ours[k])) == 0;
    if (!replaced) env[at++] = environ[i];
  }
  return env;
}

static void free_environment(char **env) {
  for (size_t i = 0; env != NULL && i < 3; i++) free(env[i]);
  free(env);
}

/* 0, or an errno. Unlike fork this runs no handlers of other threads' locks, and says when exec failed. */
static int spawn(const struct service *s, int fd, char **env) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  pid_t pid;
  int rc = posix_spawn_file_actions_init(&actions);

  if (rc != 0) return rc;
  rc = posix_spawnattr_init(&attr);
  if (rc == 0) {
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, &s->old_mask);
    rc = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    if (rc == 0) rc = posix_spawnp(&pid, s->command[0], &actions, &attr, s->command, env);
    posix_spawnattr_destroy(&attr);
  }
  posix_spawn_file_actions_destroy(&actions);
  return rc;
}

static void serve_caller(struct service *s) {
  struct cs_peer peer;
  char **env;
  int fd = cs_accept(s->listener, &peer, 0), err;

  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR) return; /* the caller is gone again */
    err = errno;
    tool_failed();
    if (err == ESHUTDOWN) s->stopping = true; /* the node is gone */
    return;
  }
  env = caller_environment(&peer);
  err = env == NULL ? ENOMEM : spawn(s, fd, env);
  free_environment(env);
  s->served++;
  if (err == 0)
    s->running++;
  else
    tool_error("%s: %s: %s", s->name, s->command[0], strerror(err));
  close(fd); /* the command has it now */
}

static void reap(struct service *s) {
  int status;

  while (waitpid(-1, &status, WNOHANG) > 0) s->running--;
}

static void take_signal(struct service *s) {
  struct signalfd_siginfo si;
  struct timespec now;

  while (read(s->signals, &si, sizeof si) == sizeof si) {
    if (si.ssi_signo == SIGCHLD) continue;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!s->stopping) s->stopped_at = now;
    s->cut = s->stopping && (now.tv_sec - s->stopped_at.tv_sec) * 1000 +
                                    (now.tv_nsec - s->stopped_at.tv_nsec) / 1000000 >= TWICE_MS;
    s->stopping = true;
  }
  reap(s);
}

/* Until stopped and the last command has ended. */
static int serve_all(struct service *s) {
  for (;;) {
    bool done = s->stopping || (s->once && s->served > 0);
    struct pollfd p[2] = {{.fd = s->signals, .events = POLLIN},
                          {.fd = !done && s->running < s->max ? s->listener : -1, .events = POLLIN}};

    if (done && s->listener >= 0) {
      close(s->listener); /* further callers are refused */
      s->listener = -1;
    }
    if ((done && s->running == 0) || s->cut) return TOOL_DONE;
    if (poll(p, 2, -1) < 0 && errno != EINTR) return tool_error("poll: %s", strerror(errno));
    if (p[0].revents != 0) take_signal(s);
    if (p[1].revents != 0 && !s->stopping) serve_caller(s);
  }
}

/* The error of a command that cannot be run comes at the start, not at the first caller. */
static bool command_exists(const char *command) {
  const char *path = getenv("PATH"), *end;
  char *file = NULL;
  bool found = false;

  if (strchr(command, '/') != NULL || path == NULL) return access(command, X_OK) == 0;
  for (; !found; path = end + 1) {
    end = strchrnul(path, ':');
    if (asprintf(&file, "%.*s/%s", end == path ? 1 : (int)(end - path), end == path ? "." : path, command) < 0)
      return true; /* spawn will say */
    found = access(file, X_OK) == 0;
    free(file);
    if (*end == '\0') break;
  }
  return found;
}

static int run_commands(struct service *s) {
  sigset_t mask;
  int rc;

  leave_signals(&mask);
  sigaddset(&mask, SIGCHLD);
  s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (s->signals < 0) return tool_error("signalfd: %s", strerror(errno));
  (void)fcntl(s->listener, F_SETFL, O_NONBLOCK); /* a caller may be gone between poll and accept */
  rc = serve_all(s);
  close(s->signals);
  return rc;
}

/* ---- one pipe ---- */

static int run_pipe(struct service *s) {
  char why[PIPE_WHY_MAX];
  struct cs_peer peer;
  int fd = cs_accept(s->listener, &peer, 0);

  if (fd < 0) {
    leave_check();
    return tool_failed();
  }
  close(s->listener); /* it was for one */
  s->listener = -1;
  if (pipe_run(STDIN_FILENO, STDOUT_FILENO, fd, why) != 0) {
    if (errno == EPIPE) leave_broken_pipe(s->node);
    leave_check();
    return tool_error("%s: %s: %s", s->name, peer.name[0] != '\0' ? peer.name : peer.id, why);
  }
  close(fd);
  return TOOL_DONE;
}

/* ---- both ---- */

static void block_signals(struct service *s) {
  sigset_t mask;

  leave_signals(&mask);
  sigaddset(&mask, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &mask, &s->old_mask);
}

static int run(struct tool *t, struct service *s, const cs_options *options) {
  pthread_t announcer;
  bool announced;
  int rc;

  if (s->command != NULL)
    block_signals(s); /* before any thread is there */
  else
    leave_prepare();
  s->node = ask_open(t->config);
  if (s->node == NULL) return tool_failed();
  if (s->command == NULL) leave_watch(s->node);
  s->listener = cs_listen(s->node, s->name, options);
  if (s->listener < 0) {
    rc = tool_failed();
    leave_close(s->node);
    return rc;
  }
  announced = pthread_create(&announcer, NULL, announce, s) == 0;
  rc = s->command != NULL ? run_commands(s) : run_pipe(s);
  if (s->cut) _exit(TOOL_FAILED); /* told twice: nothing is waited for */
  if (s->listener >= 0) close(s->listener);
  leave_close(s->node);
  if (announced) pthread_join(announcer, NULL);
  return rc;
}

static int take(struct tool *t, struct service *s, cs_options *options, int c) {
  char *end;

  if (c == 'o') s->once = true;
  if (c == 'a' && cs_options_set(options, "access", optarg) != 0) return tool_usage(t, "%s", cs_last_error_text());
  if (c == 'm') {
    s->max = strtol(optarg, &end, 10);
    if (*end != '\0' || end == optarg || s->max < 1 || s->max > COMMANDS_MAX)
      return tool_usage(t, "--max wants a number from 1 to %d, not %s", COMMANDS_MAX, optarg);
  }
  return TOOL_DONE;
}

/* Arguments before the "--" are ours, what follows is the command. */
static int split_command(struct tool *t, struct service *s, int *argc, char **argv) {
  for (int i = 1; i < *argc; i++) {
    if (strcmp(argv[i], "--") != 0) continue;
    if (i + 1 == *argc) return tool_usage(t, "no command after --");
    s->command = argv + i + 1;
    argv[i] = NULL;
    *argc = i;
    break;
  }
  return TOOL_DONE;
}

int cmd_listen(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"access", required_argument, NULL, 'a'},
                                          {"max", required_argument, NULL, 'm'},
                                          {"once", no_argument, NULL, 'o'},
                                          TOOL_OPTIONS};
  struct service s = {.max = COMMANDS_DEFAULT, .listener = -1};
  cs_options *call = cs_options_new();
  int c, rc;

  if (call == NULL) return tool_error("out of memory");
  rc = split_command(t, &s, &argc, argv);
  while (rc == TOOL_DONE && (c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) {
      cs_options_free(call);
      return t->status;
    }
    rc = take(t, &s, call, c);
  }
  if (rc == TOOL_DONE && s.command == NULL && argc - optind > 1)
    rc = tool_usage(t, "a command goes after --: cspace listen %s -- %s", argv[optind], argv[optind + 1]);
  if (rc == TOOL_DONE) rc = tool_want(t, argc, 1, 1);
  if (rc == TOOL_DONE) {
    s.name = argv[optind];
    if (s.command != NULL && !command_exists(s.command[0]))
      rc = tool_error("%s: there is no such command", s.command[0]);
    else
      rc = run(t, &s, call);
  }
  cs_options_free(call);
  return rc;
}
