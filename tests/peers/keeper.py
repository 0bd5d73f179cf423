"""Runs a server exactly as long as the test process wants it, however that process ends.

    python keeper.py FOLDER COMMAND ...

Standard input is a pipe from the test process. "stop" on it, or its end (the test process is gone,
by SIGKILL even), ends the server with all of its process group; in the second case its folder is
removed as well. (PR_SET_PDEATHSIG would not do: the kernel forgets it when a server changes its
user, as Postfix does.) Ends with the server's code if that ends by itself.

Nothing of the server is left when this has ended: children that lost their parent become ours
(PR_SET_CHILD_SUBREAPER), are killed too, and waited for. One that still held a port would keep the
next server from it.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(folder: str, command: list[str]) -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            break
    else:
        clear_away()
        return server.returncode
    abandoned = os.read(sys.stdin.fileno(), 100) == b""
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        pass  # the signal below cannot be ignored
    clear_away()
    if abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def clear_away() -> None:
    """All that is below us."""
    children = f"/proc/self/task/{os.getpid()}/children"
    while True:
        with open(children) as file:
            for pid in map(int, file.read().split()):
                os.kill(pid, signal.SIGKILL)  # ours until we have waited for it
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
