#!/bin/sh
# layers.sh - holds the code to the layers of doc/ARCHITECTURE.md, and the build lists to the files that are there.
. "${srcdir:-.}/tests/check.sh"
cd "$srcdir" || exit 99
doc=doc/ARCHITECTURE.md

# "RANK LAYER FILE" a line, from the top (rank 1) down; below the line the layer's name gets a '+'.
awk '/^```layers/ { on = 1; next } /^```/ { on = 0 } !on { next }
     /^---/ { below = "+"; next }
     /^[a-z]/ { layer = $1; rank++; $1 = "" }
     { for (i = 1; i <= NF; i++) if ($i != "") print rank, layer below, $i }' "$doc" >"$tmp/layers"
# "FILE INCLUDED" a line, for the headers of our own
grep -H '^#include "' libcspace/*.[ch] | sed 's,^libcspace/\([^:]*\):#include "\([^"]*\)".*,\1 \2,' >"$tmp/includes"
stems() { ls libcspace/*.c libcspace/*.h | sed 's,.*/,,; s,\.[ch]$,,' | sort -u; }

every_file_has_a_line() {
  [ -s "$tmp/layers" ] || { echo "no layers in $doc"; return 1; }
  stems >"$tmp/stems"
  cut -d' ' -f3 "$tmp/layers" | sort >"$tmp/listed"
  uniq -d "$tmp/listed" | sed 's/$/: stands in two lines/' >"$tmp/bad"
  comm -23 "$tmp/stems" "$tmp/listed" | sed "s,^,$doc has no line for libcspace/," >>"$tmp/bad"
  comm -13 "$tmp/stems" "$tmp/listed" | sed "s,^,$doc lists what is not there: ," >>"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

includes_go_down() {
  awk 'NR == FNR { rank[$3] = $1; layer[$3] = $2; next }
       { from = $1; to = $2; sub(/\.[ch]$/, "", from); sub(/\.h$/, "", to)
         if (!(to in rank)) { print $1 " includes " $2 ", which is not of libcspace"; bad = 1 }
         else if (rank[to] < rank[from]) {
           print $1 " (" layer[from] ") includes " $2 " (" layer[to] ")"; bad = 1 } }
       END { exit bad }' "$tmp/layers" "$tmp/includes"
}

headers_have_no_cycles() {
  grep '^[^ ]*\.h ' "$tmp/includes" >"$tmp/edges"
  tsort "$tmp/edges" >/dev/null
}

# What a header below the line brings in counts too: it is below the line itself.
cores_do_no_io() {
  forbidden='sys/socket|sys/time|time|pthread|threads|sys/epoll|sys/eventfd|sys/timerfd|unistd|fcntl|poll|sys/select'
  forbidden="$forbidden|netdb|netinet/[a-z]+|arpa/inet|ifaddrs|signal|sys/un|sys/stat|sys/random|dirent|glib"
  forbidden="$forbidden|gio/[a-z]+|glib-[^>]*|nice/[a-z]+|ngtcp2/[^>]*"
  awk '$2 ~ /\+$/ { print $3 }' "$tmp/layers" >"$tmp/cores"
  [ -s "$tmp/cores" ] || return 1
  bad=0
  while read -r core; do
    for f in "libcspace/$core.c" "libcspace/$core.h"; do
      [ -e "$f" ] && grep -HnE "^ *# *include *<($forbidden)(\.h)?>" "$f" && bad=1
    done
  done <"$tmp/cores"
  return $bad
}

# Variables a core may keep: the log's sink and level.
cores_keep_no_variables() {
  objects=$1
  bad=0
  awk '$2 ~ /\+$/ && $3 != "log" { print $3 }' "$tmp/layers" >"$tmp/cores"
  while read -r core; do
    [ -e "$objects/$core.o" ] || continue
    objdump -t "$objects/$core.o" | grep -E '(\.bss|\.data|\.tbss|\.tdata|\*COM\*)' |
      grep -vE ' d  |\.data\.rel\.ro' | sed "s/^/$core: /" >"$tmp/variables"
    [ -s "$tmp/variables" ] && cat "$tmp/variables" && bad=1
  done <"$tmp/cores"
  return $bad
}

# only FILES... include what matches PATTERN
only() {
  pattern=$1
  shift
  grep -rlE "^ *# *include *<$pattern" libcspace relay samples tools 2>/dev/null | sort >"$tmp/found"
  printf '%s\n' "$@" | sort >"$tmp/allowed"
  comm -23 "$tmp/found" "$tmp/allowed" | sed "s/$/ includes <$pattern/" >"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

# Samples stand for other people's programs: the public header, and no other of ours.
samples_use_the_public_header() {
  bad=0
  for f in samples/*.[ch]; do
    [ -e "$f" ] || continue
    for h in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$f"); do
      [ "$h" = config.h ] || [ -e "samples/$h" ] || { echo "$f includes \"$h\""; bad=1; }
    done
  done
  for h in $(ls libcspace/*.h | sed 's,.*/,,'); do
    grep -nE "^ *# *include *[<\"](libcspace/)?$h" samples/*.[ch] 2>/dev/null && [ ! -e "samples/$h" ] && bad=1
  done
  return $bad
}

# The relay uses the cores and the engine below them, never a node.
relay_uses_cores() {
  bad=0
  for h in $(grep -hs '^#include "' relay/*.[ch] | sed 's/^#include "\(.*\)\.h".*/\1/' | sort -u); do
    [ -e "relay/$h.h" ] && continue
    awk -v f="$h" '$3 == f && ($2 ~ /\+$/ || $2 == "shell") { found = 1 } END { exit !found }' "$tmp/layers" ||
      { echo "relay/ includes $h.h"; bad=1; }
  done
  return $bad
}

public_header_compiles() { # COMPILER FLAGS...
  printf '#include <cspace/cspace.h>\n#include <cspace/cspace.h>\nint main(void) { return CS_OK; }\n' >"$tmp/header.$1"
  shift
  "$@" -Werror -Wall -Wextra -pedantic -Iinclude -fsyntax-only "$tmp/header.$language"
}

headers_stand_alone() {
  bad=0
  for h in libcspace/*.h; do
    printf '#include "%s"\n#include "%s"\n' "${h##*/}" "${h##*/}" >"$tmp/alone.c"
    ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Werror -Wall -Iinclude -Ilibcspace -fsyntax-only "$tmp/alone.c" || bad=1
  done
  return $bad
}

# A test that is not built shows nothing.
everything_is_built() {
  bad=0
  cat ./*.am ./*/files.am ./*/*/files.am >"$tmp/lists"
  for f in libcspace/*.[ch] relay/*.[ch] samples/*.[ch] tools/*.[ch] tests/*.[ch] tests/fuzz/*.c bench/*.[ch]; do
    [ -e "$f" ] || continue
    grep -qF "$f" "$tmp/lists" || { echo "$f is in no files.am"; bad=1; }
  done
  for f in tests/*.sh tests/*.py; do
    [ -e "$f" ] || continue
    grep -qF "$f" "$tmp/lists" || { echo "$f is in no files.am"; bad=1; }
  done
  return $bad
}

fuzz_targets_have_corpora() {
  bad=0
  for f in tests/fuzz/fuzz_*.c; do
    x=${f##*/fuzz_}
    x=tests/corpus/${x%.c}
    [ -n "$(ls "$x" 2>/dev/null)" ] || { echo "$f has no corpus $x"; bad=1; }
  done
  return $bad
}

check "every file of libcspace/ has its layer" every_file_has_a_line
check "includes go down" includes_go_down
check "headers include each other without cycles" headers_have_no_cycles
check "below the sans-IO line: no sockets, clocks, threads" cores_do_no_io
# A sanitizer or coverage adds variables of its own: the plain build shows this.
[ -z "${PLAIN_OBJECTS:-}" ] || check "below the sans-IO line: no variables" cores_keep_no_variables "$PLAIN_OBJECTS"
check "ngtcp2 is known to quic.c alone" only 'ngtcp2/' libcspace/quic.c
check "GnuTLS is known to few" only 'gnutls/' libcspace/quic.c libcspace/tls.c libcspace/tls.h libcspace/gate.c \
  libcspace/sha1.c
check "libnice and GLib are known to ice.c alone" only '(nice/|glib|gio/|agent\.h)' libcspace/ice.c
check "samples use the public header alone" samples_use_the_public_header
check "relay/ uses the cores" relay_uses_cores
language=c
check "cspace.h is self-contained C99" public_header_compiles c "${CC%% *}" -std=c99
check "cspace.h is self-contained C17" public_header_compiles c "${CC%% *}" -std=c17
language=cc
if command -v g++ >/dev/null; then check "cspace.h is C++" public_header_compiles cc g++ -std=c++11
else skip "cspace.h is C++: no g++"; fi
check "every header stands alone" headers_stand_alone
check "every source and test is built" everything_is_built
check "every fuzz target has a corpus" fuzz_targets_have_corpora
finish
