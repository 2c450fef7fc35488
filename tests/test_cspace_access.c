/*
 * test_cspace_access.c - who may use a service, and calls to one's own id.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

static cs_node *carol;
static char bob_id[CS_ID_LEN + 1], carol_id[CS_ID_LEN + 1];

static void start(const char *key, const char *value) {
  kit_start(NULL, NULL);
  if (key != NULL) {
    cs_close(bob);
    bob = world_open(kit_world, bob_home, key, value);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bob);
  }
  world_id(bob_home, bob_id);
  world_id(carol_home, carol_id);
  carol = world_open(kit_world, carol_home, NULL, NULL);
  CU_ASSERT_PTR_NOT_NULL_FATAL(carol);
}

static void stop(void) {
  cs_close(carol);
  kit_stop();
}

/* Whether the call gets through, as whom. */
static bool may(cs_node *n, const char *petname) {
  struct cs_peer p;
  int fd = cs_connect(n, bob_id, "chat", NULL), got;
  bool ok = fd >= 0;

  if (!ok) {
    CU_ASSERT_EQUAL(errno, ECONNREFUSED);
    return false;
  }
  got = cs_accept(chat, &p, 0);
  CU_ASSERT_TRUE(got >= 0);
  CU_ASSERT_STRING_EQUAL(p.id, cs_id(n));
  CU_ASSERT_STRING_EQUAL(p.name, petname);
  CU_ASSERT_EQUAL(cs_peer(got, &p), 0);
  CU_ASSERT_STRING_EQUAL(p.id, cs_id(n));
  CU_ASSERT_STRING_EQUAL(p.name, petname);
  close(got);
  close(fd);
  return ok;
}

static void contacts_by_default(void) {
  start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  CU_ASSERT_TRUE(may(alice, "alice"));
  CU_ASSERT_FALSE(may(carol, ""));
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), bob_id));
  stop();
}

static void anyone_by_option(void) {
  start(NULL, NULL);
  chat = kit_listen(bob, "chat", "access", "anyone");
  CU_ASSERT_TRUE(may(carol, ""));
  CU_ASSERT_TRUE(may(alice, "alice"));
  CU_ASSERT_EQUAL(cs_connect(carol, bob_id, "other", NULL), -1); /* and no more than that */
  CU_ASSERT_EQUAL(errno, ECONNREFUSED);
  stop();
}

static void anyone_by_configuration(void) {
  start("access.chat", "anyone");
  chat = kit_listen(bob, "chat", NULL, NULL);
  CU_ASSERT_TRUE(may(carol, ""));
  stop();
}

static void those_listed(void) {
  start(NULL, NULL);
  chat = kit_listen(bob, "chat", "access", "alice");
  CU_ASSERT_TRUE(may(alice, "alice"));
  CU_ASSERT_FALSE(may(carol, ""));
  close(chat);
  chat = kit_listen(bob, "chat", "access", carol_id);
  CU_ASSERT_TRUE(may(carol, ""));
  CU_ASSERT_FALSE(may(alice, "alice"));
  stop();
}

static void write_contacts(const char *mode, const char *text) {
  char path[300];
  FILE *f;

  snprintf(path, sizeof path, "%s/contacts", bob_home);
  f = fopen(path, mode);
  CU_ASSERT_PTR_NOT_NULL_FATAL(f);
  fputs(text, f);
  fclose(f);
}

static void an_edited_contacts_file_takes_effect(void) {
  char line[100], alice_line[100];

  start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  CU_ASSERT_FALSE(may(carol, ""));
  snprintf(line, sizeof line, "carol %s\n", carol_id);
  write_contacts("a", line);
  CU_ASSERT_TRUE(may(carol, "carol"));
  CU_ASSERT_TRUE(may(alice, "alice"));
  snprintf(alice_line, sizeof alice_line, "alicia %s\n", cs_id(alice));
  write_contacts("w", alice_line); /* renamed; carol is gone, and her session does not help her */
  CU_ASSERT_TRUE(may(alice, "alicia"));
  CU_ASSERT_FALSE(may(carol, ""));
  CU_ASSERT_EQUAL(cs_contact_add(bob, "carol", carol_id), 0); /* by call as well */
  CU_ASSERT_TRUE(may(carol, "carol"));
  CU_ASSERT_EQUAL(cs_contact_remove(bob, "carol"), 0);
  CU_ASSERT_FALSE(may(carol, ""));
  stop();
}

