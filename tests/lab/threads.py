"""One thread of a program made to stand still, as a fault would: SIGSTOP stops them all."""

import contextlib
import ctypes
import os

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread}")


def _thread_named(pid, name):
    for thread in os.listdir(f"/proc/{pid}/task"):
        # One that ends meanwhile is not the one.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as file:
            if file.read().strip() == name:
                return int(thread)
    raise AssertionError(f"process {pid} has no thread {name}")


@contextlib.contextmanager
def stopped_thread(pid, name):
    thread = _thread_named(pid, name)
    _ptrace(PTRACE_SEIZE, thread)
    try:
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, 0x40000000)  # __WALL: its stop
        yield
    finally:
        _ptrace(PTRACE_DETACH, thread)
