/* test_conf.c - keys, checks, layers and the file of the configuration. */
#include "check.h"
#include "conf.h"
#include "err.h"
#include "identity.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa"
#define FILE_NAME "/home/a/.config/cspace/cspace.conf"

static char relay_id[64]; /* a real id, made in main */

static int parse(cs_config *c, const char *text) { return conf_parse(c, text, strlen(text), FILE_NAME); }

/* cs_config_set must refuse it, naming key and value. */
static void refuse(const char *key, const char *value) {
  cs_config *c = cs_config_new();

  errno = 0;
  CU_ASSERT_EQUAL(cs_config_set(c, key, value), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_KEY);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), key));
  CU_ASSERT_FALSE(conf_is_set(c, key));
  cs_config_free(c);
}

static void take(const char *key, const char *value) {
  cs_config *c = cs_config_new();
  int r = cs_config_set(c, key, value);

  CU_ASSERT_EQUAL(r, 0);
  if (r != 0) printf("  %s = %s: %s\n", key, value, cs_last_error_text());
  CU_ASSERT_STRING_EQUAL(conf_get(c, key), value);
  CU_ASSERT_TRUE(conf_is_set(c, key));
  cs_config_free(c);
}

static void every_key_has_its_default(void) {
  static const char *const want[][2] = {
    {"home", ""}, {"listen", "[::]:0"}, {"bootstrap", "mainline"}, {"relay", "auto"}, {"publish-addresses", "yes"},
    {"lan", "yes"}, {"agent", "auto"}, {"linger-ms", "5000"}, {"idle-timeout", "30000"}, {"peer-names", "sealed"},
    {"access", "contacts"}, {"access.chat", "contacts"}, {"stun", "none"}, {"turn", "none"},
    {"port-prediction", "no"}, {"log-level", "none"}, {"max-datagram", "8900"},
  };
  cs_config *c = cs_config_new();

  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    CU_ASSERT_STRING_EQUAL(conf_get(NULL, want[i][0]), want[i][1]);
    CU_ASSERT_STRING_EQUAL(conf_get(c, want[i][0]), want[i][1]);
    CU_ASSERT_FALSE(conf_is_set(c, want[i][0]));
    CU_ASSERT_FALSE(conf_is_set(NULL, want[i][0]));
  }
  CU_ASSERT_PTR_NULL(conf_get(c, "color"));
  CU_ASSERT_EQUAL(conf_number(NULL, "linger-ms"), 5000);
  CU_ASSERT_EQUAL(conf_number(c, "idle-timeout"), 30000);
  CU_ASSERT_TRUE(conf_yes(c, "lan"));
  CU_ASSERT_FALSE(conf_yes(c, "port-prediction"));
  cs_config_free(c);
}

static void good_values(void) {
  char text[256], list[2000] = "";

  take("home", "/srv/cs");
  take("listen", "127.0.0.1:4000");
  take("listen", "0.0.0.0:0");
  take("listen", "[fe80::1%2]:99");
  take("bootstrap", "none");
  take("bootstrap", "127.0.0.1:1");
  take("bootstrap", "[::1]:6881 router.example.org:65535 my_host:9 10a.de:1 root.example.:5");
  take("relay", "none");
  snprintf(text, sizeof text, "relay.example.org:443#%s 192.0.2.1:443#%s", relay_id, relay_id);
  take("relay", text);
  take("publish-addresses", "no");
  take("lan", "no");
  take("agent", "never");
  take("linger-ms", "0");
  take("linger-ms", "3600000");
  take("idle-timeout", "1000");
  take("peer-names", "clear");
  take("access", "anyone");
  take("access.chat", "alice bob_2 c.d-e");
  take("access.CHAT_2.x-", "anyone");
  take("access.-", relay_id);
  take("stun", "stun.example.org:3478 192.0.2.9:3478");
  take("turn", "turn.example.org:3478");
  take("turn", "me:pass:w@rd/#@turn.example.org:3478/tcp [2001:db8::1]:5349/tls");
  take("port-prediction", "yes");
  take("log-level", "debug");
  take("max-datagram", "1200");
  take("max-datagram", "65000");
  for (int i = 0; i < CONF_WORDS_MAX; i++) strcat(list, i ? " h:1" : "h:1");
  take("bootstrap", list);
  strcat(list, " h:1");
  refuse("bootstrap", list);
}

