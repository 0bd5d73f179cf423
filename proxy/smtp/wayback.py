"""What a door's gate looks things up in: the suppression list and the keys of return paths (edge).

Two files, looked at once a tick; the worker writes both. Neither is needed: without the list
nothing is refused, without keys nothing is signed, and mail goes on (threats.md, "Promises").
"""

from __future__ import annotations

import time
from typing import Final

from bounce import keyfile
from bounce.suppressfile import SuppressionFile
from bounce.verp import ReturnPaths
from config.settings import Settings
from proxy import maillog
from proxy.metrics import SmtpCounters
from proxy.smtp.gate import Gate

LOOK: Final = 5.0


class WayBack:
    """One door's. `gate` is None where the configuration leaves it nothing to do."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        counters: SmtpCounters | None,
        *,
        suppress: bool = True,
    ) -> None:
        bounce = settings.bounce
        self._settings = settings
        self._signs = bool(bounce.return_path_domain)
        self._list: SuppressionFile | None = None
        self._keys_stamp: tuple[int, int] | None = None
        self._next = 0.0
        self._told = False
        self.gate: Gate | None = None
        if role == "submission" and suppress and bounce.suppress:
            self._list = SuppressionFile(settings.suppression_file)
        if role == "submission" or self._signs:
            self.gate = Gate(
                role,
                suppressed=self._list.find if self._list is not None else None,
                envid=bounce.envid or self._signs,
                ours=settings.node.domains,
                clock=time.time,
                count=counters.recipient if counters is not None else lambda what: None,
            )
        self.refresh()

    @classmethod
    def of_queue(cls, settings: Settings) -> WayBack:
        """For mail that the queue sends: it is signed as a door signs it."""
        return cls(settings, "submission", None, suppress=False)

    def refresh(self) -> None:
        """Take in what the worker has written since. Never raises."""
        if self._list is not None:
            self._list.refresh()
        now = time.monotonic()
        if self._signs and self.gate is not None and now >= self._next:
            self._next = now + LOOK
            self.gate.paths = self._paths(self.gate.paths)

    def _paths(self, known: ReturnPaths | None) -> ReturnPaths | None:
        settings = self._settings
        path = settings.return_path_keys
        try:
            found = path.stat()
            stamp = (found.st_ino, found.st_mtime_ns)
            if stamp == self._keys_stamp:
                return known
            keys = keyfile.read(path)
        except (OSError, ValueError) as error:
            if not self._told:
                maillog.keys_unreadable(str(path), error)
            self._told, self._keys_stamp = True, None
            return known
        self._told, self._keys_stamp = False, stamp
        bounce = settings.bounce
        return ReturnPaths(bounce.return_path_domain, settings.node.domains, keys)
