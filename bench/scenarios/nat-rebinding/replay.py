"""Sends ESP packets of a capture once more, from another port: the first and the last that went to the headend.

usage: replay.py CAPTURE HEADEND SOURCE_PORT
"""
import socket
import struct
import sys

capture, headend, source_port = sys.argv[1], sys.argv[2], int(sys.argv[3])
octets = open(capture, "rb").read()
packets, at = [], 24
while at + 16 <= len(octets):
    kept, whole = struct.unpack_from("<II", octets, at + 8)
    frame = octets[at + 16 : at + 16 + kept]
    at += 16 + kept
    # Ethernet, IPv4 without options, UDP to the headend's port 4500, not IKE, not a keepalive, not cut.
    if len(frame) < whole or frame[12:15] != b"\x08\x00\x45" or frame[23] != 17:
        continue
    if frame[30:34] != socket.inet_aton(headend) or frame[36:38] != (4500).to_bytes(2, "big"):
        continue
    payload = frame[42:]
    if len(payload) > 40 and payload[:4] != bytes(4):
        packets.append(payload)
if not packets:
    sys.exit("the capture holds no whole ESP packet")
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("", source_port))
for packet in (packets[0], packets[-1]):
    sender.sendto(packet, (headend, 4500))
print(f"{len(packets)} ESP packets, two of them sent again")
