"""Makes and answers traffic inside a network namespace. traffic.py starts it and speaks to it.

One JSON request a line on stdin, one JSON answer a line on stdout: {"value": …} or {"error": …}.
On the wire:
  TCP: the client sends N bytes, of which the first 8 are N and M; the server sends M bytes; and so on.
  UDP: a datagram of N bytes, of which the first 2 are M; the answer is one of M bytes, none if M is 0.
"""

import json
import os
import random
import socket
import struct
import sys
import threading

PATIENCE_SECONDS = 20
LARGEST_DATAGRAM = 1400  # not fragmented: a capture would see more headers than the kernel counts


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def receive_exactly(connection, count):
    got = bytearray()
    while len(got) < count:
        part = connection.recv(min(count - len(got), 1 << 16))
        if not part:
            return None
        got += part
    return got


def tcp_request(send, receive):
    return struct.pack("!II", send, receive) + bytes(send - 8)


def udp_request(send, receive):
    return struct.pack("!H", receive) + bytes(send - 2)


def inet_checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Agent:
    def __init__(self):
        self.connections = {}
        self.pingers = {}

    # Server.

    def serve(self, protocol, address, port):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(family_of(address), kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        if protocol == "tcp":
            listener.listen(1024)
        serve = self.accept_all if protocol == "tcp" else self.answer_datagrams
        threading.Thread(target=serve, args=(listener,), daemon=True).start()

    def accept_all(self, listener):
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.answer_stream, args=(connection,), daemon=True).start()

    @staticmethod
    def answer_stream(connection):
        with connection:
            try:
                while head := receive_exactly(connection, 8):
                    sent, wanted = struct.unpack("!II", head)
                    if receive_exactly(connection, sent - 8) is None:
                        return
                    connection.sendall(bytes(wanted))
            except ConnectionError:
                pass  # the client reset it

    @staticmethod
    def answer_datagrams(listener):
        while True:
            datagram, peer = listener.recvfrom(1 << 16)
            (wanted,) = struct.unpack("!H", datagram[:2])
            if wanted:
                listener.sendto(bytes(wanted), peer)

    # Client.

    def open(self, name, protocol, source, source_port, destination, port):
        """source_port 0: the kernel's choice. Returns the port."""
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        connection = socket.socket(family_of(destination), kind)
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if protocol == "tcp":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((source, source_port))
        connection.connect((destination, port))
        self.connections[name] = connection
        return connection.getsockname()[1]

    def exchange(self, name, send, receive):
        connection = self.connections[name]
        if connection.type == socket.SOCK_STREAM:
            connection.sendall(tcp_request(send, receive))
            if receive_exactly(connection, receive) is None:
                raise ConnectionError("the server closed the connection")
        else:
            connection.send(udp_request(send, receive))
            if receive and len(connection.recv(1 << 16)) != receive:
                raise ConnectionError("an answer of another size than asked for")

    def close(self, name, how="fin"):
        """fin: both sides close in order. rst: the client resets. UDP: the socket goes, with no packet."""
        connection = self.connections.pop(name)
        if how == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif connection.type == socket.SOCK_STREAM:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        connection.close()

    def burst(self, protocol, source, first_port, destination, port, count, seed):
        """`count` sessions one after the other from first_port upwards, each with exchanges of random sizes.
        Every fourth TCP session ends with a reset."""
        sizes = random.Random(seed)
        largest = 6000 if protocol == "tcp" else LARGEST_DATAGRAM
        for index in range(count):
            self.open("burst", protocol, source, first_port + index, destination, port)
            for _ in range(sizes.randint(1, 3)):
                self.exchange("burst", sizes.randint(8, largest), sizes.randint(1, largest))
            self.close("burst", "rst" if protocol == "tcp" and index % 4 == 3 else "fin")

    def flood(self, source, destination, port, first_port, ports, size):
        """A datagram of `size` bytes with no answer asked, from each of `ports` source ports."""
        for source_port in range(first_port, first_port + ports):
            with socket.socket(family_of(destination), socket.SOCK_DGRAM) as sender:
                sender.bind((source, source_port))
                sender.sendto(udp_request(size, 0), (destination, port))

    def ping(self, destination, identifier, count=1, size=56):
        """Echo requests with `size` bytes behind the header of 8, each after the answer to the one before."""
        family = family_of(destination)
        request_type, answer_type = (8, 0) if family == socket.AF_INET else (128, 129)
        pinger = self.pinger(family)
        for sequence in range(1, count + 1):
            rest = struct.pack("!HH", identifier, sequence) + bytes(size + size % 2)[:size]
            message = struct.pack("!BBH", request_type, 0, 0) + rest
            if family == socket.AF_INET:  # for ICMPv6 the kernel fills it in
                checksum = inet_checksum(message + bytes(size % 2))
                message = struct.pack("!BBH", request_type, 0, checksum) + rest
            pinger.sendto(message, (destination, 0))
            while True:
                packet = pinger.recv(1 << 16)
                answer = packet[(packet[0] & 15) * 4:] if family == socket.AF_INET else packet
                if answer[0] == answer_type and answer[4:8] == rest[:4]:
                    break

    def pinger(self, family):
        if family not in self.pingers:
            protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
            self.pingers[family] = socket.socket(family, socket.SOCK_RAW, protocol)
            self.pingers[family].settimeout(PATIENCE_SECONDS)
        return self.pingers[family]

    def send_raw(self, protocol, destination, size):
        """One packet of a protocol that nobody speaks."""
        with socket.socket(family_of(destination), socket.SOCK_RAW, protocol) as sender:
            sender.sendto(bytes(size), (destination, 0))

    def ping_burst(self, destination, first_identifier, count, seed):
        sizes = random.Random(seed)
        for index in range(count):
            self.ping(destination, first_identifier + index, sizes.randint(1, 3), sizes.randint(0, 1000))


def main():
    agent = Agent()
    for line in sys.stdin:
        request = json.loads(line)
        verb = request.pop("verb")
        try:
            answer = {"value": getattr(agent, verb)(**request)}
        except Exception as problem:  # goes to the test, which fails with it
            answer = {"error": f"{verb} {request}: {type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # the serving threads never return


if __name__ == "__main__":
    main()
