"""A Kafka cluster in the NAT box's namespace: librdkafka's mock cluster, read by kcat.

As a program: the cluster, and where it is asked for a door before its one broker, through which natsessiond comes: it
speaks TLS, wants a password, and holds back who comes through it, none of which the mock cluster can. What is written
to its input is done: Python, with `cluster`, `lib` and `door`.
"""

import ctypes
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading

from netlab import run
from untracked import leave_untracked

TOPIC = "nat"
PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = 0, 3, 17, 18, 22, 36  # requests
UNKNOWN_TOPIC, NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS = 3, 6, 7, 19  # errors
TOPIC_AUTHORIZATION_FAILED, UNSUPPORTED_VERSION, SASL_FAILED, TRANSPORT = 29, 35, 58, -195


class KafkaCluster:
    """There when the constructor returns. brokers: how many. door: None, or what it is to want: {"certificates", "user",
    "password"}; then `place` is the door's, and there is one broker."""

    def __init__(self, lab, brokers=1, partitions=4, door=None):
        self._lab = lab
        leave_untracked(lab)
        self._process = subprocess.Popen([*lab.enter(lab.nat), sys.executable, "-B", os.path.abspath(__file__)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._write(json.dumps({"brokers": brokers, "partitions": partitions, "door": door}))
        told = self._answer()
        self.brokers, self.place = told["brokers"], told["place"]
        self._count = brokers
        lab.adopt(self)

    def url(self, options=""):
        return f"kafka://{self.place}/{TOPIC}{options}"

    def _write(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self):
        line = self._process.stdout.readline()
        assert line, "the cluster has ended"
        return json.loads(line)

    def do(self, statement):
        self._write(statement)
        assert self._answer() == "done", statement

    def fail_next(self, request, *errors):
        for error in errors:
            self.do(f"lib.rd_kafka_mock_push_request_errors(cluster, {request}, ctypes.c_size_t(1), {error})")

    def set_topic_error(self, error):
        self.do(f"lib.rd_kafka_mock_topic_set_error(cluster, b'{TOPIC}', {error})")

    def set_leader(self, partition, broker):
        self.do(f"lib.rd_kafka_mock_partition_set_leader(cluster, b'{TOPIC}', {partition}, {broker})")

    def set_down(self, down):
        for broker in range(1, self._count + 1):
            self.do(f"lib.rd_kafka_mock_broker_set_{'down' if down else 'up'}(cluster, {broker})")

    def read(self):
        """All messages of the topic, as kcat reads them: [(partition, key, value)], each partition in order."""
        text = run(*self._lab.enter(self._lab.nat), "kcat", "-b", self.brokers, "-t", TOPIC, "-C", "-o", "beginning", "-e",
                   "-q", "-X", "fetch.wait.max.ms=10", "-f", "%p\t%k\t%s\n")
        return [(int(partition), key, value) for partition, key, value in
                (line.split("\t", 2) for line in text.splitlines())]

    def read_bytes(self):
        """Likewise, the values of one partition alone, which may be any bytes."""
        done = subprocess.run([*self._lab.enter(self._lab.nat), "kcat", "-b", self.brokers, "-t", TOPIC, "-C", "-o",
                               "beginning", "-e", "-q", "-f", "%R%s"], capture_output=True, check=True, timeout=30)
        values, rest = [], done.stdout
        while rest:
            (size,) = struct.unpack_from("!i", rest)
            values.append(rest[4:4 + size])
            rest = rest[4 + size:]
        return values

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class Frames:
    """The requests or answers of one direction, without their lengths."""

    def __init__(self):
        self._bytes = b""

    def take(self, data):
        """Those that are whole, now that `data` has come as well."""
        self._bytes += data
        while len(self._bytes) >= 4:
            (size,) = struct.unpack_from("!i", self._bytes)
            if len(self._bytes) < 4 + size:
                return
            body, self._bytes = self._bytes[4:4 + size], self._bytes[4 + size:]
            yield body


def send_frame(connection, body):
    connection.sendall(struct.pack("!i", len(body)) + body)


def text_of(bytes_):
    return struct.pack("!h", len(bytes_)) + bytes_


class Door:
    """Through which each connection goes to the broker at `port`, and what it answers is changed."""

    def __init__(self, port, certificate=None, key=None, user=None, password=None):
        self.hold_back = 0  # ms that each answer to a produce request says
        self.cut = 0  # so many answers to such do not come; the connection ends
        self._broker, self._user, self._password = port, user, password
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        try:
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self._broker)) as broker:
                self._pass_frames(client, broker)
        except OSError:
            pass  # who goes, goes

    def _pass_frames(self, client, broker):
        """Both ways by one thread: OpenSSL has no connection that one reads while another writes."""
        asked = {}  # by the number of a request
        known = self._user is None
        ways = {client: Frames(), broker: Frames()}
        while True:
            unread = self._context and client.pending()
            for peer in [client] if unread else select.select([client, broker], [], [])[0]:
                data = peer.recv(65536)
                if not data:
                    return
                for frame in ways[peer].take(data):
                    if peer is broker:
                        if not self._answer(client, frame, asked):
                            return
                    else:
                        known = self._ask(client, broker, frame, asked, known)
                        if known is None:
                            return

    def _ask(self, client, broker, request, asked, known):
        """Whether it is known from now on who asks; None ends the connection."""
        kind, version, number = struct.unpack_from("!hhi", request)
        if kind == API_VERSIONS and version > 0:
            send_frame(client, struct.pack("!ihihhh", number, UNSUPPORTED_VERSION, 1, API_VERSIONS, 0, 0))
        elif kind == SASL_HANDSHAKE:
            send_frame(client, struct.pack("!ihi", number, 0, 1) + text_of(b"PLAIN"))
        elif kind == SASL_AUTHENTICATE:
            known = request.endswith(f"\0{self._user}\0{self._password}".encode())
            error, why = (0, b"") if known else (SASL_FAILED, b"Authentication failed: who are you?")
            send_frame(client, struct.pack("!ih", number, error) + text_of(why) + struct.pack("!i", 0)
                       + (struct.pack("!q", 0) if version else b""))
        elif known or kind == API_VERSIONS:
            asked[number] = kind, version
            send_frame(broker, request)
        else:
            return None
        return known

    def _answer(self, client, answer, asked):
        """False ends the connection."""
        (number,) = struct.unpack_from("!i", answer)
        kind, version = asked.pop(number)
        if kind == PRODUCE and self.cut:
            self.cut -= 1
            return False
        if kind == PRODUCE and version >= 1 and self.hold_back:
            answer = answer[:-4] + struct.pack("!i", self.hold_back)
        if kind == METADATA:
            place = text_of(b"127.0.0.1")
            answer = answer.replace(place + struct.pack("!i", self._broker), place + struct.pack("!i", self.port))
        if kind == API_VERSIONS and self._user is not None:
            (count,) = struct.unpack_from("!i", answer, 6)
            answer = (answer[:6] + struct.pack("!i", count + 2) + answer[10:10 + 6 * count]
                      + struct.pack("!hhhhhh", SASL_HANDSHAKE, 0, 1, SASL_AUTHENTICATE, 0, 1))
        send_frame(client, answer)
        return True


def serve():
    settings = json.loads(sys.stdin.readline())
    lib = ctypes.CDLL("librdkafka.so.1")
    lib.rd_kafka_conf_new.restype = lib.rd_kafka_new.restype = lib.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    lib.rd_kafka_conf_set(conf, b"log_level", b"0", None, ctypes.c_size_t(0))
    handle = ctypes.c_void_p(lib.rd_kafka_new(0, conf, None, ctypes.c_size_t(0)))
    cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(handle, settings["brokers"]))
    lib.rd_kafka_mock_topic_create(cluster, TOPIC.encode(), settings["partitions"], settings["brokers"])
    brokers = place = lib.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    door = None
    if settings["door"] is not None:
        door = Door(int(brokers.rpartition(":")[2]), **settings["door"])
        place = f"127.0.0.1:{door.port}"
    print(json.dumps({"brokers": brokers, "place": place}), flush=True)
    for statement in sys.stdin:
        exec(statement, {"lib": lib, "cluster": cluster, "door": door, "ctypes": ctypes})  # the test's own words
        print('"done"', flush=True)


if __name__ == "__main__":
    serve()
