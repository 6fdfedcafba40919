#!/usr/bin/env python3
"""flow_logs.py: what flow logs cost. By real packets: natsessiond's CPU for a session with the session log alone, with a flow log
over everything, and of as many flows that are not translated; then a flood of refused packets beside sessions.

    flow_logs.py [--sessions N] [--seconds N]

Needs root. NATSESSION, NATSESSION_UDP_SESSIONS and NATSESSION_REFUSED_FLOOD name the programs, as in the lab's tests (build/release).
Prints each budget with PASS or MISS.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lab"))
BUILD = os.path.join(ROOT, "build", "release")
for variable, program in (("NATSESSION", "daemon/natsessiond"), ("NATSESSION_UDP_SESSIONS", "tests/bench/udp_sessions"),
                          ("NATSESSION_REFUSED_FLOOD", "tests/bench/refused_flood")):
    os.environ.setdefault(variable, os.path.join(BUILD, program))

from bulk import tool  # noqa: E402
from daemon import Daemon  # noqa: E402
from netlab import OUTER4, SERVER4, Lab, run  # noqa: E402
from table_limits import TableLimits  # noqa: E402

NO_ANSWER = "table ip quiet { chain rules { type filter hook input priority filter; udp dport 5353 drop; }; }"
PER_PEER = 25_000
PEERS = [f"203.0.113.{100 + number}" for number in range(40)]
SOURCES = [f"10.64.0.{100 + number}" for number in range(40)]


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) // 1024


def flow_log(folder, record="aws"):
    return (f'[[flow_log]]\nname = "all"\nresource = "0.0.0.0/0"\nrecord = "{record}"\nwindow = "10m"\n'
            f'destination = "file:{folder}/flow.log"\n')


def sessions_cost(sessions, configuration, rules):
    """Microseconds of CPU a session, and how many lines each log has."""
    with tempfile.TemporaryDirectory(prefix="natlab-") as folder, TableLimits(room_for=sessions + 5000), \
            Lab(rules, udp_timeout=4 + sessions // 20_000) as lab:
        run(*lab.enter(lab.server), "nft", "-f", "-", text_in=NO_ANSWER)
        for peer, source in zip(PEERS[:-(-sessions // PER_PEER)], SOURCES):
            run("ip", "-n", lab.server, "address", "add", peer + "/24", "dev", "eth0")
            run("ip", "-n", lab.client, "address", "add", source + "/24", "dev", "eth0")
        path = os.path.join(folder, "natsessiond.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration.format(folder=folder))
        daemon = Daemon(lab, folder, "--config", path, "--window", "10m", "--sink", f"file:{folder}/session.log")
        before = cpu(daemon.pid)
        for peer, source in zip(PEERS[:-(-sessions // PER_PEER)], SOURCES):
            run(*lab.enter(lab.client), tool("NATSESSION_UDP_SESSIONS"), source, peer, min(sessions, PER_PEER), 50_000)
        lab.wait_for_expiry(seconds=120)
        used = cpu(daemon.pid) - before
        daemon.stop()

        def lines(name):
            if not os.path.exists(os.path.join(folder, name)):
                return 0
            with open(os.path.join(folder, name), "rb") as file:
                return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        return used / sessions * 1e6, lines("session.log"), lines("flow.log")


def under_flood(seconds, rate):
    with tempfile.TemporaryDirectory(prefix="natlab-") as folder, TableLimits(room_for=100_000), Lab(udp_timeout=4) as lab:
        run(*lab.enter(lab.server), "nft", "-f", "-", text_in=NO_ANSWER)
        lab.nft("table inet flooded {\n chain rules {\n  type filter hook prerouting priority -460\n"
                f"  tcp dport 443 ip daddr {OUTER4} counter log group 100 drop\n }}\n}}\n")
        path = os.path.join(folder, "natsessiond.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write('reject_group = ["100"]\nreject_flows = "50000"\n' + flow_log(folder).replace("10m", "5s"))
        daemon = Daemon(lab, folder, "--config", path, "--sink", f"file:{folder}/session.log")
        first = memory(daemon.pid)
        mac = json.loads(run("ip", "-n", lab.nat, "-j", "link", "show", "outer"))[0]["address"]
        flood = subprocess.Popen([*lab.enter(lab.server), tool("NATSESSION_REFUSED_FLOOD"), "eth0", mac, OUTER4, str(rate), str(seconds),
                                  "100000"], stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        run(*lab.enter(lab.client), tool("NATSESSION_UDP_SESSIONS"), "10.64.0.2", SERVER4, 20_000, 5_000)
        most = 0
        while flood.poll() is None:
            most = max(most, memory(daemon.pid))
            time.sleep(0.2)
        sent = int(flood.stdout.read().split()[1])
        lab.wait_for_expiry(seconds=60)
        time.sleep(7)
        daemon.stop()
        told = 0
        skipped = 0
        with open(os.path.join(folder, "flow.log"), encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[13] == "SKIPDATA":
                    skipped += 1
                elif words[12] == "REJECT":
                    told += int(words[8])
        with open(os.path.join(folder, "session.log"), encoding="utf-8") as file:
            ends = sum('"event":"end"' in line for line in file)
        return sent, seconds, told, skipped, ends, first, most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--flood-alone", action="store_true", help="not the cost of a session")
    options = parser.parse_args()
    if not options.flood_alone:
        cost(options.sessions)
    flood(options.seconds)
    return 0


def cost(sessions):
    alone, records, _ = sessions_cost(sessions, "", ("random",))
    print(f"the session log alone: {alone:.2f} us a session; {records} records")
    both, records, entries = sessions_cost(sessions, flow_log("{folder}"), ("random",))
    print(f"and a flow log over everything: {both:.2f} us a session; {records} records, {entries} entries")
    plain, records, entries = sessions_cost(sessions, flow_log("{folder}"), ("mark",))
    print(f"flows that are not translated: {plain:.2f} us a flow; {records} records, {entries} entries")
    for name, value in (("translated", both / alone), ("not translated", plain / alone)):
        print(f"budget: {name}, at most twice the session log alone: {value:.2f} {'PASS' if value <= 2 else 'MISS'}")


def flood(seconds):
    sent, seconds, told, skipped, ends, first, most = under_flood(seconds, 300_000)
    print(f"a flood of {sent / seconds:.0f} refused packets a second from 100,000 addresses, a table of 50,000: {told} packets in "
          f"entries, {skipped} SKIPDATA, {ends} sessions of 20000, {first} to {most} MB")
    print(f"budget: no session lost: {ends} {'PASS' if ends == 20_000 else 'MISS'}")
    print(f"budget: what was skipped is told: {'PASS' if skipped > 0 and told < sent else 'MISS'}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
