/*
 * test_cspace_errors.c - every stage has its errno, its code, and a sentence
 * that names the user.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define REFUSALS 11
#define LATE_MS 500 /* a timeout may be this late on a loaded machine, and never early */

/* The failed call's errno, code and a part of its sentence. */
static void expect(int rc, int err, enum cs_err code, const char *part) {
  int got = errno;

  CU_ASSERT_EQUAL(rc, -1);
  CU_ASSERT_EQUAL(got, err);
  CU_ASSERT_EQUAL(cs_last_error(), code);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), part));
  if (rc != -1 || got != err || cs_last_error() != code || strstr(cs_last_error_text(), part) == NULL)
    fprintf(stderr, "rc %d, %s, code %d, \"%s\"\n", rc, strerror(got), (int)cs_last_error(), cs_last_error_text());
}

static int within(cs_node *n, const char *user, const char *service, const char *ms) {
  cs_options *o = kit_options("timeout-ms", ms);
  int rc = cs_connect(n, user, service, o), err = errno;

  cs_options_free(o);
  errno = err;
  return rc;
}

static int brief(cs_node *n, const char *user, const char *service) { return within(n, user, service, "700"); }

static void arguments_are_named(void) {
  char id[CS_ID_LEN + 2];

  kit_start(NULL, NULL);
  expect(cs_connect(alice, "nobody", "chat", NULL), ENOENT, CS_ERR_USER_UNKNOWN, "nobody");
  world_id(bob_home, id);
  id[20] = id[20] == 'a' ? 'b' : 'a';
  expect(cs_connect(alice, id, "chat", NULL), EINVAL, CS_ERR_ID, id);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), "typing error"));
  id[20] = '1';
  expect(cs_connect(alice, id, "chat", NULL), EINVAL, CS_ERR_ID, id);
  id[CS_ID_LEN - 1] = '\0';
  expect(cs_connect(alice, id, "chat", NULL), EINVAL, CS_ERR_NAME, id);
  expect(cs_connect(alice, "Bob!", "chat", NULL), EINVAL, CS_ERR_NAME, "Bob!");
  expect(cs_connect(alice, "bob", "no/service", NULL), EINVAL, CS_ERR_SERVICE, "no/service");
  expect(cs_connect(alice, "bob", "", NULL), EINVAL, CS_ERR_SERVICE, "service");
  expect(cs_connect(alice, NULL, "chat", NULL), EINVAL, CS_ERR_ARGUMENT, "user");
  expect(cs_connect(alice, "bob", NULL, NULL), EINVAL, CS_ERR_ARGUMENT, "service");
  expect(cs_connect(NULL, "bob", "chat", NULL), EINVAL, CS_ERR_ARGUMENT, "node");
  expect(cs_connect_finish(-1), EINVAL, CS_ERR_ARGUMENT, "wait fd");
  expect(cs_listen(bob, "a service", NULL), EINVAL, CS_ERR_SERVICE, "a service");
  kit_stop();
}

static void options_and_keys_are_named(void) {
  cs_options *o = cs_options_new();
  cs_config *c = cs_config_new();

  expect(cs_options_set(o, "timeout", "5"), EINVAL, CS_ERR_KEY, "timeout");
  expect(cs_options_set(o, "timeout-ms", "soon"), EINVAL, CS_ERR_KEY, "soon");
  expect(cs_options_set(o, "backlog", "0"), EINVAL, CS_ERR_KEY, "backlog");
  expect(cs_options_set(o, "type", "datagrams"), EINVAL, CS_ERR_KEY, "datagrams");
  expect(cs_config_set(c, "idle-timeout", "1"), EINVAL, CS_ERR_KEY, "idle-timeout");
  expect(cs_config_set(c, "colour", "red"), EINVAL, CS_ERR_KEY, "colour");
  cs_options_free(o);
  cs_config_free(c);
}

