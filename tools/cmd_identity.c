/*
 * cmd_identity.c - cspace init, cspace id.
 */
#include "tool.h"

#include <sodium.h>
#include <stdio.h>

#include "contacts.h"

int cmd_init(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"passphrase", no_argument, NULL, 'p'}, TOOL_OPTIONS};
  char home[HOME_PATH_MAX], id[ID_TEXT_LEN + 1];
  char *passphrase = NULL;
  bool seal = false;
  const char *name;
  int c, rc;

  while ((c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) return t->status;
    seal = true;
  }
  if (tool_want(t, argc, 0, 1) != TOOL_DONE) return TOOL_USAGE;
  name = optind < argc ? argv[optind] : "NAME";
  if (optind < argc && !contact_name_valid(name))
    return tool_usage(t, "%s: not a possible name (1 to %d of a-z 0-9 _ . -)", name, CS_NAME_MAX);
  if (tool_home(t, home) != TOOL_DONE) return TOOL_FAILED;
  if (seal && home_identity_id(home, id) != 0) { /* so that nobody is asked for what is refused */
    passphrase = tool_new_passphrase(home_passphrase_file());
    if (passphrase == NULL) return TOOL_FAILED;
  }
  rc = home_identity_create_sealed(home, passphrase);
  sodium_free(passphrase);
  if (rc != 0 || home_identity_id(home, id) != 0) return tool_failed();
  printf("Your identity is made, in %s. Your id:\n  %s\nA friend who wants to reach you runs:\n"
         "  cspace contact add %s %s\n",
         home, id, name, id);
  return TOOL_DONE;
}

int cmd_id(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'}, TOOL_OPTIONS};
  char home[HOME_PATH_MAX], id[ID_TEXT_LEN + 1];
  int c, json = 0;

  while ((c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) return t->status;
    json = 1;
  }
  if (tool_want(t, argc, 0, 0) != TOOL_DONE) return TOOL_USAGE;
  if (tool_home(t, home) != TOOL_DONE) return TOOL_FAILED;
  if (home_identity_id(home, id) != 0) return tool_failed();
  printf(json ? "{\"id\":\"%s\"}\n" : "%s\n", id);
  return TOOL_DONE;
}
