/*
 * cmd_contact.c - cspace contact add, list, remove, rename. They work on the
 * file; a running node rereads it.
 */
#include "tool.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "contacts.h"

static int list(const char *home, bool json) {
  struct contacts *all = contacts_new();
  struct contacts_stamp stamp = {.set = false};
  const struct contact *c = NULL;
  char id[ID_TEXT_LEN + 1];

  if (all == NULL) return tool_error("out of memory");
  if (contacts_reload(all, home, &stamp) < 0) {
    contacts_free(all);
    return tool_failed();
  }
  if (json) putchar('[');
  while ((c = contacts_after(all, c == NULL ? "" : c->name)) != NULL) {
    id_format(id, c->key);
    if (!json)
      printf("%s\t%s\n", c->name, id);
    else
      printf("%s{\"name\":\"%s\",\"id\":\"%s\"}", c == contacts_after(all, "") ? "" : ",", c->name, id);
  }
  if (json) puts("]");
  contacts_free(all);
  return TOOL_DONE;
}

int cmd_contact(struct tool *t, int argc, char **argv) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'}, TOOL_OPTIONS};
  static const struct {
    const char *verb;
    int args;
  } verbs[] = {{"add", 2}, {"list", 0}, {"remove", 1}, {"rename", 2}};
  char home[HOME_PATH_MAX], **arg;
  bool json = false;
  size_t v = 0;
  int c, rc;

  while ((c = tool_option(t, argc, argv, options)) != -1) {
    if (c == 0) return t->status;
    json = true;
  }
  if (optind == argc) return tool_usage(t, "contact: add, list, remove or rename?");
  while (v < 4 && strcmp(verbs[v].verb, argv[optind]) != 0) v++;
  if (v == 4) return tool_usage(t, "contact: %s is none of add, list, remove, rename", argv[optind]);
  if (json && v != 1) return tool_usage(t, "--json is for contact list");
  optind++;
  if (tool_want(t, argc, verbs[v].args, verbs[v].args) != TOOL_DONE) return TOOL_USAGE;
  arg = argv + optind;
  if (tool_home(t, home) != TOOL_DONE) return TOOL_FAILED;
  if (v == 1) return list(home, json);
  if (v == 0 && home_create(home) != 0) return tool_failed();
  if (v == 0)
    rc = contacts_file_add(home, arg[0], arg[1]);
  else
    rc = v == 2 ? contacts_file_remove(home, arg[0]) : contacts_file_rename(home, arg[0], arg[1]);
  return rc == 0 ? TOOL_DONE : tool_failed();
}
