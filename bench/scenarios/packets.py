#!/usr/bin/env python3
"""A stream of datagrams, and what of it arrives when.

packets.py send ADDRESS PORT RATE SECONDS [RAMP]   RATE a second, of 100 to 1300 octets in turn; a quarter of that at first, if it is
                                               to take RAMP seconds to get there, as a TCP inside would
packets.py receive ADDRESS PORT RATE SECONDS [RAMP]   of such a stream, until SIGTERM; prints one object of JSON, its times counted from
                                               when the stream began
"""

import json
import math
import signal
import socket
import struct
import sys
import time

RAMP = float(sys.argv[6]) if len(sys.argv) > 6 else 0
SIZES = (100, 300, 700, 1100, 1300)
BUCKET = 0.5


def time_of(number, rate):
    """Seconds after which this packet leaves."""
    if not RAMP:
        return number / rate
    first = rate / 4
    growth = (rate - first) / RAMP
    in_ramp = first * RAMP + growth * RAMP**2 / 2
    if number > in_ramp:
        return RAMP + (number - in_ramp) / rate
    return (math.sqrt(first**2 + 2 * growth * number) - first) / growth


def count(rate, seconds):
    return int(rate * seconds - (rate - rate / 4) * RAMP / 2)


def send(address, port, rate, seconds):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begin = time.monotonic()
    for number in range(count(rate, seconds)):
        wait = begin + time_of(number, rate) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        head = struct.pack("!Id", number, time.monotonic())
        try:
            out.sendto(head.ljust(SIZES[number % len(SIZES)], b"x"), (address, port))
        except OSError:
            pass  # The tunnel is gone, or full: not delivered.


def receive(address, port, rate, seconds):
    incoming = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    incoming.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    incoming.bind((address, port))
    signal.signal(signal.SIGTERM, lambda *_: incoming.close())
    print("ready", file=sys.stderr, flush=True)
    arrived, begins = {}, []
    while True:
        try:
            packet = incoming.recv(2048)
        except OSError:
            break
        # Both ends run on one machine, and have one clock.
        number, sent = struct.unpack("!Id", packet[:12])
        begins.append(sent - time_of(number, rate))
        arrived.setdefault(number, time.monotonic())
    times = sorted(at - min(begins) for at in arrived.values())
    buckets = [0] * int(seconds / BUCKET)
    for at in times:
        buckets[min(int(at / BUCKET), len(buckets) - 1)] += 1
    gaps = [b - a for a, b in zip([0] + times, times + [max(seconds, times[-1]) if times else seconds])]
    last = times[-1] if times else 0
    print(json.dumps({"received": len(times), "sent": count(rate, seconds), "last": round(last, 2), "gap": round(max(gaps), 2), "buckets": buckets}))


what, arguments = sys.argv[1], (sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
{"send": send, "receive": receive}[what](*arguments)
