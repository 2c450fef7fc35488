#!/bin/sh
# test_tool_doors.sh - what a user meets whose home, disk, network or friend is not as it should be: each failure says
# what, which and what to do on standard error, ends with 1, and prints nothing else.
. "${srcdir:-.}/tests/check.sh"
. "$srcdir/tests/tool_net.sh"
net_start 4
root=
[ "$(id -u)" = 0 ] && root=yes

# fails SENTENCE ARGUMENT...: status 1, nothing on stdout, the sentence (a basic regular expression) is all of stderr.
fails() {
  sentence=$1
  shift
  timeout 60 "$cspace" "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
  rc=$?
  cat "$tmp/stderr"
  [ $rc = 1 ] || { echo "exit status $rc, not 1"; return 1; }
  [ ! -s "$tmp/stdout" ] || { echo "on standard output:"; cat "$tmp/stdout"; return 1; }
  [ "$(wc -l <"$tmp/stderr")" = 1 ] && grep -qx "cspace: $sentence" "$tmp/stderr" && return 0
  echo "expected: cspace: $sentence"
  return 1
}
quick="--set listen=127.0.0.1:0 --set bootstrap=none"
spoiled="--home $tmp/spoiled $quick"

# ---- the home
none="there is no identity in $tmp/none; make one with: cspace init"
for command in id "connect bob echo" "ping bob" "listen x" "listen x -- cat"; do
  check "no home: $command" fails "$none" --home "$tmp/none" $command
done
check "and none was made by asking" test ! -e "$tmp/none"
mkdir -m 700 "$tmp/spoiled"
cp -p "$tmp/alice/identity" "$tmp/spoiled/"
for mode in 644 640 604; do
  chmod $mode "$tmp/spoiled/identity"
  check "an identity of mode $mode" fails ".*$tmp/spoiled/identity.*chmod 600 $tmp/spoiled/identity" $spoiled ping bob
done
chmod 600 "$tmp/spoiled/identity"
damage() { # COMMAND: makes the identity anew out of alice's
  rm -f "$tmp/spoiled/identity"
  (umask 077 && eval "$1" <"$tmp/alice/identity" >"$tmp/spoiled/identity")
}
for how in "head -c 60" "tr a-z b-za" "cat; echo x" "true"; do
  damage "$how"
  check "an identity through '$how'" fails ".*$tmp/spoiled/identity.*" $spoiled ping bob
done
damage cat
mkdir -m 700 "$tmp/dir" "$tmp/dir/identity"
check "an identity that is a directory" fails ".*$tmp/dir/identity.*" --home "$tmp/dir" $quick ping bob
check "a home that is a file" fails ".*$tmp/boot.*" --home "$(echo "$boot" >"$tmp/boot"; echo "$tmp/boot")" $quick ping bob

good="bob $bob_id"
contacts() { printf '%s\n' "$@" >"$tmp/spoiled/contacts"; chmod 600 "$tmp/spoiled/contacts"; }
contacts "# friends" "$good" "carol"
check "a contact without an id" fails "$tmp/spoiled/contacts line 3: .*" $spoiled ping bob
check "and no command edits the file" fails "$tmp/spoiled/contacts line 3: .*" $spoiled contact add dave "$alice_id"
check "nor lists it" fails "$tmp/spoiled/contacts line 3: .*" $spoiled contact list
contacts "$good" "carol $(echo "$bob_id" | tr a-y b-z)"
check "a typing error in a line" fails "$tmp/spoiled/contacts line 2: .*" $spoiled ping bob
contacts "$good" "" "bob $alice_id"
check "a name twice" fails "$tmp/spoiled/contacts line 3: .*bob.*1.*" $spoiled ping bob
contacts "$good"
check "mended" test "$("$cspace" $spoiled contact list)" = "$(printf 'bob\t%s' "$bob_id")"
printf '# mine\n\nlisten = 127.0.0.1:0\nbootsrap = none\n' >"$tmp/spoiled/cspace.conf"
check "an unknown key in cspace.conf" fails "$tmp/spoiled/cspace.conf line 4: .*bootsrap.*" --home "$tmp/spoiled" ping bob
printf 'listen = here\n' >"$tmp/spoiled/cspace.conf"
check "a bad value in cspace.conf" fails "$tmp/spoiled/cspace.conf line 1: .*listen.*here.*" --home "$tmp/spoiled" ping bob
printf 'listen 127.0.0.1:0\n' >"$tmp/spoiled/cspace.conf"
check "a line that is none" fails "$tmp/spoiled/cspace.conf line 1: .*" --home "$tmp/spoiled" ping bob
check "cspace node reads it too" fails "$tmp/spoiled/cspace.conf line 1: .*" --home "$tmp/spoiled" node
rm "$tmp/spoiled/cspace.conf"
typo=$(echo "$bob_id" | sed 's/^\(.\)\(.\)/\2\1/')
[ "$typo" != "$bob_id" ] || typo=$(echo "$bob_id" | sed 's/^./7/')
check "an id with two letters exchanged" fails "$typo: .*typing error.*" $spoiled ping "$typo"

