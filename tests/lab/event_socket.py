"""The conntrack event sockets of another process, seen from outside: what the kernel says of them."""

import array
import ctypes
import errno
import os
import socket

from netlab import missing, wait_until

SYS_PIDFD_GETFD = 438
AF_NETLINK, NETLINK_NETFILTER, SOL_NETLINK = 16, 12, 270
NETLINK_BROADCAST_ERROR = 4
SO_MEMINFO = 55
MEMINFO_RMEM_ALLOC, MEMINFO_DROPS = 0, 8


def duplicate(pid, number):
    """The descriptor `number` of a process, as one of this process; None if it has closed it."""
    pidfd = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        copy = libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        if copy < 0 and ctypes.get_errno() == errno.EBADF:
            return None
        if copy < 0:
            missing("pidfd_getfd() of a conntrack socket: " + os.strerror(ctypes.get_errno()))
        return copy
    finally:
        os.close(pidfd)


def event_sockets(pid):
    """Duplicates of its sockets that are subscribed to conntrack groups, in the order of their numbers; of one that it
    holds twice, for another guard, one."""
    found, seen = [], set()
    folder = f"/proc/{pid}/fd"
    for number in sorted(map(int, os.listdir(folder))):
        try:
            target = os.readlink(f"{folder}/{number}")
        except FileNotFoundError:  # a process that has just begun opens and closes files
            continue
        if not target.startswith("socket:") or target in seen:
            continue
        seen.add(target)
        duplicated = duplicate(pid, number)
        if duplicated is None:
            continue
        copy = socket.socket(fileno=duplicated)
        if copy.family == AF_NETLINK and copy.proto == NETLINK_NETFILTER and copy.getsockname()[1]:
            found.append(copy)
        else:
            copy.close()
    return found


def memory(event_socket, index):
    return array.array("I", event_socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[index]


class EventSocket:
    """Of a daemon that is ready and watches one namespace."""

    def __init__(self, lab, daemon):
        (self._socket,) = event_sockets(daemon.pid)
        lab.adopt(self)

    def reliable(self):
        return self._socket.getsockopt(SOL_NETLINK, NETLINK_BROADCAST_ERROR) != 0

    def dropped(self):
        """How many events did not fit, since it was opened."""
        return memory(self._socket, MEMINFO_DROPS)

    def wait_until_read(self):
        """Until the process has taken everything that is queued."""
        wait_until(lambda: memory(self._socket, MEMINFO_RMEM_ALLOC) == 0, "the daemon has read all events")

    def close(self):
        self._socket.close()
