"""Console: natsession-console, started beside a lab, and what asks it over HTTP."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import urllib.parse

from netlab import wait_until


def program():
    path = os.environ.get("NATSESSION_CONSOLE")
    assert path, "NATSESSION_CONSOLE must hold the path of natsession-console"
    return os.path.abspath(path)


def set_user(users, name, role, password):
    subprocess.run([program(), "user", "set", name, "--role", role, "--users", users], input=password + "\n", text=True, check=True)


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def json(self):
        return json.loads(self.body)


class Console:
    """Ready when the constructor returns. It listens where the kernel chose."""

    def __init__(self, folder, *arguments, before=(), journal=""):
        self.audit = os.path.join(folder, "audit.jsonl")
        self.tls = "--tls-cert" in arguments
        listen = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
        self.messages = []
        self._process = subprocess.Popen(
            [*before, program(), "--audit", self.audit, "--journal", journal, *listen, *map(str, arguments)], stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, errors="backslashreplace")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = wait_until(self._where, lambda: f"the console listens: {self.messages}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._process.pid

    def _read(self):
        for line in self._process.stderr:
            self.messages.append(line.rstrip("\n"))

    def _where(self):
        assert self._process.poll() is None, f"the console ended: {self.messages}"
        found = re.search(r"(https?://\S+)/ of", "\n".join(self.messages))
        return found and found[1].replace("0.0.0.0", "127.0.0.1")

    def stop(self, with_signal=signal.SIGTERM):
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        status = self._process.wait(30)
        self._reader.join(5)
        self._process.stderr.close()
        return status

    def is_running(self):
        return self._process.poll() is None

    def memory(self):
        """Bytes that it has in memory."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024

    def connection(self, timeout=60):
        where = urllib.parse.urlsplit(self.url)
        if not self.tls:
            return http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=timeout, context=context)

    def request(self, method, path, body=None, **fields):
        """fields: of the header, with _ for -."""
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in fields.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def ask(self, name, cookie=None, method="GET", body=None, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        return self.request(method, f"/api/v1/{name}?{query}", body, **({"Cookie": cookie} if cookie else {}))

    def log_in(self, name, password):
        """The cookie."""
        answer = self.request("POST", "/api/v1/login", json.dumps({"name": name, "password": password}), Content_Type="application/json")
        assert answer.status == 200, (answer.status, answer.body)
        return answer.fields["Set-Cookie"].split(";")[0]

    def audited(self):
        with open(self.audit, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
