#!/bin/sh
# test_tool_ordinary.sh - when root runs the tests: the programs once more, as a user with nothing but a home.
#
# The user is in no file of the system: a private mount namespace shows them an /etc/passwd of the test's own.
. "${srcdir:-.}/tests/check.sh"
uid=64321
[ "$(id -u)" = 0 ] || { skip "this is an ordinary user already"; finish; }
if ! command -v setpriv >/dev/null || ! unshare -m true 2>/dev/null; then
  skip "needs setpriv(1) and mount namespaces"
  finish
fi
srcdir=$(cd "$srcdir" && pwd)
mkdir "$tmp/home" "$tmp/tmp"
chmod 711 "$tmp"
chown $uid:$uid "$tmp/home" "$tmp/tmp"
{ cat /etc/passwd; echo "cs-ordinary:x:$uid:$uid::$tmp/home:/bin/sh"; } >"$tmp/passwd"
chmod 644 "$tmp/passwd"
cat >"$tmp/become" <<SCRIPT
mount --bind "$tmp/passwd" /etc/passwd || exit 99
exec env -u CSPACE_HOME -u XDG_CONFIG_HOME -u XDG_CACHE_HOME HOME="$tmp/home" TMPDIR="$tmp/tmp" USER=cs-ordinary \\
  setpriv --reuid=$uid --regid=$uid --clear-groups --no-new-privs "\$@"
SCRIPT
as_user() { srcdir="$srcdir" unshare -m sh "$tmp/become" "$@"; }
if ! as_user test -r "$srcdir/tests/check.sh" -a -x "$PWD/tools/cspace" -a -x "$PWD/samples/cs-copy"; then
  skip "an ordinary user cannot read $PWD or $srcdir"
  finish
fi
home_by_default() {
  as_user "$PWD/tools/cspace" init alice && [ "$(stat -c '%a %u' "$tmp/home/.config/cspace/identity")" = "600 $uid" ] &&
    [ "$(stat -c %a "$tmp/home/.config/cspace")" = 700 ] && as_user "$PWD/tools/cspace" id
}
check "init in ~/.config/cspace" home_by_default
for test in test_tool_cli test_tool_doors test_tool_socat test_tool_ssh test_copy_cli; do
  check "$test" as_user sh "$srcdir/tests/$test.sh"
  [ ! -s "$tmp/output" ] || tail -n 1 "$tmp/output"
done
check "nothing is left behind" test -z "$(ls -A "$tmp/tmp")"
finish
