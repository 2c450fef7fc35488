/*
 * options.h - cs_options inside the library: the values of one call's
 * options. Every reader takes NULL, which means defaults.
 */
#ifndef CSPACE_OPTIONS_H
#define CSPACE_OPTIONS_H

#include <stdint.h>

#include <cspace/cspace.h>

#define OPTIONS_TIMEOUT_MS 30000u
#define OPTIONS_TIMEOUT_MS_MAX 86400000u /* a day */
#define OPTIONS_BACKLOG 1024u
#define OPTIONS_BACKLOG_MAX 65535u

/* RELAY is a value the setter takes; connecting with it is refused until there are relays. */
enum options_path { OPTIONS_PATH_AUTO, OPTIONS_PATH_DIRECT, OPTIONS_PATH_RELAY };

uint32_t options_timeout_ms(const cs_options *o);
unsigned options_backlog(const cs_options *o);
enum options_path options_path(const cs_options *o);
/* A checked rule (access.h), NULL when not set; lives as long as o. */
const char *options_access(const cs_options *o);

#endif
