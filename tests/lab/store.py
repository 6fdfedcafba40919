"""A service manager as systemd is one for this: it hears what a daemon tells, and keeps descriptors for its next start."""

import os
import socket
import threading


class Manager:
    """Listens at `path`. What it was told is in `told`; what it keeps, in `kept`, by name."""

    def __init__(self, path):
        self.path = path
        self.told = []
        self.kept = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 8)
            if data == b"end":
                return
            lines = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.told.append(lines)
            name = lines.get("FDNAME", "stored")
            if "FDSTOREREMOVE" in lines and name in self.kept:
                os.close(self.kept.pop(name))
            if "FDSTORE" in lines:
                self.kept[name] = descriptors.pop()
            for descriptor in descriptors:
                os.close(descriptor)

    def environment(self):
        """For a start: what is kept comes as the descriptors from 3 on, as sd_listen_fds(3) has it."""
        return {"NOTIFY_SOCKET": self.path, "LISTEN_FDS": str(len(self.kept)), "LISTEN_FDNAMES": ":".join(self.kept)}

    def pass_on(self):
        """(a command that runs a program with them, the descriptors that it needs)."""
        moves = " ".join(f"{3 + place}<&{fd}" for place, fd in enumerate(self.kept.values()))
        script = f'exec {moves}; LISTEN_PID=$$ exec "$@"' if moves else 'exec "$@"'
        return ("bash", "-c", script, "bash"), tuple(self.kept.values())

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", self.path)
        self._reader.join(5)
        self._socket.close()
        for descriptor in self.kept.values():
            os.close(descriptor)
        self.kept.clear()
