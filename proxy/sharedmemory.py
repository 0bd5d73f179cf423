"""Octets that the processes of one appliance share: a small file, mapped by each (edge).

Promises: `shared` gives `size` octets, zeros at first; what one process writes the others read.
There is no lock: only for counts that may be off by one now and then.
"""

import mmap
import os
from pathlib import Path


def shared(path: Path, size: int) -> memoryview:
    """Map the file, made if need be. OSError where that cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_size != size:
            os.ftruncate(fd, size)
        return memoryview(mmap.mmap(fd, size))
    finally:
        os.close(fd)
