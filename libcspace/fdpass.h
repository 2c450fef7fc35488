/*
 * fdpass.h - one message, with or without an fd, over an AF_UNIX
 * SOCK_SEQPACKET socket. Any thread, any process.
 */
#ifndef CSPACE_FDPASS_H
#define CSPACE_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

/* fd -1: none. 0, or -1 + errno (EAGAIN when the queue is full). Never blocks, never raises SIGPIPE. */
int fdpass_send(int sock, const void *msg, size_t len, int fd);
/* Blocks as the socket does; restarts on EINTR. Length, 0 at the end, -1 + errno. *fd is -1 when none came; CLOEXEC is
 * set. EMFILE: there was no number free for an fd; the message was not taken unless a number was lost in between, and
 * then the sender hears of it by a hang-up. */
ssize_t fdpass_recv(int sock, void *msg, size_t len, int *fd);

#endif
