#!/usr/bin/env python3
"""fdname_vectors.py - the vectors of PROTOCOL.md 8, by a second implementation.

Written from the document and RFC 8439 alone; shares no code with libcspace. Prints what test_fdname.c and the document
hold as constants.
"""
import base64
import hashlib
import struct


def rotate(x, n):
    return (x << n | x >> 32 - n) & 0xFFFFFFFF


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = rotate(s[z] ^ s[x], n)


def block(key, counter, nonce):
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    s = start[:]
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))


def poly1305(key, msg):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(msg), 16):
        acc = (acc + int.from_bytes(msg[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def pad(b):
    return b + bytes(-len(b) % 16)


def seal(key, plain, ad):
    nonce = bytes(12)
    stream = b"".join(block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    sealed = bytes(a ^ b for a, b in zip(plain, stream))
    mac = pad(ad) + pad(sealed) + struct.pack("<QQ", len(ad), len(sealed))
    return sealed + poly1305(block(key, 0, nonce)[:32], mac)


def name(user_key, side, nonce, id_key, field, ad=b""):
    subkey = hashlib.blake2b(side + nonce, digest_size=32, key=user_key).digest()
    plain = id_key + bytes([len(field)]) + field + bytes(32 - len(field))
    return b"cs1." + nonce + seal(subkey, plain, ad)


def id_text(key):
    return base64.b32encode(key + bytes(3)).decode().lower()[:20]  # the first 20 characters hold key bytes alone


USER_KEY = bytes(range(32))
NONCE = bytes(range(0x40, 0x50))
PEER = bytes(range(0x80, 0xA0))
OWN = bytes(range(0xC0, 0xE0))

ours = name(USER_KEY, b"p", NONCE, PEER, b"chat")
print("ours ", ours.hex())
print("app  ", name(USER_KEY, b"o", NONCE, OWN, b"alice", ours).hex())
clear = b"cs1!" + NONCE[:8].hex().encode() + b"." + id_text(PEER).encode() + b".chat"
print("clear", clear.decode())
print("app  ", name(USER_KEY, b"c", NONCE, PEER, b"alice", clear).hex())
