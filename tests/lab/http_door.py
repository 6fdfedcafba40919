"""HttpDoor: before an HTTP server on this machine, in the NAT box's namespace; it can keep answers to itself once the server
has done what it was asked.

As a program: what it was started as there. It tells each POST in a file, and reads its state anew at each request:
  lose            POSTs are answered by the end of the connection
"""

import hashlib
import http.client
import http.server
import json
import os
import sys

from own_server import OwnServer, json_lines, serve_http

PORT = 8199


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    settings = {}

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = http.client.HTTPConnection("127.0.0.1", self.settings["server"], timeout=30)
        try:
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            text = answer.read()
        except OSError:
            self.close_connection = True
            return
        finally:
            server.close()
        with open(self.settings["state"], encoding="utf-8") as file:
            lose = json.load(file)["lose"] and self.command == "POST"
        if self.command == "POST":
            with open(self.settings["posts"], "a", encoding="utf-8") as file:
                file.write(json.dumps({"path": self.path, "body": hashlib.sha256(body).hexdigest(), "status": answer.status,
                                       "lost": lose}) + "\n")
        if lose:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "keep-alive", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = forward

    def log_message(self, *_):
        pass


def serve(settings):
    Handler.settings = settings
    serve_http(Handler, PORT)


class HttpDoor(OwnServer):
    """server: the port of what is behind it."""

    def __init__(self, lab, folder, server):
        self._paths = {name: os.path.join(folder, f"door.{name}") for name in ("posts", "state")}
        self.lose(False)
        super().__init__(lab, __file__, {**self._paths, "server": server})

    def lose(self, state):
        with open(self._paths["state"] + ".new", "w", encoding="utf-8") as file:
            json.dump({"lose": state}, file)
        os.rename(self._paths["state"] + ".new", self._paths["state"])

    def posts(self):
        return json_lines(self._paths["posts"])


if __name__ == "__main__":
    serve(json.load(sys.stdin))