static void bad_values(void) {
  static const char *const bad[][2] = {
    {"home", ""}, {"home", " \t"}, {"home", "a\nb"}, {"home", "a\x7f"},
    {"listen", "4000"}, {"listen", "127.0.0.1"}, {"listen", "localhost:1"}, {"listen", "127.0.0.1:65536"},
    {"listen", "224.0.0.1:5"}, {"listen", "255.255.255.255:5"}, {"listen", "[ff02::1]:5"},
    {"listen", "1.1.1.1:1 2.2.2.2:2"},
    {"bootstrap", "mainline h:1"}, {"bootstrap", "h"}, {"bootstrap", "h:0"}, {"bootstrap", ":1"},
    {"bootstrap", "h:1x"},
    {"bootstrap", "h:65536"}, {"bootstrap", "1.2.3:4"}, {"bootstrap", "1.2.3.256:4"}, {"bootstrap", "::1:4"},
    {"bootstrap", "[::1:4"}, {"bootstrap", "-a.de:4"}, {"bootstrap", "a-.de:4"}, {"bootstrap", "a..de:4"},
    {"bootstrap", ".de:4"}, {"bootstrap", "a_b-:4"}, {"bootstrap", "h:99999999999999999999"}, {"bootstrap", "h:-1"},
    {"bootstrap", "h:1,h:2"}, {"relay", "h:1"}, {"relay", "h:1#"}, {"relay", "h:1#abc"}, {"relay", "#" ID},
    {"relay", "auto none"}, {"publish-addresses", "YES"}, {"publish-addresses", "1"}, {"lan", "true"},
    {"agent", "always"},
    {"linger-ms", "-1"}, {"linger-ms", "3600001"}, {"linger-ms", "5s"}, {"linger-ms", "+5"}, {"linger-ms", "0x10"},
    {"linger-ms", "5.0"}, {"linger-ms", "18446744073709551617"}, {"idle-timeout", "30"}, {"idle-timeout", "999"},
    {"idle-timeout", "3600001"}, {"peer-names", "open"}, {"access", "alice"}, {"access", "nobody"},
    {"access.chat", "anyone alice"}, {"access.chat", "alice contacts"}, {"access.chat", "Alice"}, {"access.chat", ID},
    {"access.chat", ".hidden"}, {"access.chat", ""}, {"access.", "anyone"}, {"access.a b", "anyone"},
    {"access.a/b", "anyone"}, {"access.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "anyone"}, {"stun", "auto"},
    {"turn", "@h:1"}, {"turn", ":p@h:1"}, {"turn", "u:@h:1"}, {"turn", "u@h:1"}, {"turn", "h:1/sctp"},
    {"turn", "h:1/"},
    {"port-prediction", "maybe"}, {"log-level", "loud"}, {"log-level", "3"}, {"max-datagram", "1199"},
    {"max-datagram", "65001"},
  };
  char longest[VALUE_MAX + 1];

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) refuse(bad[i][0], bad[i][1]);
  memset(longest, 'h', sizeof longest);
  longest[VALUE_MAX] = '\0';
  refuse("home", longest);
  longest[VALUE_MAX - 1] = '\0';
  take("home", longest);
  refuse("bootstrap", longest);
}

