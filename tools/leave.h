/*
 * leave.h - dying of a signal without leaving the other side in doubt: the
 * node is closed first, which resets its connections, then the signal takes
 * its course. A second signal does not wait.
 */
#ifndef CSPACE_LEAVE_H
#define CSPACE_LEAVE_H

#include <cspace/cspace.h>

/* Before cs_open: blocks SIGINT, SIGTERM and SIGHUP in this thread and those to come, ignores SIGPIPE. */
void leave_prepare(void);
/* After cs_open: starts the thread that waits for the signals. */
void leave_watch(cs_node *node);
/* In place of cs_close; does not return once a signal has come. node NULL is legal. */
void leave_close(cs_node *node);
/* What a filter does whose reader has gone: closes the node and dies of SIGPIPE, or returns where SIGPIPE was ignored
 * from the beginning. */
void leave_broken_pipe(cs_node *node);

#endif
