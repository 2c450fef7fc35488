/* test_access.c - who may use a service: a table of rules and callers. */
#include "access.h"
#include "check.h"
#include "err.h"

#include <stdio.h>
#include <string.h>

enum who { OWN, ALICE, BOB, STRANGER, PEOPLE };

static uint8_t keys[PEOPLE][ID_KEY_LEN];
static char ids[PEOPLE][ID_TEXT_LEN + 1];
static struct contacts *book; /* alice and bob */

/* In a rule, $2 stands for the id of BOB, and so on. */
static const char *spell(const char *rule) {
  static char out[1024];
  size_t n = 0;

  for (const char *p = rule; *p != '\0'; p++)
    if (*p == '$')
      n += (size_t)sprintf(out + n, "%s", ids[*++p - '0']);
    else
      out[n++] = *p;
  out[n] = '\0';
  return out;
}

static void the_table(void) {
  static const struct {
    const char *rule, *allowed; /* one letter for each of OWN, ALICE, BOB, STRANGER */
  } table[] = {
    {"contacts", "yyyn"},
    {"anyone", "yyyy"},
    {"alice", "yynn"},
    {"bob", "ynyn"},
    {"alice bob", "yyyn"},
    {"  alice\tbob ", "yyyn"},
    {"$1", "yynn"},
    {"$3", "ynny"},
    {"$3 bob", "ynyy"},
    {"$0", "ynnn"},
    {"carol", "ynnn"},              /* a petname that is no contact */
    {"carol bob", "ynyn"},
    {"", "ynnn"},                   /* rules that are not well formed allow nobody */
    {"anyone alice", "ynnn"},
    {"alice contacts", "ynnn"},
    {"Anyone", "ynnn"},
    {"anyone ", "ynnn"},
    {"alice Bob", "ynnn"},
    {"alice aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ynnn"},
    {"alice $1x", "ynnn"},
    {"ali", "ynnn"},
    {"alicee", "ynnn"},
  };

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    for (int who = OWN; who < PEOPLE; who++) {
      bool yes = access_allows(spell(table[i].rule), book, keys[OWN], keys[who]);

      CU_ASSERT_EQUAL(yes, table[i].allowed[who] == 'y');
      if (yes != (table[i].allowed[who] == 'y')) printf("  rule \"%s\", caller %d\n", table[i].rule, who);
    }
}

static void rules_are_checked(void) {
  static const char *const good[] = {"contacts", "anyone", "alice", "a b c", "$1", "$3 carol"};
  static const struct {
    const char *rule, *why;
  } bad[] = {
    {"", "give contacts, anyone, or"},
    {"  ", "give contacts, anyone, or"},
    {"anyone alice", "anyone stands alone"},
    {"alice contacts", "contacts stands alone"},
    {"alice Bob", "Bob is neither a petname nor an id"},
    {"-x", "-x is neither"},
    {"a,b", "a,b is neither"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is neither"}, /* 33 letters */
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "typing error"},
  };
  char why[VALUE_WHY_MAX], longest[ACCESS_RULE_MAX + 1];

  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) CU_ASSERT_TRUE(access_check(spell(good[i]), why));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    why[0] = '\0';
    CU_ASSERT_FALSE(access_check(bad[i].rule, why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].why));
  }
  for (size_t i = 0; i < sizeof longest - 1; i++) longest[i] = i % 2 ? ' ' : 'a';
  longest[ACCESS_RULE_MAX] = '\0';
  CU_ASSERT_FALSE(access_check(longest, why));
  longest[ACCESS_RULE_MAX - 1] = '\0';
  CU_ASSERT_TRUE(access_check(longest, why));
}

static void the_rule_in_force(void) {
  cs_config *c = cs_config_new();

  CU_ASSERT_STRING_EQUAL(access_rule(NULL, NULL, "chat"), "contacts");
  CU_ASSERT_STRING_EQUAL(access_rule(NULL, c, "chat"), "contacts");
  CU_ASSERT_EQUAL(cs_config_set(c, "access", "anyone"), 0);
  CU_ASSERT_STRING_EQUAL(access_rule(NULL, c, "chat"), "anyone");
  CU_ASSERT_EQUAL(cs_config_set(c, "access.chat", "alice"), 0);
  CU_ASSERT_STRING_EQUAL(access_rule(NULL, c, "chat"), "alice");
  CU_ASSERT_STRING_EQUAL(access_rule(NULL, c, "chatt"), "anyone");
  CU_ASSERT_STRING_EQUAL(access_rule("bob", c, "chat"), "bob");
  cs_config_free(c);
}

static void unknown_names_are_told(void) {
  const char *rule = spell("carol alice $3 dave carol");
  char name[CS_NAME_MAX + 1];

  CU_ASSERT_TRUE(access_unknown(&rule, book, name));
  CU_ASSERT_STRING_EQUAL(name, "carol");
  CU_ASSERT_TRUE(access_unknown(&rule, book, name));
  CU_ASSERT_STRING_EQUAL(name, "dave");
  CU_ASSERT_TRUE(access_unknown(&rule, book, name));
  CU_ASSERT_FALSE(access_unknown(&rule, book, name));
  rule = "contacts";
  CU_ASSERT_FALSE(access_unknown(&rule, book, name));
  rule = "anyone";
  CU_ASSERT_FALSE(access_unknown(&rule, book, name));
  rule = "alice bob";
  CU_ASSERT_FALSE(access_unknown(&rule, book, name));
}

int main(void) {
  static const struct check_test tests[] = {
    {"rules and callers", the_table},
    {"rules are checked, and what is wrong is said", rules_are_checked},
    {"option > access.SERVICE > access", the_rule_in_force},
    {"petnames that are no contacts are told", unknown_names_are_told},
  };
  char text[256];
  int r;

  if (identity_init() != 0 || (book = contacts_new()) == NULL) return 99;
  for (int i = 0; i < PEOPLE; i++) {
    uint8_t seed[ID_SEED_LEN] = {(uint8_t)(i + 1)};
    struct identity *id = identity_new(seed);

    if (id == NULL) return 99;
    memcpy(keys[i], identity_key(id), ID_KEY_LEN);
    id_format(ids[i], keys[i]);
    identity_free(id);
  }
  snprintf(text, sizeof text, "alice %s\nbob %s\n", ids[ALICE], ids[BOB]);
  if (contacts_parse(book, text, strlen(text), "contacts") != 0) return 99;
  r = check_main("access", tests, sizeof tests / sizeof tests[0]);
  contacts_free(book);
  return r;
}
