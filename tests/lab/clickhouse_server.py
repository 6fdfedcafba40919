"""Debian's clickhouse-server in the NAT box's namespace, with users `natbox` (password `sesame`) and `reader` (may write nothing)."""

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
</yandex>
"""
USER = "<{name}><password>{password}</password><networks><ip>::/0</ip></networks><profile>{profile}</profile><quota>default</quota></{name}>"
USERS = """<yandex><profiles><default/><readonly><readonly>1</readonly></readonly></profiles>
<users>{users}</users><quotas><default/></quotas></yandex>
"""


class ClickHouse:
    """It answers when the constructor returns."""

    needs = ("clickhouse-server", "curl")
    version = "18.16.1"

    def __init__(self, lab, folder):
        self._lab, self._folder = lab, os.path.join(folder, "clickhouse")
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(self._folder, name))
        users = [("default", "", "default"), ("natbox", "sesame", "default"), ("reader", "", "readonly")]
        for name, text in (("config.xml", CONFIG.format(folder=self._folder, port=PORT, native=NATIVE_PORT)),
                           ("users.xml", USERS.format(users="".join(
                               USER.format(name=n, password=p, profile=q) for n, p, q in users)))):
            with open(os.path.join(self._folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self._process = None
        leave_untracked(lab)
        self.start()
        lab.adopt(self)

    def start(self):
        with open(os.path.join(self._folder, "said"), "ab") as said:
            self._process = subprocess.Popen(
                [*self._lab.enter(self._lab.nat), "clickhouse-server", f"--config-file={self._folder}/config.xml"],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        wait_until(lambda: self.ask("SELECT 1", check=False) == "1\n", self._said)

    def _said(self):
        with open(os.path.join(self._folder, "said"), encoding="utf-8", errors="replace") as file:
            return "clickhouse-server answers; it said: " + file.read()[-2000:]

    def stop(self):
        self._process.kill()
        self._process.wait()

    close = stop

    def ask(self, statement, check=True):
        return run(*self._lab.enter(self._lab.nat), "curl", "-sS", f"http://127.0.0.1:{PORT}/", "--data-binary", "@-",
                   text_in=statement, check=check)

    def run_script(self, statements):
        for statement in statements.split(";\n"):
            if statement.strip():
                said = self.ask(statement)
                assert said == "", said