static void not_published_is_ehostunreach(void) {
  kit_start(NULL, NULL);
  expect(brief(alice, "bob", "chat"), EHOSTUNREACH, CS_ERR_NOT_PUBLISHED, "bob");
  kit_stop();
}

static void no_bootstrap_is_enetunreach(void) {
  cs_node *n;

  kit_start(NULL, NULL);
  n = world_open(kit_world, carol_home, "bootstrap", "127.0.0.1:9");
  CU_ASSERT_PTR_NOT_NULL_FATAL(n);
  expect(within(n, cs_id(bob), "chat", "2500"), ENETUNREACH, CS_ERR_NETWORK, cs_id(bob));
  cs_close(n);
  n = world_open(kit_world, carol_home, "bootstrap", "none");
  CU_ASSERT_PTR_NOT_NULL_FATAL(n);
  expect(within(n, cs_id(bob), "chat", "2500"), ENETUNREACH, CS_ERR_NETWORK, cs_id(bob));
  cs_close(n);
  kit_stop();
}

static uint64_t us(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The shortest of some refusals, us, and their sentence. */
static uint64_t refusal(const char *service, char text[400]) {
  uint64_t best = UINT64_MAX;

  for (int i = 0; i < REFUSALS; i++) {
    uint64_t t = us(), took;

    expect(brief(alice, "bob", service), ECONNREFUSED, CS_ERR_REFUSED, "bob");
    took = us() - t;
    if (took < best) best = took;
  }
  snprintf(text, 400, "%s", cs_last_error_text());
  return best;
}

/* No such service, and not for us: one code, one sentence, one duration. */
static void refusals_tell_no_difference(void) {
  char absent[400], forbidden[400];
  uint64_t a = UINT64_MAX, b = UINT64_MAX;
  int l;

  kit_start(NULL, NULL);
  l = kit_listen(bob, "svc-a", "access", cs_id(bob)); /* for others than alice */
  refusal("svc-a", forbidden);                       /* the first brings the session up */
  for (int i = 0; i < 3; i++) {
    uint64_t t = refusal("svc-a", forbidden);

    if (t < a) a = t;
    t = refusal("svc-b", absent);
    if (t < b) b = t;
  }
  CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(absent, "svc-b"));
  memcpy(strstr(absent, "svc-b"), "svc-a", 5);
  CU_ASSERT_STRING_EQUAL(absent, forbidden);
  CU_ASSERT_TRUE(a < 2 * b + 1000 && b < 2 * a + 1000);
  close(l);
  kit_stop();
}

static void found_and_silent_is_etimedout(void) {
  cs_options *o = kit_options("timeout-ms", "1500");
  uint64_t t;
  pid_t pid;

  kit_start(NULL, NULL);
  pid = kit_peer(world_home(kit_world, "sleeper", 1), "mute", NULL);
  kill(pid, SIGSTOP);
  t = world_ms();
  expect(cs_connect(alice, "sleeper", "chat", o), ETIMEDOUT, CS_ERR_NO_ANSWER, "sleeper");
  CU_ASSERT_TRUE(world_ms() - t >= 1500 && world_ms() - t < 1500 + LATE_MS);
  kit_kill(pid);
  expect(cs_connect(alice, "sleeper", "chat", o), ETIMEDOUT, CS_ERR_NO_ANSWER, "sleeper");
  cs_options_free(o);
  kit_stop();
}

static void the_timeout_is_kept(void) {
  static const int ms[] = {50, 400, 1100};

  kit_start(NULL, NULL);
  for (int i = 0; i < 3; i++) {
    char text[16];
    cs_options *o;
    uint64_t t, took;

    snprintf(text, sizeof text, "%d", ms[i]);
    o = kit_options("timeout-ms", text);
    t = world_ms();
    CU_ASSERT_EQUAL(cs_connect(alice, "bob", "chat", o), -1);
    took = world_ms() - t;
    CU_ASSERT_TRUE(took >= (uint64_t)ms[i] - 1 && took < (uint64_t)ms[i] + LATE_MS);
    cs_options_free(o);
  }
  CU_ASSERT_EQUAL(cs_published(alice, 0), 0); /* she offers nothing: there is nothing to store */
  kit_stop();
}

