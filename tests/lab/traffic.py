"""Traffic: the test's side of traffic_agent.py. One Host for each namespace that sends or answers."""

import json
import os
import subprocess
import sys

from netlab import CLIENT4, CLIENT6, SERVER4, SERVER6

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traffic_agent.py")

# Bytes of headers in front of the payload of one packet.
IP4_UDP, IP6_UDP = 28, 48
IP4_ECHO, IP6_ECHO = 28, 48


class Host:
    """Runs a traffic agent in a namespace. Every call returns when its packets have been answered."""

    def __init__(self, lab, namespace, addresses):
        self.namespace = namespace
        self.addresses = addresses
        self._agent = subprocess.Popen(
            [*lab.enter(namespace), sys.executable, "-B", AGENT], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True)  # Ctrl-C is for the test, not for it
        lab.adopt(self)

    def ask(self, verb, **arguments):
        self._agent.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self._agent.stdin.flush()
        answer = json.loads(self._agent.stdout.readline() or '{"error": "the traffic agent is gone"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def serve(self, port):
        """TCP and UDP, on every address of the host."""
        for address in self.addresses:
            for protocol in ("tcp", "udp"):
                self.ask("serve", protocol=protocol, address=address, port=port)

    def _source_for(self, destination):
        return self.addresses[1] if ":" in destination else self.addresses[0]

    def open(self, name, protocol, destination, port, source_port=0):
        return self.ask("open", name=name, protocol=protocol, source=self._source_for(destination),
                        source_port=source_port, destination=destination, port=port)

    def exchange(self, name, send, receive):
        self.ask("exchange", name=name, send=send, receive=receive)

    def shut(self, name, how="fin"):
        self.ask("close", name=name, how=how)

    def session(self, protocol, destination, port, send=100, receive=200, source_port=0, how="fin"):
        """A whole session with one exchange. Returns its source port."""
        source_port = self.open("session", protocol, destination, port, source_port)
        self.exchange("session", send, receive)
        self.shut("session", how)
        return source_port

    def burst(self, protocol, destination, port, first_port, count, seed=1):
        self.ask("burst", protocol=protocol, source=self._source_for(destination), first_port=first_port,
                 destination=destination, port=port, count=count, seed=seed)

    def flood(self, destination, port, first_port, ports, size=100):
        self.ask("flood", source=self._source_for(destination), destination=destination, port=port,
                 first_port=first_port, ports=ports, size=size)

    def ping(self, destination, identifier, count=1, size=56):
        self.ask("ping", destination=destination, identifier=identifier, count=count, size=size)

    def ping_burst(self, destination, first_identifier, count, seed=1):
        self.ask("ping_burst", destination=destination, first_identifier=first_identifier, count=count,
                 seed=seed)

    def close(self):
        self._agent.stdin.close()
        self._agent.stdout.close()
        self._agent.kill()
        self._agent.wait()


def client_and_server(lab, port=7000):
    """The two ends of a lab, the server answering on `port`."""
    client = Host(lab, lab.client, [CLIENT4, CLIENT6])
    server = Host(lab, lab.server, [SERVER4, SERVER6])
    server.serve(port)
    return client, server
