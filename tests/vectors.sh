#!/bin/sh
# vectors.sh - a second implementation, in Python, comes to the values that doc/PROTOCOL.md holds.
. "${srcdir:-.}/tests/check.sh"
command -v python3 >/dev/null || { skip "the vectors of PROTOCOL.md: no python3"; finish; }
doc=$srcdir/doc/PROTOCOL.md

# Every value it prints, with the document's line ends and blanks taken out.
fd_names() {
  tr -d ' \n' <"$doc" >"$tmp/doc"
  python3 "$srcdir/tests/vectors/fdname_vectors.py" >"$tmp/values" || return 1
  [ "$(wc -l <"$tmp/values")" -gt 3 ] || return 1
  while read -r name value; do
    grep -qF "$value" "$tmp/doc" || { echo "$name: not in $doc: $value"; return 1; }
  done <"$tmp/values"
}

check "sections 2 to 4 and 6.2" python3 "$srcdir/tests/vectors/protocol_vectors.py" --check "$doc"
check "section 8" fd_names
finish
