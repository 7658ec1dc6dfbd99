"""Sends every datagram back to where it came from: echo.py PORT, at all addresses of both families."""
import socket
import sys

server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
server.bind(("::", int(sys.argv[1])))
while True:
    data, sender = server.recvfrom(65535)
    server.sendto(data, sender)
