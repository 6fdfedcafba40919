"""What booted.sh does once there is a tree with the packages: boots it as the NAT box of a lab, and tries.

  booted.py TREE FOLDER     FOLDER: for what is written down about it
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time

from bulk import Flood
from netlab import CLIENT4, CLIENT6, OUTER4, SERVER4, SERVER6, Lab, run, wait_until
from newer_ledger import make_newer
from traffic import client_and_server

UNIT = "natsessiond.service"
PACKAGES = "/var/tmp/packages"
PACKAGE, OLDER, NEWER = (f"{PACKAGES}/natsessiond{version}.deb" for version in ("", "_0.0.1-1", "_99.0-1"))
CONF_D = "/etc/natsessiond/conf.d"
MOST_EXPOSED = 1.5  # of systemd-analyze security
CAP_NET_ADMIN = 1 << 12
PR_SET_PDEATHSIG = 1
PATIENCE = 240  # seconds for a command in the machine: apt on a busy host


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Results:
    """ok and not ok. What one thing finds wrong stops it, and not the next."""

    def __init__(self):
        self.begun = time.monotonic()
        self.good = self.bad = 0

    @contextlib.contextmanager
    def __call__(self, what):
        try:
            yield
        except (AssertionError, subprocess.SubprocessError, KeyError, ValueError, OSError) as error:
            self.bad += 1
            print(f"not ok - {what}\n" + "\n".join("#   " + line for line in str(error).splitlines()[-25:]), flush=True)
        else:
            self.good += 1
            print(f"ok - {what}", flush=True)

    def sum(self):
        print(f"{self.good} ok, {self.bad} not ok, in {time.monotonic() - self.begun:.0f} s", flush=True)
        return 1 if self.bad or not self.good else 0


def must(condition, why):
    if not condition:
        raise AssertionError(why() if callable(why) else why)


class Machine:
    """A tree that is booted in a network namespace."""

    def __init__(self, tree, folder, namespace):
        self.tree, self._folder, self._namespace = tree, folder, namespace
        self._nspawn = self._init = None

    def boot(self):
        with open(os.path.join(self._folder, "console"), "ab") as console:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--directory", self.tree, "--boot", "--register=no", "--keep-unit",
                 "--network-namespace-path=/run/netns/" + self._namespace,
                 "--capability=CAP_NET_ADMIN", "--link-journal=no", "--console=pipe",
                 "--machine=nat-box", "--resolv-conf=off", "--timezone=off"],
                env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},  # its sysctls are the lab's
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=die_with_parent)
        wait_until(self._is_up, "the machine is up")

    def _is_up(self):
        must(self._nspawn.poll() is None, "systemd-nspawn has ended: " + self.console())
        with open(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children", encoding="ascii") as children:
            self._init = "".join(children.read().split()[:1])
        return self._init and self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def console(self):
        with open(os.path.join(self._folder, "console"), encoding="utf-8", errors="replace") as console:
            return console.read()[-2000:]

    def halt(self):
        """In good order: services stop."""
        if self._nspawn is None:
            return
        with contextlib.suppress(AssertionError, subprocess.SubprocessError):
            self.run("systemctl", "--no-block", "poweroff", check=False)
            self._nspawn.wait(60)
        self.close()

    def close(self):
        if self._nspawn is not None:
            self._nspawn.kill()
            self._nspawn.wait()
            self._nspawn = None

    def popen(self, *command):
        return subprocess.Popen(
            ["nsenter", "-t", self._init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=",
             "SYSTEMD_COLORS=0", *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def result(self, *command):
        """Its status, output and messages."""
        process = self.popen(*command)
        try:
            out, told = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, told = process.communicate()
            told += f"(not through within {PATIENCE} s)"
        return process.returncode, out, told

    def run(self, *command, check=True):
        status, out, told = self.result(*command)
        must(not check or status == 0, lambda: f"{' '.join(map(str, command))}: status {status}: {out[-1500:]}{told[-1500:]}")
        return out

    def run_as(self, user, *command):
        return self.result("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command)

    def property(self, name, unit=UNIT):
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def pid(self):
        """0: it does not run."""
        return int(self.property("MainPID"))

    def kill(self, name):
        pid = self.pid()
        must(pid, "the service does not run")
        self.run("sh", "-c", f"kill -{name} {pid}")  # a small Debian has no other kill
        return pid

    def write(self, path, text, mode=0o644):
        with open(self.tree + path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.tree + path, mode)

    def journal(self, *options):
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--unit", UNIT, "--no-pager", *options)

    def messages(self):
        """What the unit's journal says, records left out."""
        return self.journal("-o", "cat", "_TRANSPORT=stdout", "+", "_PID=1", "_SYSTEMD_UNIT=init.scope")

    def files(self):
        """All that is there, but for what apt, dpkg and systemd write down for themselves."""
        own = ("/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/lib/logrotate", "/var/cache", "/var/log/apt",
               "/var/log/dpkg.log", "/var/log/journal", "/tmp", "/var/tmp")
        paths = [word for path in own for word in ("-path", path, "-o")][:-1]
        out = self.run("find", "/", "-xdev", "(", *paths, ")", "-prune", "-o", "-print")
        return set(out.splitlines())


