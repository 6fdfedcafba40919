"""A packet capture with tcpdump, and what it says: packets and layer-3 bytes by 5-tuple and direction."""

import ipaddress
import struct
import subprocess
from collections import defaultdict

SNAP_BYTES = 96  # link, IPv6 and transport headers
ETHERTYPE_IP4, ETHERTYPE_IP6 = 0x0800, 0x86DD
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
ECHO_TYPES = {(ICMP, 8), (ICMP6, 128)}
ECHO_ANSWER_TYPES = {(ICMP, 0), (ICMP6, 129)}


class Capture:
    """Runs tcpdump on one interface of the NAT box until stop(); direction: in or out alone."""

    def __init__(self, lab, interface, path, direction="inout"):
        self._path = path
        self._tcpdump = subprocess.Popen(
            [*lab.enter(lab.nat), "tcpdump", "-i", interface, "-Q", direction, "-Z", "root", "-B", "65536",
             "-s", str(SNAP_BYTES), "-n", "-w", path, "ip or ip6"], stderr=subprocess.PIPE, text=True)
        lab.adopt(self)
        line = self._tcpdump.stderr.readline()
        while "listening on" not in line:
            assert line, "tcpdump did not start"
            line = self._tcpdump.stderr.readline()

    def stop(self):
        """{(protocol, source, source port, destination, destination port): [packets, bytes]}"""
        self._tcpdump.terminate()
        _, told = self._tcpdump.communicate()
        assert "\n0 packets dropped by kernel" in "\n" + told, f"the capture is not whole: {told}"
        return read_capture(self._path)

    def close(self):
        if self._tcpdump.poll() is None:
            self._tcpdump.kill()
            self._tcpdump.communicate()


def read_capture(path):
    with open(path, "rb") as file:
        data = file.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[data[:4]]
    link_type = struct.unpack(order + "I", data[20:24])[0]
    assert link_type == 1, f"not Ethernet: link type {link_type}"
    totals = defaultdict(lambda: [0, 0])
    offset = 24
    while offset + 16 <= len(data):
        kept = struct.unpack(order + "I", data[offset + 8:offset + 12])[0]
        packet = data[offset + 16:offset + 16 + kept]
        offset += 16 + kept
        told = dissect(packet)
        if told:
            tuple_, length = told
            totals[tuple_][0] += 1
            totals[tuple_][1] += length
    return dict(totals)


def dissect(frame):
    """(5-tuple, layer-3 length), or None for what is neither TCP, UDP nor an echo."""
    ethertype = struct.unpack("!H", frame[12:14])[0]
    packet = frame[14:]
    if ethertype == ETHERTYPE_IP4:
        length, protocol = struct.unpack("!H", packet[2:4])[0], packet[9]
        source, destination = packet[12:16], packet[16:20]
        transport = packet[(packet[0] & 15) * 4:]
        assert struct.unpack("!H", packet[6:8])[0] & 0x3FFF == 0, "a fragment: sizes would not be comparable"
    elif ethertype == ETHERTYPE_IP6:
        length, protocol = 40 + struct.unpack("!H", packet[4:6])[0], packet[6]
        source, destination = packet[8:24], packet[24:40]
        transport = packet[40:]
    else:
        return None
    if protocol in (TCP, UDP):
        source_port, destination_port = struct.unpack("!HH", transport[:4])
    elif (protocol, transport[0]) in ECHO_TYPES | ECHO_ANSWER_TYPES:
        identifier = struct.unpack("!H", transport[4:6])[0]
        # As the log has it: the id is the asking host's port, type*256+code of the request the other's.
        asked = (8 if protocol == ICMP else 128) * 256
        is_request = (protocol, transport[0]) in ECHO_TYPES
        source_port, destination_port = (identifier, asked) if is_request else (asked, identifier)
    else:
        return None
    return (protocol, text(source), source_port, text(destination), destination_port), length


def text(address):
    return str(ipaddress.ip_address(address))
