"""A server that is a program of the lab's own: it reads its settings, and says "ready" when it listens."""

import http.server
import json
import os
import subprocess
import sys

from untracked import leave_untracked


def start_server(lab, file, settings):
    """Runs the Python file in the NAT box's namespace; it listens when this returns."""
    process = subprocess.Popen([*lab.enter(lab.nat), sys.executable, "-B", os.path.abspath(file)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    process.stdin.write(json.dumps(settings))
    process.stdin.close()
    assert process.stdout.readline() == "ready\n", f"{os.path.basename(file)} does not start"
    return process


def serve_http(handler, port, wrap=lambda server_socket: server_socket):
    """In the server's own process: answers by `handler` until it is ended, and says that it listens. wrap: TLS, perhaps."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.socket = wrap(server.socket)
    print("ready", flush=True)
    server.serve_forever()


def json_lines(path):
    """Of a file of JSON, the whole lines; a line under way is left for the next look."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


class OwnServer:
    """A server in the NAT box's namespace, which conntrack does not watch; it listens when the constructor returns."""

    def __init__(self, lab, file, settings):
        self._lab, self._file, self._settings = lab, file, settings
        self._process = None
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def start(self):
        self._process = start_server(self._lab, self._file, self._settings)

    def crash(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def close(self):
        if self._process.poll() is None:
            self.crash()
