"""Words to systemd: READY=1, STATUS=, STOPPING=1 and WATCHDOG=1 (sd_notify(3)).

Promises: does nothing when not started by systemd (no NOTIFY_SOCKET) and never raises.
"""

import os
import socket


def notify(*words: str) -> bool:
    """Send assignments like "READY=1"; True when systemd was told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # a full socket must not stop the supervisor
            sock.sendto("\n".join(words).encode(), address)
    except OSError:
        return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between WATCHDOG=1 (half of what systemd allows), None when it does not watch us."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for another process
    try:
        micros = int(os.environ["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return micros / 2_000_000 if micros > 0 else None
