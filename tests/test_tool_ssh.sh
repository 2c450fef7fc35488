#!/bin/sh
# test_tool_ssh.sh - real ssh, rsync and git through `cspace connect` to a real sshd under `cspace listen`.
. "${srcdir:-.}/tests/check.sh"
sshd=$(PATH=$PATH:/usr/sbin:/sbin command -v sshd)
for program in ssh ssh-keygen; do
  command -v $program >/dev/null || { skip "no $program here"; finish; }
done
[ -n "$sshd" ] || { skip "no sshd here"; finish; }
[ "$(id -u)" = 0 ] && mkdir -p /run/sshd
. "$srcdir/tests/tool_net.sh"
net_start 4

ssh-keygen -q -t ed25519 -N '' -f "$tmp/host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/user" || exit 99
cp "$tmp/user.pub" "$tmp/authorized"
cat >"$tmp/sshd_config" <<END
HostKey $tmp/host
AuthorizedKeysFile $tmp/authorized
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
END
cat >"$tmp/ssh_config" <<END
Host bob
User $(id -un)
ProxyCommand $cspace $alice connect %h ssh
IdentityFile $tmp/user
IdentitiesOnly yes
StrictHostKeyChecking no
UserKnownHostsFile $tmp/known
LogLevel ERROR
END
ssh="ssh -F $tmp/ssh_config"
"$cspace" $bob listen ssh -- "$sshd" -i -f "$tmp/sshd_config" 2>"$tmp/listen.err" </dev/null &
listener=$!
track $listener
until_has "$tmp/listen.err" "^ready ssh" || exit 99

if ! $ssh bob true >"$tmp/try" 2>&1 </dev/null; then
  if [ "$(id -u)" = 0 ]; then
    check "ssh" cat "$tmp/try" /nonexistent
  else
    skip "sshd does not let this user in"
  fi
  finish
fi
status() { $ssh bob exit 7 </dev/null; [ $? = 7 ]; }
output() { [ "$($ssh bob 'echo $((6*7))' </dev/null)" = 42 ]; }
head -c 8388608 /dev/urandom >"$tmp/8m"
bulk() { $ssh bob cat <"$tmp/8m" | cmp - "$tmp/8m"; }
check "ssh: a command's output" output
check "ssh: its status" status
check "ssh: 8 MiB there and back" bulk
if command -v rsync >/dev/null; then
  mkdir "$tmp/from" && cp -r "$srcdir/tests/corpus" "$tmp/8m" "$tmp/from/"
  check "rsync" rsync -a -e "$ssh" "$tmp/from/" "bob:$tmp/to/"
  check "rsync: the same" diff -r "$tmp/from" "$tmp/to"
else
  skip "no rsync here"
fi
if command -v git >/dev/null; then
  repository() {
    git init -q "$tmp/repository" && cp "$tmp/8m" "$tmp/repository/" && cd "$tmp/repository" && git add 8m &&
      git -c user.name=n -c user.email=e@example.org commit -q -m one
  }
  check "git: a repository" repository
  check "git clone" env GIT_SSH_COMMAND="$ssh" git clone -q "bob:$tmp/repository" "$tmp/clone"
  check "git: the same" cmp "$tmp/8m" "$tmp/clone/8m"
else
  skip "no git here"
fi
no_children() {
  n=0
  while [ -n "$(ps -o pid= --ppid $listener)" ]; do n=$((n + 1)); [ $n -lt 200 ] || return 1; sleep 0.05; done
}
check "no sshd stays behind" no_children
kill $listener
until_gone $listener
check "the listener ends well" wait $listener
finish
