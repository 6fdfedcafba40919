"""HttpServer: a receiver for the http sink, in the NAT box's namespace, that misbehaves when it is told to.

As a program: what it was started as there. It keeps the lines that it answered with 2xx in a file, and tells each
request in another.
"""

import gzip
import http.server
import json
import os
import ssl
import sys
import time

from own_server import OwnServer, json_lines, serve_http

PORT = 8181


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    settings = {}
    plan = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        deed = self.plan.pop(0) if self.plan else "200"
        with open(self.settings["requests"], "a", encoding="utf-8") as file:
            file.write(json.dumps({"path": self.path, "headers": dict(self.headers.items()), "deed": deed,
                                   "lines": body.count(b"\n")}) + "\n")
        getattr(self, "do_" + deed, self.do_status)(deed, body)

    def do_status(self, deed, body):
        if deed.startswith("2"):
            with open(self.settings["lines"], "ab") as file:
                file.write(body)
        self.send_response(int(deed))
        if deed in ("429", "503"):
            self.send_header("Retry-After", "1")
        if deed == "301":
            self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"said\n")

    def do_close(self, *_):
        self.close_connection = True

    def do_half(self, *_):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        self.close_connection = True

    def do_garbage(self, *_):
        self.wfile.write(os.urandom(300))
        self.close_connection = True

    def do_silence(self, *_):
        time.sleep(3)
        self.close_connection = True

    def do_kept_but_not_said(self, _, body):
        """The answer is lost on the way: the batch will come again, and is the same."""
        with open(self.settings["lines"], "ab") as file:
            file.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


def serve(settings):
    Handler.settings = settings
    Handler.plan = settings["plan"]
    if not settings["certificate"]:
        serve_http(Handler, PORT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"], settings["key"])
    serve_http(Handler, PORT, lambda server_socket: context.wrap_socket(server_socket, server_side=True))


class HttpServer(OwnServer):
    """plan: what to do with the first requests, then all are well."""

    def __init__(self, lab, folder, plan=(), certificates=None):
        self.lines_path = os.path.join(folder, "http.jsonl")
        self._requests_path = os.path.join(folder, "requests.jsonl")
        super().__init__(lab, __file__, {
            "lines": self.lines_path, "requests": self._requests_path,
            "plan": list(plan), "certificate": certificates and certificates.crt("server"),
            "key": certificates and certificates.key("server")})

    def requests(self):
        return json_lines(self._requests_path)


if __name__ == "__main__":
    serve(json.load(sys.stdin))
