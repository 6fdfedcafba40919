"""Rsyslog: a real rsyslogd in the NAT box's namespace, which reads the structured data back (mmpstrucdata)."""

import json
import os
import signal
import subprocess

from netlab import missing, wait_until
from untracked import leave_untracked

RSYSLOGD = "/usr/sbin/rsyslogd"
UDP, TCP, TLS, TLS_CLIENTS = 5141, 5142, 5143, 5144  # ports; to TLS_CLIENTS only who shows a certificate may speak

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k"
       defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{crt}"
       defaultNetstreamDriverKeyFile="{key}" parser.escapeControlCharactersOnReceive="on")
module(load="imuxsock" sysSock.use="off")
module(load="imudp")
module(load="imtcp" maxSessions="100")
module(load="mmpstrucdata")
input(type="imuxsock" socket="{socket}" useSpecialParser="off" rateLimit.interval="0" ruleset="keep")
input(type="imudp" address="127.0.0.1" port="{udp}" rcvbufSize="8m" ruleset="keep")
input(type="imtcp" address="127.0.0.1" port="{tcp}" ruleset="keep" name="tcp")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="keep" name="tls"
      streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="{tls_clients}" ruleset="keep" name="tls-clients"
      streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="line" type="string" string="%timereported:::date-rfc3339% %$!all-json-plain%\\n")
ruleset(name="keep") {{
  action(type="mmpstrucdata")
  set $!head!pri = $pri;
  set $!head!host = $hostname;
  set $!head!application = $app-name;
  set $!head!process = $procid;
  set $!head!message = $msgid;
  set $!head!text = $msg;
  set $!head!input = $inputname;
  action(type="omfile" file="{out}" template="line" asyncWriting="off")
}}
"""


class Rsyslog:
    """Listens when the constructor returns. messages() are dicts: "time" and "head" are of the header, "fields" the data."""

    def __init__(self, lab, folder, certificates):
        if not os.path.exists(RSYSLOGD):
            missing(f"needs {RSYSLOGD}, of the package rsyslog: ./packaging/install-deps.sh --tests")
        self._lab = lab
        self._folder = folder
        self.socket = os.path.join(folder, "log")
        self._out = os.path.join(folder, "syslog.jsonl")
        self._configuration = os.path.join(folder, "rsyslog.conf")
        with open(self._configuration, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(
                folder=folder, socket=self.socket, out=self._out, udp=UDP, tcp=TCP, tls=TLS, tls_clients=TLS_CLIENTS,
                ca=certificates.crt("ca"), crt=certificates.crt("server"), key=certificates.key("server")))
        self._process = None
        self._log = os.path.join(folder, "rsyslogd.log")
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def start(self):
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [*self._lab.enter(self._lab.nat), RSYSLOGD, "-n", "-f", self._configuration, "-i",
                 os.path.join(self._folder, "rsyslogd.pid")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self._listens, lambda: "rsyslogd listens; it said: " + self.told())

    def _listens(self):
        assert self._process.poll() is None, "rsyslogd ended: " + self.told()
        ports = subprocess.run([*self._lab.enter(self._lab.nat), "cat", "/proc/net/tcp"], capture_output=True,
                               text=True, check=True).stdout
        return os.path.exists(self.socket) and all(f":{port:04X} 00000000:0000 0A" in ports
                                                   for port in (TCP, TLS, TLS_CLIENTS))

    def told(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def stop(self):
        """As a restart of the service does: it writes out what it has read."""
        self._process.terminate()
        self._process.wait(30)

    def crash(self):
        self._process.kill()
        self._process.wait()

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def messages(self, input_name=None):
        if not os.path.exists(self._out):
            return []
        with open(self._out, encoding="utf-8") as file:
            text = file.read()
        found = []
        for line in text[:text.rfind("\n") + 1].splitlines():
            time, _, text = line.partition(" ")
            entry = json.loads(text)
            head = entry["head"]
            (fields,) = entry["rfc5424-sd"].values()
            if input_name in (None, head["input"]) and fields.get("reason") != "started":  # as read_records()
                found.append({"time": time, "head": head, "fields": fields})
        return found

    def wait_for(self, count, input_name=None):
        """Until so many different records have come. Returns all messages."""
        def met():
            messages = self.messages(input_name)
            return messages if len({key_of(m) for m in messages}) >= count else None
        return wait_until(met, lambda: f"{count} records at rsyslogd; there are {len(self.messages(input_name))}; "
                                       f"it said: {self.told()}")

    def close(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()


def key_of(message):
    fields = message["fields"]
    if "session_id" in fields:
        return fields["session_id"], fields["seq"]
    return message["head"]["message"], tuple(sorted(fields.items()))
