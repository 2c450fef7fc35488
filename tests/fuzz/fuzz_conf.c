/*
 * fuzz_conf.c - cspace.conf from anywhere: what is taken can be written out
 * and read again with the same meaning; what is refused changes nothing and
 * gives a sentence that a terminal can show.
 */
#include "access.h"
#include "conf.h"
#include "err.h"
#include "value.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"home", "listen", "bootstrap", "relay", "publish-addresses", "lan", "agent",
                                    "linger-ms", "idle-timeout", "peer-names", "access", "access.chat", "stun",
                                    "turn",
                                    "port-prediction", "max-datagram", "log-level"};

#define NAMES (sizeof names / sizeof names[0])

static void check_error(const char *file) {
  const char *text = cs_last_error_text();

  if (strncmp(text, file, strlen(file)) != 0 || errno == 0) abort();
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f) abort();
}

static void check_values(const cs_config *c) {
  char host[VALUE_HOST_MAX], word[VALUE_MAX], why[VALUE_WHY_MAX];
  const char *list = conf_bootstrap(c);
  unsigned port;

  while (conf_word(&list, word, sizeof word))
    if (!value_host_port(word, host, &port) || port < 1 || port > 65535 || host[0] == '\0') abort();
  if (!access_check(conf_access(c, "chat"), why) || !access_check(conf_get(c, "access"), why)) abort();
  if (conf_number(c, "max-datagram") < CONF_DATAGRAM_MIN) abort();
  if (conf_number(c, "max-datagram") > CONF_DATAGRAM_MAX) abort();
  if (conf_number(c, "idle-timeout") < 1000 || conf_number(c, "linger-ms") < 0) abort();
}

static void write_and_read(const cs_config *c) {
  char *text = malloc(NAMES * (VALUE_MAX + 64));
  cs_config *again = cs_config_new();
  size_t n = 0;

  if (text == NULL || again == NULL) abort();
  for (size_t i = 0; i < NAMES; i++)
    if (conf_is_set(c, names[i])) n += (size_t)sprintf(text + n, "%s = %s\n", names[i], conf_get(c, names[i]));
  if (conf_parse(again, text, n, "again") != 0) abort();
  for (size_t i = 0; i < NAMES; i++)
    if (strcmp(conf_get(c, names[i]), conf_get(again, names[i])) != 0) abort();
  cs_config_free(again);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cs_config *c = cs_config_new();

  if (c == NULL) return 0;
  errno = 0;
  if (conf_parse(c, (const char *)data, size, "cspace.conf") == 0) {
    check_values(c);
    write_and_read(c);
  } else {
    check_error("cspace.conf");
    for (size_t i = 0; i < NAMES; i++)
      if (conf_is_set(c, names[i])) abort();
  }
  cs_config_free(c);
  return 0;
}
