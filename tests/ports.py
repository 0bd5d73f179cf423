"""TCP ports of 127.0.0.1 for the servers of tests, each handed out once.

To bind port 0, read the number and close names a port that the kernel may give to anybody a
moment later: to another worker's server, to a client that connects, to the next call. So ports
come from below the range that the kernel gives away (`ip_local_port_range`, 32768 and up), by
one cursor that all workers of all runs of a user share. Below `FIRST` are those that stand in
written configurations, which nobody listens on.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 21_000, 32_000


def free_port(run: int = 1) -> int:
    """The first of `run` ports in a row that nothing listens on; no other call gets them until
    the cursor has been round all `LAST - FIRST` ports.

    Raises:
        OSError: no such row is left.
    """
    cursor = Path(tempfile.gettempdir()) / f"mailweir-ports-{os.getuid()}"
    with open(cursor, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        port = int(text) if text.isdecimal() else FIRST
        for _ in range(FIRST, LAST):
            if not FIRST <= port <= LAST - run:
                port = FIRST
            busy = [at for at in range(port, port + run) if not _is_free(at)]
            if not busy:
                file.truncate(0)
                file.write(str(port + run))
                return port
            port = busy[-1] + 1
    raise OSError(f"no {run} free ports in a row from {FIRST} to {LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
