#!/bin/sh
# test_tool_ssh.sh - ssh, scp, rsync and git between people: a real sshd behind cspace listen, ProxyCommand cspace connect.
# Everything of ssh's is the test's own: keys, both configurations, known hosts. A pty is never asked for.
. "${srcdir:-.}/tests/check.sh"
. "$srcdir/tests/tool_net.sh"
sshd=$(command -v sshd || echo /usr/sbin/sshd)
user=$(id -un) login_shell=$(getent passwd "$(id -u)" | cut -d : -f 7)
for program in "$sshd" ssh scp rsync git; do
  command -v "$program" >/dev/null || { skip "$program is not installed"; finish; }
done
if ! "${login_shell:-false}" -c true 2>/dev/null; then
  skip "$user has no shell that sshd could start"
  finish
fi
# sshd's place to shut its children in; it is the package's, made at boot.
if [ "$(id -u)" = 0 ] && mkdir -m 755 /run/sshd 2>/dev/null; then at_exit 'rmdir /run/sshd 2>/dev/null'; fi

net_start 4
export HOME="$tmp/home" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
mkdir -m 700 "$HOME"
export GIT_AUTHOR_NAME=alice GIT_AUTHOR_EMAIL=alice@localhost GIT_COMMITTER_NAME=alice GIT_COMMITTER_EMAIL=alice@localhost
ssh-keygen -q -t ed25519 -N '' -f "$tmp/host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/key" || exit 99
echo "bob $(cat "$tmp/host.pub")" >"$tmp/known"
cat >"$tmp/sshd_config" <<CONFIG
HostKey $tmp/host
AuthorizedKeysFile $tmp/key.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserRC no
PrintMotd no
PrintLastLog no
X11Forwarding no
Subsystem sftp internal-sftp
CONFIG
cat >"$tmp/ssh_config" <<CONFIG
Host *
  ProxyCommand $cspace $alice connect %h ssh
  User $user
  IdentityFile $tmp/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $tmp/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
CONFIG
: >"$tmp/sshd.log"
export GIT_SSH_COMMAND="ssh -F $tmp/ssh_config"
to_bob() { ssh -F "$tmp/ssh_config" bob "$@"; }
# What is a failure of sshd's shows in its log.
shown() { "$@" || { rc=$?; echo "exit status $rc; sshd said:"; tail -n 20 "$tmp/sshd.log" "$tmp/bob.err"; return $rc; }; }
sum() { sha256sum | cut -d ' ' -f 1; }

"$cspace" $bob listen ssh -- "$sshd" -i -f "$tmp/sshd_config" -E "$tmp/sshd.log" 2>"$tmp/bob.err" </dev/null &
listener=$!
track $listener
check "cspace listen ssh -- sshd -i" until_has "$tmp/bob.err" "^ready ssh"

