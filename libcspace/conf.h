/*
 * conf.h - configuration: the keys of cspace.conf(5), their syntax and
 * defaults, from file, environment and cs_config_set. Names are fixed.
 *
 * Order: defaults < cspace.conf < environment < cs_config_set and --set.
 */
#ifndef CSPACE_CONF_H
#define CSPACE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include <cspace/cspace.h>

/* What `bootstrap = mainline` stands for: the public routers of the Mainline DHT. */
#define CONF_MAINLINE \
  "router.bittorrent.com:6881 dht.transmissionbt.com:6881 router.utorrent.com:6881 dht.libtorrent.org:25401"
#define CONF_FILE "cspace.conf"
#define CONF_FILE_MAX (256u << 10)
#define CONF_WORDS_MAX 32     /* of one list of servers */
#define CONF_SERVICES_MAX 256 /* access.SERVICE keys of one configuration */
#define CONF_DATAGRAM_MIN 1200
#define CONF_DATAGRAM_MAX 65000

/* Every key with its default and a check for its value is in one table in conf.c. c may be NULL: defaults. */
const char *conf_get(const cs_config *c, const char *key);        /* the value in force; never NULL for a known key */
bool conf_is_set(const cs_config *c, const char *key);            /* set by someone, not the default */
long conf_number(const cs_config *c, const char *key);            /* for keys whose check is a number */
bool conf_yes(const cs_config *c, const char *key);               /* for yes/no keys */
/* What cs_config_set_passphrase gave; NULL without. Lives until it is set again. */
const char *conf_passphrase(const cs_config *c);
/* access.SERVICE if set, else access. */
const char *conf_access(const cs_config *c, const char *service);
/* Reads lines `key = value`; an unknown key or bad value is an error that names file, line and key.
 * Values already set by cs_config_set stay. Repeated key in one file: error. 0 or -1 (err_set done). */
int conf_parse(cs_config *c, const char *text, size_t len, const char *file_name);
/* The environment (CSPACE_HOME, CSPACE_LOG as log-level): between file and cs_config_set. */
int conf_environment(cs_config *c);
cs_config *conf_copy(const cs_config *c); /* NULL c: defaults; NULL + ENOMEM */

/* The bootstrap list in force: "" for `none`, CONF_MAINLINE for `mainline`. Words are host:port (value_host_port). */
const char *conf_bootstrap(const cs_config *c);

/* Next word of a space-separated list: copies at most cap-1 bytes, advances *list. false at the end; a word that is
 * too long is an error the checks already refused. */
bool conf_word(const char **list, char *word, size_t cap);

#endif
