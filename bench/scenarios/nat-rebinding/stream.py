"""A hundred datagrams a second one way, with nothing that answers them.

usage: stream.py send ADDRESS SECONDS          stream.py receive SECONDS   (prints when each came)
"""
import socket
import sys
import time

PORT = 9999
stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + float(sys.argv[-1])
if sys.argv[1] == "send":
    while time.time() < end:
        stream.sendto(b"downwards", (sys.argv[2], PORT))
        time.sleep(0.01)
else:
    stream.bind(("", PORT))
    stream.settimeout(0.1)
    while time.time() < end:
        try:
            stream.recv(100)
            print(f"{time.time():.6f}", flush=True)
        except TimeoutError:
            pass
