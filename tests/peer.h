/*
 * peer.h - the other side in a process of its own.
 */
#ifndef CSPACE_TESTS_PEER_H
#define CSPACE_TESTS_PEER_H

#define PEER_FLOOD_BYTES (24u << 20)
#define PEER_MUTE_BYTES 1000 /* what "mute" writes before it falls silent */

/* args: a mode and what it needs.
 *   who               says on fd 1 what cs_peer tells of fd 0, and copies a line from fd 0 to fd 1
 *   take              gets an fd over fd 0 (SCM_RIGHTS) and does the same with it
 *   flood HOME BOOT   a node that writes PEER_FLOOD_BYTES to each caller, then SHUT_WR
 *   mute HOME BOOT    a node that writes PEER_MUTE_BYTES to each caller and then neither reads nor writes
 *   give HOME BOOT    a node that passes each accepted fd on over fd 3
 * A node says one byte on fd 3 when it is published. */
int peer_main(int argc, char **argv);

#endif
