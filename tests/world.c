/*
 * world.c - DHT nodes and users for tests.
 */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contacts.h"
#include "mainline.h"
#include "home.h"
#include "loop.h"
#include "udp.h"

#define HOMES_MAX 64

struct dht_node {
  struct udp *udp;
  struct mainline host;
};

struct world {
  struct loop *loop;
  unsigned n;
  struct dht_node *nodes;
  char bootstrap[ADDR_TEXT_MAX];
  char dir[64];
  unsigned n_homes;
  char *homes[HOMES_MAX], *names[HOMES_MAX];
};

static int dht_node_start(struct dht_node *d, struct loop *l, const char *bootstrap) {
  struct addr at = addr_v4(127, 0, 0, 1, 0);

  d->udp = udp_open(&at);
  if (d->udp == NULL) return -1;
  return mainline_open(&d->host, l, d->udp, false, bootstrap, NULL, NULL) != 0 || mainline_serve(&d->host) != 0 ? -1 : 0;
}

struct world *world_new(unsigned dht_nodes) {
  struct world *w = calloc(1, sizeof *w);
  struct addr first;
  int rc = 0;

  if (identity_init() != 0) abort();
  w->loop = loop_get();
  w->n = dht_nodes;
  w->nodes = calloc(dht_nodes + 1, sizeof *w->nodes);
  snprintf(w->dir, sizeof w->dir, "/tmp/cspace-test-XXXXXX");
  if (w->loop == NULL || w->nodes == NULL || mkdtemp(w->dir) == NULL) abort();
  setenv("XDG_RUNTIME_DIR", w->dir, 1);
  loop_lock(w->loop);
  for (unsigned i = 0; i < dht_nodes && rc == 0; i++) {
    rc = dht_node_start(&w->nodes[i], w->loop, i > 0 ? w->bootstrap : "none");
    if (i > 0 || rc != 0) continue;
    first = udp_local(w->nodes[0].udp);
    addr_format(&first, w->bootstrap);
  }
  loop_unlock(w->loop);
  if (rc != 0) abort();
  if (dht_nodes == 0) strcpy(w->bootstrap, "none");
  return w;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st;
  (void)flag;
  (void)ftw;
  return remove(path);
}

void world_free(struct world *w) {
  loop_lock(w->loop);
  for (unsigned i = 0; i < w->n; i++) {
    mainline_close(&w->nodes[i].host);
    udp_close(w->nodes[i].udp);
  }
  loop_unlock(w->loop);
  loop_put(w->loop);
  nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  for (unsigned i = 0; i < w->n_homes; i++) {
    free(w->homes[i]);
    free(w->names[i]);
  }
  free(w->nodes);
  free(w);
}

const char *world_bootstrap(const struct world *w) { return w->bootstrap; }

const char *world_dir(const struct world *w) { return w->dir; }

void world_id(const char *home, char id[CS_ID_LEN + 1]) {
  if (home_identity_id(home, id) != 0) abort();
}

const char *world_home(struct world *w, const char *name, int contacts) {
  char id[CS_ID_LEN + 1], other[CS_ID_LEN + 1];
  char *home;

  if (w->n_homes == HOMES_MAX || asprintf(&home, "%s/%s", w->dir, name) < 0) abort();
  if (home_create(home) != 0 || home_identity_create(home) != 0) abort();
  world_id(home, id);
  for (unsigned i = 0; contacts && i < w->n_homes; i++) {
    world_id(w->homes[i], other);
    if (contacts_file_add(w->homes[i], name, id) != 0 || contacts_file_add(home, w->names[i], other) != 0) abort();
  }
  w->names[w->n_homes] = strdup(name);
  w->homes[w->n_homes++] = home;
  return home;
}

cs_config *world_config(struct world *w, const char *home) {
  cs_config *c = cs_config_new();

  if (c == NULL || cs_config_set(c, "home", home) != 0 || cs_config_set(c, "listen", "127.0.0.1:0") != 0 ||
      cs_config_set(c, "bootstrap", w->bootstrap) != 0)
    abort();
  return c;
}

cs_node *world_open(struct world *w, const char *home, const char *key, const char *value) {
  cs_config *c = world_config(w, home);
  cs_node *n;

  if (key != NULL && cs_config_set(c, key, value) != 0) abort();
  n = cs_open(c);
  cs_config_free(c);
  return n;
}

uint64_t world_ms(void) { return clock_now() / 1000; }

int world_poll(int fd, short events, int ms) {
  struct pollfd p = {fd, events, 0};

  return poll(&p, 1, ms) == 1;
}

ssize_t world_read(int fd, void *buf, size_t len, int ms) {
  size_t got = 0;

  while (got < len) {
    ssize_t n;

    if (!world_poll(fd, POLLIN, ms)) break;
    n = read(fd, (char *)buf + got, len - got);
    if (n < 0 && got == 0) return -1;
    if (n <= 0) break;
    got += (size_t)n;
  }
  return (ssize_t)got;
}

int world_write(int fd, const void *buf, size_t len) {
  const char *p = buf;

  while (len > 0) {
    ssize_t n = write(fd, p, len);

    if (n <= 0) return -1;
    p += n;
    len -= (size_t)n;
  }
  return 0;
}

int world_count_fds(void) {
  DIR *d = opendir("/proc/self/fd");
  int n = 0;

  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

int world_connect(cs_node *from, const char *to, const char *service, int listener, int fds[2]) {
  int wait_fd = cs_connect_start(from, to, service, NULL);

  if (wait_fd < 0) return -1;
  fds[1] = world_poll(listener, POLLIN, 20000) ? cs_accept(listener, NULL, 0) : -1;
  fds[0] = cs_connect_finish(wait_fd);
  return fds[0] >= 0 && fds[1] >= 0 ? 0 : -1;
}
