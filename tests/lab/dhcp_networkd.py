"""systemd-networkd's DHCP server in a lab's NAT box. Its own log names neither address nor client, so a witness on the wire
tells who had which; as a program this file is that witness: `dhcp_networkd.py INTERFACE` prints a line for each packet of DHCP.

NATSESSION_NETWORKD_TREE: a tree with a systemd of 256 or newer, where this machine's own is older; networkd.sh makes one."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from dhcp import Server
from netlab import missing, run, wait_until

PROGRAM = "/usr/lib/systemd/systemd-networkd"
ANOTHER_BOOT = "01234567-89ab-4def-8123-456789abcdef"
ACK, RELEASE = 5, 7

NETWORK = """[Match]
Name=inner

[Network]
Address=10.64.0.1/24
Address=fd64::1/64
LinkLocalAddressing=no
IPv6AcceptRA=no
KeepConfiguration=yes
DHCPServer=yes

[DHCPServer]
PoolOffset=100
PoolSize={pool}
DefaultLeaseTimeSec={lifetime}
MaxLeaseTimeSec={lifetime}
EmitDNS=no
EmitNTP=no
EmitRouter=no
"""

# In a mount namespace of its own. $1 tree, $2 folder, $3 the file with a boot's id or "". /sys is read-only, as in a container:
# else networkd waits for udev. Without systemd nobody tells it that it may write to /var.
ENTER = r"""set -e
tree=$1 folder=$2 boot=$3
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount --bind "$folder/state" "$tree/var/lib/systemd/network"
mount --bind "$folder/networks" "$tree/etc/systemd/network"
[ -z "$boot" ] || mount --bind "$boot" "$tree/proc/sys/kernel/random/boot_id"
mount -t tmpfs -o mode=755 natlab "$tree/run"
mkdir "$tree/run/systemd"
exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_TIME=1 \
  SYSTEMD_NETWORK_PERSISTENT_STORAGE_READY=1 /usr/lib/systemd/systemd-networkd
"""


class Networkd(Server):
    """begun: it has given leases before, so that it has a folder for them."""

    def __init__(self, lab, folder, lifetime=600, pool=6, begun=True):
        self._tree = os.environ.get("NATSESSION_NETWORKD_TREE", "/").rstrip("/")
        if not os.path.exists(self._tree + PROGRAM):
            missing(f"needs {self._tree + PROGRAM}: tests/lab/networkd.sh")
        version = re.search(r"systemd (\d+)", run("chroot", self._tree or "/", PROGRAM, "--version"))
        if int(version.group(1)) < 256:
            missing(f"needs a systemd that keeps leases, of 256 or newer, and this is {version.group(1)}: tests/lab/networkd.sh")
        super().__init__(lab, folder)
        state = os.path.join(folder, "state")
        self.leases = os.path.join(state, "dhcp-server-lease")
        with open(self._tree + "/etc/passwd", encoding="utf-8") as file:
            user = next([int(word) for word in row.split(":")[2:4]] for row in file if row.startswith("systemd-network:"))
        for path in (state, self.leases) if begun else (state,):
            os.mkdir(path, 0o755)
            os.chown(path, *user)
        os.mkdir(os.path.join(folder, "networks"))
        with open(os.path.join(folder, "networks", "inner.network"), "w", encoding="utf-8") as file:
            file.write(NETWORK.format(lifetime=lifetime, pool=pool))
        self._boot = None
        self._wire = os.path.join(folder, "wire.jsonl")
        with open(self._wire, "wb") as out:
            self._witness = subprocess.Popen([*lab.enter(lab.nat), sys.executable, os.path.abspath(__file__), "inner"],
                                             stdin=subprocess.DEVNULL, stdout=out, start_new_session=True)
        wait_until(lambda: os.path.getsize(self._wire), "the witness of DHCP looks")
        self.start()

    def boot_anew(self):
        """From the next start on it is another boot: with another id, and since another time."""
        self._boot = os.path.join(self._folder, "boot_id")
        with open(self._boot, "w", encoding="ascii") as file:
            file.write(ANOTHER_BOOT + "\n")

    def start(self):
        back = min(3600, int(time.clock_gettime(time.CLOCK_BOOTTIME)) - 10)
        booted = ["unshare", "--time", "--boottime", str(-back), "--fork", "--kill-child"] if self._boot else []
        with open(os.path.join(self._folder, "networkd.log"), "ab") as log:
            self._process = subprocess.Popen(
                [*booted, *self._lab.enter(self._lab.nat), "unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER,
                 "sh", self._tree, self._folder, self._boot or ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: ":0043 " in run(*self._lab.enter(self._lab.nat), "cat", "/proc/net/udp")
                   or self._process.poll() is not None,
                   lambda: "networkd serves; it said: " + self.told("networkd.log")[-2000:])
        assert self._process.poll() is None, self.told("networkd.log")[-2000:]

    def stop(self):
        pid = self._process.pid
        if self._process.args[1] == "--time":  # unshare waits for it, and does not pass a signal on
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                pid = int(children.read().split()[0])
        os.kill(pid, signal.SIGTERM)
        self._process.wait(20)

    def renew(self, client):
        """Until it has granted that."""
        granted = lambda: sum(row["type"] == ACK and row["mac"] == client.mac for row in self._packets())
        before = granted()
        client.renew()
        wait_until(lambda: granted() > before, f"the lease of {client.interface} is renewed")

    def _packets(self):
        with open(self._wire, encoding="utf-8") as file:
            text = file.read()
        return [json.loads(row) for row in text[:text.rfind("\n") + 1].splitlines()[1:]]

    def history(self):
        """By the witness. A lease ends when it is given back, or is over."""
        found, ends = [], {}
        for row in [*self._packets(), {"at": time.time(), "type": None}]:
            for address, (end, mac) in sorted(ends.items()):
                if end <= row["at"]:
                    found.append((end, "del", address, mac))
                    del ends[address]
            if row["type"] == ACK and row["lifetime"]:
                found.append((row["at"], "add", row["gets"], row["mac"]))
                ends[row["gets"]] = (row["at"] + row["lifetime"], row["mac"])
            elif row["type"] == RELEASE and row["has"] in ends and ends[row["has"]][1] == row["mac"]:
                found.append((row["at"], "del", row["has"], row["mac"]))
                del ends[row["has"]]
        return found

    def close(self):
        super().close()
        self._witness.kill()
        self._witness.wait()


def witness(interface):
    """Prints an empty line of JSON when it looks, and then one for each packet."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((interface, 0))
    print("{}", flush=True)
    while True:
        packet, now = wire.recv(4096), time.time()
        if len(packet) < 14 + 20 or packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_UDP:
            continue
        bootp = packet[14 + (packet[14] & 15) * 4 + 8:]
        if bootp[236:240] != b"\x63\x82\x53\x63":
            continue
        options, at = {}, 240
        while at < len(bootp) and bootp[at] != 255:
            if bootp[at] == 0:
                at += 1
                continue
            options[bootp[at]] = bootp[at + 2:at + 2 + bootp[at + 1]]
            at += 2 + bootp[at + 1]
        print(json.dumps({"at": now, "type": options.get(53, b"\0")[0], "has": socket.inet_ntoa(bootp[12:16]),
                          "gets": socket.inet_ntoa(bootp[16:20]), "mac": bootp[28:34].hex(":"),
                          "lifetime": struct.unpack("!I", options[51])[0] if 51 in options else None}), flush=True)


if __name__ == "__main__":
    witness(sys.argv[1])
