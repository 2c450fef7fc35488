#!/bin/sh
# test_tool_net.sh - cspace node, ping, connect and listen over a small DHT on loopback.
. "${srcdir:-.}/tests/check.sh"
. "$srcdir/tests/tool_net.sh"
net_start 4
mkfifo "$tmp/open"
exec 9<>"$tmp/open" # a stdin that never ends

# listen NAME ARGUMENT...: bob listens, in the background as $listener; waits until he can be found.
listen() {
  log=$tmp/$1.log
  rm -f "$log"
  shift
  "$cspace" $bob listen "$@" 2>"$log" >"$log.out" </dev/null &
  listener=$!
  track $listener
  until_has "$log" "^ready "
}
ends_with() { # STATUS PID
  until_gone "$2" || return 1
  wait "$2"
  rc=$?
  [ $rc = "$1" ] || { echo "exit status $rc, not $1"; return 1; }
}
stop() { kill "$listener"; ends_with 0 "$listener"; }

# ---- node
check "node without a home makes one" test -d "$tmp/node1"
check "a port in use is named" fails 1 "$boot: Address already in use" \
  "$cspace" --home "$tmp/node1" --set "listen=$boot" --set bootstrap=none node
env --default-signal=INT "$cspace" --home "$tmp/wild" --set bootstrap=none node >"$tmp/wild.out" 2>&1 &
wild=$!
check "a wildcard node says where it is bound" until_has "$tmp/wild.out" '^ready .*:[1-9][0-9]*$'
kill -INT $wild
check "SIGINT ends a node" ends_with 0 $wild

# ---- ping
check "listen, a command for each" listen echo echo -- cat
check "ping" sh -c "'$cspace' $alice ping bob | grep -q '^bob: direct, 127.0.0.1:[0-9]*, round trip [0-9.]* ms$'"
check "ping --why" sh -c "'$cspace' $alice ping bob --why | grep -q 'found in the DHT after [0-9]* ms'"
json='^{"user":"bob","ok":true,"path":"direct","address":"127.0.0.1:[0-9]*","rtt_us":[1-9][0-9]*,'
json=$json'"mtu":[1-9][0-9]*,"find_ms":[0-9]*,"session_ms":[0-9]*}$'
check "ping --json" sh -c "'$cspace' $alice ping --json bob | grep -q '$json'"
check "ping by id" sh -c "'$cspace' $alice ping $bob_id | grep -q direct"
check "ping of nobody, and why" fails 1 "contact add NAME ID" "$cspace" $alice ping carol --why
"$cspace" --home "$tmp/alice" contact add dave "$("$cspace" --home "$tmp/dave" init | sed -n "2s, ,,gp")"
check "ping of someone who is not there" fails 1 "dave" "$cspace" $alice ping dave --timeout 1500

# ---- connect
echo_8m() {
  head -c 8388608 /dev/urandom >"$tmp/8m"
  "$cspace" $alice connect bob echo <"$tmp/8m" | cmp - "$tmp/8m"
}
check "8 MiB, the end, the reply" echo_8m
echo_bytes() {
  awk 'BEGIN { for (i = 0; i < 256; i++) printf "\\%03o", i }' >"$tmp/octal"
  printf "$(cat "$tmp/octal")" >"$tmp/bytes"
  "$cspace" $alice connect bob echo <"$tmp/bytes" | cmp - "$tmp/bytes" && [ "$(wc -c <"$tmp/bytes")" = 256 ]
}
check "every byte passes" echo_bytes
empty() { "$cspace" $alice connect bob echo </dev/null >"$tmp/out" && [ ! -s "$tmp/out" ]; }
check "nothing passes as nothing" empty
check "a service that is not there" fails 1 "bob" "$cspace" $alice connect bob nothing
check "a user that is not there" fails 1 "carol" "$cspace" $alice connect carol echo
full() { fails 1 "stdout: No space left" sh -c "echo x | '$cspace' $alice connect bob echo >/dev/full"; }
check "a full stdout is told" full
check "stop" stop
check "who calls is in the environment" listen env env -- sh -c 'echo "$CSPACE_PEER $CSPACE_PEER_ID $CSPACE_SERVICE"'
check "petname, id, service" sh -c "[ \"\$('$cspace' $alice connect bob env)\" = 'alice $alice_id env' ]"
hold() { timeout 20 "$cspace" $alice connect bob env <"$tmp/open" >"$tmp/out" && grep -q "^alice" "$tmp/out"; }
check "the other side's end is enough, stdin need not end" hold
check "stop" stop

# ---- ends that are none
check "listen" listen slow slow -- sh -c 'echo begun; exec sleep 30'
"$cspace" $alice --set idle-timeout=2000 connect bob slow <"$tmp/open" >"$tmp/slow.out" 2>"$tmp/slow.err" &
caller=$!
track $caller
until_has "$tmp/slow.out" begun
sleeper=$(ps -o pid= --ppid $listener)
kill -9 $listener
check "kill -9 of the listener is a lost connection" ends_with 1 $caller
check "and said so" grep -q "bob slow: the connection was lost" "$tmp/slow.err"
kill $sleeper 2>/dev/null
check "what had come is there" grep -q begun "$tmp/slow.out"

