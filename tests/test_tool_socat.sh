#!/bin/sh
# test_tool_socat.sh - cspace as a part of other people's pipes and sockets, and what is left when one of them is killed.
. "${srcdir:-.}/tests/check.sh"
. "$srcdir/tests/tool_net.sh"
net_start 4
head -c 8388608 /dev/urandom >"$tmp/8m"
sum() { sha256sum | cut -d ' ' -f 1; }
sum8=$(sum <"$tmp/8m")
same() { [ "$(sum)" = "$sum8" ]; }
settings=
# listen NAME ARGUMENT...: bob listens, as $listener; waits until he can be found.
listen() {
  rm -f "$tmp/$1.err"
  "$cspace" $bob $settings listen "$@" >"$tmp/$1.out" 2>"$tmp/$1.err" </dev/null &
  listener=$!
  track $listener
  until_has "$tmp/$1.err" "^ready $1"
}
ends_with() { # STATUS PID
  until_gone "$2" && { wait "$2"; rc=$?; [ $rc = "$1" ] || { echo "exit status $rc, not $1"; return 1; }; }
}

# ---- the shell
check "listen wc -- wc -c" listen wc -- wc -c
counted() { [ "$(printf data | "$cspace" $alice connect bob wc)" = 4 ] && [ "$("$cspace" $alice connect bob wc <"$tmp/8m")" = 8388608 ]; }
check "the count comes back after the end of stdin" counted
in_order() { [ "$(for i in 1 2 3 4 5 6; do echo $i | "$cspace" $alice connect bob wc; done | sort -u)" = 2 ]; }
check "six times in turn" in_order
at_once() {
  for i in 1 2 3 4 5 6; do "$cspace" $alice connect bob wc <"$tmp/8m" >"$tmp/wc.$i" & eval "wc_$i=$!"; done
  for i in 1 2 3 4 5 6; do eval "ends_with 0 \$wc_$i" && [ "$(cat "$tmp/wc.$i")" = 8388608 ] || return 1; done
}
check "six at once" at_once

"$cspace" $bob listen pipe <"$tmp/8m" 2>"$tmp/pipe.err" >"$tmp/pipe.out" &
pipe=$!
track $pipe
until_has "$tmp/pipe.err" "^ready pipe"
one_pipe() { "$cspace" $alice connect bob pipe <"$tmp/8m" | same && ends_with 0 $pipe && same <"$tmp/pipe.out"; }
check "one pipe: 8 MiB each way, both ends" one_pipe

# ---- killed in the middle
check "a service that pours" listen pour -- sh -c "cat '$tmp/8m' && sleep 60"
reader() { "$cspace" $alice --set idle-timeout=2000 connect bob pour </dev/null >"$tmp/poured" 2>"$tmp/poured.err"; }
cut_short() { # no byte but those that bob sent, in their order, and never a clean end
  reader &
  caller=$!
  n=0
  until [ "$(stat -c %s "$tmp/poured" 2>/dev/null || echo 0)" -gt 100000 ]; do
    n=$((n + 1)); [ $n -lt 1000 ] || return 1
    sleep 0.01
  done
  children=$(ps -o pid= --ppid $listener)
  kill -9 $listener
  ends_with 1 $caller && cat "$tmp/poured.err" && [ "$(wc -l <"$tmp/poured.err")" = 1 ] &&
    grep -q "^cspace: bob pour: the connection was lost" "$tmp/poured.err" && size=$(stat -c %s "$tmp/poured") &&
    [ "$size" -gt 0 ] && head -c "$size" "$tmp/8m" | cmp - "$tmp/poured"
}
check "kill -9 of the listener: status 1, the sentence, a prefix" cut_short
for child in $children; do
  sleeper=$(ps -o pid= --ppid $child)
  kill $child $sleeper 2>/dev/null
done
settings="--set idle-timeout=2000"
check "a service that notes how its input ended" \
  listen drain -- sh -c "cat >'$tmp/drained' 2>'$tmp/drained.err'; echo \"status \$?\" >'$tmp/drained.status'"
settings=
mkfifo "$tmp/open"
exec 9<>"$tmp/open"
"$cspace" $alice connect bob drain <"$tmp/open" >/dev/null 2>&1 &
caller=$!
printf 'so far' >&9
killed_caller() {
  until_has "$tmp/drained" "so far" && kill -9 $caller && until_has "$tmp/drained.status" "status 1" &&
    grep -q "Connection reset" "$tmp/drained.err" && [ "$(cat "$tmp/drained")" = "so far" ]
}
check "kill -9 of the caller: what was sent, then ECONNRESET" killed_caller
wait $caller 2>/dev/null

# ---- socat
command -v socat >/dev/null || { skip "socat is not installed"; finish; }
check "listen echo -- cat" listen echo -- cat
# socat takes no colon in a command: the settings go to where a user keeps them.
for user in alice bob; do printf 'listen = 127.0.0.1:0\nbootstrap = %s\n' "$boot" >"$tmp/$user/cspace.conf"; done
call="$cspace --home $tmp/alice connect bob echo"
exec_socketpair() { socat -t 20 - EXEC:"$call" <"$tmp/8m" | same; }
# With pipes socat waits for all of -t, whatever it runs.
exec_pipes() { [ "$(echo hello | socat -t 2 - EXEC:"$call",pipes)" = hello ]; }
check "socat EXEC, one socket for stdin and stdout" exec_socketpair
check "socat EXEC, two pipes" exec_pipes
socat UNIX-LISTEN:"$tmp/door",fork EXEC:"$call" 2>"$tmp/door.err" &
track $!
n=0
until [ -S "$tmp/door" ] || [ $n = 400 ]; do n=$((n + 1)); sleep 0.01; done
door() { socat -t 20 - UNIX-CONNECT:"$tmp/door" <"$tmp/8m" | same; }
check "a local door to bob's service" door
check "and again" door
socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork EXEC:cat 2>"$tmp/tcp.err" &
track $!
until_has "$tmp/tcp.err" "listening on"
port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$tmp/tcp.err")
check "a TCP server of bob's, behind socat" listen tcp -- socat -t 20 - TCP:127.0.0.1:"$port"
forwarded() { "$cspace" $alice connect bob tcp <"$tmp/8m" | same; }
check "through cspace and socat to TCP and back" forwarded
socat -t 20 EXEC:"$cspace --home $tmp/bob listen once" EXEC:cat 2>"$tmp/once.err" &
once=$!
track $once
until_has "$tmp/once.err" "^ready once"
listen_in_socat() { "$cspace" $alice connect bob once <"$tmp/8m" | same && ends_with 0 $once; }
check "cspace listen under socat" listen_in_socat
finish
