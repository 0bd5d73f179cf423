"""What the worker does for the IMAP doors: reads their notes, writes what they go by.

Notes of logins enroll users; notes of looks give the figures of coverage. For the doors it writes
what is known of each mailbox (proxy/imap/known.py) and who is a user (proxy/imap/roster.py). The
truth is the store; all of these files may be deleted at any time and come back: at its start it
goes through the store, a page at each step, and writes what is not there.

Promises: notes are deleted only when the store has them; doing them twice changes nothing. A file
that cannot be written is left out, since that costs a repeated capture at most: mail comes first.
StoreError is raised; the caller tries again. One thread.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from config.settings import Settings
from crmstore import addresses, mailboxes, users
from crmstore.mailboxes import Mailbox
from crmstore.mailplace import Look
from crmstore.store import Store
from proxy.imap import known, notes, roster
from proxy.imap.notes import Login
from proxy.imap.roster import Entry

__all__ = ["ImapUpkeep"]

PAGE: Final = 500


class ImapUpkeep:
    """Owns the folders imap-known, imap-roster and imap-notes on the worker's side."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._domains = frozenset(settings.node.domains)
        self._enrolls = settings.capture.enrolls
        self._known = settings.data_dir / known.FOLDER
        self._roster = settings.data_dir / roster.FOLDER
        self._notes = settings.data_dir / notes.FOLDER
        self._entries: dict[str, Entry] | None = None
        self._version = -1
        self._cursor: str | None = ""  # of the walk through the store; None: done
        self._named: set[str] = set()

    def step(self) -> list[str]:
        """Do what the notes say and keep the files; the logins that were enrolled."""
        if self._entries is None:
            self._entries = roster.entries(self._roster)
        taken = notes.take(self._notes)
        enrolled: list[str] = []
        if taken.paths:
            logins = [note for note in taken.notes if isinstance(note, Login)]
            looks = [note for note in taken.notes if isinstance(note, Look)]
            enrolled = self._enroll(logins)
            if looks:
                with self._store.writing() as connection:
                    changed = mailboxes.looked(connection, looks)
                self.learned(changed)
            self._answer(note.login for note in logins)
            taken.done()
        self._renew()
        self._restore()
        return enrolled

    def learned(self, changed: Iterable[Mailbox]) -> None:
        """More is known of these mailboxes: tell the doors."""
        for box in changed:
            self._write_known(box)

    def _write_known(self, box: Mailbox) -> None:
        if self._cursor is not None:  # the walk may be past it, and drops what it has not seen
            path = known.known_path(self._known, box.login, box.mailbox, box.uidvalidity)
            self._named.add(path.name)
        try:
            known.write_known(self._known, box.login, box.mailbox, box.uidvalidity, box.known)
        except OSError:
            pass  # the doors capture these messages again, and the store knows them

    # Who is who

    def _enroll(self, logins: Iterable[Login]) -> list[str]:
        ours = {
            note.login: note.at_us
            for note in logins
            if (key := addresses.key(note.login)).rpartition("@")[2] in self._domains
            and self._enrolls(key)
        }
        return [user.login for user in users.enroll(self._store, ours)]

    def _answer(self, logins: Iterable[str]) -> None:
        """The entries of these logins as they are now."""
        assert self._entries is not None
        found = users.by_logins(self._store, logins)
        for login, user in found.items():
            since = 0 if user is None else round((user.enrolled or user.created) * 1e6)
            entry = Entry(login, user is not None, user is None or user.enabled, since)
            if self._entries.get(login) == entry:
                continue
            try:
                roster.write_entry(self._roster, entry)
                self._entries[login] = entry
            except OSError:
                pass  # the next note or change of users asks again

    def _renew(self) -> None:
        """Somebody has changed users: whoever has an entry gets the new one."""
        version = users.version(self._store)
        if version != self._version:
            self._answer(list(self._entries or ()))
            self._version = version

    # After a start

    def _restore(self) -> None:
        """One page of the walk: write the files that are missing, at its end drop the stale."""
        if self._cursor is None:
            return
        page, after = mailboxes.all_known(self._store, self._cursor, PAGE)
        for box in page:
            path = known.known_path(self._known, box.login, box.mailbox, box.uidvalidity)
            self._named.add(path.name)
            if not path.exists():
                self._write_known(box)
        self._cursor = after or None
        if self._cursor is None:
            for path in _files(self._known):
                if path.name not in self._named:
                    path.unlink(missing_ok=True)
            self._named = set()


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.glob("*.json"))
    except OSError:
        return []
