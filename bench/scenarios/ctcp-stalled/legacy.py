#!/usr/bin/env python3
"""Puts a VPN client's packets into Cisco's TCP frames as Cisco's client did: legacy.py OWN HEADEND PORT SOURCE_PORT

The client takes OWN for its gateway: IKE by UDP 500, ESP as IP protocol 50. TCP is made by hand: headers of 20 octets, the highest octet
that has come is acknowledged, nothing is sent again, acknowledgments are not looked at, every five seconds a segment without data.
The host's kernel knows nothing of the connection; what it would say to it (a reset) somebody has to drop.
"""

import os
import select
import socket
import struct
import sys
import time

OWN, HEADEND, PORT, SOURCE = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
IKE, ESP, TCP = 17, 50, 6
MAGIC = b"!Eli\x10"
SYN, RST, ACK = 2, 4, 16
KEEPALIVE = 5
MASK = 0xFFFFFFFF


def frame(protocol, packet):
    if protocol == IKE:
        packet = struct.pack("!HHHH", 500, 500, 8 + len(packet), 0) + packet
    return packet + bytes(8) + MAGIC + bytes([protocol, 1, 0])


def is_after(one, other):
    return 0 < (one - other) & MASK < 1 << 31


def checksum(octets):
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack("!%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


ike = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ike.bind((OWN, 500))
esp = socket.socket(socket.AF_INET, socket.SOCK_RAW, ESP)
esp.bind((OWN, 0))
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect((HEADEND, PORT))
here = probe.getsockname()[0]
tcp = socket.socket(socket.AF_INET, socket.SOCK_RAW, TCP)
tcp.bind((here, 0))
tcp.connect((HEADEND, 0))
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

following = struct.unpack("!I", os.urandom(4))[0]
expected = 0


def say(flags, payload=b""):
    global following
    header = struct.pack("!HHIIBBHHH", SOURCE, PORT, following, expected, 5 << 4, flags, 65535, 0, 0)
    pseudo = socket.inet_aton(here) + socket.inet_aton(HEADEND) + struct.pack("!HH", TCP, len(header) + len(payload))
    header = header[:16] + struct.pack("!H", checksum(pseudo + header + payload)) + header[18:]
    tcp.send(header + payload)
    following = (following + len(payload) + (1 if flags & SYN else 0)) & MASK


def hear():
    packet = tcp.recv(65535)
    segment = packet[(packet[0] & 15) * 4 :]
    source, target, seq, ack, offset, flags = struct.unpack("!HHIIBB", segment[:14])
    if (source, target) != (PORT, SOURCE):
        return None
    return seq, ack, flags, segment[(offset >> 4) * 4 :]


say(SYN)
while True:
    heard = hear()
    if heard and heard[2] == SYN | ACK and heard[1] == following:
        expected = (heard[0] + 1) & MASK
        break
say(ACK)
print("connected", flush=True)

client, alone_at = None, time.monotonic() + KEEPALIVE
while True:
    ready, _, _ = select.select([ike, esp, tcp], [], [], max(0, alone_at - time.monotonic()))
    if time.monotonic() >= alone_at:
        say(ACK)
        alone_at = time.monotonic() + KEEPALIVE
    if ike in ready:
        packet, client = ike.recvfrom(65535)
        say(ACK, frame(IKE, packet))
    if esp in ready:
        packet = esp.recv(65535)
        say(ACK, frame(ESP, packet[(packet[0] & 15) * 4 :]))
    if tcp in ready and (heard := hear()):
        seq, _, flags, payload = heard
        if flags & RST:
            sys.exit("reset where it is expected" if seq == expected else f"reset at {seq}, expected {expected}")
        end = (seq + len(payload)) & MASK
        if is_after(end, expected):
            expected = end
        if payload[-8:-3] == MAGIC and client:
            protocol, packet = payload[-3], payload[:-16]
            if protocol == IKE:
                ike.sendto(packet[8:], client)
            else:
                esp.sendto(packet, (client[0], 0))
