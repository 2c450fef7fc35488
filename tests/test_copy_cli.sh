#!/bin/sh
# test_copy_cli.sh - cs-copy: wrong command lines, then files from alice to bob over a small DHT on loopback.
. "${srcdir:-.}/tests/check.sh"
. "$srcdir/tests/tool_net.sh"

says() { "$@" >"$tmp/out" 2>&1 </dev/null || { echo "exit status $?"; cat "$tmp/out"; return 1; }; }
entries() { [ "$(ls -A "$2" | wc -l)" = "$1" ] || { ls -lA "$2"; return 1; }; }
ends_with() { # STATUS PID
  until_gone "$2" || return 1
  wait "$2"
  rc=$?
  [ $rc = "$1" ] || { echo "exit status $rc, not $1"; return 1; }
}

check "--help" says "$cs_copy" --help
check "--version" says "$cs_copy" --version
check "no arguments" fails 2 "which files" "$cs_copy"
check "no colon" fails 2 "with a colon" "$cs_copy" a bob
check "no user" fails 2 "no user" "$cs_copy" a :x
check "no files" fails 2 "which files" "$cs_copy" bob:
check "--receive with files" fails 2 "takes no files" "$cs_copy" --receive "$tmp" a bob:
check "--once for a sender" fails 2 "for --receive" "$cs_copy" --once a bob:
check "--timeout for a receiver" fails 2 "for sending" "$cs_copy" --timeout 5 --receive "$tmp"
check "-r" fails 2 "not offered in this version" "$cs_copy" -r a bob:
check "an unknown option" fails 2 "cs-copy --help" "$cs_copy" --bogus
check "a bad key" fails 2 '"foo"' "$cs_copy" --set foo=1 a bob:
check "--receive into nothing" fails 1 "No such file" "$cs_copy" --receive "$tmp/nothing"

net_start 4
mkdir "$tmp/in" "$tmp/files"
f=$tmp/files
head -c 20000000 /dev/urandom >"$f/big.bin"
printf 'a\n' >"$f/small.txt"
: >"$f/empty"
truncate -s 5000000 "$f/sparse"
touch -d '2001-02-03 04:05:06.789 UTC' "$f/small.txt"
chmod 755 "$f/small.txt"
# receive ARGUMENT...: in the background as $receiver, ready.
receive() {
  rm -f "$tmp/recv.err" # what an earlier one said is no word of this one
  "$cs_copy" $bob --receive "$tmp/in" "$@" >"$tmp/recv.out" 2>"$tmp/recv.err" </dev/null &
  receiver=$!
  track $receiver
  until_has "$tmp/recv.err" "^ready copy"
}
send() { "$cs_copy" $alice "$@"; }

