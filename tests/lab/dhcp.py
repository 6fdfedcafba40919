"""Real DHCP servers and clients, in a lab's namespaces: dnsmasq and Kea in the NAT box's, clients with interfaces of their
own in the client's. Each server tells what it did in its own words: history() is a list of (time, "add" or "del", prefix,
who), of which it knows itself when it was."""

import os
import re
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone

from netlab import missing, run, wait_until

FIRST4, LAST4 = "10.64.0.100", "10.64.0.105"
RANGE6 = ("fd64::100", "fd64::1ff")

UDHCPC_SCRIPT = """#!/bin/sh
case $1 in
  bound | renew) ip addr replace "$ip/24" dev "$interface"; echo "$ip" >{folder}/"$interface".now ;;
  deconfig) ip addr flush dev "$interface" scope global; rm -f {folder}/"$interface".now ;;
esac
"""

# In the words of dnsmasq(8), --dhcp-script. For DHCPv6 the client's DUID stands in place of the MAC.
DNSMASQ_SCRIPT = """#!/bin/sh
[ "$1" = old ] || printf '%s %s %s %s\\n' "$(date +%s.%N)" "$1" "$2" "$3" >>{out}
"""


def need(*paths):
    for path in paths:
        if not os.path.exists(path):
            missing(f"needs {path}: ./packaging/install-deps.sh --tests")


