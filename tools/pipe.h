/*
 * pipe.h - bytes between a connection and a pair of fds, both ways at once,
 * half-closes kept. No fd is made non-blocking: fds 0 and 1 are shared with
 * other processes, and so is that flag.
 */
#ifndef CSPACE_PIPE_H
#define CSPACE_PIPE_H

#define PIPE_WHY_MAX 200

/* Copies in -> fd and fd -> out until both are over. The end of `in` becomes a shutdown of fd's sending side; the end
 * of fd's stream closes `out` (which becomes /dev/null), sending goes on. When the other side reads no more and has
 * ended its own direction, what `in` might still give is not waited for. fd stays the caller's.
 * 0: both directions ended cleanly. -1: why says what did not; what had arrived was written first; fd was given
 * no end, so that leaving it open until cs_close resets the connection. errno is EPIPE when out's reader has gone. */
int pipe_run(int in, int out, int fd, char why[PIPE_WHY_MAX]);

#endif
