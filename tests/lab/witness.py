"""The independent witness: `conntrack -E` beside the daemon, and the flows that it saw.

The XML has ids, counters and time stamps in ns, but not what ICMP has for ports; the plain output has those,
but its time stamps are in seconds. So two run, and their DESTROY events are joined by flow id. Their sockets
get a large buffer from outside (conntrack 1.4.7 puts -b on another socket), and are asked whether they lost
anything.
"""

import os
import re
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass, field

from event_socket import MEMINFO_DROPS, MEMINFO_RMEM_ALLOC, event_sockets, memory
from netlab import wait_until

BUFFER_BYTES = 256 << 20
SO_RCVBUFFORCE = 33


@dataclass(frozen=True)
class Direction:
    source: str
    destination: str
    source_port: int       # ICMP: the id
    destination_port: int  # ICMP: type*256+code
    packets: int | None
    bytes: int | None


@dataclass(frozen=True)
class Flow:
    """One flow as the kernel told of it when it ended. Times in ns since 1970."""
    id: int
    protocol: int
    original: Direction
    reply: Direction
    start_ns: int | None
    stop_ns: int | None
    zone: int
    mark: int
    # When its NEW and its DESTROY were received, where they were: an event that comes again makes no other flow.
    new_ns: int | None = field(default=None, compare=False)
    destroy_ns: int | None = field(default=None, compare=False)

    @property
    def source_nat(self):
        return ((self.original.source, self.original.source_port)
                != (self.reply.destination, self.echo_id if self.is_echo else self.reply.destination_port))

    @property
    def destination_nat(self):
        return ((self.original.destination, None if self.is_echo else self.original.destination_port)
                != (self.reply.source, None if self.is_echo else self.reply.source_port))

    @property
    def is_echo(self):
        return self.protocol in (1, 58)

    @property
    def echo_id(self):
        return self.reply.source_port


class Witness:
    def __init__(self, lab, folder):
        self._lab = lab
        self._xml = Listener(lab, os.path.join(folder, "witness.xml"), "xml,timestamp,ktimestamp,id")
        self._plain = Listener(lab, os.path.join(folder, "witness.txt"), "extended,timestamp,id")
        self._begun = {}
        lab.adopt(self)

    def flows(self):
        """Waits until the table is empty, and returns the flows that ended, in the order of their end."""
        self._lab.wait_for_expiry()
        return self.ended_flows()

    def ended_flows(self, count=0):
        """The flows that ended so far: what the kernel has told, and at least `count`."""
        (flows,) = wait_until(lambda: self._look(count), "conntrack -E told of the end of every flow")
        for listener in (self._xml, self._plain):
            listener.assert_nothing_lost()
        return flows

    def _look(self, count):
        if not (self._xml.has_told_all() and self._plain.has_told_all()):
            return None
        elements = parse_xml(self._xml.text())
        ended, self._begun = parse_plain(self._plain.text())  # later, so that it has what those are joined with
        flows = join(elements, ended)
        return (flows,) if len(flows) >= count else None

    def open_flows(self):
        """Those of whose end the kernel had not told when ended_flows() looked. Of them neither counters nor stamps are
        known. One that has timed out stays in the table until somebody comes past, and is stamped then with the end that it
        had: until when one lived is known of what the kernel lists, which leaves those out. destroy_ns is then when that
        was, and else when it began."""
        looked_ns = time.time_ns()
        listed = {int(flow_id) for family in ("ipv4", "ipv6")
                  for flow_id in re.findall(r" id=(\d+)$", self._lab.conntrack("-L", "-f", family, "-o", "id"), re.MULTILINE)}
        return [Flow(flow_id, protocol, *(port_direction(words) for words in directions), None, None, 0, 0, begun,
                     looked_ns if flow_id in listed else begun)
                for flow_id, (protocol, directions, begun) in self._begun.items()]

    def close(self):
        self._xml.stop()
        self._plain.stop()