check "nobody is there" fails 1 "bob" send "$f/small.txt" bob: --timeout 1000
check "receive" receive
check "a file, as JSON" sh -c "'$cs_copy' $alice --json --quiet '$f/big.bin' bob: >'$tmp/json' 2>'$tmp/err'"
json='^{"files":1,"bytes":20000000,"failed":0,"seconds":[0-9.]*,'
json=$json'"connect_ms":[0-9.]*,"path":"direct","address":"127.0.0.1:[0-9]*"}$'
check "one line with every field" grep -q "$json" "$tmp/json"
check "--quiet is quiet" test ! -s "$tmp/err"
check "it is there and the same" cmp "$f/big.bin" "$tmp/in/big.bin"
check "the receiver says so" grep -q "^alice: big.bin (20000000 bytes)$" "$tmp/recv.out"
check "several files into a directory" says send "$f/small.txt" "$f/empty" "$f/sparse" bob:some/place
check "the same" cmp "$f/small.txt" "$tmp/in/some/place/small.txt"
check "the empty one" cmp "$f/empty" "$tmp/in/some/place/empty"
check "the sparse one" cmp "$f/sparse" "$tmp/in/some/place/sparse"
check "mode and time" test "$(stat -c '%a %Y' "$tmp/in/some/place/small.txt")" = "700 981173106"
check "a line for each" grep -q "^empty: 0 B$" "$tmp/out"
check "again: another name" says send "$f/small.txt" bob:some/place/
check "which is told" grep -q 'saved as some/place/small (1).txt' "$tmp/out"
check "a new name" says send "$f/small.txt" bob:new.txt
check "the same" cmp "$f/small.txt" "$tmp/in/new.txt"
check "to an id" says send "$f/small.txt" "$bob_id:"
check "a directory is not copied" fails 1 "is a directory" send "$f" bob:
check "a missing file" fails 1 "No such file.*nothing was sent" send "$f/small.txt" "$f/missing" bob:
check "no file of the two" test ! -e "$tmp/in/missing"
check "no way up" fails 1 "nothing was sent" send "$f/small.txt" bob:../up
check "no absolute path" fails 1 "nothing was sent" send "$f/small.txt" "bob:$tmp/up"
cp "$f/small.txt" "$f/.profile"
check "no hidden files" fails 1 ".profile: refused: a hidden name" send "$f/.profile" bob:
check "the receiver says so too" grep -q "alice: .profile: refused" "$tmp/recv.err"
check "but under a name" says send "$f/.profile" bob:profile
check "nobody else's files" test ! -e "$tmp/up"
for i in 1 2 3 4 5 6; do "$cs_copy" $alice --quiet "$f/big.bin" "bob:many/$i" 2>"$tmp/many.$i" & eval "s$i=$!"; done
for i in 1 2 3 4 5 6; do
  eval "check 'sender $i of six at once' ends_with 0 \$s$i"
  check "its file" cmp "$f/big.bin" "$tmp/in/many/$i"
done
kill "$receiver"
check "SIGTERM ends the receiver" ends_with 0 "$receiver"
check "no temporary files are left" test -z "$(find "$tmp/in" -name '*cs-part*')"

# ---- cut off
rm -rf "$tmp/in" && mkdir "$tmp/in"
head -c 400000000 /dev/zero >"$f/long"
check "receive" receive
"$cs_copy" $alice "$f/long" bob: 2>"$tmp/cut.err" &
sender=$!
until_part() { n=0; until find "$tmp/in" -name '.long.cs-part-*' -size +1000k | grep -q .; do
  n=$((n + 1)); [ $n -lt 2000 ] || return 1; sleep 0.01; done; }
check "a transfer is under way" until_part
kill "$receiver"
check "a receiver that is told to end, ends" ends_with 0 "$receiver"
check "and the sender fails" ends_with 1 "$sender"
check "and says so" grep -q "bob: .*; 0 of 1 files were saved" "$tmp/cut.err"
check "nothing is left" entries 0 "$tmp/in"
check "receive" receive --set idle-timeout=2000
"$cs_copy" $alice "$f/long" bob: 2>"$tmp/cut.err" &
sender=$!
check "a transfer is under way" until_part
kill -9 "$sender"
check "the receiver hears of a dead sender" until_has "$tmp/recv.err" "alice: the connection was lost"
check "nothing is left" entries 0 "$tmp/in"
kill "$receiver"
check "stop" ends_with 0 "$receiver"

# ---- once, overwrite, full
check "receive --once" receive --once --overwrite --json
echo old >"$tmp/in/small.txt"
check "replace" says send "$f/small.txt" bob:
check "replaced" cmp "$f/small.txt" "$tmp/in/small.txt"
check "it ends by itself" ends_with 0 "$receiver"
check "with a line of JSON" grep -q '^{"files":1,"bytes":2,"failed":0,"senders":1,"seconds":[0-9.]*}$' "$tmp/recv.out"
rm -f "$tmp/recv.err"
(
  ulimit -f 2000
  exec "$cs_copy" $bob --receive "$tmp/in" --once >"$tmp/recv.out" 2>"$tmp/recv.err" </dev/null
) &
receiver=$!
track $receiver
until_has "$tmp/recv.err" "^ready copy"
check "no room is told" fails 1 "big.bin: no space: big.bin: File too large" send "$f/big.bin" bob:
check "on both sides" until_has "$tmp/recv.err" "big.bin: no space"
check "and is a failure" ends_with 1 "$receiver"
check "nothing is left" entries 1 "$tmp/in"