class Client:
    """udhcpc on an interface of its own: a macvlan of the client's cable."""

    def __init__(self, lab, folder, number):
        self._lab, self._folder = lab, folder
        self.interface, self.mac = f"m{number}", f"02:00:00:00:00:{number:02x}"
        self.name = f"host{number}"
        self._process = None
        script = os.path.join(folder, "udhcpc.sh")
        if not os.path.exists(script):
            with open(script, "w", encoding="utf-8") as file:
                file.write(UDHCPC_SCRIPT.format(folder=folder))
            os.chmod(script, 0o755)
        self._script = script
        ip = ["ip", "-n", lab.client]
        run(*ip, "link", "add", "link", "eth0", "name", self.interface, "address", self.mac, "type", "macvlan", "mode", "bridge")
        run(*ip, "link", "set", self.interface, "up")
        lab.adopt(self)

    def now(self):
        """The address that it has; None: none."""
        try:
            with open(os.path.join(self._folder, self.interface + ".now"), encoding="utf-8") as file:
                return file.read().strip() or None
        except FileNotFoundError:
            return None

    def take(self, address=None):
        """Runs it until it has an address, and returns that."""
        self._process = subprocess.Popen(
            [*self._lab.enter(self._lab.client), "udhcpc", "-i", self.interface, "-f", "-s", self._script, "-x",
             f"hostname:{self.name}", "-t", "20", "-T", "1", "-A", "1", *(["-r", address] if address else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        return wait_until(self.now, f"{self.interface} has an address")

    def renew(self):
        self._process.send_signal(signal.SIGUSR1)

    def release(self):
        self._process.send_signal(signal.SIGUSR2)
        wait_until(lambda: self.now() is None, f"{self.interface} has none any more")
        self.lose()

    def lose(self):
        """It goes without a word."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None
        run("ip", "-n", self._lab.client, "addr", "flush", "dev", self.interface, "scope", "global", check=False)
        try:
            os.unlink(os.path.join(self._folder, self.interface + ".now"))
        except FileNotFoundError:
            pass

    def close(self):
        self.lose()


class Client6:
    """dhclient on an interface of its own, for an address and a delegated prefix."""

    def __init__(self, lab, folder, number, prefix=True):
        self._lab = lab
        self.interface, self.mac = f"n{number}", f"02:00:00:00:06:{number:02x}"
        self._leases = os.path.join(folder, self.interface + ".leases")
        self._pid = os.path.join(folder, self.interface + ".pid")
        self._what = ["-P"] if prefix else []
        ip = ["ip", "-n", lab.client]
        run(*ip, "link", "add", "link", "eth0", "name", self.interface, "address", self.mac, "type", "macvlan", "mode", "bridge")
        run(*ip, "link", "set", self.interface, "up")
        wait_until(lambda: "tentative" not in run(*ip, "-6", "addr", "show", "dev", self.interface, "scope", "link")
                   and "fe80" in run(*ip, "-6", "addr", "show", "dev", self.interface), "a link-local address")

    def _run(self, *words):
        run(*self._lab.enter(self._lab.client), "dhclient", "-6", *words, "-N", *self._what, "-sf", "/bin/true", "-lf",
            self._leases, "-pf", self._pid, self.interface)

    def take(self):
        open(self._leases, "a", encoding="utf-8").close()
        self._run("-1")

    def release(self):
        self._run("-r")


class Server:
    """A program in the NAT box's namespace."""

    def __init__(self, lab, folder):
        self._lab, self._folder = lab, folder
        self._process = None
        # Without a link-local address it answers nobody over IPv6.
        run("ip", "-n", lab.nat, "addr", "replace", "fe80::1/64", "dev", "inner", "nodad")
        lab.adopt(self)

    def spawn(self, argv, log, **environment):
        with open(os.path.join(self._folder, log), "ab") as out:
            self._process = subprocess.Popen([*self._lab.enter(self._lab.nat), *argv], stdin=subprocess.DEVNULL, stdout=out,
                                             stderr=out, start_new_session=True, env={**os.environ, **environment})

    def told(self, log):
        with open(os.path.join(self._folder, log), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)

    def close(self):
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Dnsmasq(Server):
    def __init__(self, lab, folder):
        need("/usr/sbin/dnsmasq")
        super().__init__(lab, folder)
        self.leases = os.path.join(folder, "dnsmasq.leases")
        self._out = os.path.join(folder, "dnsmasq.history")
        script = os.path.join(folder, "dnsmasq.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(DNSMASQ_SCRIPT.format(out=self._out))
        os.chmod(script, 0o755)
        with open(os.path.join(folder, "dnsmasq.conf"), "w", encoding="utf-8") as file:
            file.write(f"port=0\ninterface=inner\nbind-interfaces\ndhcp-range={FIRST4},{LAST4},2m\n"
                       f"dhcp-range={RANGE6[0]},{RANGE6[1]},64,2m\ndhcp-leasefile={self.leases}\ndhcp-authoritative\n"
                       f"dhcp-script={script}\nuser=root\nno-ping\nlog-dhcp\nlog-facility=-\n")
        self.start()

    def start(self):
        self.spawn(["/usr/sbin/dnsmasq", "-k", "-C", os.path.join(self._folder, "dnsmasq.conf"), "--pid-file"], "dnsmasq.log")
        wait_until(lambda: ":0043 " in run(*self._lab.enter(self._lab.nat), "cat", "/proc/net/udp"),
                   lambda: "dnsmasq listens; it said: " + self.told("dnsmasq.log"))

    def history(self):
        found = []
        if os.path.exists(self._out):
            with open(self._out, encoding="utf-8") as file:
                for line in file:
                    when, event, who, address = line.split()
                    found.append((float(when), event, address, who))
        return found


class Dhcpd(Server):
    """ISC's, of DHCPv4. It logs without times: they are those when each line was read."""

    def __init__(self, lab, folder, lifetime=600):
        need("/usr/sbin/dhcpd")
        super().__init__(lab, folder)
        self.leases = os.path.join(folder, "dhcpd.leases")
        self._lifetime = lifetime
        self._history = []
        with open(os.path.join(folder, "dhcpd.conf"), "w", encoding="utf-8") as file:
            file.write(f"default-lease-time {lifetime}; max-lease-time {lifetime}; authoritative; ping-check false;\n"
                       f"subnet 10.64.0.0 netmask 255.255.255.0 {{ range {FIRST4} {LAST4}; }}\n")
        open(self.leases, "a", encoding="utf-8").close()
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [*self._lab.enter(self._lab.nat), "/usr/sbin/dhcpd", "-4", "-d", "-cf", os.path.join(self._folder, "dhcpd.conf"), "-lf",
             self.leases, "-pf", os.path.join(self._folder, "dhcpd.pid"), "inner"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        wait_until(lambda: ":0043 " in run(*self._lab.enter(self._lab.nat), "cat", "/proc/net/udp")
                   or self._process.poll() is not None, "dhcpd listens")
        assert self._process.poll() is None, "dhcpd ended"

    def _read(self, lines):
        for line in lines:
            for pattern, event in ((r"DHCPACK on (\S+) to (\S+)", "add"), (r"DHCPRELEASE of (\S+) from (\S+)", "del")):
                match = re.search(pattern, line)
                if match:
                    self._history.append((time.time(), event, match.group(1), match.group(2)))
        lines.close()

    def close(self):
        super().close()
        self._reader.join()

    def history(self):
        return list(self._history)


class Kea(Server):
    """family: 4 or 6. Its log has milliseconds."""

    def __init__(self, lab, folder, family, lifetime, cleanup=3600):
        need(f"/usr/sbin/kea-dhcp{family}")
        super().__init__(lab, folder)
        self._family = family
        self.leases = os.path.join(folder, f"kea{family}.csv")
        self._log = os.path.join(folder, f"kea{family}.log")
        pools = (f'"subnet4":[{{"subnet":"10.64.0.0/24","pools":[{{"pool":"{FIRST4}-{LAST4}"}}]}}]' if family == 4 else
                 f'"subnet6":[{{"subnet":"fd64::/64","interface":"inner","pools":[{{"pool":"{RANGE6[0]}-{RANGE6[1]}"}}],'
                 f'"pd-pools":[{{"prefix":"fd65::","prefix-len":48,"delegated-len":56}}]}}],"preferred-lifetime":{lifetime},'
                 f'"server-id":{{"type":"EN","enterprise-id":2495,"identifier":"0123456789","persist":false}}')
        with open(os.path.join(folder, f"kea{family}.json"), "w", encoding="utf-8") as file:
            file.write(f'{{"Dhcp{family}":{{"interfaces-config":{{"interfaces":["inner"]}},"lease-database":{{"type":"memfile",'
                       f'"persist":true,"name":"{self.leases}","lfc-interval":{cleanup}}},"valid-lifetime":{lifetime},'
                       f'"renew-timer":{lifetime},"rebind-timer":{lifetime},'
                       f'"expired-leases-processing":{{"reclaim-timer-wait-time":1,"hold-reclaimed-time":0,'
                       f'"flush-reclaimed-timer-wait-time":1}},{pools},'
                       f'"loggers":[{{"name":"kea-dhcp{family}","severity":"DEBUG","debuglevel":50,"output_options":'
                       f'[{{"output":"{self._log}","flush":true}}]}}]}}}}')
        os.makedirs(os.path.join(folder, "kea-run"), exist_ok=True)
        self._starts = 0
        self.start()

    def start(self):
        self._starts += 1
        self.spawn([f"/usr/sbin/kea-dhcp{self._family}", "-c", os.path.join(self._folder, f"kea{self._family}.json")],
                   "kea.out", KEA_PIDFILE_DIR=os.path.join(self._folder, "kea-run"),
                   KEA_LOCKFILE_DIR=os.path.join(self._folder, "kea-run"), TZ="UTC")
        wait_until(lambda: os.path.exists(self._log) and self.log().count(f"DHCP{self._family}_STARTED") >= self._starts,
                   lambda: "Kea serves; it said: " + self.told("kea.out") + (self.log() if os.path.exists(self._log) else ""))

    def log(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def history(self):
        """Of DHCPv6 the DUID, of a prefix its length."""
        found = []
        for line in self.log().splitlines():
            when = line[:23]
            for pattern, event in ((r"DHCP4_LEASE_ALLOC \[hwtype=1 (\S+)\].*: lease (\S+) has been allocated", "add"),
                                   (r"DHCP4_RELEASE \[hwtype=1 (\S+)\].*: address (\S+) was released", "del"),
                                   (r"ALLOC_ENGINE_V4_LEASE_RECLAIM \[hwtype=1 (\S+)\].*: reclaiming expired lease for address "
                                    r"(\S+)", "del"),
                                   (r"DHCP6_LEASE_ALLOC duid=\[(\S+)\].*: lease for address (\S+) and", "add"),
                                   (r"DHCP6_PD_LEASE_ALLOC duid=\[(\S+)\].*: lease for prefix (\S+) and", "add"),
                                   (r"DHCP6_RELEASE_NA duid=\[(\S+)\].*: binding for address (\S+) and", "del"),
                                   (r"DHCP6_RELEASE_PD duid=\[(\S+)\].*: prefix (\S+) for", "del")):
                match = re.search(pattern, line)
                if match:
                    at = datetime.strptime(when, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc).timestamp()
                    found.append((at, event, match.group(2), match.group(1).rstrip("],")))
        return found


def wait_for_next_second():
    until = int(time.time()) + 1.05
    wait_until(lambda: time.time() > until, "the next second")
