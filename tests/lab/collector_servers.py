"""CollectorServer: Elasticsearch, Loki and an OTLP receiver, as their documents have them, in the NAT box's namespace.

As a program: what it was started as there. Each keeps what it was given in a folder: documents by their _id, streams by
their labels, log records; and misbehaves when a plan tells it to. Written from the services' documents, not from the sinks.
"""

import collections
import gzip
import http.server
import ipaddress
import json
import os
import struct
import sys
import time

from own_server import OwnServer, json_lines, serve_http

PORT = 8183
LOKI_WEEK_NS = 7 * 86400 * 10**9


class BadRequest(Exception):
    """Answered with 400 and the text."""


def fields(data):
    """The fields of a message of protobuf: (number, wire type, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise BadRequest("protobuf: a varint is cut")
            value |= (data[at] & 127) << shift
            at += 1
            if data[at - 1] < 128:
                return value
            shift += 7

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            value = varint()
        elif kind == 1:
            value = struct.unpack_from("<Q", data, at)[0]
            at += 8
        elif kind == 2:
            length = varint()
            value = data[at:at + length]
            at += length
            if len(value) != length:
                raise BadRequest("protobuf: a field is cut")
        else:
            raise BadRequest(f"protobuf: wire type {kind}")
        yield number, kind, value


def collect(data, names):
    """{name: [values]} of a message whose fields have these names; another field is an error."""
    found = collections.defaultdict(list)
    for number, kind, value in fields(data):
        if number not in names:
            raise BadRequest(f"protobuf: field {number} is not known")
        name, wanted = names[number]
        if kind != wanted:
            raise BadRequest(f"protobuf: field {name} has wire type {kind}")
        found[name].append(value)
    return found


def attributes(pairs):
    found = {}
    for pair in pairs:
        key_value = collect(pair, {1: ("key", 2), 2: ("value", 2)})
        value = collect(key_value["value"][0], {1: ("string", 2), 3: ("int", 0)})
        key = key_value["key"][0].decode()
        if key in found:
            raise BadRequest(f"attribute {key} twice")
        found[key] = value["string"][0].decode() if value["string"] else value["int"][0]
    return found


def read_otlp(data):
    """Log records of an ExportLogsServiceRequest: {"time", "resource", "severity", "body", "event", "attributes"}."""
    record_fields = {1: ("time", 1), 2: ("severity", 0), 3: ("severity_text", 2), 5: ("body", 2), 6: ("attributes", 2),
                     11: ("observed", 1), 12: ("event", 2)}
    for resource_logs in collect(data, {1: ("resource_logs", 2)})["resource_logs"]:
        logs = collect(resource_logs, {1: ("resource", 2), 2: ("scope_logs", 2), 3: ("schema_url", 2)})
        resource = attributes(collect(logs["resource"][0], {1: ("attributes", 2)})["attributes"])
        for scope_logs in logs["scope_logs"]:
            for record in collect(scope_logs, {1: ("scope", 2), 2: ("records", 2)})["records"]:
                found = collect(record, record_fields)
                yield {"time": found["time"][0], "resource": resource, "severity": found["severity"][0],
                       "body": collect(found["body"][0], {1: ("string", 2)})["string"][0].decode(),
                       "event": found["event"][0].decode(), "attributes": attributes(found["attributes"])}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""
    plan = []
    documents = {}

    def do_GET(self):
        self.answer(200 if self.path.startswith("/loki/") or self.documents else 404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        deed = self.plan.pop(0) if self.plan and body else "well"
        try:
            if deed in ("well", "kept_but_not_said"):
                status, answer = self.take(body)
            else:
                status, answer = int(deed), {"said": deed}
        except (BadRequest, ValueError, KeyError) as error:
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        if deed == "kept_but_not_said":
            self.close_connection = True
        else:
            self.answer(status, answer)

    def take(self, body):
        path = self.path.split("?")[0]
        if path == "/v1/logs":
            return self.take_otlp(body)
        if path == "/loki/api/v1/push":
            return self.take_loki(body)
        if path.endswith("/_bulk"):
            return self.take_bulk(body)
        return 404, {"error": "no such place"}

    def keep(self, name, values):
        with open(os.path.join(self.folder, name), "a", encoding="utf-8") as file:
            for value in values:
                file.write(json.dumps(value) + "\n")

    def take_otlp(self, body):
        if self.headers["Content-Type"] != "application/x-protobuf":
            return 415, {}
        self.keep("otlp.jsonl", list(read_otlp(body)))
        return 200, b""

    def take_loki(self, body):
        kept = []
        for stream in json.loads(body)["streams"]:
            labels = stream["stream"]
            if len(labels) > 15 or not all(isinstance(value, str) and value for value in labels.values()):
                raise BadRequest("bad labels")
            for value in stream["values"]:
                stamp, line = value
                if not isinstance(stamp, str) or "\n" in line:
                    raise BadRequest("a bad entry")
                if int(stamp) < time.time_ns() - LOKI_WEEK_NS:
                    raise BadRequest(f"entry for stream has timestamp too old: {stamp}")
                kept.append({"labels": labels, "time": int(stamp), "line": line})
        self.keep("loki.jsonl", kept)
        return 204, b""

    def take_bulk(self, body):
        if not body.endswith(b"\n"):
            raise BadRequest("The bulk request must be terminated by a newline [\\n]")
        lines = body.splitlines()
        items = []
        for action, line in zip(lines[0::2], lines[1::2], strict=True):
            name = json.loads(action)["create"]["_id"]
            document = json.loads(line)
            items.append({"create": self.create(name, document)})
        return 200, {"errors": any(item["create"]["status"] != 201 for item in items), "items": items}

    def create(self, name, document):
        if name in self.documents:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "document already exists"}}
        try:
            for key in ("source.ip", "source.nat.ip", "destination.ip"):
                ipaddress.ip_address(document.get(key, "::"))
        except ValueError as error:
            return {"status": 400, "error": {"type": "document_parsing_exception", "reason": str(error)}}
        self.documents[name] = document
        self.keep("elasticsearch.jsonl", [{"_id": name, **document}])
        return {"status": 201}

    def answer(self, status, body):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class CollectorServer(OwnServer):
    """plan: what to do with the first requests, then all are well."""

    def __init__(self, lab, folder, plan=()):
        self._folder = folder
        super().__init__(lab, __file__, {"folder": folder, "plan": list(plan)})

    def kept(self, service):
        return json_lines(os.path.join(self._folder, service + ".jsonl"))


def serve(settings):
    Handler.folder = settings["folder"]
    Handler.plan = settings["plan"]
    serve_http(Handler, PORT)


if __name__ == "__main__":
    serve(json.load(sys.stdin))
