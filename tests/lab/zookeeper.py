"""Debian's ZooKeeper in the NAT box's namespace, for the replicas of a ClickHouse."""

import os
import subprocess

from netlab import missing, wait_until
from untracked import leave_untracked

PORT = 12181

CONFIG = """tickTime=200
minSessionTimeout=1000
dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
"""
LOG = """log4j.rootLogger=ERROR, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
"""
JARS = ("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-log4j12", "log4j-1.2", "netty-all", "snappy-java", "metrics-core",
        "commons-cli", "commons-io")


class ZooKeeper:
    """It listens when the constructor returns."""

    needs = ("java",)

    def __init__(self, lab, folder):
        if not os.path.exists(f"/usr/share/java/{JARS[0]}.jar"):
            missing("libzookeeper-java is not installed")
        self._lab, self._folder = lab, os.path.join(folder, "zookeeper")
        os.makedirs(os.path.join(self._folder, "data"))
        for name, text in (("zoo.cfg", CONFIG.format(folder=self._folder, port=PORT)), ("log4j.properties", LOG)):
            with open(os.path.join(self._folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self._process = None
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def start(self):
        path = ":".join((self._folder, *(f"/usr/share/java/{jar}.jar" for jar in JARS)))
        with open(os.path.join(self._folder, "said"), "ab") as said:
            self._process = subprocess.Popen(
                [*self._lab.enter(self._lab.nat), "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", path,
                 "org.apache.zookeeper.server.quorum.QuorumPeerMain", os.path.join(self._folder, "zoo.cfg")],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        wait_until(self._listens, self._said)

    def _listens(self):
        return subprocess.run([*self._lab.enter(self._lab.nat), "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def _said(self):
        with open(os.path.join(self._folder, "said"), encoding="utf-8", errors="replace") as file:
            return "ZooKeeper listens; it said: " + file.read()[-2000:]

    def stop(self):
        self._process.kill()
        self._process.wait()

    close = stop
