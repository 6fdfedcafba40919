"""What quickstart.sh shows: a NAT lab, traffic through it, and the records that natsessiond writes."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import ctl
from daemon import Daemon
from netlab import CLIENT4, CLIENT6, INNER4, INNER6, OUTER4, OUTER6, SERVER4, SERVER6, Lab
from traffic import client_and_server

PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
SENT, ANSWERED = 20_000, 500_000

SCENE = f"""
A NAT lab in network namespaces:
  client {CLIENT4}, {CLIENT6}
    -> NAT box, inside {INNER4}, {INNER6}; outside {OUTER4}, {OUTER6}; nftables: masquerade fully-random
      -> server {SERVER4}, {SERVER6}, answering on TCP and UDP port 7000
"""


def endpoint(record, side):
    address, port = record[f"{side}_ip"], record[f"{side}_port"]
    if side == "pub" and record["protocol"] in (1, 58):
        return address  # what stands for its port is type and code
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def told(record):
    """One session, for people."""
    seconds = record["end_time"] - record["start_time"]
    who = f"{endpoint(record, 'pri'):16} was {endpoint(record, 'nat'):26} to {endpoint(record, 'pub'):26}"
    traffic = f"{record['bytes_from_vpc']:>6} B out {record['bytes_from_pub']:>7} B in {seconds:6} s"
    return f"  {PROTOCOLS[record['protocol']]:6} {who} {traffic}"


def make_traffic(client):
    for server in (SERVER4, SERVER6):
        client.open("web", "tcp", server, 7000)
        client.exchange("web", SENT, ANSWERED)
        client.shut("web")
        print(f"client: TCP to {server}: {SENT} bytes sent, {ANSWERED} received")
        client.session("udp", server, 7000, 40, 600)
        print(f"client: UDP to {server}: 40 bytes sent, 600 received")
        client.ping(server, identifier=4711, count=3)
        print(f"client: ping to {server}: 3 requests with id 4711, 3 answers")


def trace(ledger, record):
    """Asks the log what the owner of the peer would ask."""
    question = ["trace", "--nat", endpoint(record, "nat"), "--at", str(record["end_time"])]
    print("\nWho was it? The peer knows the translated address, the port and the time:\n")
    print(f"  natsessionctl --ledger LEDGER {' '.join(question)}\n", flush=True)
    subprocess.run([ctl.program(), "--ledger", ledger, *question], check=True, stderr=subprocess.DEVNULL)


def main():
    # So that the lab is removed then too.
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    print(SCENE)
    with tempfile.TemporaryDirectory(prefix="natlab-") as folder, Lab(("random", "random6")) as lab:
        client, _ = client_and_server(lab)
        ledger = os.path.join(folder, "ledger")
        daemon = Daemon(lab, folder, "--ledger", ledger, "--sink", "stdout")
        print("natsessiond runs in the NAT box and writes to its standard output and a ledger.\n")
        make_traffic(client)
        print("\nWaiting for the sessions to end (here the kernel forgets a closed one after a second) …")
        started = time.monotonic()
        lab.wait_for_expiry()
        daemon.wait_for_ends(6)
        records = daemon.stop()
        print(f"… done after {time.monotonic() - started:.1f} s. Who was who:\n")
        for record in records:
            print(told(record))
        print("\nThe records as natsessiond wrote them:\n")
        print(daemon.output(), end="")
        trace(ledger, records[0])
    print("\nThe lab is removed. To log this machine's own NAT: ./packaging/quickstart.sh --host")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nStopped; the lab is removed.")
