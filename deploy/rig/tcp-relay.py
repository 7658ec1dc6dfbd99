#!/usr/bin/env python3
"""Puts a VPN client's UDP 4500 into RFC 9329's frames and back: tcp-relay.py UDP_PORT HEADEND TCP_PORT

What comes to UDP_PORT leaves in an ordinary TCP connection of this host's kernel; what is in a datagram to port 4500 is what is in a
frame. While TCP waits, ESP is lost and IKE is not. SIGUSR1 resets the connection and makes another.
"""

import select
import signal
import socket
import struct
import sys

UDP_PORT, HEADEND, TCP_PORT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
WAITING = 64 * 1024
ABORT = struct.pack("ii", 1, 0)


def connect():
    tcp = socket.create_connection((HEADEND, TCP_PORT), timeout=10)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tcp.setblocking(False)
    print("connected", flush=True)
    return tcp


def received(tcp):
    try:
        return tcp.recv(65535)
    except ConnectionError:
        return b""


again = False


def asked(_signal, _frame):
    global again
    again = True


signal.signal(signal.SIGUSR1, asked)
# A signal ends a wait.
wake, waker = socket.socketpair()
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
udp.bind(("0.0.0.0", UDP_PORT))
tcp = client = None
out = stream = b""
print("ready", flush=True)
while True:
    ready, _, _ = select.select([udp, wake] + [tcp] * bool(tcp), [tcp] * bool(out), [])
    if wake in ready:
        wake.recv(64)
    if again and tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        tcp.close()
        tcp, out, again = None, b"", False
        continue
    if tcp in ready:
        if octets := received(tcp):
            stream += octets
            while len(stream) >= 2 and len(stream) >= (length := struct.unpack("!H", stream[:2])[0]):
                if length < 2:
                    sys.exit(f"a frame of {length} octets")
                if client and length > 2:
                    udp.sendto(stream[2:length], client)
                stream = stream[length:]
        else:
            print("closed by the headend", flush=True)
            tcp.close()
            tcp, out = None, b""
            continue
    if udp in ready:
        packet, client = udp.recvfrom(65535)
        if not tcp:
            tcp, out, stream = connect(), b"IKETCP", b""
        if len(out) < WAITING or packet[:4] == bytes(4):
            out += struct.pack("!H", len(packet) + 2) + packet
    if out:
        try:
            out = out[tcp.send(out) :]
        except BlockingIOError:
            pass
        except ConnectionError:
            tcp.close()
            tcp, out = None, b""
