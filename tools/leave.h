/*
 * leave.h - dying of a signal without leaving the other side in doubt: the
 * node is closed first, which resets its connections, then the signal takes
 * its course. A second signal does not wait.
 */
#ifndef CSPACE_LEAVE_H
#define CSPACE_LEAVE_H

#include <signal.h>

#include <cspace/cspace.h>

/* SIGINT, SIGTERM and SIGHUP, without those that were ignored from the beginning: nohup means it. */
void leave_signals(sigset_t *set);

/* Before cs_open: blocks leave_signals in this thread and those to come, ignores SIGPIPE. */
void leave_prepare(void);
/* After cs_open: starts the thread that waits for the signals. */
void leave_watch(cs_node *node);
/* Does not return once a signal has come: for a failure that the signal may be the cause of, before it is told. */
void leave_check(void);
/* In place of cs_close; does not return once a signal has come. node NULL is legal. */
void leave_close(cs_node *node);
/* What a filter does whose reader has gone: closes the node and dies of SIGPIPE, or returns where SIGPIPE was ignored
 * from the beginning. */
void leave_broken_pipe(cs_node *node);

#endif
