/*
 * access.h - who may use a service. A rule is `contacts`, `anyone`, or a list
 * of petnames and ids separated by spaces. Pure: no state, no I/O, any thread.
 *
 * The rule in force is the listener's option, else the key access.SERVICE,
 * else the key access. One's own identity is always allowed.
 */
#ifndef CSPACE_ACCESS_H
#define CSPACE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <cspace/cspace.h>

#include "contacts.h"
#include "value.h"

#define ACCESS_RULE_MAX VALUE_MAX

/* A well-formed rule; else why says what is wrong. */
bool access_check(const char *rule, char why[VALUE_WHY_MAX]);
/* The rule in force; option may be NULL (not given), config may be NULL (defaults). Lives as long as they do. */
const char *access_rule(const char *option, const cs_config *config, const char *service);
/* May the owner of caller_key use a service under this rule? A petname that is no contact allows nobody, and so does
 * a rule that is not well formed. */
bool access_allows(const char *rule, const struct contacts *contacts, const uint8_t own_key[ID_KEY_LEN],
                   const uint8_t caller_key[ID_KEY_LEN]);
/* The next petname of a rule that is no contact, for a warning; advances *rule, which starts as the whole rule. */
bool access_unknown(const char **rule, const struct contacts *contacts, char name[CS_NAME_MAX + 1]);

#endif
