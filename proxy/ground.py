"""What must stand before the first process starts: folders, store, free ports, one at a time.

Promises: every refusal is a CannotStart of one line that names the key and what helps. Nothing
is made anew that was lost: a missing database beside captured mail is refused. A store that only
cannot be asked right now (locked, full) stops no mail: doors need nothing but the disk.
"""

import errno
import fcntl
import os
import re
import socket
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from config.settings import ListenAddress, Settings
from proxy import maillog


class CannotStart(Exception):
    """The appliance cannot start; the text is one line that says why and what helps."""


def make_folders(settings: Settings) -> None:
    """The data folders, for nobody but us: they hold mail."""
    try:
        for folder in (
            settings.data_dir,
            settings.journal_dir,
            settings.blob_dir,
            settings.run_dir,
            metrics_dir(settings),
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"node.data_dir = {settings.data_dir}: allowed is a folder that we may write"
            f" ({error.filename}: {error.strerror})"
        ) from error


def metrics_dir(settings: Settings) -> Path:
    return settings.run_dir / "metrics"


def clear_run(settings: Settings, roles: Sequence[str] | None) -> None:
    """Remove beats and numbers of an earlier run: of these roles, or (None) of all there ever were.

    Counters begin at 0 with the supervisor, as Prometheus expects of a process that started.
    """
    old = [*settings.run_dir.glob("*.json"), *metrics_dir(settings).glob("*.db")]
    for path in old:
        # worker.json, counter_worker.db, gauge_mostrecent_worker.db
        if roles is None or any(path.stem == r or path.stem.endswith(f"_{r}") for r in roles):
            path.unlink(missing_ok=True)


def prepare_store(settings: Settings) -> None:
    """Make a new store, refuse an old schema; a store that cannot be asked stops no mail."""
    from crmstore.store import SchemaOld, StoreError, open_store

    store = open_store(settings)
    try:
        if store.is_new():
            if any(settings.blob_dir.iterdir()):
                raise CannotStart(
                    f"{store.about}: the database is missing, but {settings.blob_dir} holds mail:"
                    " restore the database, or make an empty one with `mailweir migrate`"
                )
            store.migrate()
        store.check_schema()
    except SchemaOld as error:
        raise CannotStart(str(error)) from error
    except StoreError as error:
        maillog.store_trouble("start", error, retry_in=0)
    finally:
        store.close()


def prepare_keys(settings: Settings) -> None:
    """The keys of signed return paths: made if there are none; wrong ones are refused."""
    from bounce import keyfile

    if not settings.bounce.return_path_domain:
        return
    path = settings.return_path_keys
    try:
        if settings.bounce.key_file is None:
            keyfile.keep(path, time.time())
        keyfile.read(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(
            f"bounce.key_file = {path}: allowed is a file of keys that only we may read ({why})"
        ) from error


def check_ports(settings: Settings, kinds: Collection[str] = ("smtp", "imap")) -> None:
    """Doors share their port (SO_REUSEPORT), so only this sees that somebody else has it."""
    listeners = [
        (f"{kind}[{number}]", listener)
        for kind in kinds
        for number, listener in enumerate(settings.doors(kind))
    ]
    for at, listener in listeners:
        patience = time.monotonic() + 3  # of a killed predecessor the kernel is just clearing up
        while (error := _bind_error(listener.listen)) is not None:
            if error.errno != errno.EADDRINUSE or time.monotonic() > patience:
                raise CannotStart(
                    f"{at}.listen = {listener.listen}: allowed is an address that is"
                    f" free here ({error.strerror}){_remedy(error)}"
                )
            time.sleep(0.1)


def _remedy(error: OSError) -> str:
    if error.errno != errno.EACCES:
        return ""
    return "; ports below 1024 need CAP_NET_BIND_SERVICE, which the unit of `quickstart` gives"


def _bind_error(address: ListenAddress) -> OSError | None:
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        # Only a listening socket is in the way, not connections that are still winding down.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error
    return None


SUPERVISOR = "supervisor.lock"


class Lock:
    """One such process per data folder; the kernel frees it however the process ends."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise CannotStart(
                f"{self._path}: another `{self._what}` holds this data folder"
            ) from None

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def runs(settings: Settings) -> bool:
    """Does a `mailweir run` hold this data folder? Asked of the kernel's list, so that nobody who
    starts meanwhile is kept from the lock."""
    try:
        inode = (settings.run_dir / SUPERVISOR).stat().st_ino
        locks = Path("/proc/locks").read_text()
    except OSError:
        return False
    return re.search(rf"FLOCK .*:{inode} ", locks) is not None
