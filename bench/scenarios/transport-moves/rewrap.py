"""A box on the way that wraps a client's ESP otherwise: UDP 4500 on the client's side, on the headend's IP protocol 50 and,
from SIGUSR1 on, UDP 10000.

usage: rewrap.py CLIENT_SIDE_INTERFACE HEADEND_SIDE_INTERFACE CLIENT HEADEND        (prints a line when it works)

It only sends copies; who runs it drops what they replace.
"""
import select
import signal
import socket
import struct
import sys

inside, outside, client, headend = sys.argv[1:5]
client, headend = socket.inet_aton(client), socket.inet_aton(headend)
UDP, ESP, NATT, CISCO = 17, 50, 4500, 10000


def listen(interface):
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    listener.bind((interface, 0x0800))
    listener.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
    return listener


def parse(packet):
    """Source, destination, protocol, payload of a packet that is not a fragment."""
    length = (packet[0] & 15) * 4
    if packet[6] & 0x3F or packet[7]:
        return None
    return packet[12:16], packet[16:20], packet[9], packet[length : int.from_bytes(packet[2:4], "big")]


def send(source, destination, protocol, payload):
    # The kernel fills in length, identification and checksum.
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, protocol, 0) + source + destination
    try:
        sender.sendto(header + payload, (socket.inet_ntoa(destination), 0))
    except OSError as error:
        print(f"{len(payload)} octets: {error}", file=sys.stderr)


def udp(port, payload):
    return struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload


def use_cisco_udp(_signal, _frame):
    global how
    how = "cisco-udp"


how = "esp"
signal.signal(signal.SIGUSR1, use_cisco_udp)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
near, far = listen(inside), listen(outside)
print("ready", flush=True)
while True:
    for ready in select.select([near, far], [], [])[0]:
        packet, sender_of_it = ready.recvfrom(65535)
        if sender_of_it[2] == socket.PACKET_OUTGOING or not (parsed := parse(packet)):
            continue
        source, destination, protocol, payload = parsed
        ports = payload[:4]
        if ready is near and (source, destination, protocol) == (client, headend, UDP):
            esp = payload[8:]
            if ports[2:] != NATT.to_bytes(2, "big") or len(esp) < 8 or esp[:4] == bytes(4):
                continue
            if how == "esp":
                send(client, headend, ESP, esp)
            else:
                send(client, headend, UDP, udp(CISCO, esp))
        elif ready is far and (source, destination) == (headend, client):
            if protocol == ESP:
                send(headend, client, UDP, udp(NATT, payload))
            elif protocol == UDP and ports[:2] == CISCO.to_bytes(2, "big"):
                send(headend, client, UDP, udp(NATT, payload[8:]))
