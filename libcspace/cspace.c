/*
 * cspace.c - the public calls: check arguments, then go to the backend.
 * Their contracts stand in cspace.h and in the man pages.
 */
#include <cspace/cspace.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "contacts.h"
#include "err.h"
#include "fdname.h"
#include "listener.h"
#include "options.h"
#include "request.h"
#include "stream_msg.h"

static struct backend *backend(cs_node *node) { return (struct backend *)node; }

static int check(const cs_node *node, const char *user, const char *service, const char *call) {
  if (node == NULL) return err_set(CS_ERR_ARGUMENT, "%s: the node is NULL", call);
  if (user == NULL || user[0] == '\0') return err_set(CS_ERR_ARGUMENT, "%s: the user is missing", call);
  if (service == NULL) return err_set(CS_ERR_ARGUMENT, "%s: the service is missing", call);
  if (!service_name_valid(service))
    return err_set(CS_ERR_SERVICE, "%s: not a service name (1 to %d of A-Z a-z 0-9 _ . -)", service, CS_SERVICE_MAX);
  return 0;
}

static int check_path(const char *user, const cs_options *options) {
  if (options_path(options) == OPTIONS_PATH_RELAY)
    return err_set(CS_ERR_KEY, "%s: path = relay: relays are not offered in this version", user);
  return 0;
}

CS_API cs_node *cs_open(const cs_config *config) {
  if (identity_init() != 0) {
    err_set_errno(CS_ERR_SYSTEM, ENOTSUP, "libsodium does not start, or takes weak keys: update it");
    return NULL;
  }
  return (cs_node *)node_open(config);
}

CS_API void cs_close(cs_node *node) {
  int err = errno;

  if (node != NULL) backend(node)->ops->close(backend(node));
  errno = err;
}

CS_API const char *cs_id(const cs_node *node) {
  const struct backend *b = (const struct backend *)node;

  return b != NULL ? b->ops->id(b) : "";
}

CS_API int cs_connect_start(cs_node *node, const char *user, const char *service, const cs_options *options) {
  if (check(node, user, service, "cs_connect") != 0 || check_path(user, options) != 0) return -1;
  return backend(node)->ops->connect_start(backend(node), user, service, options);
}

CS_API int cs_connect_finish(int waitfd) {
  if (waitfd < 0) return err_set(CS_ERR_ARGUMENT, "cs_connect_finish: not a wait fd");
  return request_wait(waitfd, NULL);
}

CS_API int cs_connect(cs_node *node, const char *user, const char *service, const cs_options *options) {
  int wait_fd = cs_connect_start(node, user, service, options);

  return wait_fd < 0 ? -1 : request_wait(wait_fd, NULL);
}

CS_API int cs_ping(cs_node *node, const char *user, const cs_options *options, struct cs_path *path) {
  int wait_fd;

  if (check(node, user, "ping", "cs_ping") != 0 || check_path(user, options) != 0) return -1;
  if (path == NULL) return err_set(CS_ERR_ARGUMENT, "cs_ping: path is NULL");
  memset(path, 0, sizeof *path);
  wait_fd = backend(node)->ops->ping_start(backend(node), user, options);
  return wait_fd < 0 ? -1 : request_wait(wait_fd, path);
}

CS_API int cs_published(cs_node *node, int timeout_ms) {
  int wait_fd;

  if (node == NULL) return err_set(CS_ERR_ARGUMENT, "cs_published: the node is NULL");
  wait_fd = backend(node)->ops->published_start(backend(node), timeout_ms);
  return wait_fd < 0 ? -1 : request_wait(wait_fd, NULL);
}

CS_API int cs_listen(cs_node *node, const char *service, const cs_options *options) {
  if (check(node, "-", service, "cs_listen") != 0) return -1;
  return backend(node)->ops->listen(backend(node), service, options);
}

CS_API int cs_accept(int listener, struct cs_peer *peer, int flags) { return listener_accept(listener, peer, flags); }

CS_API int cs_peer(int fd, struct cs_peer *peer) {
  if (peer == NULL) return err_set(CS_ERR_ARGUMENT, "cs_peer: peer is NULL");
  return fdname_read(fd, peer);
}

CS_API int cs_contact_add(cs_node *node, const char *name, const char *id) {
  if (node == NULL || name == NULL || id == NULL)
    return err_set(CS_ERR_ARGUMENT, "cs_contact_add: node, name or id is NULL");
  return backend(node)->ops->contact_add(backend(node), name, id);
}

CS_API int cs_contact_remove(cs_node *node, const char *name) {
  if (node == NULL || name == NULL) return err_set(CS_ERR_ARGUMENT, "cs_contact_remove: node or name is NULL");
  return backend(node)->ops->contact_remove(backend(node), name);
}

CS_API int cs_contact_rename(cs_node *node, const char *name, const char *new_name) {
  if (node == NULL || name == NULL || new_name == NULL)
    return err_set(CS_ERR_ARGUMENT, "cs_contact_rename: node or a name is NULL");
  return backend(node)->ops->contact_rename(backend(node), name, new_name);
}

CS_API int cs_contact_next(cs_node *node, const char *after, char name[CS_NAME_MAX + 1], char id[CS_ID_LEN + 1]) {
  if (node == NULL || name == NULL || id == NULL)
    return err_set(CS_ERR_ARGUMENT, "cs_contact_next: node, name or id is NULL");
  return backend(node)->ops->contact_next(backend(node), after != NULL ? after : "", name, id);
}