check "listen" listen reset reset -- sh -c "echo begun; cat >/dev/null 2>&1; echo \"status \$?\" >'$tmp/reset.status'"
"$cspace" $alice connect bob reset <"$tmp/open" >"$tmp/reset.out" 2>"$tmp/reset.err" &
caller=$!
track $caller
until_has "$tmp/reset.out" begun
kill $caller
check "SIGTERM of the caller takes its course" ends_with 143 $caller
check "and resets the connection at once" until_has "$tmp/reset.status" "status 1"
check "without a word" test ! -s "$tmp/reset.err"
check "stop" stop

check "listen" listen yes yes -- sh -c "yes; echo gone >'$tmp/yes.gone'"
head_1() { [ "$("$cspace" $alice connect bob yes </dev/null | head -n 1)" = y ]; }
check "stdout closed early ends both sides" head_1
check "the command too" until_has "$tmp/yes.gone" gone
check "stop" stop

# ---- commands at once, and the end of the listener
check "listen --max 2" listen max --max 2 max -- sh -c "echo + >>'$tmp/max.log2'; sleep 0.2; echo - >>'$tmp/max.log2'"
for i in 1 2 3 4 5 6; do "$cspace" $alice connect bob max </dev/null & eval "c$i=$!"; done
for i in 1 2 3 4 5 6; do eval "check 'caller $i' ends_with 0 \$c$i"; done
at_most_2() {
  [ "$(grep -c + "$tmp/max.log2")" = 6 ] &&
    awk '/\+/ { n++ } /-/ { n-- } n > 2 { exit 1 }' "$tmp/max.log2"
}
check "never more than two at once, all served" at_most_2
zombies() { ! ps -o stat= --ppid "$listener" | grep -q Z; }
check "no zombies" zombies
check "stop" stop

check "listen" listen wait wait -- sh -c 'echo begun; read x; echo "done $x"'
"$cspace" $alice connect bob wait <"$tmp/open" >"$tmp/wait.out" 2>"$tmp/wait.err" &
caller=$!
track $caller
until_has "$tmp/wait.out" begun
kill $listener
check "a stopped listener takes nobody" fails 1 "bob: \(not found\|refused\)" "$cspace" $alice connect bob wait --timeout 1500
echo now >&9
check "its command runs to the end" ends_with 0 $caller
check "with the connection whole" grep -q "done now" "$tmp/wait.out"
check "then the listener ends" ends_with 0 $listener

check "listen" listen cut cut -- sh -c 'echo begun; exec sleep 30'
"$cspace" $alice --set idle-timeout=2000 connect bob cut <"$tmp/open" >"$tmp/cut.out" 2>/dev/null &
caller=$!
track $caller
until_has "$tmp/cut.out" begun
sleeper=$(ps -o pid= --ppid $listener)
# A second signal within 300 ms is the same one (timeout(1) sends two): again and again until one counts.
n=0
while kill $listener 2>/dev/null && [ $n -lt 200 ]; do n=$((n + 1)); sleep 0.05; done
check "a second SIGTERM does not wait" ends_with 1 $listener
check "and the caller knows" ends_with 1 $caller
kill $sleeper 2>/dev/null

check "listen --once" listen once --once once -- echo hello
check "one caller" sh -c "[ \"\$('$cspace' $alice connect bob once </dev/null)\" = hello ]"
check "is the last" ends_with 0 $listener

# ---- one pipe
echo "from bob" >"$tmp/from.bob"
"$cspace" $bob listen pipe <"$tmp/from.bob" >"$tmp/pipe.out" 2>"$tmp/pipe.err" &
listener=$!
track $listener
check "listen, one pipe" until_has "$tmp/pipe.err" "^ready pipe"
check "both ways" sh -c "[ \"\$(echo 'from alice' | '$cspace' $alice connect bob pipe)\" = 'from bob' ]"
check "it ends with its caller" ends_with 0 $listener
check "both ways" grep -q "from alice" "$tmp/pipe.out"
# Files of its own: in an old one `ready` stands already, and a signal before exec would be ignored.
env --default-signal=INT "$cspace" $bob listen pipe <"$tmp/open" >"$tmp/pipe2.out" 2>"$tmp/pipe2.err" &
listener=$!
track $listener
until_has "$tmp/pipe2.err" "^ready pipe"
kill -INT $listener
check "SIGINT before a caller" ends_with 130 $listener
check "without a word" test "$(cat "$tmp/pipe2.err")" = "ready pipe"

# ---- access
"$cspace" --home "$tmp/eve" init >/dev/null
"$cspace" --home "$tmp/eve" contact add bob "$bob_id"
eve="--home $tmp/eve $net_set"
check "listen" listen mine mine -- echo secret
check "a stranger is not let in" fails 1 "bob" "$cspace" $eve connect bob mine --timeout 3000
check "stop" stop
check "listen --access anyone" listen open --access anyone open -- sh -c 'echo "[$CSPACE_PEER]"'
check "a stranger has no petname" sh -c "[ \"\$('$cspace' $eve connect bob open </dev/null)\" = '[]' ]"
check "stop" stop
check "listen --access alice" listen named --access alice named -- echo yes
check "the one who is named" sh -c "[ \"\$('$cspace' $alice connect bob named </dev/null)\" = yes ]"
check "and nobody else" fails 1 "bob" "$cspace" $eve connect bob named --timeout 3000
check "stop" stop
finish
