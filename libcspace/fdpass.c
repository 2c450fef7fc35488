/*
 * fdpass.c - messages with descriptors (unix(7), SCM_RIGHTS).
 */
#include "fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

int fdpass_send(int sock, const void *msg, size_t len, int fd) {
  struct iovec iov = {(void *)msg, len};
  struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
  union control ctl;
  ssize_t n;

  if (fd >= 0) {
    struct cmsghdr *c;

    memset(&ctl, 0, sizeof ctl);
    mh.msg_control = ctl.bytes;
    mh.msg_controllen = sizeof ctl.bytes;
    c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  do n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -1 : 0;
}

static void take_fd(struct msghdr *mh, int *fd) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *fd))
      memcpy(fd, CMSG_DATA(c), sizeof *fd);
}

ssize_t fdpass_recv(int sock, void *msg, size_t len, int *fd) {
  struct iovec iov = {msg, len};
  union control ctl;
  struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.bytes, .msg_controllen = sizeof ctl.bytes};
  ssize_t n;
  char first;
  int reserve;

  *fd = -1;
  /* Wait without taking, then keep a number free: a message taken without one would lose its fd. */
  do n = recv(sock, &first, 1, MSG_PEEK);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return n;
  reserve = fcntl(sock, F_DUPFD_CLOEXEC, 0);
  if (reserve < 0) return -1;
  close(reserve);
  do n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return n;
  take_fd(&mh, fd);
  if (*fd < 0 && (mh.msg_flags & MSG_CTRUNC)) {
    errno = EMFILE;
    return -1;
  }
  return n;
}
