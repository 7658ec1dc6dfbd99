#!/usr/bin/env python3
"""Writes esp_pycryptodome.json: whole ESP packets of the suites that scapy does not have (see README.md).

  pip install pycryptodome; python3 esp_pycryptodome.py > esp_pycryptodome.json

Keys, IVs and payloads come from SHA-256 of the vector's name, so the file comes out the same each time.
"""
import hashlib
import json
import struct
from Crypto.Cipher import AES, DES3
from Crypto.Hash import HMAC, MD5, SHA1, SHA256, SHA384, SHA512

SPI = 0x10000001
HASHES = {  # scapy's name: hash, octets of key, octets of ICV
    "HMAC-MD5-96": (MD5, 16, 12), "HMAC-SHA1-96": (SHA1, 20, 12), "SHA2-256-128": (SHA256, 32, 16),
    "SHA2-384-192": (SHA384, 48, 24), "SHA2-512-256": (SHA512, 64, 32),
}


def octets(tag, count):
    out, n = b"", 0
    while len(out) < count:
        out, n = out + hashlib.sha256(b"%s|%d" % (tag.encode(), n)).digest(), n + 1
    return out[:count]


def suites():
    for bits in (128, 192, 256):
        for icv in (8, 12):
            yield f"aes{bits}gcm{icv}", "AES-GCM", bits // 8, 4, 8, 4, None, icv
            yield f"aes{bits}ccm{icv}", "AES-CCM", bits // 8, 3, 8, 4, None, icv
    yield "aes192ccm16", "AES-CCM", 24, 3, 8, 4, None, 16
    for bits in (192, 256):
        yield f"aes{bits}gmac", "AES-NULL-GMAC", bits // 8, 4, 8, 4, None, 16
    for name, auth in (("sha384", "SHA2-384-192"), ("sha512", "SHA2-512-256")):
        yield f"3des-{name}", "3DES", 24, 0, 8, 8, auth, HASHES[auth][2]
        yield f"null-{name}", "NULL", 0, 0, 0, 4, auth, HASHES[auth][2]
    for name, auth in (("sha384", "SHA2-384-192"), ("sha512", "SHA2-512-256"), ("md5", "HMAC-MD5-96")):
        yield f"aes192cbc-{name}", "AES-CBC", 24, 0, 16, 16, auth, HASHES[auth][2]


def inners():
    """An IP header that is right, and a UDP datagram of any content; each residue of the padding."""
    for extra in range(0, 18):
        data = octets(f"v4-{extra}", 20 + extra)
        header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), extra, 0, 64, 17, 0, b"\x0a\x1e\0\x0a", b"\x0a\x14\0\x02")
        total = sum(struct.unpack(">10H", header))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        header = header[:10] + struct.pack(">H", total ^ 0xffff) + header[12:]
        yield f"v4-{extra}", 4, header + struct.pack(">HHHH", 9, 9, 8 + len(data), 0) + data
    data = octets("v6", 1300)
    header = struct.pack(">IHBB", 0x60000000, 8 + len(data), 17, 64) + bytes.fromhex("fd30" + "0" * 26 + "10" + "fd20" + "0" * 26 + "02")
    yield "v6-1300", 41, header + struct.pack(">HHHH", 9, 9, 8 + len(data), 7) + data


def seal(suite, keys, seq, seq_hi, iv, inner, next_header):
    _name, enc, _key_len, _salt_len, _iv_len, block, auth, icv_len = suite
    key, salt, auth_key = keys
    pad = -(len(inner) + 2) % block
    plain = inner + bytes(range(1, pad + 1)) + bytes([pad, next_header])
    header = struct.pack(">II", SPI, seq)
    high = b"" if seq_hi is None else struct.pack(">I", seq_hi)
    aad = header[:4] + high + header[4:]
    if enc == "AES-GCM":
        cipher = AES.new(key, AES.MODE_GCM, nonce=salt + iv, mac_len=icv_len)
    elif enc == "AES-CCM":
        cipher = AES.new(key, AES.MODE_CCM, nonce=salt + iv, mac_len=icv_len)
    elif enc == "AES-NULL-GMAC":
        cipher = AES.new(key, AES.MODE_GCM, nonce=salt + iv, mac_len=16)
        cipher.update(aad + iv + plain)
        return header + iv + plain + cipher.digest()
    else:
        cipher = None
    if cipher is not None:
        cipher.update(aad)
        body, icv = cipher.encrypt_and_digest(plain)
        return header + iv + body + icv
    if enc == "AES-CBC":
        body = AES.new(key, AES.MODE_CBC, iv).encrypt(plain)
    elif enc == "3DES":
        body = DES3.new(key, DES3.MODE_CBC, iv).encrypt(plain)
    else:
        body = plain
    icv = HMAC.new(auth_key, header + iv + body + high, HASHES[auth][0]).digest()[:icv_len]
    return header + iv + body + icv


def main():
    sets = []
    for suite in suites():
        name, enc, key_len, salt_len, iv_len, _block, auth, icv_len = suite
        keys = (octets(name + "|key", key_len), octets(name + "|salt", salt_len),
                octets(name + "|auth", HASHES[auth][1] if auth else 0))
        vectors = []

        def add(label, seq, seq_hi, inner, next_header):
            esp = seal(suite, keys, seq, seq_hi, octets(f"{name}{label}|iv", iv_len), inner, next_header)
            return [label, "ok", "tunnel", seq, seq_hi, next_header, inner.hex(), esp.hex()]

        for number, (label, next_header, inner) in enumerate(inners()):
            vectors.append(add(label, 1 + number, None, inner, next_header))
        first = next(inners())
        vectors.append(add("v4-0/last", 0xffffffff, None, first[2], 4))
        for seq_hi in (0, 1, 0xfffffffe):
            vectors.append(add(f"v4-0/esn{seq_hi:08x}", 7, seq_hi, first[2], 4))
        for good in (vectors[0], vectors[-2]):
            esp = bytearray.fromhex(good[7])
            for what, at, bit in (("seqflip", 7, 2), ("bodyflip", len(esp) // 2, 0x80), ("icvflip", len(esp) - 1, 1)):
                bad = bytearray(esp)
                bad[at] ^= bit
                vectors.append([f"{good[0]}!{what}", "fail", *good[2:7], bad.hex()])
            vectors.append([f"{good[0]}!trunc", "fail", *good[2:7], esp[:-4].hex()])
            if good[4] is not None:
                vectors.append([f"{good[0]}!wrong_seq_hi", "fail", *good[2:4], good[4] + 1, *good[5:]])
        sets.append(dict(set=name, enc=enc, icv=icv_len, enc_key=keys[0].hex(), salt=keys[1].hex(), auth=auth,
                         auth_key=keys[2].hex(), vectors=vectors))
    print("[")
    for position, one in enumerate(sets):
        head = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in one.items() if key != "vectors")
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in one["vectors"])
        print("{" + head + ',"vectors":[\n' + rows + "\n]}" + ("," if position + 1 < len(sets) else ""))
    print("]")


main()
