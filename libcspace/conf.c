/*
 * conf.c - configuration: one table of keys with defaults and checks, and the
 * layers file, environment and program over it. cspace.conf(5) is the manual.
 */
#include "conf.h"

#include "access.h"
#include "addr.h"
#include "err.h"
#include "home.h"
#include "log.h"
#include "value.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value gives way to one of the same or a higher layer. */
enum layer { LAYER_FILE = 1, LAYER_ENVIRONMENT, LAYER_SET };

struct value {
  char *text; /* NULL: not set */
  enum layer layer;
};

struct service_access {
  char service[CS_SERVICE_MAX + 1];
  struct value value;
};

/* ---- checks: true, or why says what to give ---- */

typedef bool check_fn(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]);

static bool check_choice(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max;
  if (value_one_of(value, choices)) return true;
  snprintf(why, VALUE_WHY_MAX, "give one of: %s", choices);
  return false;
}

static bool check_number(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  long n;

  (void)choices;
  if (value_number(value, min, max, &n)) return true;
  snprintf(why, VALUE_WHY_MAX, "give a number from %ld to %ld", min, max);
  return false;
}

static bool check_path(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)value, (void)min, (void)max, (void)choices, (void)why; /* length and letters are checked for every key */
  return true;
}

static bool check_listen(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  struct addr a;

  (void)min, (void)max, (void)choices;
  if (addr_parse(&a, value) == 0 && !addr_is_multicast_or_broadcast(&a)) return true;
  snprintf(why, VALUE_WHY_MAX, "give one unicast address and port, as 192.0.2.1:4000 or [::]:0");
  return false;
}

/* A list of words, each of which takes(), or one of the choices alone. */
static bool check_list(const char *value, const char *choices, bool (*takes)(const char *word), const char *form,
                       char why[VALUE_WHY_MAX]) {
  char word[VALUE_MAX];

  if (value_one_of(value, choices)) return true;
  if (value_words(value) > CONF_WORDS_MAX) {
    snprintf(why, VALUE_WHY_MAX, "at most %d words", CONF_WORDS_MAX);
    return false;
  }
  while (value_word(&value, word, sizeof word)) {
    if (takes(word)) continue;
    if (value_one_of(word, choices))
      snprintf(why, VALUE_WHY_MAX, "%.32s stands alone or not at all", word);
    else
      snprintf(why, VALUE_WHY_MAX, "\"%.80s\" is not %s", word, form);
    return false;
  }
  return true;
}

static bool is_server(const char *word) { return value_host_port(word, NULL, NULL); }

static bool check_servers(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max;
  return check_list(value, choices, is_server, "host:port", why);
}

static bool is_relay(const char *word) {
  const char *hash = strchr(word, '#');
  char server[VALUE_HOST_MAX + 8];
  uint8_t key[ID_KEY_LEN];

  if (hash == NULL || (size_t)(hash - word) >= sizeof server) return false;
  memcpy(server, word, (size_t)(hash - word));
  server[hash - word] = '\0';
  return is_server(server) && id_parse(key, hash + 1) == ID_OK;
}

static bool check_relays(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max;
  return check_list(value, choices, is_relay, "host:port#relay-id", why);
}

/* [USER:PASSWORD@]HOST:PORT[/udp|/tcp|/tls]; the password may hold any letter but a blank. */
static bool is_turn(const char *word) {
  const char *at = strrchr(word, '@'), *server = at != NULL ? at + 1 : word, *slash = strchr(server, '/');
  const char *colon = strchr(word, ':');
  char host[VALUE_HOST_MAX + 8];
  size_t len = slash != NULL ? (size_t)(slash - server) : strlen(server);

  if (at != NULL && (colon == NULL || colon == word || colon + 1 >= at)) return false;
  if (slash != NULL && !value_one_of(slash + 1, "udp tcp tls")) return false;
  if (len >= sizeof host) return false;
  memcpy(host, server, len);
  host[len] = '\0';
  return is_server(host);
}

static bool check_turn(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max;
  return check_list(value, choices, is_turn, "[user:password@]host:port[/udp|/tcp|/tls]", why);
}

static bool check_access(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max, (void)choices;
  return access_check(value, why);
}

