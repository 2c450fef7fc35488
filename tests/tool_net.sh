# tool_net.sh - a small network for script tests, of the tools themselves:
#
#   . "${srcdir:-.}/tests/check.sh"; . "$srcdir/tests/tool_net.sh"
#   net_start N        N nodes on loopback, alice and bob who know each other; $alice and $bob are their options
#   cspace, cs_copy    the programs
#   until_has FILE TEXT, until_gone PID    wait for the event, at most 20 s
#   track PID          ends it with the test, if it still runs
cspace=$PWD/tools/cspace cs_copy=$PWD/samples/cs-copy
export XDG_RUNTIME_DIR="$tmp/run"
unset CSPACE_HOME CSPACE_LOG XDG_CONFIG_HOME
mkdir -m 700 "$tmp/run"
tracked=
track() { tracked="$tracked $1"; }
at_exit 'for p in $tracked; do kill "$p" 2>/dev/null; done; wait'

cspace() { "$cspace" "$@"; }
cs_copy() { "$cs_copy" "$@"; }

until_has() {
  n=0
  until grep -q -- "$2" "$1" 2>/dev/null; do
    n=$((n + 1))
    [ $n -lt 400 ] || { echo "no '$2' in $1 within 20 s:"; cat "$1"; return 1; }
    sleep 0.05
  done
}

until_gone() {
  n=0
  while kill -0 "$1" 2>/dev/null; do
    n=$((n + 1))
    [ $n -lt 400 ] || { echo "process $1 still runs after 20 s"; return 1; }
    sleep 0.05
  done
}

# The command ends with STATUS and says PATTERN on stderr.
fails() { # STATUS PATTERN COMMAND...
  status=$1 pattern=$2
  shift 2
  "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
  rc=$?
  [ $rc = "$status" ] && grep -q -- "$pattern" "$tmp/err" && return 0
  echo "exit status $rc:"; cat "$tmp/out" "$tmp/err"; return 1
}

net_node() { # NAME BOOTSTRAP
  "$cspace" --home "$tmp/$1" --set listen=127.0.0.1:0 --set "bootstrap=$2" node >"$tmp/$1.out" 2>"$tmp/$1.err" &
  track $!
  until_has "$tmp/$1.out" "^ready 127.0.0.1:" || exit 99
}

net_start() {
  net_node node1 none
  boot=$(sed 's/^ready //' "$tmp/node1.out")
  i=2
  while [ $i -le "$1" ]; do net_node node$i "$boot"; i=$((i + 1)); done
  net_set="--set listen=127.0.0.1:0 --set bootstrap=$boot"
  alice="--home $tmp/alice $net_set" bob="--home $tmp/bob $net_set"
  cspace --home "$tmp/alice" init alice >/dev/null && cspace --home "$tmp/bob" init bob >/dev/null || exit 99
  alice_id=$(cspace --home "$tmp/alice" id) bob_id=$(cspace --home "$tmp/bob" id)
  cspace --home "$tmp/alice" contact add bob "$bob_id" && cspace --home "$tmp/bob" contact add alice "$alice_id" ||
    exit 99
}
