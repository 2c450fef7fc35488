#!/bin/sh
# test_tool_cli.sh - cspace without a network: identities, contacts, and every wrong command line.
. "${srcdir:-.}/tests/check.sh"
cspace=$PWD/tools/cspace
export CSPACE_HOME="$tmp/home"
unset CSPACE_LOG XDG_CONFIG_HOME

# says STATUS PATTERN ARGUMENT...: the exit status, and a line of stderr (or of stdout for status 0).
says() {
  status=$1 pattern=$2
  shift 2
  "$cspace" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
  rc=$?
  [ $rc = "$status" ] || { echo "exit status $rc, not $status"; cat "$tmp/out" "$tmp/err"; return 1; }
  if [ "$status" = 0 ]; then text=$tmp/out; else text=$tmp/err; fi
  grep -q -- "$pattern" "$text" || { echo "nothing like '$pattern' in:"; cat "$text"; return 1; }
  [ "$status" = 0 ] || [ ! -s "$tmp/out" ] || { echo "a failure wrote to stdout:"; cat "$tmp/out"; return 1; }
}
# without a terminal, wherever this runs
setsid_says() {
  printf '#!/bin/sh\nexec setsid -w "%s" "$@"\n' "$cspace" >"$tmp/no-tty"
  chmod 700 "$tmp/no-tty"
  real=$cspace cspace=$tmp/no-tty
  says "$@"
  set -- $?
  cspace=$real
  return "$1"
}
prints() { says 0 . "$@" && printf '%s\n' "$want" | cmp - "$tmp/out"; }
mode_is() { [ "$(stat -c %a "$2")" = "$1" ]; }

check "id without an identity says what to do" says 1 "cspace init" id
check "init" says 0 "cspace contact add alice [a-z2-7]\{56\}$" init alice
id=$("$cspace" id)
check "the home is closed to others" mode_is 700 "$tmp/home"
check "the identity too" mode_is 600 "$tmp/home/identity"
want=$id; check "id prints the id alone" prints id
want="{\"id\":\"$id\"}"; check "id --json" prints id --json
check "init never replaces an identity" says 1 "there already" init
want=$id; check "and it is the same still" prints id
check "another home by --home" says 0 "contact add NAME" --home "$tmp/other" init
check "options after the command" says 0 '^[a-z2-7]*$' id --home "$tmp/other"
other=$("$cspace" --home "$tmp/other" id)
check "two identities differ" test "$id" != "$other"
chmod 644 "$tmp/other/identity"
check "an identity open to others is refused, with the remedy" \
  says 1 "chmod 600" --home "$tmp/other" ping x --timeout 100
chmod 600 "$tmp/other/identity"

check "no contacts: an empty list" test -z "$("$cspace" contact list)"
want='[]'; check "and an empty array" prints contact list --json
check "contact add" "$cspace" contact add bob "$other"
want=$(printf 'bob\t%s' "$other"); check "contact list" prints contact list
want="[{\"name\":\"bob\",\"id\":\"$other\"}]"; check "contact list --json" prints contact list --json
check "a name twice" says 1 "bob" contact add bob "$id"
check "an id twice" says 1 "bob" contact add bill "$other"
check "a typing error in an id is named" says 1 "typing error" contact add carol "b$(printf %s "$id" | cut -c2-)"
check "half an id" says 1 "56" contact add carol abc
check "an impossible name" says 1 "Carol" contact add Carol "$id"
check "contact add makes the home" "$cspace" --home "$tmp/third" contact add alice "$id"
check "rename" "$cspace" contact rename bob robert
want=$(printf 'robert\t%s' "$other"); check "renamed" prints contact list
check "rename of nobody" says 1 "bob" contact rename bob x
check "remove" "$cspace" contact remove robert
check "removed" test -z "$("$cspace" contact list)"
check "remove of nobody" says 1 "robert" contact remove robert

check "--help" says 0 "connect    USER SERVICE" --help
check "--version" says 0 "^cspace ${PACKAGE_VERSION:-}" --version
for command in init id passphrase contact connect listen node ping; do
  check "$command --help" says 0 "^usage: cspace .* $command" $command --help
  check "$command --version" says 0 "^cspace" $command --version
  check "$command: an unknown option" says 2 "unknown option --bogus (see cspace $command --help)" $command --bogus
