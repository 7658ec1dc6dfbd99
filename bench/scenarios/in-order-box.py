#!/usr/bin/env python3
"""A firewall that follows TCP streams: in-order-box.py PORT [QUEUE] [SECONDS]

As documented of Cisco's ASA where something inspects the connection: segments pass in the order of their octets; behind a hole QUEUE (3)
of them wait for SECONDS (4), then they are thrown away; the hole stays. It takes what routing sends into its interface, box0, and gives
back what passes. What it has done stands on standard output when it ends.
"""

import fcntl
import os
import select
import signal
import struct
import sys
import time

PORT = int(sys.argv[1])
QUEUE = int(sys.argv[2]) if len(sys.argv) > 2 else 3
HOLD = float(sys.argv[3]) if len(sys.argv) > 3 else 4.0
SYN, RST = 2, 4


def behind(a, b):
    """How far a is behind b, across the wrap."""
    return (a - b + (1 << 31)) % (1 << 32) - (1 << 31)


class Direction:
    """One direction of one connection."""

    def __init__(self):
        self.next = None
        self.waiting = {}

    def take(self, now, seq, length, flags, packet):
        """The packets that pass now."""
        if flags & SYN or self.next is None:
            self.next = (seq + length + bool(flags & SYN)) % (1 << 32)
            self.waiting.clear()
            return [packet]
        if flags & RST or length == 0:
            return [packet]
        for late in [seq for seq, (_, since, _) in self.waiting.items() if now - since > HOLD]:
            del self.waiting[late]
            count["timed out"] += 1
        if behind(seq, self.next) > 0:
            if len(self.waiting) < QUEUE:
                self.waiting[seq] = (length, now, packet)
                count["queued"] += 1
            else:
                count["queue full"] += 1
            return []
        out = [packet]
        if behind(seq + length, self.next) > 0:
            self.next = (seq + length) % (1 << 32)
        while self.next in self.waiting:
            length, _, packet = self.waiting.pop(self.next)
            self.next = (self.next + length) % (1 << 32)
            out.append(packet)
        return out


count = {"passed": 0, "queued": 0, "queue full": 0, "timed out": 0}
directions = {}
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"box0", 0x1001))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(count, flush=True) or 0))
print("ready", flush=True)
while True:
    select.select([tun], [], [])
    packet = os.read(tun, 65535)
    if packet[0] >> 4 != 4 or packet[9] != 6:
        continue
    header = (packet[0] & 15) * 4
    ports = packet[header : header + 4]
    if PORT not in struct.unpack("!HH", ports):
        continue
    seq, flags = struct.unpack("!I", packet[header + 4 : header + 8])[0], packet[header + 13]
    length = struct.unpack("!H", packet[2:4])[0] - header - (packet[header + 12] >> 4) * 4
    direction = directions.setdefault(packet[12:20] + ports, Direction())
    for passed in direction.take(time.monotonic(), seq, length, flags, packet):
        os.write(tun, passed)
        count["passed"] += 1