# ---- names
check "receive" receive
odd="with  two spaces" utf="Gr\303\274\303\237e \342\234\223.txt"
utf=$(printf "$utf")
cp "$f/small.txt" "$f/$odd"
cp "$f/small.txt" "$f/$utf"
cp "$f/small.txt" "$f/-dash"
newline="$f/two
lines"
cp "$f/small.txt" "$newline"
cp "$f/small.txt" "$f/$(printf 'turned\342\200\256txt')"
check "spaces, other letters and a dash first" says send -- "$f/$odd" "$f/$utf" "$f/-dash" bob:names/
check "each under its name" test -f "$tmp/in/names/$odd" -a -f "$tmp/in/names/$utf" -a -f "$tmp/in/names/-dash"
check "a line end in a name" fails 1 "a name with control characters cannot be sent; nothing was sent" send "$newline" bob:
one_line() { [ "$(wc -l <"$tmp/err")" = 1 ]; }
check "is not printed" one_line
check "letters that turn the text around" fails 1 "control characters" send "$f"/turned* bob:
check "a path below a file" fails 1 "names/$odd" send "$f/small.txt" "bob:names/$odd/x"
ln -s / "$tmp/in/root"
check "a symbolic link leads nowhere" fails 1 "symbolic link" send "$f/small.txt" "bob:root$tmp/up"
check "nothing is there" test ! -e "$tmp/up"
kill -9 "$receiver"
wait "$receiver" 2>/dev/null

# ---- the receiver dies
check "receive" receive
send --set idle-timeout=2000 "$f/long" bob:dead 2>"$tmp/cut.err" &
sender=$!
until_part() { n=0; until find "$tmp/in" -name '.dead.cs-part-*' -size +1000k | grep -q .; do
  n=$((n + 1)); [ $n -lt 2000 ] || return 1; sleep 0.01; done; }
check "a transfer is under way" until_part
kill -9 "$receiver"
check "the sender of a dead receiver fails" ends_with 1 "$sender"
check "and says so" grep -q "^cs-copy: bob: the connection was lost; 0 of 1 files were saved$" "$tmp/cut.err"
check "the file is not there under its name" test ! -e "$tmp/in/dead"
rm -rf "$tmp/in" && mkdir "$tmp/in"

# ---- a disk that is full, for its writer (root only: a file system of its own)
full_disk() {
  mkdir -p "$tmp/small"
  rm -f "$tmp/recv.err"
  unshare -m sh -c 'mount -t tmpfs -o size=4m none "$1/small" && shift && exec "$@"' - "$tmp" \
    "$cs_copy" $bob --receive "$tmp/small" --once >"$tmp/recv.out" 2>"$tmp/recv.err" </dev/null &
  receiver=$!
  track $receiver
  until_has "$tmp/recv.err" "^ready copy" &&
    fails 1 "big.bin: no space: big.bin: the file has 20000000 bytes" send "$f/big.bin" bob: && ends_with 1 $receiver
}
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
  check "a full disk is told before anything is sent" full_disk
else
  skip "a full disk: needs root and unshare(1)"
fi

# ---- a terminal
if command -v script >/dev/null; then
  check "receive" receive
  on_tty() { script -qec "stty cols 100; '$cs_copy' $alice '$f/long' bob:tty" "$tmp/tty" >/dev/null </dev/null; }
  check "on a terminal" on_tty
  check "a progress bar" grep -q 'long  *[0-9]*% \[=*>.*\] .* MB/400.0 MB  .*B/s [0-9]*:[0-9][0-9]' "$tmp/tty"
  kill "$receiver"
  check "stop" ends_with 0 "$receiver"
else
  skip "the progress bar: no script(1) here"
fi
finish
