#!/bin/sh
# readme.sh - what README.md shows is there: its C programs compile, its commands and files exist.
. "${srcdir:-.}/tests/check.sh"
readme=$srcdir/README.md

awk -v out="$tmp/example" '/^```c$/ { n++; on = 1; next } /^```/ { on = 0 } on { print > (out "-" n ".c") }' "$readme"
awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$readme" | sed 's/ *#.*//; s/^\$ //' >"$tmp/commands"

compiles() {
  ${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -I"$srcdir/include" -o "$1.out" "$1" ${CS_SANITIZE:-} \
    -Llibcspace/.libs -lcspace -Wl,-rpath,"$PWD/libcspace/.libs"
}

files_exist() {
  bad=0
  for f in $(grep -oE '\]\([^)#:]+\)' "$readme" | tr -d ']()') $(grep -oE '^\./[a-z]+' "$tmp/commands"); do
    [ -e "$srcdir/$f" ] || { echo "$f is not there"; bad=1; }
  done
  return $bad
}

# Each "cspace [options] COMMAND" is one that cspace --help lists.
commands_exist() {
  bad=0
  tools/cspace --help >"$tmp/help" || return 1
  grep -oE '(^|[ ("])cspace( --?[a-z]+ [^ ]+)* [a-z]+' "$tmp/commands" | sed 's/.* //' | sort -u >"$tmp/used"
  while read -r command; do
    grep -qwE "$command" "$tmp/help" || { echo "cspace $command: not in cspace --help"; bad=1; }
  done <"$tmp/used"
  return $bad
}

ten_lines() { [ "$(grep -c . "$tmp/example-1.c")" -le 14 ]; }

check "the first screen shows a C program" test -s "$tmp/example-1.c"
check "about ten lines long" ten_lines
for source in "$tmp"/example-*.c; do
  [ -e "$source" ] && check "${source##*/} compiles and links" compiles "$source"
done
check "files it names are there" files_exist
if [ -x tools/cspace ]; then check "commands it shows are there" commands_exist
else skip "commands it shows are there: no tools/cspace"; fi
finish
