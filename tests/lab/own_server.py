"""A server that is a program of the lab's own: it reads its settings, and says "ready" when it listens."""

import json
import os
import subprocess
import sys


def start_server(lab, file, settings):
    """Runs the Python file in the NAT box's namespace; it listens when this returns."""
    process = subprocess.Popen([*lab.enter(lab.nat), sys.executable, "-B", os.path.abspath(file)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    process.stdin.write(json.dumps(settings))
    process.stdin.close()
    assert process.stdout.readline() == "ready\n", f"{os.path.basename(file)} does not start"
    return process
