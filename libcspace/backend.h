/*
 * backend.h - the one table of operations behind the public API. An embedded
 * node (node.c) is one backend; a client of the user's agent can be another.
 * cspace.c checks arguments, then calls through it.
 *
 * Errors go through err_set. Calls come from any thread, without a lock.
 */
#ifndef CSPACE_BACKEND_H
#define CSPACE_BACKEND_H

#include <stdint.h>

#include <cspace/cspace.h>

struct backend;

struct backend_ops {
  void (*close)(struct backend *b);
  const char *(*id)(const struct backend *b);
  /* A wait fd whose result request_wait reads; the service was checked, the user is a name or an id. */
  int (*connect_start)(struct backend *b, const char *user, const char *service, const cs_options *options);
  int (*ping_start)(struct backend *b, const char *user, const cs_options *options);
  int (*published_start)(struct backend *b, int timeout_ms);
  int (*listen)(struct backend *b, const char *service, const cs_options *options);
  int (*contact_add)(struct backend *b, const char *name, const char *id);
  int (*contact_remove)(struct backend *b, const char *name);
  int (*contact_rename)(struct backend *b, const char *name, const char *new_name);
  int (*contact_next)(struct backend *b, const char *after, char *name, char *id);
};

struct backend {
  const struct backend_ops *ops;
};

/* The embedded node. NULL with err_set. */
struct backend *node_open(const cs_config *config);

#endif
