/*
 * access.c - who may use a service.
 */
#include "access.h"

#include "conf.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX (ID_TEXT_LEN + 2) /* one more than the longest: what is cut to it is too long */

static bool all_contacts(const char *rule) { return strcmp(rule, "contacts") == 0; }
static bool anyone(const char *rule) { return strcmp(rule, "anyone") == 0; }
static bool is_id(const char *word) { return strlen(word) == ID_TEXT_LEN; }

bool access_check(const char *rule, char why[VALUE_WHY_MAX]) {
  char word[WORD_MAX];
  uint8_t key[ID_KEY_LEN];
  enum id_problem p;

  if (all_contacts(rule) || anyone(rule)) return true;
  if (value_words(rule) == 0 || strlen(rule) >= ACCESS_RULE_MAX) {
    snprintf(why, VALUE_WHY_MAX, "give contacts, anyone, or up to %d bytes of petnames and ids", ACCESS_RULE_MAX - 1);
    return false;
  }
  while (value_word(&rule, word, sizeof word)) {
    if (all_contacts(word) || anyone(word)) {
      snprintf(why, VALUE_WHY_MAX, "%s stands alone or not at all", word);
      return false;
    }
    if (is_id(word) && (p = id_parse(key, word)) != ID_OK) {
      snprintf(why, VALUE_WHY_MAX, "the id %s %s", word, id_problem_text(p));
      return false;
    }
    if (!is_id(word) && !contact_name_valid(word)) {
      snprintf(why, VALUE_WHY_MAX, "%s is neither a petname nor an id", word);
      return false;
    }
  }
  return true;
}

const char *access_rule(const char *option, const cs_config *config, const char *service) {
  return option != NULL ? option : conf_access(config, service);
}

static bool word_names(const char *word, const struct contacts *contacts, const uint8_t *caller_key) {
  uint8_t key[ID_KEY_LEN];
  const struct contact *c;

  if (is_id(word)) return id_parse(key, word) == ID_OK && memcmp(key, caller_key, ID_KEY_LEN) == 0;
  c = contacts_by_name(contacts, word);
  return c != NULL && memcmp(c->key, caller_key, ID_KEY_LEN) == 0;
}

bool access_allows(const char *rule, const struct contacts *contacts, const uint8_t own_key[ID_KEY_LEN],
                   const uint8_t caller_key[ID_KEY_LEN]) {
  char word[WORD_MAX], why[VALUE_WHY_MAX];

  if (memcmp(own_key, caller_key, ID_KEY_LEN) == 0) return true;
  if (anyone(rule)) return true;
  if (all_contacts(rule)) return contacts_by_key(contacts, caller_key) != NULL;
  if (!access_check(rule, why)) return false;
  while (value_word(&rule, word, sizeof word))
    if (word_names(word, contacts, caller_key)) return true;
  return false;
}

bool access_unknown(const char **rule, const struct contacts *contacts, char name[CS_NAME_MAX + 1]) {
  char word[WORD_MAX];

  if (all_contacts(*rule) || anyone(*rule)) return false;
  while (value_word(rule, word, sizeof word)) {
    if (is_id(word) || !contact_name_valid(word) || contacts_by_name(contacts, word) != NULL) continue;
    strcpy(name, word); /* a valid name fits */
    return true;
  }
  return false;
}
