"""A log server that behaves as it is told: HTTP with lines of JSON, or syslog over TCP with octet counting.

Usage: collector_agent.py http|syslog PORT OUT MODE
OUT gets every line that was taken; MODE is a file whose text says how to behave, looked at for each request:
  ok       takes what comes
  STATUS   http: answers with this status (401, 404, 429, 503), and takes nothing
  garbage  answers what is no HTTP
  close    closes in the middle of the request
  mute     takes the request and never answers
  slow     takes a second for each request
A request for /status/STATUS or /status/STATUS/TEXT is answered with this status and text, whatever MODE says.
"""

import gzip
import os
import socket
import sys
import threading
import time


class Server:
    def __init__(self, kind, port, out, mode):
        self._serve = self._http if kind == "http" else self._syslog
        self._out = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._mode_path = mode
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), reuse_port=False)

    def mode(self):
        with open(self._mode_path, encoding="utf-8") as file:
            return file.read().strip()

    def take(self, lines):
        with self._lock:
            os.write(self._out, lines)

    def run(self):
        print("ready", flush=True)
        while True:
            peer, _ = self._listener.accept()
            threading.Thread(target=self._guard, args=(peer,), daemon=True).start()

    def _guard(self, peer):
        with peer:
            try:
                self._serve(peer, peer.makefile("rb"))
            except (OSError, EOFError, ValueError):
                pass

    def _http(self, peer, stream):
        while True:
            line = stream.readline()
            if not line:
                return
            headers = {}
            while (header := stream.readline().strip()):
                name, _, value = header.partition(b":")
                headers[name.lower()] = value.strip()
            mode = self.mode()
            if mode == "close":
                stream.read(int(headers[b"content-length"]) // 2)
                return
            if headers.get(b"expect", b"").lower() == b"100-continue":
                peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = stream.read(int(headers[b"content-length"]))
            if mode == "mute":
                time.sleep(600)
            if mode == "garbage":
                peer.sendall(b"\x00\xffwhat is this\r\n")
                return
            told = line.split()[1].decode().split("/")[1:]
            status, text = (told[1], told[2] if len(told) > 2 else "") if told[0] == "status" else (mode, "")
            if status.isdigit():
                peer.sendall(f"HTTP/1.1 {status} As told\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
                continue
            if mode == "slow":
                time.sleep(1)
            self.take(gzip.decompress(body) if headers.get(b"content-encoding") == b"gzip" else body)
            peer.sendall(b"HTTP/1.1 204 Taken\r\nContent-Length: 0\r\n\r\n")

    def _syslog(self, _peer, stream):
        while True:
            digits = b""
            while (byte := stream.read(1)) not in (b" ", b""):
                digits += byte
            if not digits:
                return
            length = int(digits)
            message = stream.read(length)
            if len(message) == length:  # what was cut off comes again
                if self.mode() == "slow":
                    time.sleep(0.002)
                self.take(message + b"\n")


if __name__ == "__main__":
    Server(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]).run()