done
check "no command" says 2 "which command"
check "an unknown command lists those there are" says 2 "init id passphrase contact connect listen node ping" frobnicate
check "a later one" says 2 "not offered in this version" doctor

pass=$tmp/pass; next=$tmp/next; sealed=$tmp/sealed
printf 'correct horse\n' >"$pass"; printf 'battery staple\n' >"$next"; chmod 600 "$pass" "$next"
with() { # FILE COMMAND...: with the passphrase that is in FILE
  CSPACE_PASSPHRASE_FILE=$1; export CSPACE_PASSPHRASE_FILE
  shift
  "$@"
  set -- $?
  unset CSPACE_PASSPHRASE_FILE
  return "$1"
}
holds() { grep -q "$1" "$sealed/identity"; }
unset CSPACE_PASSPHRASE_FILE
check "init --passphrase from a file" with "$pass" says 0 "contact add" --home "$sealed" init --passphrase
check "the key is sealed" holds "^secret argon2id "
check "id without the passphrase" says 0 '^[a-z2-7]\{56\}$' --home "$sealed" id
sid=$("$cspace" --home "$sealed" id)
check "a node without it: what to do" setsid_says 1 "CSPACE_PASSPHRASE_FILE" --home "$sealed" ping x --timeout 100
check "a node with the wrong one" with "$next" says 1 "does not open" --home "$sealed" ping x --timeout 100
chmod 644 "$pass"
check "a passphrase file open to others" with "$pass" says 1 "chmod 600 $pass" --home "$sealed" ping x --timeout 100
chmod 600 "$pass"
check "with the right one" with "$pass" says 1 "there is nobody\|no contact\|bob" --home "$sealed" ping bob --timeout 100
check "change it" with "$pass" says 0 "new passphrase" --home "$sealed" passphrase --new "$next"
check "the old one is over" with "$pass" says 1 "does not open" --home "$sealed" passphrase --remove
check "remove it" with "$next" says 0 "no passphrase any more" --home "$sealed" passphrase --remove
check "the key is plain" holds "^secret plain "
want=$sid; check "the identity is the same" prints --home "$sealed" id
check "remove what is not there" says 1 "has no passphrase" --home "$sealed" passphrase --remove
check "set it on an old home" with "$pass" says 0 "new passphrase" --home "$sealed" passphrase
check "the key is sealed again" holds "^secret argon2id "
check "an unknown key" says 2 '"foo"' --set foo=1 id
check "a bad value" says 2 "listen" --set listen=nowhere id
check "--set without a value" says 2 "KEY=VALUE" --set listen id
check "an option without its value" says 2 "wants a value" ping --count
check "too few arguments" says 2 "too few" connect bob
check "too many arguments" says 2 "too many" ping a b
check "contact what" says 2 "add, list, remove or rename" contact
check "contact nonsense" says 2 "nonsense" contact nonsense
check "listen COMMAND without --" says 2 "goes after --" listen s cat
check "listen -- nothing" says 2 "no command" listen s --
check "listen --max 0" says 2 "from 1 to" listen --max 0 s -- cat
check "listen -- a command that is not there" says 1 "no such command" listen s -- /nonexistent/cat
check "a service that cannot be" says 1 "not a service name" --set bootstrap=none listen a/b -- cat
check "an access that cannot be" says 2 "access" listen --access 'a,b' s -- cat
check "--timeout nonsense" says 2 "timeout" connect --timeout x a b
check "connect to nobody" says 1 "carol" --set bootstrap=none --set listen=127.0.0.1:0 connect carol echo
check "an address that is not ours" says 1 "192.0.2.1:9: Cannot assign" --set listen=192.0.2.1:9 node
echo "nonsense = 1" >"$tmp/home/cspace.conf"
check "a bad line in cspace.conf is named" says 1 "cspace.conf" --set listen=127.0.0.1:0 node
full_stdout() { ! "$cspace" id >/dev/full 2>"$tmp/err" && grep -q stdout "$tmp/err"; }
check "a full stdout is an error" full_stdout
closed_fds() { "$cspace" id <&- 2>&- | grep -q "$id"; }
check "closed stdin and stderr do no harm" closed_fds
finish