head -c 8388608 /dev/urandom >"$tmp/8m"
sum8=$(sum <"$tmp/8m")
first_words() { [ "$(to_bob 'echo $((6 * 7))')" = 42 ]; }
output() { [ "$(to_bob "cat '$tmp/8m'" </dev/null | sum)" = "$sum8" ]; }
input() { [ "$(to_bob sha256sum <"$tmp/8m" | cut -d ' ' -f 1)" = "$sum8" ]; }
both() { [ "$(to_bob cat <"$tmp/8m" | sum)" = "$sum8" ]; }
status() { to_bob "exit $1" </dev/null; [ $? = "$1" ]; }
apart() { to_bob 'echo out; echo err >&2' </dev/null >"$tmp/out" 2>"$tmp/err" && [ "$(cat "$tmp/out" "$tmp/err")" = "out
err" ]; }
check "ssh bob COMMAND" shown first_words
check "8 MiB of output" shown output
check "8 MiB of input" shown input
check "8 MiB both ways at once" shown both
check "exit status 7 is kept" status 7
check "exit status 0 is kept" status 0
check "stdout and stderr stay apart" shown apart
four() {
  for i in 1 2 3 4; do to_bob "cat '$tmp/8m'; echo $i" </dev/null >"$tmp/four.$i" & eval "four_$i=$!"; done
  for i in 1 2 3 4; do eval "wait \$four_$i" || return 1; done
  for i in 1 2 3 4; do [ "$(sum <"$tmp/four.$i")" = "$({ cat "$tmp/8m"; echo $i; } | sum)" ] || return 1; done
}
check "four sessions at once" shown four
cut_off() { # the connection's server dies: ssh says so, and ends with its own status
  to_bob "kill -9 \$PPID" </dev/null 2>"$tmp/err"
  [ $? = 255 ]
}
check "the death of sshd ends ssh" cut_off

mkdir -p "$tmp/tree/a b/c" "$tmp/got" "$tmp/repos"
cp "$tmp/8m" "$tmp/tree/big"
i=0
while [ $i -lt 200 ]; do echo "file $i" >"$tmp/tree/a b/c/$i"; i=$((i + 1)); done
: >"$tmp/tree/empty"
ln -s big "$tmp/tree/link"
chmod 750 "$tmp/tree/a b"

scp_up() { scp -q -F "$tmp/ssh_config" "$tmp/8m" "bob:$tmp/got/up" && cmp "$tmp/8m" "$tmp/got/up"; }
scp_down() { scp -q -F "$tmp/ssh_config" "bob:$tmp/8m" "$tmp/got/down" && cmp "$tmp/8m" "$tmp/got/down"; }
check "scp to bob" shown scp_up
check "scp from bob" shown scp_down
rsync_up() { rsync -a -e "ssh -F $tmp/ssh_config" "$tmp/tree/" "bob:$tmp/got/tree/"; }
same_tree() { diff -r --no-dereference "$tmp/tree" "$tmp/got/tree" && [ "$(stat -c %a "$tmp/got/tree/a b")" = 750 ]; }
rsync_delta() {
  echo more >>"$tmp/tree/big"
  rsync -ai -e "ssh -F $tmp/ssh_config" "$tmp/tree/" "bob:$tmp/got/tree/" >"$tmp/out" && cat "$tmp/out" &&
    [ "$(grep -c '^<f' "$tmp/out")" = 1 ] && same_tree
}
rsync_down() { rsync -a -e "ssh -F $tmp/ssh_config" "bob:$tmp/got/tree/" "$tmp/back/" && diff -r --no-dereference "$tmp/tree" "$tmp/back"; }
check "rsync of a tree" shown rsync_up
check "the trees are the same" same_tree
check "rsync again sends what changed alone" shown rsync_delta
check "rsync from bob" shown rsync_down

make_repo() {
  git init -q --bare -b main "$tmp/repos/work.git" && git init -q -b main "$tmp/checkout" && cp -R "$tmp/tree/." "$tmp/checkout" &&
    git -C "$tmp/checkout" add . && git -C "$tmp/checkout" commit -q -m one
}
git_push() { git -C "$tmp/checkout" push -q "ssh://bob$tmp/repos/work.git" main; }
git_clone() {
  git clone -q "ssh://bob$tmp/repos/work.git" "$tmp/clone" && git -C "$tmp/clone" fsck --strict &&
    [ "$(git -C "$tmp/clone" rev-parse HEAD)" = "$(git -C "$tmp/checkout" rev-parse HEAD)" ]
}
git_pull() {
  echo two >"$tmp/checkout/two" && git -C "$tmp/checkout" add . && git -C "$tmp/checkout" commit -q -m two && git_push &&
    git -C "$tmp/clone" pull -q && [ "$(cat "$tmp/clone/two")" = two ]
}
check "a git repository" make_repo
check "git push by ssh" shown git_push
check "git clone by ssh" shown git_clone
check "git pull by ssh" shown git_pull

# git's own protocol, without ssh: a daemon in inetd's manner.
"$cspace" $bob listen git -- git daemon --inetd --base-path="$tmp/repos" --export-all 2>"$tmp/git.err" </dev/null &
track $!
printf '#!/bin/sh\nexec "%s" %s connect "$1" git\n' "$cspace" "$alice" >"$tmp/git-proxy"
chmod 755 "$tmp/git-proxy"
git_daemon() {
  git -c core.gitProxy="$tmp/git-proxy" clone -q git://bob/work.git "$tmp/clone2" &&
    [ "$(git -C "$tmp/clone2" rev-parse HEAD)" = "$(git -C "$tmp/checkout" rev-parse HEAD)" ]
}
check "cspace listen git -- git daemon --inetd" until_has "$tmp/git.err" "^ready git"
check "git clone git://bob/work.git" git_daemon

no_children() {
  n=0
  while [ -n "$(ps -o pid= --ppid $listener)" ]; do n=$((n + 1)); [ $n -lt 200 ] || return 1; sleep 0.05; done
}
check "no sshd stays behind" no_children
# It waits for no acknowledgement (up to 5 s): every caller has said goodbye, though ssh hangs up on them.
ends_at_once() {
  kill $listener
  n=0
  while kill -0 $listener 2>/dev/null; do n=$((n + 1)); [ $n -lt 80 ] || return 1; sleep 0.05; done
  wait $listener
}
check "the listener ends well, and at once" ends_at_once
finish
