/*
 * pair.h - the AF_UNIX pair behind every fd the library hands out, and the
 * rule that makes a truncated stream never look like a clean end.
 *
 * The kernel gives the application's end ECONNRESET, after its queued data,
 * when our end is closed with unread data in our own queue. So one byte is
 * put there before the fd is handed over and our queue always keeps at its
 * head one byte that was forwarded already ("the guard"). Only an
 * authenticated end takes the guard. Every other close, a crash included, is
 * then ECONNRESET for whoever holds the application's end.
 *
 * Names: our end is bound to an abstract AF_UNIX name that seals peer id and
 * service, the application's end to one that seals own id and petname, both
 * under the per-user key (fdname.h).
 */
#ifndef CSPACE_PAIR_H
#define CSPACE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "fdname.h"

/* What both ends ask for as SO_SNDBUF (the kernel doubles it). The application's end needs room: the guard may pin one
 * skb there, 37 KiB of a write or 66 KiB of a sendfile, and the kernel reports POLLOUT, or wakes a blocked writer, only
 * when at most a quarter of the buffer is taken. An application that itself sets SO_SNDBUF below 140,000 may wait for
 * ever (75,000 if it only writes; measured on Linux 6.18). */
#define PAIR_BUFFER (208 << 10)

/* Makes a SOCK_STREAM pair: CLOEXEC both, ours non-blocking, buffers as large as allowed, both named, the guard in
 * place. 0, or -1 + errno and nothing is left open. names may be NULL (unnamed, for tests). */
int pair_make(int *ours, int *app, const struct fdname *names);

/* Reads up to the iov's room of bytes not forwarded yet, keeping the guard. > 0: bytes; 0 with *ended false: nothing
 * now (wait for the next edge of EPOLLIN); 0 with *ended true: the application shut down or closed its writing side
 * and everything was read; -1 + errno. Never blocks. iovcnt <= 16. */
ssize_t pair_read(int ours, const struct iovec *iov, int iovcnt, bool *ended);
/* Writes towards the application: > 0 bytes taken, -1 + EAGAIN when its queue is full, -1 + EPIPE when it is gone. No
 * SIGPIPE. */
ssize_t pair_write(int ours, const struct iovec *iov, int iovcnt);
/* The peer's authenticated end of stream: the application reads EOF after what is queued. */
void pair_write_end(int ours);
/* The peer will read no more: the application's writes fail with EPIPE. */
void pair_stop_reading(int ours);
/* Both directions ended as they should: empties our queue, the guard too, so that the close is clean. Closes ours. */
void pair_close_clean(int ours);
/* Anything else: closes, and the application reads what is queued and then ECONNRESET. The kernel reports that once,
 * and a writer blocked at that moment would eat it: so call pair_reset_begin first and pair_close_reset PAIR_RESET_US
 * later. begin stops the application's writing (EPIPE), and throws away what it wrote, so that blocked writers leave. */
#define PAIR_RESET_US 10000
void pair_reset_begin(int ours);
void pair_close_reset(int ours);
/* Nothing can pass in either direction any more: the application closed its end (or shut down both ways, or the one
 * while we ended the other). A mere shutdown(SHUT_WR) of the application is not this. Same as EPOLLHUP. */
bool pair_app_gone(int ours);
/* The application wrote something, or its end of stream, that pair_read has not taken. */
bool pair_unread(int ours);

#endif
