"""IPFIX collectors in the NAT box's namespace: nfcapd, nfacctd, and one for TCP and TLS whose connections ipfixDump reads.

As a program: the last. It keeps what each connection brings in a file of its own, which is a file of IPFIX (RFC 5655).
"""

import datetime
import glob
import ipaddress
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading

from netlab import run, wait_until
from own_server import OwnServer
from untracked import leave_untracked

NFCAPD, NFACCTD, TCP, TLS = 14739, 14740, 14741, 14742  # ports


class _Program:
    """A collector by UDP: it listens when the constructor returns."""

    def __init__(self, lab, folder, name, port, command, end):
        self._lab, self._port, self._command, self._end = lab, port, command, end
        self._log = os.path.join(folder, name + ".log")
        self._process = None
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def start(self):
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen([*self._lab.enter(self._lab.nat), *self._command], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, start_new_session=True)
        wait_until(self._listens, lambda: "it listens; it said: " + self.told())

    def _sockets(self):
        """{port: bytes that wait to be read} of the UDP sockets."""
        text = run(*self._lab.enter(self._lab.nat), "cat", "/proc/net/udp")
        rows = [line.split() for line in text.splitlines()[1:]]
        return {int(row[1].split(":")[1], 16): int(row[4].split(":")[1], 16) for row in rows}

    def _listens(self):
        assert self._process.poll() is None, "it ended: " + self.told()
        return self._port in self._sockets()

    def told(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """Once it has read all that came."""
        wait_until(lambda: self._sockets()[self._port] == 0, "all is read")
        self._process.send_signal(self._end)
        self._process.wait(30)

    def close(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Nfcapd(_Program):
    def __init__(self, lab, folder):
        self._folder = os.path.join(folder, "nfcapd")
        os.mkdir(self._folder)
        super().__init__(lab, folder, "nfcapd", NFCAPD,
                         ["nfcapd", "-b", "127.0.0.1", "-p", str(NFCAPD), "-w", self._folder, "-t", "3600", "-B", "8000000"],
                         signal.SIGTERM)

    def records(self, *which):
        """What nfdump tells of its files, once it has stopped; which: a filter."""
        text = run("nfdump", "-R", self._folder, "-o", "json", "-q", *which)  # objects with commas between them
        return json.loads(f"[{text.strip().rstrip(',')}]")

    def sequence_errors(self):
        return [int(count) for count in re.findall(r"Sequence Errors: (\d+)", self.told())]


NFACCTD_CONFIGURATION = """
daemonize: false
nfacctd_ip: 127.0.0.1
nfacctd_port: {port}
plugins: print[nat]
aggregate[nat]: src_host, src_port, dst_host, dst_port, post_nat_src_host, post_nat_src_port, proto, nat_event, timestamp_start
print_output[nat]: json
print_output_file[nat]: {out}
print_output_file_append[nat]: true
print_refresh_time[nat]: 3600
timestamps_since_epoch: true
"""


class Nfacctd(_Program):
    def __init__(self, lab, folder):
        self._out = os.path.join(folder, "nfacctd.json")
        configuration = os.path.join(folder, "nfacctd.conf")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(NFACCTD_CONFIGURATION.format(port=NFACCTD, out=self._out))
        super().__init__(lab, folder, "nfacctd", NFACCTD, ["nfacctd", "-f", configuration], signal.SIGINT)

    def records(self):
        """What it printed at its end."""
        def whole():
            if not os.path.exists(self._out):
                return None
            with open(self._out, encoding="utf-8") as file:
                text = file.read()
            return [json.loads(line) for line in text.splitlines()] if text.endswith("\n") else None
        return wait_until(whole, lambda: "nfacctd's records; it said: " + self.told()[-1000:])


class StreamCollector(OwnServer):
    """By TCP, or by TLS with `certificates`."""

    def __init__(self, lab, folder, certificates=None):
        super().__init__(lab, __file__, {
            "port": TLS if certificates else TCP, "folder": folder,
            "certificate": certificates and certificates.crt("server"),
            "key": certificates and certificates.key("server")})

    def files(self):
        """One for each connection, in their order."""
        found = glob.glob(os.path.join(self._settings["folder"], f"ipfix-{self._settings['port']}-*"))
        return sorted(found, key=lambda path: int(path.rsplit("-", 1)[1]))

    def records(self, options=False):
        """One dict for each record of a session, or of options, by ipfixDump's names, of all connections, whose sequence
        numbers are checked. A message that was cut is left out."""
        return [record for path in self.files() for record in read_connection(path)
                if options != ("protocolIdentifier" in record)]


def read_connection(path):
    with open(path, "rb") as file:
        data = file.read()
    whole, numbers = split_messages(data)
    if not whole:
        return []
    with open(path + ".whole", "wb") as file:
        file.write(data[:whole])
    messages = [parse_message(text) for text in
                run("ipfixDump", "--in", path + ".whole", "--out", "-").split("--- Message Header ---")[1:]]
    os.unlink(path + ".whole")
    assert len(messages) == len(numbers), f"ipfixDump reads {len(messages)} of {len(numbers)} messages of {path}"
    # RFC 7011: the records before the message, those of options among them.
    count = 0
    for number, records in zip(numbers, messages):
        assert number == count, f"{path}: a message has the number {number} behind {count} records"
        count += len(records)
    return [record for records in messages for record in records]


def split_messages(data):
    """(bytes of whole messages, their sequence numbers)."""
    at, numbers = 0, []
    while at + 16 <= len(data):
        version, length, _, sequence, _ = struct.unpack_from("!HHIII", data, at)
        assert version == 10, f"at byte {at} begins no message"
        if at + length > len(data):
            break
        numbers.append(sequence)
        at += length
    return at, numbers


FIELD = re.compile(r"\t\([0-9/]+\)(?: \(S\))? +(\w+) : (.*)")


def parse_message(text):
    """The data records of a message that ipfixDump tells."""
    records = []
    for line in text.splitlines():
        if line.startswith("--- data record"):
            records.append({})
        elif found := FIELD.match(line):
            records[-1][found[1]] = value_of(found[2])
    return records


def value_of(text):
    if text.isdigit():
        return int(text)
    if found := re.fullmatch(r"(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)\.(\d+)", text):
        *parts, milliseconds = map(int, found.groups())
        seconds = datetime.datetime(*parts, tzinfo=datetime.timezone.utc).timestamp()
        return int(seconds) * 1000 + milliseconds
    if text.startswith("(len: "):
        return text.split(") ", 1)[1]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def keep(connection, path):
    with connection, open(path, "wb") as file:
        try:
            while data := connection.recv(65536):
                file.write(data)
                file.flush()
        except OSError:
            pass  # what came is kept


def serve(settings):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", settings["port"]))
    listener.listen()
    if settings["certificate"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
        listener = context.wrap_socket(listener, server_side=True)
    print("ready", flush=True)
    stem = os.path.join(settings["folder"], f"ipfix-{settings['port']}-")
    number = len(glob.glob(stem + "*"))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=keep, args=(connection, stem + str(number)), daemon=True).start()
        number += 1


if __name__ == "__main__":
    serve(json.load(sys.stdin))
