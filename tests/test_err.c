/* test_err.c - the last error: codes, errnos, sentences, threads. */
#include "check.h"
#include "err.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void before_any_failure(void) {
  CU_ASSERT_EQUAL(cs_last_error(), CS_OK);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "no error");
}

static void sets_code_errno_and_sentence(void) {
  errno = 0;
  CU_ASSERT_EQUAL(err_set(CS_ERR_USER_UNKNOWN, "no contact %s", "bob"), -1);
  CU_ASSERT_EQUAL(errno, ENOENT);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_USER_UNKNOWN);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "no contact bob");
}

static void keeps_the_systems_errno(void) {
  errno = ENOSPC;
  CU_ASSERT_EQUAL(err_set(CS_ERR_HOME, "cannot write x: %m"), -1);
  CU_ASSERT_EQUAL(errno, ENOSPC);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "cannot write x: No space left on device");
  errno = 0; /* a failure never leaves errno 0 */
  err_set(CS_ERR_SYSTEM, "what");
  CU_ASSERT_EQUAL(errno, EIO);
}

static void errno_of_the_callers_choice(void) {
  errno = EPERM;
  CU_ASSERT_EQUAL(err_set_errno(CS_ERR_IDENTITY, EACCES, "open to others: %m"), -1);
  CU_ASSERT_EQUAL(errno, EACCES);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "open to others: Operation not permitted");
}

static void every_code_is_described(void) {
  static const struct {
    enum cs_err code;
    int errnum;
  } want[] = { /* cspace.h says so */
    {CS_ERR_ARGUMENT, EINVAL}, {CS_ERR_NAME, EINVAL}, {CS_ERR_ID, EINVAL}, {CS_ERR_SERVICE, EINVAL},
    {CS_ERR_KEY, EINVAL}, {CS_ERR_USER_UNKNOWN, ENOENT}, {CS_ERR_EXISTS, EEXIST}, {CS_ERR_HOME, 0},
    {CS_ERR_NO_IDENTITY, ENOENT}, {CS_ERR_PASSPHRASE, EACCES}, {CS_ERR_NETWORK, ENETUNREACH},
    {CS_ERR_NOT_PUBLISHED, EHOSTUNREACH}, {CS_ERR_RECORD, EBADMSG}, {CS_ERR_LOOKUP, ETIMEDOUT},
    {CS_ERR_NO_ANSWER, ETIMEDOUT}, {CS_ERR_HANDSHAKE, EPROTO}, {CS_ERR_PROTOCOL, EPROTO},
    {CS_ERR_REFUSED, ECONNREFUSED}, {CS_ERR_BACKLOG, ETIMEDOUT}, {CS_ERR_QUOTA, EDQUOT},
    {CS_ERR_CANCELED, ECANCELED}, {CS_ERR_CLOSED, ESHUTDOWN}, {CS_ERR_IN_USE, EADDRINUSE},
    {CS_ERR_RESET, ECONNRESET}, {CS_ERR_LOST, ECONNRESET}, {CS_ERR_FORKED, ENOTSUP}, {CS_ERR_MEMORY, ENOMEM},
    {CS_ERR_SYSTEM, 0},
  };

  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) CU_ASSERT_EQUAL(err_errno(want[i].code), want[i].errnum);
  for (int a = CS_OK; a <= CS_ERR_SYSTEM; a++) {
    CU_ASSERT_TRUE(strlen(cs_strerror((enum cs_err)a)) > 5);
    CU_ASSERT_STRING_NOT_EQUAL(cs_strerror((enum cs_err)a), "unknown error");
    for (int b = CS_OK; b < a; b++)
      CU_ASSERT_STRING_NOT_EQUAL(cs_strerror((enum cs_err)a), cs_strerror((enum cs_err)b));
  }
  CU_ASSERT_STRING_EQUAL(cs_strerror((enum cs_err)9999), "unknown error");
  CU_ASSERT_STRING_EQUAL(cs_strerror((enum cs_err)-1), "unknown error");
}

static void text_may_quote_itself(void) {
  err_set(CS_ERR_NETWORK, "inner");
  err_set(CS_ERR_LOOKUP, "outer: %s", cs_last_error_text());
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "outer: inner");
}

static void text_is_safe_and_bounded(void) {
  char big[9000];
  size_t n;

  err_set(CS_ERR_KEY, "a\x1b[2Jb\nc");
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "a?[2Jb?c");
  for (size_t shift = 0; shift < 2; shift++) { /* one of the two cuts would fall inside a two-byte character */
    memset(big, 'x', shift);
    for (size_t i = shift; i + 2 < sizeof big; i += 2) memcpy(big + i, "\xc3\xa9", 3);
    err_set(CS_ERR_KEY, "%s", big);
    n = strlen(cs_last_error_text());
    CU_ASSERT_TRUE(n > 1000 && n < 3000);
    CU_ASSERT_STRING_EQUAL(cs_last_error_text() + n - 3, "...");
    CU_ASSERT_EQUAL((unsigned char)cs_last_error_text()[n - 4], 0xa9);
  }
  err_set(CS_ERR_KEY, "%s", "");
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), cs_strerror(CS_ERR_KEY));
}

static void *other_thread(void *arg) {
  int *good = arg;

  *good = cs_last_error() == CS_OK && strcmp(cs_last_error_text(), "no error") == 0;
  err_set(CS_ERR_MEMORY, "theirs");
  return NULL;
}

static void each_thread_has_its_own(void) {
  pthread_t t;
  int good = 0;

  err_set(CS_ERR_QUOTA, "ours");
  CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, other_thread, &good), 0);
  pthread_join(t, NULL);
  CU_ASSERT_TRUE(good);
  CU_ASSERT_EQUAL(cs_last_error(), CS_ERR_QUOTA);
  CU_ASSERT_STRING_EQUAL(cs_last_error_text(), "ours");
}

int main(void) {
  static const struct check_test tests[] = {
    {"no failure yet", before_any_failure},
    {"code, errno and sentence", sets_code_errno_and_sentence},
    {"the system's errno is kept", keeps_the_systems_errno},
    {"an errno of the caller's choice", errno_of_the_callers_choice},
    {"every code has its errno and its own words", every_code_is_described},
    {"a text may quote the last one", text_may_quote_itself},
    {"no control characters, bounded, cut between characters", text_is_safe_and_bounded},
    {"each thread has its own", each_thread_has_its_own},
  };

  return check_main("err", tests, sizeof tests / sizeof tests[0]);
}