static void unknown_keys_are_named(void) {
  cs_config *c = cs_config_new();

  CU_ASSERT_EQUAL(cs_config_set(c, "colour", "red"), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "unknown key \"colour\"; cspace.conf(5) lists all keys");
  CU_ASSERT_EQUAL(cs_config_set(c, "Listen", "1.1.1.1:1"), -1);
  CU_ASSERT_EQUAL(cs_config_set(c, "", "x"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_KEY);
  CU_ASSERT_EQUAL(cs_config_set(c, "linger-ms", "many"), -1);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "linger-ms = \"many\": give a number from 0 to 3600000");
  CU_ASSERT_EQUAL(cs_config_set(c, "agent", "no"), -1);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "agent = \"no\": give one of: auto never");
  cs_config_free(c);
}

static void null_arguments(void) {
  cs_config *c = cs_config_new();

  CU_ASSERT_EQUAL(cs_config_set(NULL, "lan", "no"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_ARGUMENT);
  CU_ASSERT_EQUAL(cs_config_set(c, NULL, "no"), -1);
  CU_ASSERT_EQUAL(cs_config_set(c, "lan", NULL), -1);
  CU_ASSERT_EQUAL(errno, EINVAL);
  cs_config_free(c);
  cs_config_free(NULL);
}

static void a_file_is_read(void) {
  cs_config *c = cs_config_new();

  CU_ASSERT_EQUAL(parse(c, "# comment\n\n  \t\n listen = 127.0.0.1:5 \nlan=no\r\n"
                           "\t# indented comment\nbootstrap \t=\t a:1\t b:2  \naccess.chat = alice # x\n"), -1);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), FILE_NAME " line 8: ")); /* a comment is a whole line */
  CU_ASSERT_FALSE(conf_is_set(c, "listen"));                                   /* and nothing of the file holds */
  CU_ASSERT_EQUAL(parse(c, "# comment\n\n  \t\n listen = 127.0.0.1:5 \nlan=no\r\n"
                           "\t# indented comment\nbootstrap \t=\t a:1\t b:2  \naccess.chat = alice"), 0);
  CU_ASSERT_STRING_EQUAL(conf_get(c, "listen"), "127.0.0.1:5");
  CU_ASSERT_STRING_EQUAL(conf_get(c, "lan"), "no");
  CU_ASSERT_STRING_EQUAL(conf_get(c, "bootstrap"), "a:1\t b:2");
  CU_ASSERT_STRING_EQUAL(conf_access(c, "chat"), "alice");
  CU_ASSERT_STRING_EQUAL(conf_access(c, "other"), "contacts");
  CU_ASSERT_STRING_EQUAL(conf_get(c, "home"), "");
  CU_ASSERT_EQUAL(parse(c, ""), 0);
  CU_ASSERT_EQUAL(parse(c, "turn = me:a=b@h:1\n"), 0); /* only the first = counts */
  CU_ASSERT_STRING_EQUAL(conf_get(c, "turn"), "me:a=b@h:1");
  cs_config_free(c);
}

static void bad_files_name_the_line(void) {
  static const char *const bad[][2] = {
    {"lan = no\ncolour = red\n", " line 2: unknown key \"colour\""},
    {"\n\nlan = perhaps\n", " line 3: lan = \"perhaps\": give one of: yes no"},
    {"lan no", " line 1: \"lan no\" is not `key = value`"},
    {"= no", " line 1: unknown key \"\""},
    {"lan =", " line 1: lan has a value that is empty"},
    {"lan = no\nlisten = [::]:1\nlan = no\n", " line 3: lan stands in the file already"},
    {"access.a = anyone\naccess.a = contacts\n", " line 2: access.a stands in the file already"},
    {"lan = no\r\r\n", " line 1: lan has a value"},
    {"\xef\xbb\xbflan = no\n", " line 1: unknown key \"\xef\xbb\xbflan\""},
  };
  static const char nul[] = "lan = no\0\n";
  cs_config *c = cs_config_new();
  char *big = calloc(1, CONF_FILE_MAX + 1);

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CU_ASSERT_EQUAL(parse(c, bad[i][0]), -1);
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_PTR_EQUAL(strstr(cs_last_error_text(), FILE_NAME), cs_last_error_text());
    CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), bad[i][1]));
    CU_ASSERT_FALSE(conf_is_set(c, "lan"));
  }
  CU_ASSERT_EQUAL(conf_parse(c, nul, sizeof nul - 1, FILE_NAME), -1);
  CU_ASSERT_PTR_NOT_NULL(strstr(cs_last_error_text(), " line 1: holds a NUL byte"));
  memset(big, '\n', CONF_FILE_MAX + 1);
  CU_ASSERT_EQUAL(conf_parse(c, big, CONF_FILE_MAX + 1, FILE_NAME), -1);
  CU_ASSERT_EQUAL(conf_parse(c, big, CONF_FILE_MAX, FILE_NAME), 0);
  free(big);
  cs_config_free(c);
}

