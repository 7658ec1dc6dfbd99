#!/usr/bin/env python3
"""A long line: long-line.py MILLISECONDS NAMESPACE

Two ends of one cable, `far0` here and `far1`, which is moved to NAMESPACE: what goes into one comes out of the other so many
milliseconds later, in order. The kernel here has no netem. Ends with SIGTERM.
"""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

DELAY = float(sys.argv[1]) / 1000


def end(name):
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", name, 0x1001))
    return tun


here, there = end(b"far0"), end(b"far1")
subprocess.run(["ip", "link", "set", "far1", "netns", sys.argv[2]], check=True)
print("ready", flush=True)
other = {here: there, there: here}
under_way = collections.deque()
while True:
    wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    for tun in select.select([here, there], [], [], wait)[0]:
        try:
            while True:
                under_way.append((time.monotonic() + DELAY, other[tun], os.read(tun, 65535)))
        except BlockingIOError:
            pass
    while under_way and under_way[0][0] <= time.monotonic():
        _, tun, packet = under_way.popleft()
        try:
            os.write(tun, packet)
        except OSError:
            pass  # The end is down.