# ---- the network
check "a port in use" fails ".*listen = $boot is in use.*" --home "$tmp/alice" --set listen="$boot" --set bootstrap=none ping bob
check "an address that is not ours" fails ".*192\\.0\\.2\\.1:9.*" --home "$tmp/alice" --set listen=192.0.2.1:9 listen x
# No socket is ever bound to port 1 of loopback here, so that nobody answers.
check "no bootstrap node answers" fails "bob: no DHT node answers.*bootstrap.*" \
  --home "$tmp/alice" --set listen=127.0.0.1:0 --set bootstrap=127.0.0.1:1 connect bob echo --timeout 4000
check "no network at all" fails "bob: no DHT node answers.*bootstrap.*" --home "$tmp/alice" $quick ping bob --timeout 4000
check "a friend who is not there" fails "bob: not found: .*nobody listens.*" $alice connect bob echo --timeout 1500

# ---- the friend
"$cspace" $bob listen here -- echo secret 2>"$tmp/here.err" </dev/null &
listener=$!
track $listener
until_has "$tmp/here.err" "^ready here"
"$cspace" --home "$tmp/eve" init >/dev/null
"$cspace" --home "$tmp/eve" contact add bob "$bob_id"
eve="--home $tmp/eve $net_set"
check "a service that is not there" fails "bob: refused: no service there there, or not for us" $alice connect bob there
check "a stranger is told the same words" fails "bob: refused: no service here there, or not for us" $eve connect bob here
check "for what is not there too" fails "bob: refused: no service there there, or not for us" $eve connect bob there
"$cspace" --home "$tmp/bob" contact add eve "$("$cspace" --home "$tmp/eve" id)"
now_known() {
  n=0
  until [ "$("$cspace" $eve connect bob here </dev/null 2>/dev/null)" = secret ]; do
    n=$((n + 1)); [ $n -lt 40 ] || return 1
    sleep 0.1
  done
}
check "a new contact is let in, without a new start" now_known
"$cspace" --home "$tmp/bob" contact remove eve
now_stranger() {
  n=0
  while "$cspace" $eve connect bob here </dev/null >/dev/null 2>&1; do
    n=$((n + 1)); [ $n -lt 40 ] || return 1
    sleep 0.1
  done
}
check "and one removed is not any more" now_stranger
kill $listener
until_gone $listener

# ---- the disk
if [ -n "$root" ] && mkdir "$tmp/small" && unshare -m mount -t tmpfs -o size=64k none "$tmp/small" 2>/dev/null; then
  cat >"$tmp/full.sh" <<'FULL'
    mount -t tmpfs -o size=64k none "$1/small" && cp -Rp "$1/spoiled" "$1/small/home" || exit 90
    cat /dev/zero >"$1/small/filler" 2>/dev/null
    before=$(sha256sum <"$1/small/home/contacts")
    "$2" --home "$1/small/home" contact add carol "$3" >"$1/full.out" 2>"$1/full.err"
    [ $? = 1 ] || exit 91
    "$2" --home "$1/small/home2" init >>"$1/full.out" 2>>"$1/full.err"
    [ $? = 1 ] || exit 92
    [ "$before" = "$(sha256sum <"$1/small/home/contacts")" ] || exit 93
    "$2" --home "$1/small/home" contact list >"$1/full.list" || exit 94
    [ ! -e "$1/small/home2/identity" ] || exit 95
    ls -A "$1/small/home"
FULL
  full_disk() {
    unshare -m sh "$tmp/full.sh" "$tmp" "$cspace" "$alice_id" || { rc=$?; cat "$tmp/full.err"; return $rc; }
    cat "$tmp/full.err"
    [ ! -s "$tmp/full.out" ] && [ "$(grep -c "No space left on device" "$tmp/full.err")" = 2 ] && grep -q "^bob" "$tmp/full.list"
  }
  check "a full disk: said so, and the old file is whole" full_disk
else
  skip "a full disk: needs root and unshare(1)"
fi
finish