static void layers(void) {
  cs_config *c = cs_config_new();

  unsetenv("CSPACE_HOME");
  setenv("CSPACE_LOG", "warn", 1);
  CU_ASSERT_EQUAL(cs_config_set(c, "lan", "no"), 0); /* set first, the file later: what was set stays */
  CU_ASSERT_EQUAL(parse(c, "lan = yes\nlog-level = info\nagent = never\naccess.a = anyone\n"), 0);
  CU_ASSERT_STRING_EQUAL(conf_get(c, "lan"), "no");
  CU_ASSERT_STRING_EQUAL(conf_get(c, "log-level"), "info");
  CU_ASSERT_STRING_EQUAL(conf_get(c, "agent"), "never");
  CU_ASSERT_EQUAL(conf_environment(c), 0);
  CU_ASSERT_STRING_EQUAL(conf_get(c, "log-level"), "warn");
  CU_ASSERT_EQUAL(parse(c, "log-level = debug\naccess.a = contacts\n"), 0); /* a newer file, still below */
  CU_ASSERT_STRING_EQUAL(conf_get(c, "log-level"), "warn");
  CU_ASSERT_STRING_EQUAL(conf_access(c, "a"), "contacts");
  CU_ASSERT_EQUAL(cs_config_set(c, "log-level", "error"), 0);
  CU_ASSERT_EQUAL(conf_environment(c), 0);
  CU_ASSERT_STRING_EQUAL(conf_get(c, "log-level"), "error");
  CU_ASSERT_EQUAL(cs_config_set(c, "lan", "yes"), 0); /* set again */
  CU_ASSERT_STRING_EQUAL(conf_get(c, "lan"), "yes");
  setenv("CSPACE_LOG", "loud", 1);
  CU_ASSERT_EQUAL(conf_environment(c), -1);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(),
                         "$CSPACE_LOG: log-level = \"loud\": give one of: none error warn info debug");
  setenv("CSPACE_LOG", "", 1); /* empty is unset */
  setenv("CSPACE_HOME", "/srv/x", 1);
  CU_ASSERT_EQUAL(conf_environment(c), 0);
  CU_ASSERT_STRING_EQUAL(conf_get(c, "home"), "/srv/x");
  unsetenv("CSPACE_HOME");
  unsetenv("CSPACE_LOG");
  cs_config_free(c);
}

static void copies_are_apart(void) {
  cs_config *c = cs_config_new(), *copy, *empty = conf_copy(NULL);

  cs_config_set(c, "lan", "no");
  cs_config_set(c, "access.chat", "alice");
  parse(c, "agent = never\n");
  copy = conf_copy(c);
  CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
  cs_config_set(c, "lan", "yes");
  cs_config_set(c, "access.chat", "bob");
  CU_ASSERT_STRING_EQUAL(conf_get(copy, "lan"), "no");
  CU_ASSERT_STRING_EQUAL(conf_get(copy, "access.chat"), "alice");
  CU_ASSERT_EQUAL(parse(copy, "agent = auto\nlan = yes\n"), 0); /* layers go with the copy */
  CU_ASSERT_STRING_EQUAL(conf_get(copy, "agent"), "auto");
  CU_ASSERT_STRING_EQUAL(conf_get(copy, "lan"), "no");
  CU_ASSERT_PTR_NOT_NULL_FATAL(empty);
  CU_ASSERT_FALSE(conf_is_set(empty, "lan"));
  cs_config_free(c);
  cs_config_free(copy);
  cs_config_free(empty);
}

