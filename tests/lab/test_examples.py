"""Every command that README and the manuals show is run, as it stands but for where its files are."""

import os
import re
import shutil
import subprocess

import console
import ctl
from case import LabCase, main
from certificates import Certificates
from clickhouse_server import NATIVE_PORT, PORT, ClickHouse
from daemon import program
from netlab import POOL4, SERVER4, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Who goes on until it is stopped.
ENDLESS = re.compile(r"natsessionctl .*(-f|--follow|-w|--watch)\b")
# Whom nobody asked, and who finds nothing, says so by its status (natsessionctl(1)).
STATUSES = {"who": (0, 1), "forget": (0, 1, 2), "trace": (0, 1), "check": (0, 3)}


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def commands_in(block):
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        if found and found[-1].count('"') % 2:
            found[-1] += " " + line.strip()  # a statement of several lines
        elif line.strip().startswith(("natsession", "curl ")):
            found.append(" ".join(line.partition(" # ")[0].split()))
    return found


def blocks_of_readme():
    return re.findall(r"^```\w*\n(.*?)^```$", text_of("README.md"), re.S | re.M)


def blocks_of_manual(name):
    text = text_of("packaging", "man", name)
    for escape, meant in ((r"\-", "-"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\fR", ""), (r"\e", "\\")):
        text = text.replace(escape, meant)
    return re.findall(r"^\.EX\n(.*?)^\.EE", text, re.S | re.M)


def examples():
    """The commands, in the order of the texts, each once."""
    blocks = blocks_of_readme() + blocks_of_manual("natsessiond.8") + blocks_of_manual("natsessionctl.1")
    found = [command for block in blocks for command in commands_in(block)]
    for name in (line.split()[0] for line in ctl.ask("--list-options").splitlines()):
        told = ctl.ask("help", *([] if name == "-" else [name]))
        found += commands_in(told.rpartition("Examples:\n")[2].partition("\n\n")[0])
    return list(dict.fromkeys(found))


def examples_of_the_console():
    blocks = blocks_of_readme() + blocks_of_manual("natsession-console.8")
    told = subprocess.run([console.program(), "--help"], check=True, capture_output=True, text=True).stdout
    blocks.append(told.rpartition("Examples:\n")[2].partition("\n\n")[0])
    return list(dict.fromkeys(command for block in blocks for command in commands_in(block) if command.startswith("natsession-console")))


class ExamplesTest(LabCase):
    needs = ClickHouse.needs

    def setUp(self):
        super().setUp()
        self.make_hosts("snat-range")
        for name in ("log", "etc/natsessiond", "mnt/evidence", "bin"):
            os.makedirs(self.path(name))
        self.write("statement.sql", "SELECT count(*) FROM log")
        default = subprocess.run([program(), "--default-config"], check=True, capture_output=True, text=True).stdout
        self.write("etc/natsessiond/natsessiond.toml", default)
        for name in ("natsessiond", "natsessionctl"):
            os.symlink(os.path.join(os.path.dirname(program()), name), self.path("bin/" + name))
        if not shutil.which("jq"):
            os.symlink("/bin/cat", self.path("bin/jq"))
        self.environment = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"], "NAT_TOKEN": "lab"}

    def moved(self, command):
        """Its files are in the test's folder, and the machine's own daemon is not asked."""
        for path, place in (("/var/log/", "log/"), ("/var/lib/", "lib/"), ("/run/natsessiond/", "run/"), ("/etc/", "etc/"),
                            ("/mnt/", "mnt/")):
            command = command.replace(path, self.path(place))
        if command.startswith("natsessionctl flow-log"):
            command += " --config " + self.path("etc/natsessiond/natsessiond.toml")
        command = command.replace("nat-box", self.lab.nat).replace("ch.example.net", f"127.0.0.1:{PORT}")
        if "| clickhouse-client" in command:  # the lab's is one of long ago
            command = command.replace("| clickhouse-client", f"--server-version {ClickHouse.version} | "
                                      f"clickhouse-client --host 127.0.0.1 --port {NATIVE_PORT}")
        return re.sub(r"^natsessionctl\b", f"natsessionctl --control {self.path('run/control.sock')}", command)

    def popen(self, command):
        return subprocess.Popen(
            [*self.lab.enter(self.lab.nat), "sh", "-c", f"exec {command}" if "|" not in command else command],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True)

    def run_daemon(self, command):
        """Until it is ready; then it is asked to stop. A service that this machine has not is not asked for."""
        if "journald" in command and not os.path.exists("/run/systemd/journal/socket"):
            command += " --print-config"
        process = self.popen(command)
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if "ready: " in line:
                    process.terminate()
        finally:
            process.stdout.close()
        statuses = (0, 3) if "--check" in command else (0,)
        self.assertIn(process.wait(30), statuses, f"{command}: {''.join(lines)}")
        if "--check" not in command and "--print-config" not in command:
            self.assertIn("ready: ", "".join(lines))

    def run_question(self, command):
        if "dead-letters" in command:
            self.write_letters()
        process = self.popen(command)
        if ENDLESS.search(command):
            told = process.stdout.readline()
            os.killpg(process.pid, 15)
            process.communicate(timeout=30)
            self.assertTrue(told and "error" not in told, f"{command}: {told}")
            return
        told, _ = process.communicate(timeout=60)
        words = command.split()
        allowed = next((allowed for word, allowed in STATUSES.items() if word in words), (0,))
        self.assertIn(process.returncode, allowed, f"{command}: {told}")

    def write_letters(self):
        """Letters that a sink has sent back; nobody has taken them away yet."""
        for name in ("lib/natsessiond/ledger/dead-letters/https%3A%2F%2Fcollector.example.net%2Fnat.jsonl", "again.json"):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
            if name.endswith("l"):
                self.write(name, '{"sink":"https://collector.example.net/nat","time":"2026-11-21T14:34:22.108Z","why":"400",'
                                 '"record":{"seq":1}}\n')

    def text(self, name):
        if not os.path.exists(self.path(name)):
            return ""
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def serve(self):
        """What the questions are asked of: a daemon with a ledger that has records."""
        ledger = self.path("lib/natsessiond/ledger")
        names = self.write("names.csv", "prefix,name,from\n192.168.1.23,alice,2020-01-01T00:00:00Z\n10.1.0.0/24,bob,2020-01-01T00:00:00Z\n")
        daemon = self.start(self.lab, "--ledger", ledger, "--control", self.path("run/control.sock"), "--sync", "100ms", "--identity", "csv:" + names,
                            "--sink", "syslog+tcp://log.example.net:601", "--sink", "file:" + self.path("log/nat.json"),
                            "--flow-log", '{name = "all", resource = "inner", record = "aws", window = "1s", '
                            f'destination = "file:{self.path("log/all.log")}"}}')
        self.client.burst("udp", SERVER4, 7000, 40000, 20)
        self.lab.conntrack("-D", "-p", "udp")
        wait_until(lambda: len(ctl.ledger_lines(ledger)) >= 20, "the records are in the ledger")
        wait_until(lambda: " OK" in self.text("log/all.log"), "entries of a flow log")
        shutil.copytree(ledger, self.path("mnt/evidence/ledger"))
        ClickHouse(self.lab, self.folder).run_script(ctl.ask(
            "clickhouse-schema", "--database", "nat", "--table", "sessions", "--server-version", ClickHouse.version))
        self.write("questions.csv", f"nat_ip,nat_port,time\n{POOL4[0]},40001,now\n")
        return daemon

    def test_each_runs(self):
        shown = examples()
        self.assertGreater(len(shown), 40)
        for command in shown:
            if command.startswith("natsessiond"):
                with self.subTest(command=command):
                    self.run_daemon(self.moved(command))
        daemon = self.serve()
        for command in shown:
            if command.startswith("natsessionctl") or (command.startswith("curl") and "control.sock" in command and shutil.which("curl")):
                with self.subTest(command=command):
                    self.run_question(self.moved(command))
        daemon.stop()

    def run_console(self, command):
        process = subprocess.Popen(
            [*self.lab.enter(self.lab.nat), "sh", "-c", f"exec {command} --audit audit.jsonl --journal ''" if " user " not in command else command],
            cwd=self.folder, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if " user " in command:
            told = process.communicate("correct horse\n", timeout=30)[1]
            self.assertEqual(process.returncode, 0, f"{command}: {told}")
            return
        told = process.stderr.readline()
        self.assertIn(" of ", told, command)
        process.terminate()
        told += process.communicate(timeout=30)[1]
        self.assertEqual(process.returncode, 0, f"{command}: {told}")

    def test_each_of_the_console_runs(self):
        certificates = Certificates(self.folder)
        shutil.copy(certificates.crt("server"), self.path("cert.pem"))
        shutil.copy(certificates.key("server"), self.path("key.pem"))
        os.makedirs(self.path("etc/natsession-console"))
        os.symlink(console.program(), self.path("bin/natsession-console"))
        shown = sorted(examples_of_the_console(), key=lambda command: " user set" not in command)
        self.assertGreater(len(shown), 4)
        for command in shown:
            with self.subTest(command=command):
                self.run_console(self.moved(command))
        self.write("console.conf", text_of("packaging", "etc", "natsession-console.conf"))
        self.run_console(f"natsession-console --config {self.path('console.conf')}")

    def test_the_configuration_of_the_manual_is_one(self):
        for number, block in enumerate(blocks_of_manual("natsessiond.toml.5")):
            path = self.write(f"{number}.toml", block.replace("/var/log/", self.path("log/")))
            self.run_daemon(f"natsessiond --config {path}" + (" --print-config" if "journald" in block else ""))


if __name__ == "__main__":
    main()
