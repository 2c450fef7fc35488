/*
 * err.c - the last error of each thread: code, errno and one sentence.
 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 2048 /* two paths and a sentence; longer ones end in dots */

struct last {
  enum cs_err code;
  char text[TEXT_MAX];
};

static _Thread_local struct last last;

/* errno 0: the system's is kept. Several in cspace.h: this is the one for err_set without one. */
static const struct {
  enum cs_err code;
  int errnum;
  const char *text;
} codes[] = {
  {CS_OK, 0, "no error"},
  {CS_ERR_ARGUMENT, EINVAL, "an argument is missing or out of range"},
  {CS_ERR_NAME, EINVAL, "not a possible petname"},
  {CS_ERR_ID, EINVAL, "not a valid id"},
  {CS_ERR_SERVICE, EINVAL, "not a possible service name"},
  {CS_ERR_KEY, EINVAL, "unknown configuration key, or a bad value for it"},
  {CS_ERR_USER_UNKNOWN, ENOENT, "no contact of that name"},
  {CS_ERR_EXISTS, EEXIST, "that petname or id is there already"},
  {CS_ERR_HOME, 0, "the home or a file in it cannot be used"},
  {CS_ERR_NO_IDENTITY, ENOENT, "the home holds no identity"},
  {CS_ERR_IDENTITY, EBADMSG, "the identity file is open to others, or damaged"},
  {CS_ERR_PASSPHRASE, EACCES, "the identity is sealed and the passphrase is missing or wrong"},
  {CS_ERR_NETWORK, ENETUNREACH, "no bootstrap node answers, or there is no network"},
  {CS_ERR_NOT_PUBLISHED, EHOSTUNREACH, "the user is not published: offline, or another network"},
  {CS_ERR_RECORD, EBADMSG, "only records that do not verify were found"},
  {CS_ERR_LOOKUP, ETIMEDOUT, "the time was over before the user was found"},
  {CS_ERR_NO_ANSWER, ETIMEDOUT, "the user was found, but no address answered"},
  {CS_ERR_HANDSHAKE, EPROTO, "the secure handshake failed"},
  {CS_ERR_PROTOCOL, EPROTO, "the peer speaks another version, or broke the protocol"},
  {CS_ERR_REFUSED, ECONNREFUSED, "no such service, or we may not use it"},
  {CS_ERR_BACKLOG, ETIMEDOUT, "the service did not answer in time"},
  {CS_ERR_QUOTA, EDQUOT, "a relay's quota is used up"},
  {CS_ERR_CANCELED, ECANCELED, "the call was cancelled"},
  {CS_ERR_CLOSED, ESHUTDOWN, "the node or listener was closed meanwhile"},
  {CS_ERR_IN_USE, EADDRINUSE, "the service or the port is in use already"},
  {CS_ERR_RESET, ECONNRESET, "the peer reset the connection"},
  {CS_ERR_LOST, ECONNRESET, "the peer fell silent"},
  {CS_ERR_FORKED, ENOTSUP, "a node cannot be used in a forked child"},
  {CS_ERR_NOT_CSPACE, ENOTSOCK, "the descriptor is no connection of CSpace"},
  {CS_ERR_LIMIT, 0, "out of descriptors, or another limit was reached"},
  {CS_ERR_MEMORY, ENOMEM, "out of memory"},
  {CS_ERR_SYSTEM, 0, "a system call failed"},
};

_Static_assert(sizeof codes / sizeof codes[0] == CS_ERR_SYSTEM + 1, "every code has its line, in order");

static bool known(enum cs_err code) {
  return (int)code >= 0 && (size_t)code < sizeof codes / sizeof codes[0];
}

int err_errno(enum cs_err code) { return known(code) ? codes[code].errnum : 0; }

const char *cs_strerror(enum cs_err err) { return known(err) ? codes[err].text : "unknown error"; }

enum cs_err cs_last_error(void) { return last.code; }

const char *cs_last_error_text(void) { return last.text[0] != '\0' ? last.text : codes[CS_OK].text; }

/* File names and values of others stand in the text: no control characters reach a terminal, and a cut text ends in
 * dots and not inside a UTF-8 character. */
static void tidy(char *text, size_t wanted) {
  size_t len = strlen(text);

  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = '?';
  if (wanted < TEXT_MAX) return;
  len = TEXT_MAX - sizeof "...";
  while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) len--;
  strcpy(text + len, "...");
}

/* An argument may be the thread's last text, so the new one is made beside it. */
__attribute__((format(printf, 4, 0)))
static int set(enum cs_err code, int err, int sys, const char *fmt, va_list args) {
  char text[TEXT_MAX];
  int n;

  errno = sys; /* what %m means */
  n = vsnprintf(text, sizeof text, fmt, args);
  if (n <= 0) {
    snprintf(text, sizeof text, "%s", cs_strerror(code));
    n = 0;
  }
  tidy(text, (size_t)n);
  last.code = code;
  strcpy(last.text, text);
  errno = err != 0 ? err : sys != 0 ? sys : EIO;
  return -1;
}

int err_set(enum cs_err code, const char *fmt, ...) {
  int sys = errno, r;
  va_list args;

  va_start(args, fmt);
  r = set(code, err_errno(code), sys, fmt, args);
  va_end(args);
  return r;
}

int err_set_errno(enum cs_err code, int err, const char *fmt, ...) {
  int sys = errno, r;
  va_list args;

  va_start(args, fmt);
  r = set(code, err, sys, fmt, args);
  va_end(args);
  return r;
}
