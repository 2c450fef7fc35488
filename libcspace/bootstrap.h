/*
 * bootstrap.h - the nodes a DHT node starts from: the value of the key
 * `bootstrap` into addresses. Names are resolved in a thread of their own, so
 * that nothing waits for a name server. I/O shell.
 */
#ifndef CSPACE_BOOTSTRAP_H
#define CSPACE_BOOTSTRAP_H

#include <stdbool.h>

#include "addr.h"
#include "loop.h"

struct bootstrap;

/* Calls found, with the engine's lock held, for each address of the list: `mainline`, `none`, or host:port ...: those in
 * numbers before this returns, the others when they are resolved. The caller holds the lock. NULL + errno. */
struct bootstrap *bootstrap_start(struct loop *l, const char *list, void (*found)(void *ctx, const struct addr *a),
                                  void *ctx);
/* No more calls of found after this; does not wait for the name server. The caller holds the lock. NULL is legal. */
void bootstrap_stop(struct bootstrap *b);
/* Whether the list holds addresses and all of them are loopback ones. */
bool bootstrap_is_loopback(const char *list);

#endif
