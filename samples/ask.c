/*
 * ask.c - asks for a passphrase at the terminal. The terminal is as it was
 * before a signal takes effect.
 */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define TRIES 3

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};

#define CAUGHT (sizeof caught / sizeof caught[0])

static volatile sig_atomic_t came;

static void on_signal(int sig) { came = sig; }

static void show(int tty, const char *text) {
  ssize_t n = write(tty, text, strlen(text));

  (void)n; /* nobody to tell */
}

/* Reads up to the newline; what does not fit is dropped and makes the line too long. The length, or -1 + errno. */
static ssize_t read_line(int tty, char *line) {
  size_t n = 0;
  char c = 0;
  ssize_t r;

  while ((r = read(tty, &c, 1)) == 1 && c != '\n' && c != '\r')
    if (n <= LINE_MAX_BYTES) line[n++] = c;
  sodium_memzero(&c, sizeof c);
  line[n] = '\0';
  if (r == 0) errno = ECANCELED;
  return r == 1 ? (ssize_t)n : -1;
}

/* One try with echo off. -1 + EINTR: a signal came, and is in `came`. */
static ssize_t ask_once(int tty, const char *prompt, char *line) {
  struct sigaction act = {.sa_handler = on_signal}, before[CAUGHT];
  struct termios shown, hidden;
  ssize_t n = -1;
  int err;

  came = 0;
  if (tcgetattr(tty, &shown) != 0) return -1;
  sigemptyset(&act.sa_mask);
  for (size_t i = 0; i < CAUGHT; i++) sigaction(caught[i], &act, &before[i]); /* no SA_RESTART: they end the read */
  hidden = shown;
  hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
    show(tty, prompt);
    n = came == 0 ? read_line(tty, line) : -1;
    err = came != 0 ? EINTR : errno;
    show(tty, "\n");
    while (tcsetattr(tty, TCSAFLUSH, &shown) != 0 && errno == EINTR && came != SIGTTOU) {}
  } else {
    err = came != 0 ? EINTR : errno;
  }
  for (size_t i = 0; i < CAUGHT; i++) sigaction(caught[i], &before[i], NULL);
  errno = err;
  return came != 0 ? -1 : n;
}

char *ask_passphrase(const char *prompt) {
  int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), err;
  char *line = NULL;
  ssize_t n = -1;

  if (tty < 0) return NULL;
  if (sodium_init() >= 0) line = sodium_malloc(LINE_MAX_BYTES + 2);
  for (bool again = line != NULL; again;) {
    n = ask_once(tty, prompt, line);
    again = n < 0 && errno == EINTR && came != 0;
    if (again) raise(came); /* kills us, or stops us until we are in the foreground and ask again */
  }
  err = line == NULL ? ENOMEM : errno;
  close(tty);
  if (n >= 0) return line;
  sodium_free(line);
  errno = err;
  return NULL;
}

cs_node *ask_open(cs_config *config) {
  const char *file = getenv("CSPACE_PASSPHRASE_FILE");
  cs_node *node = cs_open(config);

  for (int i = 0; i < TRIES && node == NULL && cs_last_error() == CS_ERR_PASSPHRASE; i++) {
    char *given;

    if (file != NULL && *file != '\0') break;
    given = ask_passphrase(i == 0 ? "Passphrase: " : "That was not it. Passphrase: ");
    if (given == NULL) break; /* the error is still cs_open's */
    if (cs_config_set_passphrase(config, given) == 0) node = cs_open(config);
    sodium_free(given);
  }
  if (config != NULL) (void)cs_config_set_passphrase(config, NULL);
  return node;
}
