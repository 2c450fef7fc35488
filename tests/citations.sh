#!/bin/sh
# citations.sh - what the sources say of doc/PROTOCOL.md is there, and what PROTOCOL.md says of the sources is so.
. "${srcdir:-.}/tests/check.sh"
cd "$srcdir" || exit 99
doc=doc/PROTOCOL.md
sed -n 's/^##* \([0-9][0-9.]*[0-9]\|[0-9]\)\.* .*/\1/p' "$doc" >"$tmp/sections"

sections_are_in_order() {
  sort -t. -k1,1n -k2,2n -k3,3n "$tmp/sections" | uniq >"$tmp/sorted"
  diff "$tmp/sections" "$tmp/sorted" && [ "$(grep -c '^[0-9]*$' "$tmp/sections")" = 10 ]
}

# "FILE SECTION" a line: each number of "PROTOCOL.md 2", "2.1, 2.2", "6.1 to 6.4", "6.5 and 6.6".
cited() {
  grep -HoE 'PROTOCOL\.md [0-9]+(\.[0-9]+)*((, | to | and )[0-9]+(\.[0-9]+)*)*' "$@" |
    sed 's/:PROTOCOL\.md /: /; s/,//g; s/ to / /g; s/ and / /g' |
    awk '{ sub(/:$/, "", $1); for (i = 2; i <= NF; i++) print $1, $i }'
}

exist() { # what: a file of "FILE SECTION"
  [ -s "$1" ] || return 1
  while read -r file section; do
    grep -qxF "$section" "$tmp/sections" || echo "$file: PROTOCOL.md has no $section"
  done <"$1" >"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

sources_cite_what_is_there() {
  cited $(ls libcspace/*.[ch] samples/*.[ch] relay/*.[ch] tools/*.[ch] tests/*.[ch] tests/vectors/*.py 2>/dev/null) \
    >"$tmp/cited"
  exist "$tmp/cited"
}

# (4.3), (7.4, 7.6) and "section 6.3" within the document, the RFCs' own numbers left out
document_cites_itself() {
  sed 's/\(RFC\|BEP\) [0-9]*\( [0-9][0-9.]*\)*\(, [0-9][0-9.]*\)*//g' "$doc" |
    grep -oE '\(([0-9]+\.[0-9.]*[0-9])(, [0-9]+\.[0-9.]*[0-9])*\)|[Ss]ections? [0-9]+(\.[0-9]+)*' |
    tr -dc '0-9., \n' | tr ', ' '\n\n' | grep . | sed 's/^/PROTOCOL.md /' >"$tmp/cited"
  exist "$tmp/cited"
}

# Rows "| what | value | unit | wire | `NAME` | `FILE` |" of section 9: what the compiler makes of NAME there.
constants() {
  sed -n '/^## 9\./,/^## 10\./p' "$doc" | tr -d '`,' | awk -F' *[|] *' 'NF == 8 && $7 ~ /\.[ch]$/ { print $3, $6, $7 }' \
    >"$tmp/rows"
  [ "$(wc -l <"$tmp/rows")" -gt 40 ] || { echo "no table"; return 1; }
  while read -r value name file; do
    { echo '#include <stddef.h>'; echo '#include <stdint.h>'
      case $file in *.h) echo "#include \"$file\"" ;; *) grep -E '^#include "|^#define' "libcspace/$file" ;; esac
      echo "@@ $name"; } >"$tmp/c.c"
    text=$(${CC:-cc} -E -P -D_GNU_SOURCE -Ilibcspace -Iinclude "$tmp/c.c" 2>/dev/null | sed -n 's/^@@ *//p' |
      sed -E 's/\b(0x[0-9a-fA-F]+|[0-9]+)[uUlL]+\b/\1/g')
    got=none
    case $text in '' | *[!0-9a-fA-Fx\ \(\)*+\<\|-]*) ;; *) got=$(($text)) ;; esac
    [ "$got" = "$value" ] || echo "$name in libcspace/$file is $got, PROTOCOL.md says $value"
  done <"$tmp/rows" >"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

labels() {
  sed -n '/^| label | section | file |/,/^$/p' "$doc" | sed -n 's/^| `\(.*\)` | \([0-9.]*\) | `\(.*\)` |$/\1|\2|\3/p' \
    >"$tmp/labels"
  [ -s "$tmp/labels" ] || return 1
  while IFS='|' read -r label section file; do
    grep -qF "\"$label" "libcspace/$file" || echo "$label: not in libcspace/$file"
    awk -v s="$section" '/^#/ { on = ($2 == s) } on' "$doc" | grep -qF "$label" || echo "$label: not in $section"
  done <"$tmp/labels" >"$tmp/bad"
  cat "$tmp/bad"; [ ! -s "$tmp/bad" ]
}

check "ten sections, in order" sections_are_in_order
check "the sections that sources cite are there" sources_cite_what_is_there
check "the sections that the document cites are there" document_cites_itself
check "constants are those of the sources" constants
check "labels are those of the sources" labels
finish
