#!/usr/bin/env python3
"""Traffic of every protocol that conntrack tells apart, for capture-corpus.sh.

  serve             in the server's namespace: answers TCP, UDP and UDP-Lite, until it is killed
  sctp-reply        in the server's namespace: answers SCTP, until it is killed
  client PORT       in the client's namespace: one round of flows from ports PORT and up
  datagram ADDRESS  in the client's namespace: one UDP datagram to a port where nobody listens

SCTP, DCCP and GRE are raw packets: conntrack looks at their headers only, and the kernel may have no sockets
for them.
"""
import contextlib
import select
import socket
import struct
import sys
import time

SERVERS = {4: "198.51.100.2", 6: "2001:db8:2::2"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
UDPLITE, SCTP, DCCP, GRE, UNKNOWN = 136, 132, 33, 47, 253
# 5005 and 5007 are put into zones, 5009 gets a mark, 5010 a label: see the rules in capture-corpus.sh.
UDP_PORTS = [53, 5005, 5007, 5009, 5010]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def sctp_packet(source, destination, tag, chunk):
    packet = struct.pack("!HHII", source, destination, tag, 0) + chunk
    return packet[:8] + crc32c(packet) + packet[12:]


def sctp_init(kind, tag, parameters=b""):
    return struct.pack("!BBHIIHHI", kind, 0, 20 + len(parameters), tag, 65535, 1, 1, 1) + parameters


def connect_back(order):
    """Active FTP: the box has put its own address into the order, and expects this connection."""
    numbers = [int(number) for number in order[5:].split(b",")]
    address = ".".join(str(number) for number in numbers[:4])
    port = numbers[4] * 256 + numbers[5]
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1) as data:
        data.sendall(b"listing")


def serve():
    sockets = []
    for version, address in SERVERS.items():
        for port in (80, 21):
            listener = socket.socket(FAMILIES[version], socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(16)
            sockets.append(listener)
        for port in UDP_PORTS:
            udp = socket.socket(FAMILIES[version], socket.SOCK_DGRAM)
            udp.bind((address, port))
            sockets.append(udp)
        lite = socket.socket(FAMILIES[version], socket.SOCK_DGRAM, UDPLITE)
        lite.bind((address, 7000))
        sockets.append(lite)
    while True:
        for ready in select.select(sockets, [], [])[0]:
            if ready.type == socket.SOCK_STREAM:
                connection, _ = ready.accept()
                with connection:
                    order = connection.recv(4096)
                    if order.startswith(b"USER "):
                        connection.sendall(b"230 welcome\r\n")
                        order = connection.recv(4096)
                    if order.startswith(b"PORT "):
                        connect_back(order)
                    connection.sendall(b"220 ready\r\n" * 20)
            else:
                data, peer = ready.recvfrom(4096)
                ready.sendto(data * 2, peer)


def sctp_reply():
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
    while True:
        packet, peer = raw.recvfrom(4096)
        header = packet[(packet[0] & 15) * 4:]
        source, destination, _, _ = struct.unpack("!HHII", header[:12])
        kind = header[12]
        their_tag = struct.unpack("!I", header[16:20])[0] if kind == 1 else 77
        cookie = struct.pack("!HH4s", 7, 8, b"cook")
        answers = {1: sctp_init(2, 4242, cookie), 10: struct.pack("!BBH", 11, 0, 4)}
        if kind in answers:
            raw.sendto(sctp_packet(destination, source, their_tag, answers[kind]), peer)


def client(port):
    data = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    data.bind(("10.0.0.2", 1025))
    data.listen(4)
    for version, server in SERVERS.items():
        family = FAMILIES[version]
        for number, target in enumerate([80, 80, 21]):
            with socket.socket(family, socket.SOCK_STREAM) as tcp:
                tcp.settimeout(3)
                tcp.bind(("", port + number))
                with contextlib.suppress(OSError):
                    tcp.connect((server, target))
                    if target == 21:  # the helper looks at whole lines, so there is one before
                        tcp.sendall(b"USER lab\r\n")
                        tcp.recv(4096)
                    tcp.sendall(b"PORT 10,0,0,2,4,1\r\n" if target == 21 else b"GET / HTTP/1.0\r\n\r\n")
                    while tcp.recv(4096):
                        pass
        # Nobody listens on 81: answered with RST.
        with socket.socket(family, socket.SOCK_STREAM) as tcp, contextlib.suppress(OSError):
            tcp.bind(("", port + 8))
            tcp.connect((server, 81))
        for number, target in enumerate(UDP_PORTS):
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                udp.settimeout(1)
                udp.bind(("", port + 10 + number))
                for _ in range(3):  # three packets each way make a flow assured
                    udp.sendto(b"question" * 10, (server, target))
                    with contextlib.suppress(OSError):
                        udp.recv(4096)
        with socket.socket(family, socket.SOCK_DGRAM, UDPLITE) as lite:
            lite.settimeout(1)
            lite.bind(("", port + 20))
            lite.sendto(b"lite", (server, 7000))
            with contextlib.suppress(OSError):
                lite.recv(4096)
        raw_protocols = {DCCP: struct.pack("!HHBBHBBH4sI", port, 9000, 4, 0, 0, 1, 0, 0, b"\0\0\0\1", 7),
                         GRE: struct.pack("!HHI", 0x2000, 0x0800, port),
                         UNKNOWN: b"whatever"}
        for protocol, packet in raw_protocols.items():
            with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
                raw.sendto(packet, (server, 0))
        # GRE version 1, as PPTP has it: a key, payload length and call id.
        with socket.socket(family, socket.SOCK_RAW, GRE) as raw:
            raw.sendto(struct.pack("!HHHHI", 0x3001, 0x880B, 4, port & 0xFFFF, 1) + b"ppp!", (server, 0))
        with socket.socket(family, socket.SOCK_RAW, SCTP) as raw:
            raw.sendto(sctp_packet(port, 9001, 0, sctp_init(1, 77)), (server, 0))
            time.sleep(0.1)
            raw.sendto(sctp_packet(port, 9001, 4242, struct.pack("!BBH4s", 10, 0, 8, b"cook")), (server, 0))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "sctp-reply":
        sctp_reply()
    elif sys.argv[1] == "datagram":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[2], 9))
    else:
        client(int(sys.argv[2]))
