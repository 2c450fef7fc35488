#!/bin/sh
# man.sh - the man pages: mandoc finds no fault, every installed program has one, and their examples compile.
. "${srcdir:-.}/tests/check.sh"
command -v mandoc >/dev/null || { skip "no mandoc here"; finish; }
pages=$(ls "$srcdir"/doc/man/*.[1-9] 2>/dev/null)
[ -n "$pages" ] || { skip "doc/man has no pages"; finish; }

# One line of a .so page stands for another.
is_link() { [ "$(wc -l <"$1")" = 1 ] && grep -q '^\.so man' "$1"; }

lint() {
  if is_link "$1"; then [ -e "$srcdir/doc/man/$(sed 's,.*/,,' "$1")" ] && return 0 || { cat "$1"; return 1; }; fi
  out=$(mandoc -Tlint -W warning "$1" 2>&1)
  [ -z "$out" ] || { echo "$out"; return 1; }
}

# The literal blocks of EXAMPLES that are C, each a whole program, as $tmp/NAME-1.c and so on.
examples() {
  awk -v out="$tmp/$2" '
    /^\.Sh/ { on = ($2 == "EXAMPLES") }
    on && /^\.Bd -literal/ { open = 1; text = ""; next }
    on && /^\.Ed/ { if (open && text ~ /#include/) { n++; printf "%s", text > (out "-" n ".c") } open = 0; next }
    open { gsub(/\\e/, "\001"); gsub(/\\&/, ""); gsub(/\\-/, "-"); gsub(/\\\(aq/, "\047"); gsub(/\\\(dq/, "\"")
           gsub(/\001/, "\\"); text = text $0 "\n" }' "$1"
}

compiles() {
  ${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -I"$srcdir/include" -o "$1.out" "$1" ${CS_SANITIZE:-} \
    -Llibcspace/.libs -lcspace -Wl,-rpath,"$PWD/libcspace/.libs"
}

has_page() { ls "$srcdir/doc/man/$1".[18] >/dev/null; }
is_installed() { case " $MAN_PAGES " in *"doc/man/$1 "*) ;; *) echo "not in dist_man_MANS"; return 1 ;; esac; }

for page in $pages; do
  name=${page##*/}
  check "$name: mandoc -Tlint" lint "$page"
  check "$name is installed" is_installed "$name"
  is_link "$page" && continue
  examples "$page" "$name"
  case $name in
    cs_*.3) [ -e "$tmp/$name-1.c" ] || fail "$name: EXAMPLES has no whole C program" ;;
  esac
done
for source in "$tmp"/*.c; do
  [ -e "$source" ] || continue
  check "${source##*/}: the example compiles and links" compiles "$source"
done
for program in ${BUILT_PROGRAMS:-}; do
  check "${program##*/} has a page" has_page "${program##*/}"
done
finish
