"""Octets that the processes of one appliance share: a small file, mapped by each (edge).

Promises: `shared` gives `size` octets, zeros at first; what one process writes the others read. The
room on the disk is taken before, since a page that finds none would end the process (SIGBUS); where
there is none, or no such file can be, the process gets octets of its own.
There is no lock: only for counts that may be off by one now and then.
"""

import mmap
import os
from pathlib import Path


def shared(path: Path, size: int) -> memoryview:
    """The octets of the file at `path`, which is made if need be."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size != size:
                _fill(fd, size)
            return memoryview(mmap.mmap(fd, size))
        finally:
            os.close(fd)
    except OSError:
        return memoryview(bytearray(size))


def _fill(fd: int, size: int) -> None:
    """Zeros, written: a hole would take its room when it is used."""
    zeros, at = bytes(size), 0
    while at < size:
        at += os.pwrite(fd, memoryview(zeros)[at:], at)
    os.ftruncate(fd, size)
