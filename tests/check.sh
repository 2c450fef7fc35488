# check.sh - what script tests share:
#
#   . "${srcdir:-.}/tests/check.sh"
#   check "says what it shows" command argument...     output is shown when it fails
#   skip "says what was not tried, and why"
#   finish                                             prints "N passed, N failed[, N skipped]" and exits
#
# $tmp is a directory of the test's own, removed at the end. at_exit COMMAND runs before that.
srcdir=${srcdir:-.}
passed=0 failed=0 skipped=0 exit_commands=:
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cspace-test.XXXXXX") || exit 99

at_exit() { exit_commands="$*; $exit_commands"; }
cleanup() { eval "$exit_commands"; rm -rf "$tmp"; }
trap cleanup EXIT
trap 'exit 130' INT HUP TERM

pass() { passed=$((passed + 1)); echo "  ok: $1"; }
fail() { failed=$((failed + 1)); echo "  FAILED: $1"; }
skip() { skipped=$((skipped + 1)); echo "  skipped: $1"; }

check() {
  check_name=$1
  shift
  if "$@" >"$tmp/output" 2>&1; then
    pass "$check_name"
  else
    fail "$check_name (exit status $?)"
    sed 's/^/    /' "$tmp/output"
  fi
}

finish() {
  if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"
  else echo "$passed passed, $failed failed"; fi
  [ "$failed" -eq 0 ] || exit 1
  [ "$passed" -gt 0 ] || { [ "$skipped" -gt 0 ] && exit 77; exit 1; }
  exit 0
}
