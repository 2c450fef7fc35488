#!/bin/sh
# interop_libtorrent.sh - our DHT node and libtorrent's store for and read from each other (BEP 44), and two users find
# each other in a network of libtorrent's nodes. Skipped without python3-libtorrent. DHT_TOOL and CSPACE name the
# programs; everything runs on loopback and ends within two minutes.
set -u
here=$(dirname "$0")
tool=${DHT_TOOL:-tests/dht_tool}
cspace=${CSPACE:-tools/cspace}
python=${PYTHON3:-/usr/bin/python3}
if ! "$python" -c 'import libtorrent' 2>/dev/null; then
  echo "interop_libtorrent: skipped: $python has no libtorrent (package python3-libtorrent)"
  exit 77
fi
exec timeout -k 5 120 "$python" "$here/libtorrent_peer.py" "$tool" "$cspace"