static void who_comes_online_is_found(void) {
  uint64_t t;
  int wait_fd, fd;

  kit_start(NULL, NULL);
  wait_fd = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_FALSE(world_poll(wait_fd, POLLIN, 500));
  chat = cs_listen(bob, "chat", NULL);
  t = world_ms();
  fd = cs_connect_finish(wait_fd);
  CU_ASSERT_TRUE(fd >= 0);
  CU_ASSERT_TRUE(world_ms() - t < 6000);
  close(fd);
  kit_stop();
}

static void the_wait_fd_is_pollable_and_closing_it_cancels(void) {
  int fds, waits[50], l;

  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  fds = kit_count_fds();
  l = cs_connect_start(alice, "bob", "chat", NULL);
  CU_ASSERT_TRUE(world_poll(l, POLLIN, KIT_WAIT_MS));
  l = cs_connect_finish(l);
  CU_ASSERT_TRUE(l >= 0);
  close(l);
  close(cs_accept(chat, NULL, 0));
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 50; i++) waits[i] = cs_connect_start(alice, round % 2 ? "bob" : "alice2", "absent", NULL);
    for (int i = 0; i < 50; i++)
      if (waits[i] >= 0) close(waits[i]);
  }
  CU_ASSERT_EQUAL(kit_count_fds(), fds);
  l = cs_connect(alice, "bob", "chat", NULL); /* and the session is as good as ever */
  CU_ASSERT_TRUE(l >= 0);
  close(l);
  kit_stop();
}

static void opening_names_what_is_wrong(void) {
  char path[300], listen[64] = "127.0.0.1:";
  struct cs_path at;
  cs_config *c;

  kit_start(NULL, NULL);
  chat = kit_listen(bob, "chat", NULL, NULL);
  snprintf(path, sizeof path, "%s/identity", carol_home);
  chmod(path, 0644);
  expect(world_open(kit_world, carol_home, NULL, NULL) == NULL ? -1 : 0, EACCES, CS_ERR_IDENTITY, "chmod");
  unlink(path);
  expect(world_open(kit_world, carol_home, NULL, NULL) == NULL ? -1 : 0, ENOENT, CS_ERR_NO_IDENTITY, carol_home);
  CU_ASSERT_EQUAL_FATAL(cs_ping(alice, "bob", NULL, &at), 0);
  snprintf(listen, sizeof listen, "%s", at.address);
  c = world_config(kit_world, alice_home);
  cs_config_set(c, "listen", listen);
  expect(cs_open(c) == NULL ? -1 : 0, EADDRINUSE, CS_ERR_IN_USE, listen);
  cs_config_free(c);
  kit_stop();
}

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"names, ids and arguments", arguments_are_named},
      {"options and configuration keys", options_and_keys_are_named},
      {"not published: EHOSTUNREACH", not_published_is_ehostunreach},
      {"no bootstrap: ENETUNREACH", no_bootstrap_is_enetunreach},
      {"no such service and not allowed: one ECONNREFUSED", refusals_tell_no_difference},
      {"found and silent: ETIMEDOUT", found_and_silent_is_etimedout},
      {"timeout-ms is kept", the_timeout_is_kept},
      {"who comes online meanwhile is found", who_comes_online_is_found},
      {"the wait fd can be polled, and closing it cancels", the_wait_fd_is_pollable_and_closing_it_cancels},
      {"cs_open names what is wrong", opening_names_what_is_wrong},
  };

  return kit_main(argc, argv, "cspace_errors", tests, sizeof tests / sizeof tests[0]);
}
