/*
 * cs-copy-name.h - names that come from outside: which are acceptable, where
 * they lead, and which name is free. PROTOCOL.md 10.3. Pure.
 */
#ifndef CS_COPY_NAME_H
#define CS_COPY_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cs-copy-msg.h"

#define COPY_PATH_MAX (COPY_TARGET_MAX + 1 + COPY_NAME_MAX)
#define COPY_DEPTH_MAX 32
#define COPY_PART_RANDOM 8

/* NULL when this one component of a path is acceptable, else what is wrong with it: 1 to 255 bytes of well-formed
 * UTF-8, no '/', no control or direction-changing characters, not starting with a dot ("." and "..", hidden
 * files, and our own temporary ones). */
const char *copy_component_problem(const char *name, size_t len);

/* Where a file goes, relative to the receiving directory: target when it names a file; target/name when target is
 * empty, ends in '/' or is_dir says that it is a directory. Every component is checked. NULL, or what is wrong. */
const char *copy_path(char out[COPY_PATH_MAX + 1], const char *target, const char *name, bool is_dir);

/* "name (n).ext" for n > 0, cut to 255 bytes at a character's edge; n = 0 is the name itself. */
void copy_free_name(char out[COPY_NAME_MAX + 1], const char *name, unsigned n);

/* ".NAME.cs-part-0123456789abcdef", NAME cut if need be. */
void copy_part_name(char out[COPY_NAME_MAX + 1], const char *name, const uint8_t random[COPY_PART_RANDOM]);

/* Makes text from outside fit to print: what is not acceptable in a name becomes '?'. */
void copy_clean_text(char *text);

#endif