class Listener:
    """One `conntrack -E`, its output in a file."""

    def __init__(self, lab, path, output):
        self._path = path
        with open(path, "wb") as file:
            self._process = subprocess.Popen([*lab.enter(lab.nat), "conntrack", "-E", "-o", output],
                                             stdout=file, stderr=subprocess.DEVNULL)
        (self._socket,) = wait_until(self._find_sockets, "conntrack -E has no subscribed socket")
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)

    def _find_sockets(self):
        assert self._process.poll() is None, "conntrack -E ended"
        return event_sockets(self._process.pid)

    def assert_nothing_lost(self):
        drops = memory(self._socket, MEMINFO_DROPS)
        assert drops == 0, f"the witness itself lost {drops} events"

    def has_told_all(self):
        """The queue is empty and the program sleeps: it has written what it took."""
        if memory(self._socket, MEMINFO_RMEM_ALLOC) != 0:
            return False
        with open(f"/proc/{self._process.pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "S"

    def text(self):
        """Whole lines only."""
        with open(self._path, encoding="utf-8") as file:
            text = file.read()
        return text[:text.rfind("\n") + 1]

    def stop(self):
        self._socket.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def parse_xml(text):
    """The DESTROY events, as elements. Behind an event that a program caused stands that program's name."""
    return [ElementTree.fromstring(line[:line.index("</flow>") + len("</flow>")])
            for line in text.splitlines() if line.startswith('<flow type="destroy"')]


def parse_plain(text):
    """({flow id: [((original, reply), NEW received, DESTROY received), …]} of every DESTROY event in order, {flow id:
    (protocol, (original, reply), NEW received)} of flows that live). A direction is its words; times in ns."""
    told, begun = defaultdict(list), {}
    for line in text.splitlines():
        event = re.match(r"\[(\d+)\.(\d+)\s*\]\s+\[(NEW|DESTROY)\] \S+ +\d+ \S+ +(\d+) ", line)
        if not event:
            continue
        received = int(event[1]) * 10**9 + int(event[2].ljust(9, "0"))
        words = re.findall(r"\b(src|dst|sport|dport|type|code|id|srckey|dstkey)=(\S+)", line)
        starts = [i for i, (name, _) in enumerate(words) if name == "src"]
        directions = dict(words[starts[0]:starts[1]]), dict(words[starts[1]:-1])  # the last is the flow's id
        flow_id = int(words[-1][1])
        if event[3] == "NEW":
            begun[flow_id] = int(event[4]), directions, received
        else:
            *_, new = begun.pop(flow_id, (None,))
            told[flow_id].append((directions, new, received))
    return told, begun


def join(elements, plain):
    flows = []
    for element in elements:
        meta = {m.get("direction"): m for m in element.findall("meta")}
        independent = meta["independent"]
        flow_id = number(independent, "id")
        words, new, destroy = plain[flow_id].pop(0)
        flows.append(Flow(
            id=flow_id,
            protocol=int(meta["original"].find("layer4").get("protonum")),
            original=direction(meta["original"], words[0]),
            reply=direction(meta["reply"], words[1]),
            start_ns=number(independent, "timestamp/start"),
            stop_ns=number(independent, "timestamp/stop"),
            zone=number(independent, "zone") or 0,
            mark=number(independent, "mark") or 0,
            new_ns=new,
            destroy_ns=destroy,
        ))
    # An event that one listener had no room for is sent again to all.
    return list(dict.fromkeys(flows))


def port_direction(words):
    """Of words alone; of TCP and UDP."""
    return Direction(words["src"], words["dst"], int(words.get("sport", 0)), int(words.get("dport", 0)), None, None)


def number(element, path):
    found = element.findtext(path)
    return None if found is None else int(found)


def direction(element, words):
    source, destination = element.findtext("layer3/src"), element.findtext("layer3/dst")
    assert (source, destination) == (words["src"], words["dst"]), "the two outputs of conntrack do not agree"
    if "type" in words:
        source_port, destination_port = int(words["id"]), int(words["type"]) * 256 + int(words["code"])
    else:
        source_port = number(element, "layer4/sport") or 0
        destination_port = number(element, "layer4/dport") or 0
    return Direction(source, destination, source_port, destination_port,
                     number(element, "counters/packets"), number(element, "counters/bytes"))