static bool check_access_all(const char *value, long min, long max, const char *choices, char why[VALUE_WHY_MAX]) {
  (void)min, (void)max;
  if (value_one_of(value, choices)) return true;
  snprintf(why, VALUE_WHY_MAX, "give contacts or anyone; name users for one service, with access.SERVICE");
  return false;
}

/* ---- the table ---- */

#define ACCESS_PREFIX "access."

static const struct key {
  const char *name, *def;
  check_fn *check;
  long min, max;
  const char *choices;
} keys[] = {
  {"home", "", check_path, 0, 0, NULL},
  {"listen", "[::]:0", check_listen, 0, 0, NULL},
  {"bootstrap", "mainline", check_servers, 0, 0, "mainline none"},
  {"relay", "auto", check_relays, 0, 0, "auto none"},
  {"publish-addresses", "yes", check_choice, 0, 0, "yes no"},
  {"lan", "yes", check_choice, 0, 0, "yes no"},
  {"agent", "auto", check_choice, 0, 0, "auto never"},
  {"linger-ms", "5000", check_number, 0, 3600000, NULL},
  {"idle-timeout", "30000", check_number, 1000, 3600000, NULL},
  {"peer-names", "sealed", check_choice, 0, 0, "sealed clear"},
  {"access", "contacts", check_access_all, 0, 0, "contacts anyone"},
  {"stun", "none", check_servers, 0, 0, "none"},
  {"turn", "none", check_turn, 0, 0, "none"},
  {"port-prediction", "no", check_choice, 0, 0, "yes no"},
  {"max-datagram", "8900", check_number, CONF_DATAGRAM_MIN, CONF_DATAGRAM_MAX, NULL},
  {"log-level", "none", check_choice, 0, 0, "none error warn info debug"},
};

#define KEYS (sizeof keys / sizeof keys[0])

static const struct key service_key = {ACCESS_PREFIX "SERVICE", NULL, check_access, 0, 0, NULL};

struct cs_config {
  struct value values[KEYS]; /* as the table */
  struct service_access *services;
  size_t n_services;
  char *passphrase; /* guarded; NULL: none given */
};

static size_t key_index(const char *name) {
  size_t i = 0;

  while (i < KEYS && strcmp(keys[i].name, name) != 0) i++;
  return i;
}

/* The service of access.SERVICE, NULL for another key. */
static const char *key_service(const char *name) {
  size_t n = sizeof ACCESS_PREFIX - 1;

  return strncmp(name, ACCESS_PREFIX, n) == 0 ? name + n : NULL;
}

static bool service_valid(const char *s) {
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

  return n > 0 && n <= CS_SERVICE_MAX && s[n] == '\0';
}

static const struct value *service_value(const cs_config *c, const char *service) {
  for (size_t i = 0; c != NULL && i < c->n_services; i++)
    if (strcmp(c->services[i].service, service) == 0) return &c->services[i].value;
  return NULL;
}

/* ---- reading ---- */

static const char *value_at(const cs_config *c, size_t i) {
  return c != NULL && c->values[i].text != NULL ? c->values[i].text : keys[i].def;
}

const char *conf_access(const cs_config *c, const char *service) {
  const struct value *v = service_value(c, service);

  return v != NULL ? v->text : value_at(c, key_index("access"));
}

const char *conf_get(const cs_config *c, const char *key) {
  const char *service = key_service(key);
  size_t i = key_index(key);

  if (service != NULL) return conf_access(c, service);
  return i < KEYS ? value_at(c, i) : NULL;
}

bool conf_is_set(const cs_config *c, const char *key) {
  const char *service = key_service(key);
  size_t i = key_index(key);

  if (service != NULL) return service_value(c, service) != NULL;
  return c != NULL && i < KEYS && c->values[i].text != NULL;
}

long conf_number(const cs_config *c, const char *key) {
  const char *text = conf_get(c, key);

  return text != NULL ? strtol(text, NULL, 10) : 0;
}

bool conf_yes(const cs_config *c, const char *key) {
  const char *text = conf_get(c, key);

  return text != NULL && strcmp(text, "yes") == 0;
}

const char *conf_bootstrap(const cs_config *c) {
  const char *text = conf_get(c, "bootstrap");

  if (strcmp(text, "mainline") == 0) return CONF_MAINLINE;
  return strcmp(text, "none") == 0 ? "" : text;
}

