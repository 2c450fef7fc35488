"""The DHT core against libtorrent's: see interop_libtorrent.sh."""
import hashlib
import os
import subprocess
import sys
import tempfile
import time

import libtorrent as lt

TOOL, CSPACE = sys.argv[1:3]
STEP = 40          # seconds a single step may take
NODES = 10
SALT = "a-salt"
SEED = bytes(range(32))
PUBLIC = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")


def session():
    """A libtorrent DHT node on loopback that takes no address for too local, too busy or too unknown."""
    s = lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": "",
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_enforce_node_id": False,
        "dht_prefer_verified_node_ids": False, "dht_ignore_dark_internet": False,
        "dht_block_ratelimit": 1000000, "dht_upload_rate_limit": 100000000,
        "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.status_notification,
    })
    wait("libtorrent to listen", lambda: s.listen_port() != 0)
    return s


def wait(what, condition):
    end = time.monotonic() + STEP
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            sys.exit("interop_libtorrent: out of time waiting for " + what)
        time.sleep(0.02)


def alert(s, kind, wanted):
    """The first alert of a kind for which `wanted` is true."""
    def look():
        return next((a for a in s.pop_alerts() if isinstance(a, kind) and wanted(a)), None)
    return wait(kind.__name__, look)


def expanded(seed):
    """libtorrent's form of an Ed25519 private key (RFC 8032 5.1.5)."""
    h = bytearray(hashlib.sha512(seed).digest())
    h[0] &= 248
    h[31] = h[31] & 63 | 64
    return bytes(h)


class Client:
    """Read-only nodes of ours, one a command."""

    def __init__(self, boot):
        self.boot = boot

    def run(self, *args):
        p = subprocess.run([TOOL, *args, self.boot], capture_output=True, text=True, timeout=STEP)
        if p.returncode != 0:
            sys.exit("interop_libtorrent: dht_tool %s: %s%s" % (" ".join(args), p.stdout, p.stderr))
        return p.stdout.rstrip("\n")


class Nodes:
    """A process with nodes of ours that stay; the last of them runs the commands."""

    def __init__(self, n, *boot):
        self.process = subprocess.Popen([TOOL, "nodes", str(n), *boot], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.addresses = self.process.stdout.readline().split()

    def run(self, *args):
        self.process.stdin.write(" ".join(args) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().rstrip("\n")
        if line in ("-", ""):
            sys.exit("interop_libtorrent: our node failed at " + " ".join(args))
        return line

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def expect(what, have, want):
    if have != want:
        sys.exit("interop_libtorrent: %s: %r, expected %r" % (what, have, want))


def text_of(item):
    return item.decode() if isinstance(item, bytes) else str(item)


def value_of(a):
    return text_of(a.item["value"] if isinstance(a.item, dict) else a.item)


def theirs_to_ours(s, ours, n):
    """libtorrent puts, our side reads. Returns the seq it chose."""
    text = "from-them-%d" % n
    s.dht_put_mutable_item(expanded(SEED), PUBLIC, text.encode(), SALT)
    if alert(s, lt.dht_put_alert, lambda a: True).num_success < 1:
        sys.exit("interop_libtorrent: nobody stored libtorrent's item")
    seq, have = ours.run("get", PUBLIC.hex(), SALT).split()
    expect("our value of libtorrent's item", have, text)
    target = s.dht_put_immutable_item("plain-" + text)
    if alert(s, lt.dht_put_alert, lambda a: True).num_success < 1:
        sys.exit("interop_libtorrent: nobody stored libtorrent's immutable item")
    expect("our value of libtorrent's immutable item", ours.run("iget", str(target)), "plain-" + text)
    return int(seq)


def ours_to_theirs(s, ours, n, seq):
    """Our side puts over libtorrent's item, libtorrent reads. Its alert for the value comes before its lookup ends."""
    text = "from-us-%d" % n
    key, stored = ours.run("put", SEED.hex(), str(seq), text, SALT).split()
    expect("the key", key, PUBLIC.hex())
    if int(stored) < 1:
        sys.exit("interop_libtorrent: nobody stored our item")
    s.dht_get_mutable_item(PUBLIC, SALT)
    a = alert(s, lt.dht_mutable_item_alert, lambda a: a.seq >= seq)
    expect("libtorrent's value of our item", value_of(a), text)
    expect("libtorrent's seq of our item", a.seq, seq)
    target, stored = ours.run("iput", "plain-" + text).split()
    s.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(target)))
    a = alert(s, lt.dht_immutable_item_alert, lambda a: str(a.target) == target)
    expect("libtorrent's value of our immutable item", value_of(a), "plain-" + text)