/* A damaged file locks nobody in or out: the table as it was stays. */
static void a_damaged_contacts_file_changes_nothing(void) {
  start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  CU_ASSERT_TRUE(may(alice, "alice"));
  write_contacts("w", "alice not-an-id\n");
  CU_ASSERT_TRUE(may(alice, "alice"));
  CU_ASSERT_FALSE(may(carol, ""));
  stop();
}

static void contacts_by_call(void) {
  char name[CS_NAME_MAX + 1], id[CS_ID_LEN + 1];

  start(NULL, NULL);
  CU_ASSERT_EQUAL(cs_contact_add(alice, "bob", carol_id), -1);
  CU_ASSERT_EQUAL(errno, EEXIST);
  CU_ASSERT_EQUAL(cs_contact_add(alice, "robert", bob_id), -1);
  CU_ASSERT_EQUAL(errno, EEXIST);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_EXISTS);
  CU_ASSERT_EQUAL(cs_contact_add(alice, "carol", "not an id"), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(cs_contact_add(alice, "carol", carol_id), 0);
  CU_ASSERT_EQUAL(cs_contact_rename(alice, "carol", "bob"), -1);
  CU_ASSERT_EQUAL(errno, EEXIST);
  CU_ASSERT_EQUAL(cs_contact_rename(alice, "carol", "caro"), 0);
  CU_ASSERT_EQUAL(cs_contact_remove(alice, "carol"), -1);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_EQUAL(cs_contact_next(alice, NULL, name, id), 1);
  CU_ASSERT_STRING_EQUAL(name, "bob");
  CU_ASSERT_STRING_EQUAL(id, bob_id);
  CU_ASSERT_EQUAL(cs_contact_next(alice, "bob", name, id), 1);
  CU_ASSERT_STRING_EQUAL(name, "caro");
  CU_ASSERT_EQUAL(cs_contact_next(alice, "caro", name, id), 0);
  stop();
}

static void round_trip(cs_node *from, const char *id, int listener) {
  struct cs_peer p;
  char byte = 0;
  int fd = cs_connect(from, id, "self", NULL), got;

  if (fd < 0) fprintf(stderr, "connect: %s\n", cs_last_error_text());
  CU_ASSERT_TRUE_FATAL(fd >= 0);
  got = cs_accept(listener, &p, 0);
  CU_ASSERT_TRUE_FATAL(got >= 0);
  CU_ASSERT_STRING_EQUAL(p.id, id);
  CU_ASSERT_EQUAL(write(fd, "s", 1), 1);
  CU_ASSERT_EQUAL(world_read(got, &byte, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(write(got, "t", 1), 1);
  CU_ASSERT_EQUAL(world_read(fd, &byte, 1, KIT_WAIT_MS), 1);
  CU_ASSERT_EQUAL(byte, 't');
  close(fd);
  close(got);
}

static void one_s_own_id_works(void) {
  cs_node *second;
  int l;

  start(NULL, NULL);
  l = kit_listen(bob, "self", NULL, NULL);
  second = world_open(kit_world, bob_home, NULL, NULL); /* another process or device of bob's */
  CU_ASSERT_PTR_NOT_NULL_FATAL(second);
  round_trip(second, bob_id, l);
  cs_close(second);
  round_trip(bob, bob_id, l); /* and the very same node */
  close(l);
  stop();
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"contacts by default, a stranger is refused", contacts_by_default},
      {"anyone by option", anyone_by_option},
      {"anyone by access.SERVICE", anyone_by_configuration},
      {"those listed by petname or id", those_listed},
      {"an edited contacts file takes effect at once", an_edited_contacts_file_takes_effect},
      {"a damaged contacts file changes nothing", a_damaged_contacts_file_changes_nothing},
      {"contacts by call", contacts_by_call},
      {"one's own id works", one_s_own_id_works},
  };

  return kit_main(argc, argv, "cspace_access", tests, sizeof tests / sizeof tests[0]);
}
