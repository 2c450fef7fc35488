/*
 * cmd_passphrase.c - cspace passphrase, and the passphrase of cspace init.
 */
#include "tool.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../samples/ask.h"

static char *cannot_ask(void) {
  tool_error("cannot ask for a passphrase: %m; name a file with it in CSPACE_PASSPHRASE_FILE");
  return NULL;
}

/* Asks until two answers agree, three times at most. */
static char *ask_twice(void) {
  for (int i = 0; i < 3; i++) {
    char *once = ask_passphrase(i == 0 ? "New passphrase: " : "They differ. New passphrase: "), *twice;
    bool same;

    if (once == NULL) return cannot_ask();
    if (once[0] == '\0' || strlen(once) > HOME_PASSPHRASE_MAX) {
      sodium_free(once);
      tool_error("a passphrase has 1 to %d bytes", HOME_PASSPHRASE_MAX);
      return NULL;
    }
    twice = ask_passphrase("The same once more: ");
    same = twice != NULL && strcmp(once, twice) == 0;
    if (twice == NULL || !same) sodium_free(once);
    sodium_free(twice);
    if (twice == NULL) return cannot_ask();
    if (same) return once;
  }
  tool_error("the passphrases differed three times; nothing was changed");
  return NULL;
}

char *tool_new_passphrase(const char *file) {
  char *given;

  if (file == NULL) return ask_twice();
  given = home_passphrase_read(file);
  if (given == NULL) tool_failed();
  return given;
}

static int reseal(const char *home, bool sealed, bool remove, const char *file) {
  char *old = NULL, *now = NULL;
  int status = TOOL_FAILED;

  if (sealed && home_passphrase_file() == NULL && (old = ask_passphrase("Present passphrase: ")) == NULL) {
    cannot_ask();
    return TOOL_FAILED;
  }
  if (!sealed && file == NULL) file = home_passphrase_file();
  if (!remove) now = tool_new_passphrase(file);
  if (remove || now != NULL)
    status = home_identity_reseal(home, old, now) == 0 ? TOOL_DONE : tool_failed();
  if (status == TOOL_DONE)
    puts(remove ? "The identity has no passphrase any more." : "The identity is sealed with the new passphrase.");
  sodium_free(old);
  sodium_free(now);
  return status;
}

int cmd_passphrase(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {
      {"remove", no_argument, NULL, 'r'}, {"new", required_argument, NULL, 'n'}, TOOL_OPTIONS};
  char home[HOME_PATH_MAX];
  const char *file = NULL;
  bool remove = false;
  int c, sealed;

  while ((c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) return t->status;
    if (c == 'r') remove = true;
    if (c == 'n') file = optarg;
  }
  if (tool_want(t, argc, 0, 0) != TOOL_DONE) return TOOL_USAGE;
  if (remove && file != NULL) return tool_usage(t, "--remove or --new, not both");
  if (tool_home(t, home) != TOOL_DONE) return TOOL_FAILED;
  sealed = home_identity_sealed(home);
  if (sealed < 0) return tool_failed();
  if (remove && !sealed) return tool_error("the identity in %s has no passphrase", home);
  return reseal(home, sealed, remove, file);
}