def both_ways(name, s, ours, n):
    start = time.monotonic()
    seq = theirs_to_ours(s, ours, n)
    ours_to_theirs(s, ours, n, seq + 10)
    print("interop_libtorrent: %s: ok, %.1f s" % (name, time.monotonic() - start), flush=True)


def known_nodes(s):
    s.post_dht_stats()
    a = alert(s, lt.dht_stats_alert, lambda a: True)
    return sum(b["num_nodes"] for b in a.routing_table)


def introduce(s, addresses):
    """libtorrent takes long to trust who only asks it, so it is told."""
    for a in addresses:
        host, port = a.split(":")
        s.add_dht_node((host, int(port)))


def network(n):
    """n libtorrent nodes that know each other."""
    sessions = [session() for _ in range(n)]
    addresses = ["127.0.0.1:%d" % s.listen_port() for s in sessions]
    for i, s in enumerate(sessions):
        introduce(s, addresses[:i] + addresses[i + 1:])
    wait("libtorrent's nodes to know each other", lambda: all(known_nodes(s) >= n // 2 for s in sessions))
    return sessions


def two_users(boot):
    """bob listens, alice finds him by name; the network is libtorrent's."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cspace-interop.") as home:
        def cspace(user, *args):
            return [CSPACE, "--home", os.path.join(home, user), "--set", "listen=127.0.0.1:0", "--set",
                    "bootstrap=" + boot, *args]

        def run(user, *args, **more):
            p = subprocess.run(cspace(user, *args), capture_output=True, text=True, timeout=STEP, **more)
            if p.returncode != 0:
                sys.exit("interop_libtorrent: cspace %s: %s" % (" ".join(args), p.stderr))
            return p.stdout

        ids = {}
        for user in "alice", "bob":
            run(user, "init")
            ids[user] = run(user, "id").strip()
        run("alice", "contact", "add", "bob", ids["bob"])
        run("bob", "contact", "add", "alice", ids["alice"])
        bob = subprocess.Popen(cspace("bob", "listen", "echo", "--", "cat"), stderr=subprocess.PIPE, text=True)
        try:
            line = bob.stderr.readline()
            if not line.startswith("ready "):
                sys.exit("interop_libtorrent: bob cannot publish: " + line)
            expect("what bob sends back", run("alice", "connect", "bob", "echo", input="through them\n"),
                   "through them\n")
        finally:
            bob.terminate()
            bob.communicate(timeout=20)
    print("interop_libtorrent: two users by libtorrent's nodes only: ok, %.1f s" % (time.monotonic() - start), flush=True)


def main():
    # libtorrent puts whoever stores with it into its table, read-only or not, and then waits for those that have gone:
    # so commands of short-lived clients come last in a network, and stay out of the others.
    sessions = network(NODES)
    boot = "127.0.0.1:%d" % sessions[0].listen_port()
    both_ways("libtorrent's nodes only", sessions[-1], Client(boot), 1)
    two_users(boot)
    sessions = network(NODES)
    boot = "127.0.0.1:%d" % sessions[0].listen_port()
    ours = Nodes(NODES, boot)
    try:
        for s in sessions:
            introduce(s, ours.addresses)
        both_ways("a mixed network", sessions[3], ours, 2)
        both_ways("a mixed network, once more", sessions[5], ours, 3)
    finally:
        ours.close()
    del sessions
    ours = Nodes(NODES)
    try:
        alone = session()
        introduce(alone, ours.addresses)
        wait("libtorrent to know our nodes", lambda: known_nodes(alone) >= NODES // 2)
        both_ways("our nodes, and one of libtorrent's", alone, ours, 4)
    finally:
        ours.close()
    print("interop_libtorrent: ok")


main()
