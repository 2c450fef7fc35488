#!/usr/bin/env python3
"""protocol_vectors.py - the vectors of doc/PROTOCOL.md 2 to 4 and 6.2, by a second implementation.

Written from the document alone, with nothing but Python's integers and hashlib, so that it shares no
code with libcspace. Prints what test_identity.c, test_record.c, test_gate.c and the document hold as constants.
With --check FILE... it exits 1 and names the values that those files, joined, do not hold.
"""
import base64
import hashlib
import hmac
import struct
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P)


def mul(n, a):
    r = (0, 1)
    while n:
        if n & 1:
            r = add(r, a)
        a = add(a, a)
        n >>= 1
    return r


def encode(a):
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE = (BASE_X, BASE_Y)


def num(b):
    return int.from_bytes(b, "little")


def blake(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def sign(scalar, prefix, public, msg):
    r = num(hashlib.sha512(prefix + msg).digest()) % L
    big_r = encode(mul(r, BASE))
    k = num(hashlib.sha512(big_r + public + msg).digest()) % L
    return big_r + ((r + k * scalar) % L).to_bytes(32, "little")


def id_text(key, version=1):
    check = blake(32, b"cspace id v1" + key + bytes([version]))[:2]
    return base64.b32encode(key + check + bytes([version])).decode().lower()


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        v = s[z] ^ s[x]
        s[z] = (v << n | v >> (32 - n)) & 0xFFFFFFFF


def rounds(s):
    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                  (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(s, *q)


def state(key, tail):
    return list(struct.unpack("<16I", b"expand 32-byte k" + key + tail))


def hchacha20(key, nonce16):
    s = state(key, nonce16)
    rounds(s)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def chacha20(key, counter, nonce12, data):
    out = b""
    for i in range(0, len(data), 64):
        s0 = state(key, struct.pack("<I", counter + i // 64) + nonce12)
        s = s0[:]
        rounds(s)
        block = struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, s0)))
        out += bytes(x ^ y for x, y in zip(data[i:i + 64], block))
    return out


def poly1305(key, msg):
    r = num(key[:16]) & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(msg), 16):
        acc = (acc + num(msg[i:i + 16] + b"\1")) * r % (2**130 - 5)
    return ((acc + num(key[16:])) % 2**128).to_bytes(16, "little")


def xchacha_seal(key, nonce, ad, plain):
    sub = hchacha20(key, nonce[:16])
    n12 = bytes(4) + nonce[16:]
    sealed = chacha20(sub, 1, n12, plain)
    pad = lambda b: b + bytes(-len(b) % 16)
    mac = pad(ad) + pad(sealed) + struct.pack("<QQ", len(ad), len(sealed))
    return nonce + sealed + poly1305(chacha20(sub, 0, n12, bytes(32)), mac)


shown = []


def show(name, value):
    text = value.hex() if isinstance(value, bytes) else str(value)
    shown.append((name.strip(), text))
    if "--check" not in sys.argv:
        print(f"{name:<14} {text}")


def check(files):
    """The document breaks long values with spaces and backquotes, and abbreviates the plaintext."""
    held = "".join(open(f, encoding="utf-8").read() for f in files)
    held = held.replace("`", "").replace(" ", "")
    day_max = "2^64-1"
    missing = [n for n, t in shown if n != "plaintext" and t not in held and not (n == "day" and day_max in held)]
    for name in missing:
        print(f"{name}: not in the document", file=sys.stderr)
    return 1 if missing else 0


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand_label(secret, label, size):
    """HKDF-Expand-Label of RFC 8446 7.1 with an empty context, for at most one block."""
    info = struct.pack(">H", size) + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
    return hmac256(secret, info + b"\1")[:size]


def gate(public):
    salt = blake(20, b"cspace gate v1" + public)
    initial = hmac256(salt, bytes.fromhex("8394c8f03e515708"))
    show("gate salt", salt)
    show("initial", initial)
    for side in (b"client", b"server"):
        secret = expand_label(initial, side + b" in", 32)
        show(side.decode(), secret)
        for what, size in ((b"key", 16), (b"iv", 12), (b"hp", 16)):
            show("  " + what.decode(), expand_label(secret, b"quic " + what, size))


def main():
    seed = bytes(range(32))
    h = hashlib.sha512(seed).digest()
    a = (num(h[:32]) & ~7 & (2**255 - 1) & ~(1 << 254)) | 1 << 254
    public = encode(mul(a, BASE))
    msg = b"cspace"
    show("seed", seed)
    show("A", public)
    show("id", id_text(public))
    show("id, version 2", id_text(public, 2))
    show("signature", sign(a, h[32:], public, msg))
    for day in (0, 20000, 2**64 - 1):
        f = num(blake(64, b"cspace blind v1" + public + struct.pack(">Q", day))) % L
        fb = f.to_bytes(32, "little")
        blinded = encode(mul(f * a % L, BASE))
        show("day", day)
        show("  h", fb)
        show("  k'", blinded)
        show("  signature", sign(f * a % L, blake(32, h[32:], key=fb), blinded, msg))
        if day == 20000:
            kday = blinded
    tag = struct.unpack(">I", blake(32, b"cspace tag v1" + public + b"chat")[:4])[0]
    show("tag of chat", f"{tag:08x}")
    ip6 = bytes.fromhex("20010db8000000000000000000000005")
    body = bytes([1 << 3 | 2, 1, 1 << 4]) + bytes(range(1, 9)) + struct.pack(">I", 7)
    body += (1728003600).to_bytes(5, "big")
    body += bytes([192, 0, 2, 1]) + struct.pack(">H", 443) + bytes([0x11] * 32) + bytes([0x22] * 16)
    body += bytes([198, 51, 100, 2]) + struct.pack(">H", 4000) + ip6 + struct.pack(">H", 4001)
    body += struct.pack(">I", tag)
    gone = bytes([0x80, 0, 0]) + bytes([0xAA] * 8) + struct.pack(">I", 3) + (1728000600).to_bytes(5, "big")
    plain = bytes([1, 2]) + b"".join(struct.pack(">H", len(b)) + b for b in (body, gone))
    show("plaintext", plain)
    key = blake(32, b"cspace record v1" + public)
    show("record key", key)
    seq = 1728000000 << 16 | 0x1234
    show("seq", seq)
    nonce = bytes(range(0x40, 0x58))
    ad = kday + struct.pack(">Q", seq)
    sealed = xchacha_seal(key, nonce, ad, plain + bytes(996 - 40 - len(plain)))
    show("nonce", nonce)
    show("sealed, 24-63", sealed[24:64])
    show("sealed, tag", sealed[-16:])
    show("BLAKE2b-256", blake(32, sealed))
    gate(public)
    return check(sys.argv[2:]) if sys.argv[1:2] == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main())
