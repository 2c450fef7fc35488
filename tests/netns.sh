#!/bin/sh
# netns.sh - users on machines of their own that reach each other directly: real interfaces, no loopback.
#
#      alice ns            hub ns: bridge br0            bob ns
#   eth0 10.77.0.2 ----- port1      |      port2 ----- eth0 10.77.0.3
#        fd77::2                10.77.0.1                  fd77::3
#                        fd77::1, cspace node
#
# Needs root, ip(8) and network namespaces. Sends nothing outside the namespaces it makes.
. "${srcdir:-.}/tests/check.sh"
cspace=${CSPACE:-$PWD/tools/cspace}
if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null || ! ip netns add "cs-probe-$$" 2>/dev/null; then
  skip "network namespaces: needs root and ip(8)"
  finish
fi
ip netns exec "cs-probe-$$" true 2>/dev/null || usable=no # a plain chroot cannot
ip netns del "cs-probe-$$"
[ "${usable:-yes}" = yes ] || { skip "network namespaces: ip netns exec does not work here"; finish; }
H=cs-hub-$$ A=cs-alice-$$ B=cs-bob-$$
pids=
stop_all() {
  for pid in $pids; do kill "$pid" 2>/dev/null; done
  for pid in $pids; do wait "$pid" 2>/dev/null; done
  for ns in "$H" "$A" "$B"; do ip netns del "$ns" 2>/dev/null; done
}
at_exit stop_all

connect_host() { # NAMESPACE PORT HOST-NUMBER
  ip netns add "$1" && ip -n "$H" link add "$2" type veth peer name eth0 netns "$1" &&
    ip -n "$H" link set "$2" master br0 up && ip -n "$1" link set eth0 up && ip -n "$1" link set lo up &&
    ip -n "$1" addr add "10.77.0.$3/24" dev eth0 && ip -n "$1" addr add "fd77::$3/64" dev eth0 nodad
}
build_network() {
  ip netns add "$H" && ip -n "$H" link add br0 type bridge && ip -n "$H" link set br0 up &&
    ip -n "$H" link set lo up && ip -n "$H" addr add 10.77.0.1/24 dev br0 &&
    ip -n "$H" addr add fd77::1/64 dev br0 nodad && connect_host "$A" port1 2 && connect_host "$B" port2 3
}
wait_line() { # FILE PATTERN: the line comes within 10 s
  for _ in $(seq 200); do
    grep -q "$2" "$1" 2>/dev/null && return 0
    timeout 0.05 tail -f /dev/null
  done
  echo "no line '$2' in $1:"; cat "$1"; return 1
}
in_ns() { ns=$1; shift; XDG_RUNTIME_DIR=$tmp/run ip netns exec "$ns" "$@"; }
# For the background: the subshell becomes the program, so that $! is its pid.
become() { ns=$1; shift; XDG_RUNTIME_DIR=$tmp/run exec ip netns exec "$ns" "$@"; }
run_alice() { in_ns "$A" "$cspace" --home "$tmp/alice" --set bootstrap="$bootstrap" "$@"; }

make_users() {
  for user in alice bob; do "$cspace" --home "$tmp/$user" init >/dev/null || return 1; done
  "$cspace" --home "$tmp/alice" contact add bob "$("$cspace" --home "$tmp/bob" id)" &&
    "$cspace" --home "$tmp/bob" contact add alice "$("$cspace" --home "$tmp/alice" id)"
}
start_node() { # LISTEN-ADDRESS: sets bootstrap
  rm -f "$tmp/node.out"
  become "$H" "$cspace" --home "$tmp/node" --set listen="$1" --set bootstrap=none node >"$tmp/node.out" 2>&1 &
  node_pid=$!
  pids="$pids $node_pid"
  wait_line "$tmp/node.out" '^ready ' && bootstrap=$(sed -n 's/^ready //p' "$tmp/node.out")
}
start_bob() { # extra --set options
  rm -f "$tmp/bob.out"
  become "$B" "$cspace" --home "$tmp/bob" --set bootstrap="$bootstrap" "$@" listen echo -- cat >"$tmp/bob.out" 2>&1 &
  bob_pid=$!
  pids="$pids $bob_pid"
  wait_line "$tmp/bob.out" '^ready echo'
}
stop() { kill "$1" && { wait "$1"; true; }; }
echo_file() { # FILE: through bob and back
  run_alice connect bob echo <"$1" >"$tmp/back" && cmp "$1" "$tmp/back"
}
path_is() { # ADDRESS-PREFIX MTU
  run_alice ping bob --json >"$tmp/ping" && cat "$tmp/ping" && grep -q "\"address\": *\"$1" "$tmp/ping" &&
    grep -q "\"mtu\": *$2\\b" "$tmp/ping"
}
set_mtu() { ip -n "$H" link set port1 mtu "$1" && ip -n "$H" link set port2 mtu "$1" && ip -n "$A" link set eth0 mtu "$1" && ip -n "$B" link set eth0 mtu "$1"; }

mkdir -m 700 "$tmp/run"
head -c 8388608 /dev/urandom >"$tmp/data"
check "three namespaces on a bridge" build_network
check "alice and bob know each other" make_users
check "a DHT node at 10.77.0.1" start_node 10.77.0.1:0
check "bob listens on a wildcard and is published" start_bob
check "8 MiB through bob and back, over real interfaces" echo_file "$tmp/data"
check "the path is bob's interface address, the datagrams as large as Ethernet takes" path_is 10.77.0.3: 1472

# The path loses what is larger, silently: the hub's ports take less than both hosts believe.
black_hole() {
  ip -n "$H" link set port1 mtu 1400 && ip -n "$H" link set port2 mtu 1400
  echo_file "$tmp/data"
}
check "a path that swallows large datagrams still carries 8 MiB" black_hole
check "and a smaller size was found" path_is 10.77.0.3: 1352
check "jumbo frames" set_mtu 9000
check "are found" path_is 10.77.0.3: 8900
check "and carry 8 MiB" echo_file "$tmp/data"
set_mtu 1500

stop "$bob_pid"
stop "$node_pid"
ip -n "$A" addr flush dev eth0 scope global
ip -n "$B" addr flush dev eth0 scope global
for ns in "$A" "$B"; do ip netns exec "$ns" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0 2>/dev/null; done
ip -n "$A" addr add fd77::2/64 dev eth0 nodad
ip -n "$B" addr add fd77::3/64 dev eth0 nodad
check "a DHT node at fd77::1" start_node "[fd77::1]:0"
check "bob listens without IPv4" start_bob
check "8 MiB over IPv6 alone" echo_file "$tmp/data"
check "the path is bob's IPv6 address" path_is "\\[fd77::3\\]:" 1452
finish
