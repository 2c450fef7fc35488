/*
 * peer.c - the other side in a process of its own, for tests that kill it,
 * hand it an fd, or run it under exec.
 */
#include "peer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

/* Who is at the other end, and one line echoed: read with stdio, so the fd is a file to it. */
static int who(int in, int out) {
  struct cs_peer p;
  char line[200];
  FILE *from, *to;
  int rc = cs_peer(in, &p);

  from = fdopen(in, "r");
  to = fdopen(out, "w");
  if (rc != 0 || from == NULL || to == NULL || fgets(line, sizeof line, from) == NULL) return 1;
  fprintf(to, "%s %s %s %s", p.id, p.name, p.service, line);
  return fclose(to) == 0 ? 0 : 1;
}

static void *flood(void *arg) {
  int fd = (int)(intptr_t)arg;

  if (kit_write(fd, 0, PEER_FLOOD_BYTES) == 0) shutdown(fd, SHUT_WR);
  return NULL;
}

static void serve(const char *mode, int fd) {
  pthread_t t;

  if (strcmp(mode, "flood") == 0) {
    if (pthread_create(&t, NULL, flood, (void *)(intptr_t)fd) == 0) pthread_detach(t);
  } else if (strcmp(mode, "mute") == 0) {
    kit_write(fd, 0, PEER_MUTE_BYTES);
  } else {
    kit_send_fd(3, fd);
    close(fd);
  }
}

static int node(const char *mode, const char *home, const char *bootstrap) {
  cs_config *c = cs_config_new();
  cs_node *n;
  int l, fd;

  if (c == NULL || cs_config_set(c, "home", home) != 0 || cs_config_set(c, "bootstrap", bootstrap) != 0 ||
      cs_config_set(c, "listen", "127.0.0.1:0") != 0 || cs_config_set(c, "idle-timeout", "2000") != 0)
    return 1;
  n = cs_open(c);
  cs_config_free(c);
  l = n != NULL ? cs_listen(n, "chat", NULL) : -1;
  if (l < 0 || cs_published(n, KIT_WAIT_MS) != 0 || write(3, "r", 1) != 1) {
    fprintf(stderr, "peer: %s\n", cs_last_error_text());
    return 1;
  }
  while ((fd = cs_accept(l, NULL, 0)) >= 0) serve(mode, fd);
  return 1;
}

int peer_main(int argc, char **argv) {
  const char *mode = argv[0];

  alarm(120); /* never outlives a test that crashed */
  if (strcmp(mode, "who") == 0) return who(0, 1);
  if (strcmp(mode, "take") == 0) {
    int fd = kit_recv_fd(0);

    return fd >= 0 ? who(fd, dup(fd)) : 1;
  }
  return argc == 3 ? node(mode, argv[1], argv[2]) : 2;
}
