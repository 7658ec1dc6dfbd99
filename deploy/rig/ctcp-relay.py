#!/usr/bin/env python3
"""Puts a VPN client's packets into Cisco's TCP frames and back: ctcp-relay.py OWN HEADEND PORT

The client takes OWN for its gateway: IKE by UDP 500, ESP as IP protocol 50. What it says leaves in an ordinary TCP connection of
this host's kernel, which repeats what is lost and cuts and joins as it likes. Cisco's own client did both in one program.
"""

import select
import socket
import struct
import sys

OWN, HEADEND, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
IKE, ESP = 17, 50
MAGIC = b"!Eli\x10"


def frame(protocol, packet):
    if protocol == IKE:
        packet = struct.pack("!HHHH", 500, 500, 8 + len(packet), 0) + packet
    return packet + bytes(8) + MAGIC + bytes([protocol, 1, 0])


def frames(stream):
    """What is whole in the stream, and what is left of it."""
    whole = []
    while True:
        if stream[:4] == b"\x01\xf4\x01\xf4":
            if len(stream) < 8 or len(stream) < (length := struct.unpack("!H", stream[4:6])[0]) + 16:
                return whole, stream
            whole.append((IKE, stream[8:length]))
        else:
            magic = stream.find(MAGIC)
            if magic < 0 or len(stream) < magic + 8:
                return whole, stream
            length = magic - 8
            whole.append((ESP, stream[:length]))
        stream = stream[length + 16 :]


ike = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ike.bind((OWN, 500))
esp = socket.socket(socket.AF_INET, socket.SOCK_RAW, ESP)
esp.bind((OWN, 0))
esp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
tcp = socket.create_connection((HEADEND, PORT), timeout=10)
tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
tcp.settimeout(None)
print("connected", flush=True)

client, stream = None, b""
while True:
    ready, _, _ = select.select([ike, esp, tcp], [], [])
    if ike in ready:
        packet, client = ike.recvfrom(65535)
        tcp.sendall(frame(IKE, packet))
    if esp in ready:
        packet = esp.recv(65535)
        tcp.sendall(frame(ESP, packet[(packet[0] & 15) * 4 :]))
    if tcp in ready:
        received = tcp.recv(65535)
        if not received:
            sys.exit("the headend has closed the connection")
        whole, stream = frames(stream + received)
        for protocol, packet in whole:
            if client is None:
                continue
            if protocol == IKE:
                ike.sendto(packet, client)
            else:
                esp.sendto(packet, (client[0], 0))
