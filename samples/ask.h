/*
 * ask.h - asking for a passphrase at the terminal, for programs that open a
 * node. Public calls only.
 */
#ifndef CSPACE_ASK_H
#define CSPACE_ASK_H

#include <cspace/cspace.h>

/* Shows the prompt on /dev/tty and reads a line without showing it. In guarded memory, for sodium_free; NULL + errno:
 * ENXIO or the like without a terminal, ECANCELED at its end. */
char *ask_passphrase(const char *prompt);

/* cs_open; when the identity is sealed, CSPACE_PASSPHRASE_FILE is not set and there is a terminal, asks up to three
 * times. As cs_open otherwise. */
cs_node *ask_open(cs_config *config);

#endif
