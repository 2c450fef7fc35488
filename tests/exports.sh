#!/bin/sh
# exports.sh - what libcspace.so exports = the CS_API prototypes of cspace.h = the pages of section 3; and the built
# files carry the hardening that configure promised.
. "${srcdir:-.}/tests/check.sh"
lib=libcspace/.libs/libcspace.so
header=$srcdir/include/cspace/cspace.h

# The header without comments and preprocessor lines, one declaration a line.
sed 's,//.*,,' "$header" | awk '{ while (match($0, /\/\*/)) {
    head = substr($0, 1, RSTART - 1); rest = substr($0, RSTART + 2)
    while (!match(rest, /\*\//)) { if ((getline more) <= 0) break; rest = rest " " more }
    $0 = head " " substr(rest, RSTART + 2) } print }' |
  grep -v '^ *#' | tr '\n' ' ' | tr ';' '\n' >"$tmp/declarations"
grep -w CS_API "$tmp/declarations" | sed 's/[^(]*[ *]\(cs_[a-z_]*\) *(.*/\1/' | sort >"$tmp/prototypes"
nm -D --defined-only "$lib" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/exports"
ls "$srcdir"/doc/man/cs_*.3 2>/dev/null | sed 's,.*/,,; s,\.3$,,' | sort >"$tmp/pages"

same() { # what both are, LEFT-name LEFT RIGHT-name RIGHT
  comm -23 "$2" "$4" | sed "s/$/: in $1, not in $3/" >"$tmp/bad"
  comm -13 "$2" "$4" | sed "s/$/: in $3, not in $1/" >>"$tmp/bad"
  cat "$tmp/bad"; [ -s "$2" ] && [ ! -s "$tmp/bad" ]
}

every_declaration_is_public() {
  ! grep -E '\<cs_[a-z_]+ *\(' "$tmp/declarations" | grep -vw CS_API
}

# The synopsis of each page names its call.
pages_name_their_calls() {
  bad=0
  while read -r call; do
    page=$srcdir/doc/man/$call.3
    target=$(sed -n '1s,^\.so man3/,,p' "$page")
    [ -z "$target" ] || page=$srcdir/doc/man/$target
    grep -qE "^\.(Fn|Fo) \"?$call\"?( |$)" "$page" || { echo "$page: no .Fn or .Fo $call"; bad=1; }
    grep -qE "^\.Nm $call( ,)?$" "$page" || { echo "$page: no .Nm $call"; bad=1; }
  done <"$tmp/pages"
  return $bad
}

libraries_needed_are_few() {
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\.so.*/\1/p' | sort >"$tmp/needed"
  printf '%s\n' libc libgnutls libngtcp2 libngtcp2_crypto_gnutls libsodium | sort >"$tmp/expected"
  comm -23 "$tmp/needed" "$tmp/expected" | grep -v '^ld-linux' >"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

soname_is() { readelf -d "$lib" | grep -q "SONAME.*\[$1\]"; }

hardened() { # FILE
  readelf -dW "$1" >"$tmp/dynamic"; readelf -lW "$1" >"$tmp/segments"; readelf -hW "$1" >"$tmp/elf"
  grep -q 'Type: *DYN' "$tmp/elf" || { echo "not position-independent"; return 1; }
  grep -q 'GNU_RELRO' "$tmp/segments" || { echo "no RELRO"; return 1; }
  grep -qE 'BIND_NOW|FLAGS.*NOW' "$tmp/dynamic" || { echo "bound lazily: RELRO is not full"; return 1; }
  grep -qE 'GNU_STACK.* RW +0x' "$tmp/segments" || { echo "executable stack"; return 1; }
  grep -q 'TEXTREL' "$tmp/dynamic" && { echo "text relocations"; return 1; }
  return 0
}

fortified() { nm -D "$1" | grep -q '_chk'; }
guarded() { nm -D "$1" | grep -q '__stack_chk_fail'; }

check "what is exported is what cspace.h declares" same exports "$tmp/exports" cspace.h "$tmp/prototypes"
check "every call of cspace.h is CS_API" every_declaration_is_public
if [ -s "$tmp/pages" ]; then
  check "every call has a page, every page a call" same doc/man "$tmp/pages" cspace.h "$tmp/prototypes"
  check "each page names its call" pages_name_their_calls
else
  skip "every call has a page: doc/man has no pages"
fi
check "the soname is libcspace.so.0" soname_is libcspace.so.0
if [ -n "${PLAIN_OBJECTS:-}" ]; then # sanitizers and coverage change what is linked
  check "libcspace.so needs five libraries and no more" libraries_needed_are_few "$lib"
  for f in "$lib" ${BUILT_PROGRAMS:-}; do
    real=$(dirname "$f")/.libs/${f##*/}
    [ -e "$real" ] || real=$f
    check "${f##*/}: position-independent, full RELRO, no executable stack" hardened "$real"
    check "${f##*/}: stack protector" guarded "$real"
    [ "${FORTIFIED:-}" != yes ] || check "${f##*/}: FORTIFY_SOURCE" fortified "$real"
  done
fi
finish
