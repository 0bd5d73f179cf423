"""Runs a server exactly as long as the test process wants it, however that process ends.

    python keeper.py FOLDER COMMAND ...

Standard input is a pipe from the test process. "stop" on it, or its end (the test process is gone,
by SIGKILL even), ends the server with all of its process group; in the second case its folder is
removed as well. (PR_SET_PDEATHSIG would not do: the kernel forgets it when a server changes its
user, as Postfix does.) Ends with the server's code if that ends by itself.
"""

import os
import select
import shutil
import signal
import subprocess
import sys


def main(folder: str, command: list[str]) -> int:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            break
    else:
        return server.returncode
    abandoned = os.read(sys.stdin.fileno(), 100) == b""
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        pass  # the signal below cannot be ignored
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody of its group is left
    server.wait()
    if abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
