#!/bin/sh
# install.sh - make install into a directory of the test's own, then a program of another project: it finds the library
# by pkg-config, is compiled as C and C++, and runs.
. "${srcdir:-.}/tests/check.sh"
root=$tmp/root
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs us: its job server is not ours
cat >"$tmp/other.c" <<'END'
#include <cspace/cspace.h>
#include <stdio.h>
int main(void) {
  cs_config *config = cs_config_new();
  int bad = config == NULL || cs_config_set(config, "linger-ms", "10") != 0 ||
            cs_config_set(config, "lingerms", "1") == 0;
  puts(cs_last_error_text());
  cs_config_free(config);
  return bad;
}
END
cp "$tmp/other.c" "$tmp/other.cc"

pkg() { PKG_CONFIG_LIBDIR=$(dirname "$pc") pkg-config --define-variable=prefix="$prefix" "$@" libcspace; }
builds_and_runs() { # COMPILER SOURCE
  compiler=$1 source=$2
  # shellcheck disable=SC2046,SC2086
  $compiler -Wall -Wextra -Werror -o "$source.out" "$source" ${CS_SANITIZE:-} $(pkg --cflags --libs) || return 1
  LD_LIBRARY_PATH=$libdir "$source.out" >"$tmp/said" && grep -q lingerms "$tmp/said"
}
uninstalled() { left=$(find "$root" -type f -o -type l); echo "$left"; [ -z "$left" ]; }

check "make install" make install DESTDIR="$root"
pc=$(find "$root" -name libcspace.pc)
libdir=$(dirname "$(dirname "$pc")")
prefix=$(dirname "$libdir")
check "libcspace.pc is installed" test -f "$pc"
check "the header is installed, and no other of ours" \
  test "$(cd "$root" && find . -name '*.h' | sed 's,.*/include/,,')" = cspace/cspace.h
check "no libtool or static archive of the internals is installed" test -z "$(find "$root" -name '*core*')"
check "a C program is built by pkg-config and runs" builds_and_runs "${CC:-cc}" "$tmp/other.c"
if command -v g++ >/dev/null; then
  check "a C++ program too" builds_and_runs "${CXX:-g++}" "$tmp/other.cc"
fi
check "make uninstall" make uninstall DESTDIR="$root"
check "make uninstall leaves nothing" uninstalled
finish