class Box:
    """The lab with the machine in it, and what is tried."""

    def __init__(self, lab, machine, check):
        self.lab, self.machine, self.check = lab, machine, check
        self.client, self.server = client_and_server(lab)
        self._next_port = 20000
        # The lab has no link-local addresses, without which a router cannot ask anew for a neighbour that was silent.
        for interface, namespace, address in (("inner", lab.client, CLIENT6), ("outer", lab.server, SERVER6)):
            link = json.loads(run("ip", "-n", namespace, "-json", "link", "show", "eth0"))[0]["address"]
            run("ip", "-n", lab.nat, "neigh", "replace", address, "lladdr", link, "dev", interface, "nud", "permanent")

    # Traffic

    def traffic(self, count=20):
        """That many sessions over TCP and IPv4, and as many over UDP and IPv6, which have ended. Returns the first port."""
        first, self._next_port = self._next_port, self._next_port + count
        self.client.burst("tcp", SERVER4, 7000, first, count)
        self.client.burst("udp", SERVER6, 7000, first, count)
        self.lab.delete_flows("-p", "tcp")
        self.lab.delete_flows("-p", "udp", "-f", "ipv6")
        return first

    def ends(self, first, count=20):
        """The ledger's end records of those sessions."""
        out = self.machine.run("natsessionctl", "sql", "--csv", "SELECT pri_port, protocol, count(*) FROM log WHERE event = 'end' "
                               f"AND pri_port >= {first} AND pri_port < {first + count} GROUP BY 1, 2")
        return [line.split(",") for line in out.splitlines()[1:]]

    def must_have_ends(self, first, count=20):
        """Each session has one."""
        wait_until(lambda: len(self.ends(first, count)) >= 2 * count, lambda: f"end records: {self.ends(first, count)}")
        found = self.ends(first, count)
        must(len(found) == 2 * count and all(row[2] == "1" for row in found), lambda: f"end records: {found}")

    def wait_for_start(self, before=0):
        """Another process than `before` is ready."""
        wait_until(lambda: self.machine.pid() not in (0, before) and self.machine.property("ActiveState") == "active",
                   lambda: f"the service runs again: {self.machine.messages()[-1500:]}")

    def restart(self):
        self.machine.run("systemctl", "restart", UNIT)

    # What is tried, in this order

    def install(self):
        machine = self.machine
        before = machine.files()
        with self.check("apt installs the package, with what it depends on, and says which sysctls it sets"):
            told = machine.run("apt-get", "install", "--yes", OLDER)
            must("nf_conntrack_acct" in told and "60-natsessiond.conf" in told, told)
        with self.check("natsessionctl status shows a running logger at once"):
            told = machine.run("natsessionctl", "status")
            must("logging" in told.lower(), told)
            must("/var/lib/natsessiond/ledger" in machine.run("natsessionctl", "--json", "status"), "it has another ledger")
        with self.check("the sysctls are set"):
            for name in ("acct", "timestamp", "events"):
                value = machine.run("cat", f"/proc/sys/net/netfilter/nf_conntrack_{name}").strip()
                must(value == "1", f"{name} is {value}")
        with self.check("it is enabled, and systemd finds nothing wrong with the unit or any other"):
            must(machine.run("systemctl", "is-enabled", UNIT).strip() == "enabled", "it is not enabled")
            told = machine.result("systemd-analyze", "--man=no", "verify", UNIT)
            must(told[0] == 0 and not told[2], str(told))
            must(not machine.run("systemctl", "--failed", "--plain", "--no-legend"), machine.run("systemctl", "--failed"))
        with self.check("manuals, completion, dashboard, rules, examples, log rotation and the folder of drop-ins are there"):
            for path in ("/usr/share/man/man1/natsessionctl.1.gz", "/usr/share/man/man5/session-log.5.gz",
                         "/usr/share/man/man5/natsessiond.toml.5.gz", "/usr/share/man/man8/natsessiond.8.gz",
                         "/usr/share/man/man7/natsessiond-sizing.7.gz", "/usr/share/man/man7/natsessiond-flow-log.7.gz", "/usr/share/man/man7/natsessiond-identity.7.gz",
                         "/usr/share/man/man7/natsessiond-ipfix.7.gz",
                         "/usr/share/man/man7/natsessiond-otlp.7.gz", "/usr/share/man/man7/natsessiond-loki.7.gz",
                         "/usr/share/man/man7/natsessiond-elasticsearch.7.gz", "/usr/share/man/man7/natsessiond-clickhouse.7.gz",
                         *(f"/usr/share/man/man7/natsessiond-{cloud}.7.gz" for cloud in ("sls", "cls", "lts")),
                         "/usr/share/bash-completion/completions/natsessiond", "/usr/share/zsh/vendor-completions/_natsessionctl",
                         "/usr/share/fish/vendor_completions.d/natsessionctl.fish", "/usr/share/natsessiond/natsessiond.json",
                         "/usr/share/natsessiond/natsessiond.rules.yml", "/usr/share/doc/natsessiond/examples/netns.conf",
                         "/usr/share/doc/natsessiond/changelog.gz", "/etc/logrotate.d/natsessiond", CONF_D):
                must(os.path.exists(machine.tree + path), path + " is missing")
        return before

    def upgrade_over_an_older_version(self):
        machine = self.machine
        with self.check("an upgrade restarts the service, and keeps the ledger and what was configured"):
            machine.write(CONF_D + "/10-name.toml", 'instance = "booted"\n')
            with open(machine.tree + "/etc/natsessiond/natsessiond.toml", "a", encoding="utf-8") as file:
                file.write("# changed by hand\n")
            before, first = machine.pid(), self.traffic()
            self.must_have_ends(first)
            machine.run("apt-get", "install", "--yes", PACKAGE)
            self.wait_for_start(before)
            self.must_have_ends(first)
            must("# changed by hand" in machine.run("cat", "/etc/natsessiond/natsessiond.toml"), "the configuration is another")

    def upgrade_in_a_burst(self):
        machine = self.machine
        with self.check("an upgrade in the middle of a burst loses no session, and claims no gap"):
            asked = "SELECT count(*), count(DISTINCT session_id || '/' || seq) FROM log WHERE event = 'end' AND pub_ip = '198.51.100.7'"
            flood, before = Flood(self.lab), machine.pid()
            apt = machine.popen("apt-get", "install", "--reinstall", "--yes", PACKAGE)
            while apt.poll() is None:
                flood.insert(5000)
                flood.flush()
            must(apt.returncode == 0, lambda: apt.communicate()[1])
            self.wait_for_start(before)
            wanted = f"{flood.made},{flood.made}"
            wait_until(lambda: machine.run("natsessionctl", "sql", "--csv", asked).splitlines()[1] == wanted,
                       lambda: f"of {flood.made} sessions: {machine.run('natsessionctl', 'sql', '--csv', asked)}")
            gaps = machine.run("natsessionctl", "sql", "--csv", "SELECT * FROM log WHERE event = 'gap'").splitlines()[1:]
            must(not gaps, gaps)
            print(f"#   {flood.made} sessions meanwhile")

    def confinement(self):
        machine = self.machine
        with self.check("it runs as natsession with CAP_NET_ADMIN alone, and so does its helper"):
            told = machine.run("cat", f"/proc/{machine.pid()}/status")
            for name, wanted in (("CapEff", CAP_NET_ADMIN), ("CapPrm", CAP_NET_ADMIN), ("CapBnd", CAP_NET_ADMIN)):
                found = int(re.search(rf"^{name}:\s*(\w+)", told, re.M)[1], 16)
                must(found == wanted, f"{name} is {found:x}")
            must(re.search(r"^NoNewPrivs:\s*1$", told, re.M) and re.search(r"^Seccomp:\s*2$", told, re.M), told)
            processes = machine.run("sh", "-c", f"for p in $(cat /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs); do "
                                    "echo $(stat -c %U /proc/$p) $(grep CapEff /proc/$p/status) $(cat /proc/$p/comm); done").splitlines()
            must(processes and all(line.startswith("natsession ") for line in processes), processes)
            guard = machine.run("systemctl", "show", "--value", "--property=MainPID", "natsessiond-guard.service").strip()
            told = machine.run("cat", f"/proc/{guard}/status")
            must(re.search(r"^CapPrm:\s*0+$", told, re.M) and re.search(r"^CapBnd:\s*0+$", told, re.M), told)
        with self.check("nothing in its sandbox is in its way"):
            told = machine.journal("-o", "cat", "-p", "warning")
            must(not told, told)
        with self.check(f"systemd-analyze security finds an exposure of {MOST_EXPOSED} at most"):
            told = machine.run("systemd-analyze", "security", "--no-pager", UNIT, check=False)
            found = re.search(r"Overall exposure level.*: ([\d.]+)", told)
            must(found and float(found[1]) <= MOST_EXPOSED, told)
            print(f"#   it is {found[1]}")

    def traffic_is_logged(self):
        machine = self.machine
        machine.write(CONF_D + "/20-journal.toml", 'sink = ["journald", "file:/var/log/natsessiond/sessions.json"]\n')
        self.restart()
        first = self.traffic()
        with self.check("each session through it has its end record"):
            self.must_have_ends(first)
        with self.check("journalctl -u natsessiond has the records, field by field"):
            def ports():
                rows = map(json.loads, self.machine.journal("-o", "json", "NATSESSION_EVENT=end").splitlines())
                return sorted(int(row["NATSESSION_PRI_PORT"]) for row in rows if int(row["NATSESSION_PRI_PORT"]) >= first)
            wanted = sorted(2 * list(range(first, first + 20)))
            wait_until(lambda: ports() == wanted, lambda: f"ports in the journal: {ports()}")
        with self.check("natsessionctl trace says who was behind an address and port"):
            rows = machine.run("natsessionctl", "sql", "--csv",
                               f"SELECT nat_ip, nat_port FROM log WHERE pri_port = {first} AND protocol = 6").splitlines()
            address, port = rows[1].split(",")
            must(address == OUTER4, rows)
            traced = machine.run("natsessionctl", "trace", f"{address}:{port}", "now", "--slack", "1m")
            must(f"{CLIENT4}:{first}" in traced, traced)
        with self.check("bytes, packets and times are known from the first session on"):
            rows = machine.run("natsessionctl", "sql", "--csv", "SELECT count(*) FROM log WHERE event = 'end' AND "
                               "(bytes_from_vpc IS NULL OR bytes_from_pub IS NULL OR start_time IS NULL)").splitlines()
            must(rows[1] == "0", rows)

    def status_line(self):
        machine = self.machine
        # How many are open is not known where the group new is not needed (--events auto); natsessionctl counts them.
        with self.check("systemctl status shows the rate, sinks and the ledger"):
            def shown():
                told = re.search(r'Status: "(.*)"', machine.run("systemctl", "status", UNIT))
                return told and re.search(r"^logging: (\d+ open sessions, )?\d+ records/s; journald Success.*; ledger \d+ MiB", told[1])
            wait_until(shown, lambda: machine.run("systemctl", "status", UNIT))

    def reload(self):
        machine = self.machine
        pid = machine.pid()
        with self.check("systemctl reload takes what it can, and says what has changed and what needs a restart"):
            machine.write(CONF_D + "/30-more.toml", 'instance = "renamed"\nwindow = "5m"\n')
            machine.run("systemctl", "reload", UNIT)
            wait_until(lambda: "instance" in machine.messages().rpartition("SIGHUP")[2] and
                       "a change of window needs a restart" in machine.messages(), machine.messages)
            wait_until(lambda: "window needs a restart" in machine.property("StatusText"), lambda: machine.property("StatusText"))
            must(machine.pid() == pid, "it was restarted")
            first = self.traffic(1)
            self.must_have_ends(first, 1)
            rows = machine.run("natsessionctl", "sql", "--csv", f"SELECT DISTINCT instance FROM log WHERE pri_port = {first}")
            must("renamed" in rows, rows)
        with self.check("a reload of a configuration with a fault changes nothing, and says where it is"):
            machine.write(CONF_D + "/30-more.toml", 'windo = "5m"\n')
            machine.run("systemctl", "reload", UNIT, check=False)
            wait_until(lambda: "30-more.toml:1:1: unknown key 'windo'" in machine.messages(), machine.messages)
            must(machine.pid() == pid and machine.property("ActiveState") == "active", "it has ended")
        os.unlink(machine.tree + CONF_D + "/30-more.toml")
        self.restart()

    def rotation(self):
        machine = self.machine
        with self.check("logrotate puts a file away, and the next records are in a new one"):
            log = "/var/log/natsessiond/sessions.json"
            first = self.traffic(1)
            self.must_have_ends(first, 1)
            machine.run("logrotate", "--force", "/etc/logrotate.d/natsessiond")
            second = self.traffic(1)
            for path, port in ((log + ".1", first), (log, second)):
                wait_until(lambda path=path, port=port: f'"pri_port":{port}' in machine.run("cat", path, check=False),
                           lambda path=path, port=port: f"port {port} in {path}: {machine.run('ls', '-l', '/var/log/natsessiond')}")

    def deaths(self):
        machine = self.machine
        with self.check("killed three times it comes back by itself, and the ledger goes on"):
            for _ in range(3):
                before = machine.kill("KILL")
                self.wait_for_start(before)
                self.must_have_ends(self.traffic())
            must(machine.property("NRestarts") == "3", machine.property("NRestarts"))
            told = machine.run("natsessionctl", "verify")
            must("damaged" not in told or "0 damaged" in told, told)
        with self.check("one that hangs is killed by the watchdog, and comes back"):
            machine.run("mkdir", "-p", f"/run/systemd/system/{UNIT}.d")
            machine.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=2\\n' >/run/systemd/system/{UNIT}.d/test.conf")
            machine.run("systemctl", "daemon-reload")
            self.restart()
            before = machine.kill("STOP")
            self.wait_for_start(before)
            must("Watchdog timeout" in machine.messages(), machine.messages)
            machine.run("rm", "-r", f"/run/systemd/system/{UNIT}.d")
            machine.run("systemctl", "daemon-reload")
            self.restart()

    def strangers(self):
        machine = self.machine
        machine.run("useradd", "--groups", "natsession", "clerk")
        machine.run("useradd", "stranger")
        with self.check("a member of the group natsession may ask"):
            for command in (("status",), ("sessions",), ("top",), ("verify",), ("trace", f"{OUTER4}:1", "now")):
                status, out, told = machine.run_as("clerk", "natsessionctl", *command)
                must(status in ((0, 1) if command[0] == "trace" else (0,)), f"{command}: {status}: {out}{told}")
        with self.check("and may not turn logging off, nor write, nor signal it"):
            status, out, told = machine.run_as("clerk", "natsessionctl", "disable")
            must(status != 0, out + told)
            must(machine.run_as("clerk", "sh", "-c", f"kill -HUP {machine.pid()}")[0] != 0, "it can be signalled")
            status, out, told = machine.run_as("clerk", "find", "/var/lib/natsessiond", "/var/log/natsessiond", "/etc/natsessiond",
                                               "-writable")
            must(not out, out)
        with self.check("nobody else may ask, or read anything of the log"):
            for command in (("status",), ("--ledger", "/var/lib/natsessiond/ledger", "top")):
                status, out, told = machine.run_as("stranger", "natsessionctl", *command)
                must(status != 0 and "ermission denied" in told, f"{command}: {status}: {out}{told}")
            status, out, told = machine.run_as("stranger", "find", "/var/lib/natsessiond", "/var/log/natsessiond",
                                               "/run/natsessiond", "!", "-type", "d", "(", "-readable", "-o", "-writable", ")")
            must(not out, out)
            must(machine.run_as("stranger", "cat", f"/proc/{machine.pid()}/environ")[0] != 0, "its environment can be read")
        with self.check("a group of its own may ask instead (control_group)"):
            machine.write(CONF_D + "/40-group.toml", 'control_group = "natsession"\n')
            self.restart()
            must(machine.run_as("clerk", "natsessionctl", "status")[0] == 0, "it may not")
        os.unlink(machine.tree + CONF_D + "/40-group.toml")
        self.restart()

    def untrusted_files(self):
        machine = self.machine

        def refused(path, message):
            machine.run("chmod", "o+w", path)
            machine.run("systemctl", "reload", UNIT, check=False)
            wait_until(lambda: message in machine.messages().rpartition("SIGHUP")[2], machine.messages)
            must(machine.property("ActiveState") == "active", "it has ended")
            machine.run("systemctl", "stop", UNIT)
            machine.run("systemctl", "start", UNIT, check=False)
            must(machine.property("ActiveState") != "active", "it has started")
            machine.run("chmod", "o-w", path)
            self.wait_for_start()

        with self.check("a configuration, or a folder of drop-ins, that others may write is refused, at a reload and a start"):
            refused(CONF_D + "/10-name.toml", "10-name.toml: not read, because everybody may write it")
            refused(CONF_D, "conf.d: not read, because everybody may write it")
        with self.check("a file of secrets that others may write is refused"):
            secret = "/etc/natsessiond/secret"
            machine.write(secret, "somebody:secret\n", 0o642)
            machine.run("chgrp", "natsession", secret)
            machine.write(CONF_D + "/50-http.toml",
                          f'sink = ["http://{SERVER4}/?credentials_file={secret}"]\n')
            machine.run("systemctl", "restart", UNIT, check=False)
            wait_until(lambda: "secret: not read, because everybody may write it" in machine.messages(), machine.messages)
            machine.run("chmod", "640", secret)
            self.wait_for_start()
            must(machine.run_as("stranger", "cat", secret)[0] != 0, "the secret can be read")
        for path in (secret, CONF_D + "/50-http.toml"):
            os.unlink(machine.tree + path)
        self.restart()

    def the_console(self):
        machine = self.machine
        service = "natsession-console.service"
        ask = lambda path: ("curl", "-sS", "-w", "\n%{http_code}", f"http://127.0.0.1:8088/api/v1/{path}")
        with self.check("apt installs natsession-console, which listens at once, on loopback alone"):
            machine.run("apt-get", "-qq", "install", "--yes", f"{PACKAGES}/natsession-console.deb", "curl")
            wait_until(lambda: machine.run("systemctl", "is-active", service, check=False).strip() == "active",
                       lambda: machine.run("journalctl", "-u", service, check=False)[-2000:])
            must("127.0.0.1:8088" in machine.run("ss", "-ltn"), machine.run("ss", "-ltn"))
        with self.check("it runs as natsession-console without any capability, in the group that may ask"):
            pid = machine.run("systemctl", "show", "--value", "--property", "MainPID", service).strip()
            told = machine.run("cat", f"/proc/{pid}/status")
            for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                must(int(re.search(rf"{kind}:\s*(\w+)", told)[1], 16) == 0, told)
            must(machine.run("stat", "-c", "%U", f"/proc/{pid}").strip() == "natsession-console", told)
            told = machine.run("systemd-analyze", "security", "--no-pager", service)
            exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told)[1])
            must(exposure <= MOST_EXPOSED, told)
        with self.check("root and members of the group are answered, nobody else is, and it is written down"):
            first = self.traffic(1)
            self.must_have_ends(first, 1)
            told = machine.run(*ask("status"))
            must('"logging_enabled":true' in told.replace(" ", ""), told)
            must(machine.run(*ask("top?since=-1h")).endswith("200"), "root is not answered")
            must(machine.run_as("clerk", *ask("top?since=-1h"))[1].endswith("200"), "a member of the group is not answered")
            _, told, _ = machine.run_as("stranger", *ask("top?since=-1h"))
            must(told.endswith("403"), told)
            audited = machine.run("cat", "/var/log/natsession-console/audit.jsonl")
            must('"user":"clerk"' in audited and '"user":"root"' in audited and '"event":"refused","user":"stranger"' in audited, audited)
            must("NATSESSION_USER=clerk" in machine.run("journalctl", "-t", "natsession-console", "-o", "export"), "the journal does not have it")
        with self.check("logrotate puts its audit log away, and the next question is in a new one"):
            machine.run("logrotate", "--force", "/etc/logrotate.d/natsession-console")
            must(machine.run(*ask("top?since=-2h")).endswith("200"), "root is not answered")
            must("--since=-2h" in machine.run("cat", "/var/log/natsession-console/audit.jsonl"), "it is not in the new file")
            must("--since=-2h" not in machine.run("cat", "/var/log/natsession-console/audit.jsonl.1"), "it is in the old file")
        with self.check("purged it leaves nothing but its user, and the logger goes on"):
            machine.run("apt-get", "-qq", "purge", "--yes", "natsession-console")
            for path in ("/etc/natsession-console", "/var/log/natsession-console", "/usr/bin/natsession-console"):
                must(not os.path.exists(machine.tree + path), path)
            must(machine.property("ActiveState") == "active", "natsessiond has stopped")

    def drop_ins(self):
        machine = self.machine

        def use(example):
            machine.run("install", "-D", "-m", "644", f"/usr/share/doc/natsessiond/examples/{example}",
                        f"/etc/systemd/system/{UNIT}.d/{example}")
            machine.run("systemctl", "daemon-reload")

        def leave():
            machine.run("rm", "-rf", f"/etc/systemd/system/{UNIT}.d", CONF_D + "/60-drop-in.toml")
            machine.run("systemctl", "daemon-reload")
            self.restart()

        with self.check("with netns.conf it watches another network namespace, also one that is made anew"):
            try:
                machine.run("ip", "netns", "add", "tenant")
                use("netns.conf")
                machine.write(CONF_D + "/60-drop-in.toml", 'netns = ["tenant"]\n')
                self.restart()
                must("tenant" in machine.run("natsessionctl", "status"), machine.run("natsessionctl", "status"))
                machine.run("ip", "netns", "del", "tenant")
                wait_until(lambda: "gone" in machine.run("natsessionctl", "status"), "it is told as gone")
                machine.run("ip", "netns", "add", "tenant")
                wait_until(lambda: "gone" not in machine.run("natsessionctl", "status"),
                           lambda: "it is back: " + machine.messages()[-1500:])
            finally:
                machine.run("ip", "netns", "del", "tenant", check=False)
                leave()
        with self.check("with exec.conf a sink's command is the user natsession-exec, and the daemon is natsession"):
            try:
                use("exec.conf")
                machine.run("install", "-d", "-o", "natsession-exec", "/srv/archive")
                machine.write(f"/etc/systemd/system/{UNIT}.d/archive.conf", "[Service]\nReadWritePaths=/srv/archive\n")
                machine.run("systemctl", "daemon-reload")
                machine.write(CONF_D + "/60-drop-in.toml", 'sink = ["exec:cat >>/srv/archive/log.json"]\n')
                self.restart()
                first = self.traffic(1)
                self.must_have_ends(first, 1)
                wait_until(lambda: f'"pri_port":{first}' in machine.run("cat", "/srv/archive/log.json", check=False),
                           lambda: "the command has the record: " + machine.run("natsessionctl", "status"))
                must(machine.run("stat", "-c", "%U", "/srv/archive/log.json").strip() == "natsession-exec", "whose file it is")
                must(machine.run("stat", "-c", "%U", f"/proc/{machine.pid()}").strip() == "natsession", "whose the daemon is")
                told = machine.run("cat", f"/proc/{machine.pid()}/status")
                must(int(re.search(r"CapPrm:\s*(\w+)", told)[1], 16) == CAP_NET_ADMIN, told)
            finally:
                leave()
        with self.check("and without them all is as before"):
            must(machine.run("stat", "-c", "%U %a", "/var/lib/natsessiond").split() == ["natsession", "2750"],
                 machine.run("ls", "-ld", "/var/lib/natsessiond"))
            self.must_have_ends(self.traffic())

    def reboot(self):
        machine = self.machine
        with self.check("after a reboot it logs before the network is up, and the log goes on"):
            first = self.traffic()
            self.must_have_ends(first)
            machine.halt()
            for name in ("acct", "timestamp"):
                self.lab.sysctl(name, 0)
            machine.boot()
            self.wait_for_start()
            self.must_have_ends(first)
            must(machine.run("cat", "/proc/sys/net/netfilter/nf_conntrack_acct").strip() == "1", "accounting is off")
            self.must_have_ends(self.traffic())

    def downgrade(self):
        machine = self.machine
        with self.check("a newer version and back: the ledger is one that both know, and goes on"):
            before, first = machine.pid(), self.traffic()
            self.must_have_ends(first)
            machine.run("apt-get", "install", "--yes", NEWER)
            self.wait_for_start(before)
            before = machine.pid()
            machine.run("apt-get", "install", "--yes", "--allow-downgrades", PACKAGE)
            self.wait_for_start(before)
            self.must_have_ends(first)
            self.must_have_ends(self.traffic())
        with self.check("a ledger that a newer version wrote is refused, with what to do"):
            machine.run("systemctl", "stop", UNIT)
            segments = machine.tree + "/var/lib/natsessiond/ledger/segments/"
            newest = segments + max(os.listdir(segments))
            header = make_newer(newest)
            status, _, _ = machine.result("systemctl", "start", UNIT)
            must(status != 0, "it has started")
            told = machine.messages()[-3000:]
            must("newer" in told, told)
            print("#   " + next(line for line in reversed(told.splitlines()) if "newer" in line))
            machine.run("systemctl", "stop", UNIT)
            with open(newest, "r+b") as file:
                file.write(header)
            machine.run("systemctl", "reset-failed", UNIT, check=False)
            machine.run("systemctl", "start", UNIT)

    def remove_and_purge(self, before):
        machine = self.machine
        first = self.traffic()
        self.must_have_ends(first)
        with self.check("removed it is gone and has stopped; log and configuration stay"):
            pid = machine.pid()
            machine.run("apt-get", "remove", "--yes", "natsessiond")
            must(not os.path.exists(f"{machine.tree}/lib/systemd/system/{UNIT}"), "the unit is there")
            must(machine.result("sh", "-c", f"kill -0 {pid}")[0] != 0, "the process is there")
            must(os.path.exists(machine.tree + "/etc/natsessiond/natsessiond.toml"), "the configuration is gone")
            must(os.listdir(machine.tree + "/var/lib/natsessiond/ledger"), "the ledger is gone")
            must(machine.result("test", "-e", "/run/natsessiond")[0] != 0, "/run/natsessiond is there")
        with self.check("installed again the log goes on"):
            machine.run("apt-get", "install", "--yes", PACKAGE)
            self.must_have_ends(first)
            self.must_have_ends(self.traffic())
        with self.check("purged nothing is left but its users"):
            machine.run("userdel", "--remove", "clerk", check=False)
            machine.run("userdel", "--remove", "stranger", check=False)
            machine.run("rm", "-rf", "/srv/archive")
            machine.run("apt-get", "purge", "--yes", "natsessiond")
            machine.run("apt-get", "autoremove", "--purge", "--yes")
            # What it depends on may stay, by apt's own rules.
            others = set(machine.run("sh", "-c", "cat /var/lib/dpkg/info/*.list").splitlines())
            left = [path for path in sorted(machine.files() - before - others)
                    if not re.match(r"/etc/(ssl|ca-certificates|(passwd|group|g?shadow|subuid|subgid)-?$)|"
                                    r"/usr/local/share/ca-certificates$", path)]
            must(not left, left)
            must("natsession" in machine.run("cat", "/etc/passwd"), "the user is gone: its number might be another's")


def main():
    tree, folder = sys.argv[1:]
    check = Results()
    with Lab(acct=0, timestamp=0, events=2) as lab:
        machine = lab.adopt(Machine(tree, folder, lab.nat))
        machine.boot()
        box = Box(lab, machine, check)
        before = box.install()
        if check.bad:  # nothing that could be tried is there
            print(machine.messages()[-3000:])
            sys.exit(check.sum())
        for tried in (box.upgrade_over_an_older_version, box.upgrade_in_a_burst, box.confinement, box.traffic_is_logged, box.status_line, box.reload,
                      box.rotation, box.deaths, box.strangers, box.the_console, box.untrusted_files, box.drop_ins, box.reboot, box.downgrade):
            try:
                tried()
            except (AssertionError, subprocess.SubprocessError, OSError) as error:
                with check(tried.__name__):
                    raise AssertionError(str(error))
        box.remove_and_purge(before)
    sys.exit(check.sum())


if __name__ == "__main__":
    main()