bool conf_word(const char **list, char *word, size_t cap) { return value_word(list, word, cap); }

/* ---- changing ---- */

static int no_memory(void) { return err_set(CS_ERR_MEMORY, "no memory for the configuration"); }

/* Blanks at either end go; NULL for what no value can be: empty, too long, or with control characters. */
static char *clean(const char *value) {
  const char *p = value + strspn(value, " \t");
  size_t n = strlen(p);

  while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
  if (n == 0 || n >= VALUE_MAX) goto bad;
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f) goto bad;
  return strndup(p, n);
bad:
  errno = EINVAL;
  return NULL;
}

static void value_set(struct value *v, enum layer layer, char *text) {
  free(v->text);
  v->text = text;
  v->layer = layer;
}

/* The slot of access.SERVICE, made if there is none. NULL with err_set. */
static struct value *service_slot(cs_config *c, const char *service) {
  struct service_access *grown, *s;

  for (size_t i = 0; i < c->n_services; i++)
    if (strcmp(c->services[i].service, service) == 0) return &c->services[i].value;
  if (c->n_services == CONF_SERVICES_MAX) {
    err_set(CS_ERR_KEY, "more than %d keys access.SERVICE", CONF_SERVICES_MAX);
    return NULL;
  }
  grown = realloc(c->services, (c->n_services + 1) * sizeof *grown);
  if (grown == NULL) {
    no_memory();
    return NULL;
  }
  c->services = grown;
  s = &grown[c->n_services++];
  memset(s, 0, sizeof *s);
  strcpy(s->service, service);
  return &s->value;
}

/* where: "" or "FILE line N: ", for the error. */
static int set(cs_config *c, enum layer layer, const char *key, const char *value, const char *where) {
  const char *service = key_service(key);
  size_t i = key_index(key);
  const struct key *k = i < KEYS ? &keys[i] : &service_key;
  char why[VALUE_WHY_MAX], *text;
  struct value *slot;

  if (service != NULL && !service_valid(service))
    return err_set(CS_ERR_KEY, "%s\"%.200s\": a service is 1 to %d letters, digits and _ . -", where, key,
                   CS_SERVICE_MAX);
  if (service == NULL && i == KEYS)
    return err_set(CS_ERR_KEY, "%sunknown key \"%.200s\"; cspace.conf(5) lists all keys", where, key);
  text = clean(value);
  if (text == NULL && errno != EINVAL) return no_memory();
  if (text == NULL)
    return err_set(CS_ERR_KEY, "%s%s has a value that is empty, longer than %d bytes or holds control characters",
                   where, key, VALUE_MAX - 1);
  if (!k->check(text, k->min, k->max, k->choices, why)) {
    err_set(CS_ERR_KEY, "%s%s = \"%.200s\": %s", where, key, text, why);
    goto fail;
  }
  slot = service != NULL ? service_slot(c, service) : &c->values[i];
  if (slot == NULL) goto fail;
  if (slot->layer <= layer)
    value_set(slot, layer, text);
  else
    free(text);
  return 0;
fail:
  free(text);
  return -1;
}

cs_config *cs_config_new(void) {
  cs_config *c = calloc(1, sizeof *c);

  if (c == NULL) no_memory();
  return c;
}

void cs_config_free(cs_config *c) {
  if (c == NULL) return;
  for (size_t i = 0; i < KEYS; i++) free(c->values[i].text);
  for (size_t i = 0; i < c->n_services; i++) free(c->services[i].value.text);
  free(c->services);
  sodium_free(c->passphrase); /* which wipes it */
  free(c);
}

int cs_config_set_passphrase(cs_config *c, const char *passphrase) {
  char *copy = NULL;

  if (c == NULL) return err_set(CS_ERR_ARGUMENT, "cs_config_set_passphrase: an argument is NULL");
  if (passphrase != NULL) {
    copy = home_passphrase_copy(passphrase);
    if (copy == NULL) return -1;
  }
  sodium_free(c->passphrase);
  c->passphrase = copy;
  return 0;
}

const char *conf_passphrase(const cs_config *c) { return c != NULL ? c->passphrase : NULL; }

