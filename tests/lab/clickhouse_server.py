"""Debian's clickhouse-server in the NAT box's namespace, alone or as a replica, with users that may do less than all: `natbox`,
`reader` (may write nothing), `elsewhere` (another database alone), `few` (some questions an hour). Their password is `sesame`."""

import os
import subprocess

from netlab import run, wait_until
from untracked import leave_untracked

PORT = 18123
NATIVE_PORT = 19000

CONFIG = """<yandex>
 <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
 <http_port>{port}</http_port><tcp_port>{native}</tcp_port><listen_host>127.0.0.1</listen_host>
 <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><mark_cache_size>500000000</mark_cache_size>
 <users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
{replica}</yandex>
"""
REPLICA = """ <interserver_http_port>{interserver}</interserver_http_port><interserver_http_host>127.0.0.1</interserver_http_host>
 <zookeeper><node><host>127.0.0.1</host><port>{zookeeper}</port></node><session_timeout_ms>2000</session_timeout_ms></zookeeper>
 <macros><shard>1</shard><replica>{name}</replica></macros>
"""
USER = ("<{name}><password>{password}</password><networks><ip>::/0</ip></networks><profile>{profile}</profile><quota>{quota}</quota>"
        "{more}</{name}>")
USERS = {  # what is other than in USUAL
    "default": {"password": ""}, "natbox": {}, "reader": {"profile": "readonly"}, "few": {"quota": "few"},
    "both": {"profile": "both"}, "elsewhere": {"databases": ["other"]},
}
USUAL = {"password": "sesame", "profile": "default", "quota": "default", "databases": []}
# few: one question, and no other after it. both: an insert is stored once two replicas have it.
USERS_FILE = """<yandex><profiles><default/><readonly><readonly>1</readonly></readonly>
<both><insert_quorum>2</insert_quorum><insert_quorum_timeout>3000</insert_quorum_timeout></both></profiles>
<users>{users}</users><quotas><default/>
<few><interval><duration>3600</duration><queries>{few}</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows>
<execution_time>0</execution_time></interval></few></quotas></yandex>
"""
FEW = 1


class ClickHouse:
    """It answers when the constructor returns."""

    needs = ("clickhouse-server", "curl")
    version = "18.16.1"
    is_present = False

    def __init__(self, lab, folder, replica="", place=0, zookeeper=None):
        """replica: its name, of those that meet at the port `zookeeper`; `place` counts them from 0."""
        self.port, native = PORT + 10 * place, NATIVE_PORT + 10 * place
        self._lab, self._folder = lab, os.path.join(folder, "clickhouse" + replica)
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(self._folder, name))
        as_replica = REPLICA.format(interserver=self.port + 1, zookeeper=zookeeper, name=replica) if replica else ""
        self._write("config.xml", CONFIG.format(folder=self._folder, port=self.port, native=native, replica=as_replica))
        self._users = {name: USUAL | other for name, other in USERS.items()}
        self._write_users()
        self._process = None
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def _write(self, name, text):
        with open(os.path.join(self._folder, name + ".new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(os.path.join(self._folder, name + ".new"), os.path.join(self._folder, name))

    def _write_users(self):
        def element(name, user):
            allowed = "".join(f"<database>{one}</database>" for one in user["databases"])
            more = f"<allow_databases>{allowed}</allow_databases>" if allowed else ""
            return USER.format(name=name, more=more, **user)
        self._write("users.xml", USERS_FILE.format(users="".join(element(*one) for one in self._users.items()), few=FEW))

    def change_user(self, name, **other):
        """From its next question on it is as it was first, but for these."""
        self._users[name] = USUAL | USERS[name] | other
        self._write_users()
        self.ask("SYSTEM RELOAD CONFIG")

    def start(self):
        with open(os.path.join(self._folder, "said"), "ab") as said:
            self._process = subprocess.Popen(
                [*self._lab.enter(self._lab.nat), *self._command()],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        wait_until(lambda: self.ask("SELECT 1", check=False) == "1\n", self._said)

    def _command(self):
        return ["clickhouse-server", f"--config-file={self._folder}/config.xml"]

    def _said(self):
        with open(os.path.join(self._folder, "said"), encoding="utf-8", errors="replace") as file:
            return "clickhouse-server answers; it said: " + file.read()[-2000:]

    def stop(self):
        self._process.kill()
        self._process.wait()

    close = stop

    @staticmethod
    def time(seconds):
        """As its tables have one."""
        return f"{seconds * 1000:.0f}"

    def ask(self, statement, check=True):
        return run(*self._lab.enter(self._lab.nat), "curl", "-sS", f"http://127.0.0.1:{self.port}/", "--data-binary", "@-",
                   text_in=statement, check=check)

    def run_script(self, statements):
        for statement in statements.split(";\n"):
            if statement.strip():
                said = self.ask(statement)
                assert said == "", said


class PresentClickHouse(ClickHouse):
    """One of the present, without users: chdb_server.js. By hand:
    npm install --prefix DIR chdb; NATSESSION_CHDB=DIR python3 tests/lab/test_clickhouse.py"""

    needs = ("node", "curl", "zstd")
    version = "26.7"
    is_present = True

    @staticmethod
    def time(seconds):
        return f"fromUnixTimestamp64Milli(toInt64({seconds * 1000:.0f}))"

    def _command(self):
        here = os.path.dirname(os.path.abspath(__file__))
        modules = os.path.join(os.path.abspath(os.environ["NATSESSION_CHDB"]), "node_modules")
        return ["env", f"NODE_PATH={modules}", "node", os.path.join(here, "chdb_server.js"), str(self.port), self._folder]


def clickhouse_of_today():
    """The class of the server that is asked for."""
    return PresentClickHouse if "NATSESSION_CHDB" in os.environ else ClickHouse