static void services_are_bounded(void) {
  cs_config *c = cs_config_new();
  char key[64];

  for (int i = 0; i < CONF_SERVICES_MAX; i++) {
    snprintf(key, sizeof key, "access.s%d", i);
    CU_ASSERT_EQUAL(cs_config_set(c, key, "anyone"), 0);
  }
  CU_ASSERT_EQUAL(cs_config_set(c, "access.more", "anyone"), -1);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_KEY);
  CU_ASSERT_EQUAL(cs_config_set(c, "access.s0", "contacts"), 0); /* changing one is no new one */
  CU_ASSERT_STRING_EQUAL(conf_access(c, "s0"), "contacts");
  CU_ASSERT_EQUAL(parse(c, "lan = no\naccess.more = anyone\n"), -1);
  CU_ASSERT_FALSE(conf_is_set(c, "lan"));
  cs_config_free(c);
}

static void bootstrap_lists(void) {
  cs_config *c = cs_config_new();
  const char *list = conf_bootstrap(c);
  char word[300], host[VALUE_HOST_MAX];
  unsigned port, n = 0;

  while (conf_word(&list, word, sizeof word)) {
    CU_ASSERT_TRUE(value_host_port(word, host, &port));
    n++;
  }
  CU_ASSERT_EQUAL(n, 4);
  CU_ASSERT_STRING_EQUAL(host, "dht.libtorrent.org");
  CU_ASSERT_EQUAL(port, 25401);
  cs_config_set(c, "bootstrap", "none");
  CU_ASSERT_STRING_EQUAL(conf_bootstrap(c), "");
  cs_config_set(c, "bootstrap", "[2001:db8::1]:7");
  CU_ASSERT_TRUE(value_host_port(conf_bootstrap(c), host, &port));
  CU_ASSERT_STRING_EQUAL(host, "2001:db8::1");
  CU_ASSERT_EQUAL(port, 7);
  cs_config_free(c);
}

static void words(void) {
  const char *list = " \tone  two\tthree-is-long ";
  char word[6];

  CU_ASSERT_TRUE(conf_word(&list, word, sizeof word));
  CU_ASSERT_STRING_EQUAL(word, "one");
  CU_ASSERT_TRUE(conf_word(&list, word, sizeof word));
  CU_ASSERT_STRING_EQUAL(word, "two");
  CU_ASSERT_TRUE(conf_word(&list, word, sizeof word));
  CU_ASSERT_STRING_EQUAL(word, "three");
  CU_ASSERT_FALSE(conf_word(&list, word, sizeof word));
  CU_ASSERT_FALSE(conf_word(&list, word, sizeof word));
}

int main(void) {
  static const struct check_test tests[] = {
    {"every key has its default", every_key_has_its_default},
    {"good values are taken as they are", good_values},
    {"bad values are refused, key and value named", bad_values},
    {"unknown keys are named", unknown_keys_are_named},
    {"null arguments", null_arguments},
    {"a file is read", a_file_is_read},
    {"a bad file changes nothing and names the line", bad_files_name_the_line},
    {"file < environment < set", layers},
    {"copies are apart", copies_are_apart},
    {"access keys are bounded", services_are_bounded},
    {"bootstrap lists", bootstrap_lists},
    {"words of a list", words},
  };
  struct identity *id;

  if (identity_init() != 0 || (id = identity_generate()) == NULL) return 99;
  id_format(relay_id, identity_key(id));
  identity_free(id);
  return check_main("conf", tests, sizeof tests / sizeof tests[0]);
}