int cs_config_set(cs_config *c, const char *key, const char *value) {
  if (c == NULL || key == NULL || value == NULL)
    return err_set(CS_ERR_ARGUMENT, "cs_config_set: an argument is NULL");
  return set(c, LAYER_SET, key, value, "");
}

/* Lays the values of `from` over those of c: all of them, or none and -1 for want of memory or of slots. */
static int lay_over(cs_config *c, const cs_config *from) {
  char key[sizeof ACCESS_PREFIX + CS_SERVICE_MAX];

  for (size_t i = 0; i < KEYS; i++)
    if (from->values[i].text != NULL && set(c, from->values[i].layer, keys[i].name, from->values[i].text, "") != 0)
      return -1;
  for (size_t i = 0; i < from->n_services; i++) {
    snprintf(key, sizeof key, ACCESS_PREFIX "%s", from->services[i].service);
    if (set(c, from->services[i].value.layer, key, from->services[i].value.text, "") != 0) return -1;
  }
  return from->passphrase != NULL ? cs_config_set_passphrase(c, from->passphrase) : 0;
}

cs_config *conf_copy(const cs_config *c) {
  cs_config *copy = cs_config_new();

  if (copy == NULL || c == NULL || lay_over(copy, c) == 0) return copy;
  cs_config_free(copy);
  return NULL;
}

/* ---- the file ---- */

/* One line, NUL-terminated and writable. */
static int parse_line(cs_config *c, char *line, const char *where) {
  char *key = line + strspn(line, " \t"), *eq = strchr(key, '='), *end = eq;

  if (*key == '\0' || *key == '#') return 0;
  if (eq == NULL) return err_set(CS_ERR_KEY, "%s\"%.80s\" is not `key = value`", where, key);
  while (end > key && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *end = '\0';
  if (conf_is_set(c, key)) return err_set(CS_ERR_KEY, "%s%s stands in the file already; remove one", where, key);
  return set(c, LAYER_FILE, key, eq + 1, where);
}

static int parse_lines(cs_config *c, char *text, size_t len, const char *file_name) {
  char where[VALUE_MAX];
  size_t line = 1;

  for (char *p = text, *next; p < text + len; p = next, line++) {
    char *end = memchr(p, '\n', (size_t)(text + len - p));

    if (end == NULL) end = text + len;
    next = end + 1;
    snprintf(where, sizeof where, "%s line %zu: ", file_name, line);
    *end = '\0';
    if (strlen(p) != (size_t)(end - p)) return err_set(CS_ERR_KEY, "%sholds a NUL byte", where);
    if (end > p && end[-1] == '\r') end[-1] = '\0'; /* lines that end as on Windows are taken */
    if (parse_line(c, p, where) != 0) return -1;
  }
  return 0;
}

int conf_parse(cs_config *c, const char *text, size_t len, const char *file_name) {
  cs_config *file, *all;
  char *copy;
  int r = -1;

  if (len > CONF_FILE_MAX)
    return err_set(CS_ERR_KEY, "%s is longer than %u bytes", file_name, CONF_FILE_MAX);
  file = cs_config_new(); /* apart, so that a bad line changes nothing */
  all = conf_copy(c);
  copy = malloc(len + 1);
  if (copy == NULL) no_memory();
  if (file == NULL || all == NULL || copy == NULL) goto out;
  memcpy(copy, text, len);
  copy[len] = '\0';
  if (parse_lines(file, copy, len, file_name) != 0 || lay_over(all, file) != 0) goto out;
  { /* swap: what c held goes with `all` */
    cs_config old = *c;

    *c = *all;
    *all = old;
  }
  r = 0;
out:
  free(copy);
  cs_config_free(all);
  cs_config_free(file);
  return r;
}

int conf_environment(cs_config *c) {
  static const struct {
    const char *variable, *key;
  } map[] = {{"CSPACE_HOME", "home"}, {"CSPACE_LOG", "log-level"}};
  char where[32];

  for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
    const char *value = getenv(map[i].variable);

    if (value == NULL || *value == '\0') continue;
    snprintf(where, sizeof where, "$%s: ", map[i].variable);
    if (set(c, LAYER_ENVIRONMENT, map[i].key, value, where) != 0) return -1;
  }
  return 0;
}
