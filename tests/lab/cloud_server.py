"""CloudServer: a cloud's log service on this machine, in the NAT box's namespace, with the rules of cloud_services.py; and the
metadata service that gives keys of a role.

As a program: what it was started as there. It keeps the logs that it took in a file, a line of JSON each, tells each request
in another, and reads its state anew at each.
"""

import email.utils
import http.server
import json
import os
import sys
import time

import cloud_services
from own_server import OwnServer, json_lines, serve_http

PORT = 8191
ROLES = "/latest/meta-data/ram/security-credentials/"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    settings = {}

    def state(self):
        with open(self.settings["state"], encoding="utf-8") as file:
            return json.load(file)

    def do_POST(self):
        state = self.state()
        service = getattr(cloud_services, self.settings["service"])
        now = time.time() + state["skew"]
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = cloud_services.Request("POST", self.path, headers, body)
        logs, status, code, answer = [], 200, "", service.ANSWER
        try:
            logs = service(state, now).handle(request)
        except cloud_services.Refused as refused:
            status, code, answer = refused.status, refused.code, service.error_body(refused)
        with open(self.settings["requests"], "a", encoding="utf-8") as file:
            file.write(json.dumps({"path": self.path, "headers": headers, "status": status, "code": code,
                                   "logs": len(logs), "bytes": len(body), "at": time.time()}) + "\n")
        with open(self.settings["logs"], "a", encoding="utf-8") as file:
            file.writelines(json.dumps({"__time__": when, **contents}) + "\n" for when, contents in logs)
        if state["hangs_up"]:  # stored, and not said
            self.close_connection = True
            return
        self.reply(status, answer, now, {service.REQUEST_ID: "5F3A0B1C"})

    def do_PUT(self):
        self.reply(200, b"session-token", time.time(), {})

    def do_GET(self):
        """As the metadata service: the first of the keys, while it has a token, is those of the role."""
        if self.headers.get("X-aliyun-ecs-metadata-token") != "session-token":
            self.reply(403, b"", time.time(), {})
        elif self.path == ROLES:
            self.reply(200, b"nat-writer", time.time(), {})
        elif self.path == ROLES + "nat-writer":
            key_id, key = next(iter(self.state()["keys"].items()))
            self.reply(200, json.dumps({"Code": "Success", "AccessKeyId": key_id, "AccessKeySecret": key["secret"],
                                        "SecurityToken": key["token"],
                                        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
                                        }).encode(), time.time(), {})
        else:
            self.reply(404, b"", time.time(), {})

    def reply(self, status, answer, now, headers):
        self.send_response_only(status)
        for name, value in {"Date": email.utils.formatdate(now, usegmt=True), "Content-Length": str(len(answer)),
                            **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def serve(settings):
    Handler.settings = settings
    serve_http(Handler, PORT)


class CloudServer(OwnServer):
    """service: a class of cloud_services. state: what is other than EMPTY_STATE."""

    def __init__(self, lab, folder, service, **state):
        self._paths = {name: os.path.join(folder, f"{service}.{name}") for name in ("logs", "requests", "state")}
        self._state = {**cloud_services.EMPTY_STATE, "hangs_up": False, **state}
        self.set()
        super().__init__(lab, __file__, {**self._paths, "service": service})

    def set(self, **state):
        self._state |= state
        with open(self._paths["state"] + ".new", "w", encoding="utf-8") as file:
            json.dump(self._state, file)
        os.rename(self._paths["state"] + ".new", self._paths["state"])

    def logs(self):
        return json_lines(self._paths["logs"])

    def requests(self):
        return json_lines(self._paths["requests"])


if __name__ == "__main__":
    serve(json.load(sys.stdin))
