"""An IMAP server for practice: what a mail program needs, over the mailboxes in memory.

`mailweir try` puts it behind the IMAP listener. It speaks IMAP4rev1 (RFC 3501) as far as reading,
filing, flagging and moving plain mailboxes goes, with LITERAL+, SASL-IR, UIDPLUS, MOVE, IDLE, ID,
SPECIAL-USE and NAMESPACE; not ENVELOPE, BODYSTRUCTURE, parts of a body, and most of SEARCH.
Limits: loopback, no TLS, a thread a connection, LITERALS in a command, together MAX_SIZE; nothing
is told to other sessions but at their next command. A client that does not read holds up nobody
else: what is said to it is gathered, and written when the mailboxes are free again.
"""

from __future__ import annotations

import base64
import binascii
import re
import select
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from proxy.imap.grammar import Command, NotUnderstood, arguments, command
from proxy.practiceboxes import Box, Kept, Mailboxes
from proxy.practicefetch import deleted, item, items, matches, numbers, sees, several, told_flags

MAX_SIZE: Final = 50 * 2**20
LITERALS: Final = 20
LINE: Final = 65_536
CAPABILITIES: Final = (
    "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN UIDPLUS MOVE IDLE ID SPECIAL-USE NAMESPACE UNSELECT"
)
_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+\Z")
Given = list[Any]  # what grammar.arguments finds: octets, lists of octets


class PracticeImap:
    """`start()` and `stop()`; always on the same port."""

    def __init__(
        self, host: str, port: int, users: Mapping[str, str], mailboxes: Mailboxes
    ) -> None:
        self._address = (host, port)
        self.users = dict(users)
        self.mailboxes = mailboxes
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        self._server = _Server(self._address, _Session)
        self._server.practice = self
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    practice: PracticeImap


class _Refused(Exception):
    """The command is answered with NO, in these words."""


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._boxes = self.server.practice.mailboxes
        self._user = ""
        self._box: Box | None = None
        self._told: list[int] = []  # UIDs, as the client numbers them
        self._read_only = False
        self._open = True
        self._said: list[bytes] = []

    def handle(self) -> None:
        try:
            self._say(f"* OK [CAPABILITY {CAPABILITIES}] practice server ready")
            while self._open:
                self._one()
            self._flush()
        except (OSError, EOFError):
            pass  # the client has left

    def _say(self, line: str) -> None:
        self._said.append(line.encode("utf-8") + b"\r\n")

    def _flush(self) -> None:
        said, self._said = self._said, []
        self.wfile.write(b"".join(said))

    def _line(self) -> bytes:
        self._flush()
        line = self.rfile.readline(LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        return line.rstrip(b"\r\n")

    def _one(self) -> None:
        """A command with its literals, and the answer."""
        text = line = self._line()
        literals: list[bytes] = []
        begun = command(text)
        tag = begun.tag.decode() if begun is not None else "*"
        while found := _LITERAL.search(line):
            if int(found[1]) + sum(map(len, literals)) > MAX_SIZE or len(literals) >= LITERALS:
                self._say(f"{tag} NO [TOOBIG] too large")
                self._open = not found[2]  # what was sent without asking cannot be told apart
                return
            if not found[2]:
                self._say("+ go on")
                self._flush()
            literals.append(self.rfile.read(int(found[1])))
            line = self._line()
            text += line
        if begun is None:
            self._say("* BAD a tag and a command, please")
            return
        verb = begun.verb.decode().upper()
        todo = getattr(self, f"_{verb.lower()}", None) if verb in _COMMANDS else None
        here = verb in _INSIDE if self._user else verb in _OUTSIDE
        if todo is None or not (here or verb in _ANYWHERE):
            self._say(f"{tag} BAD not now, or not known here")
            return
        try:
            given = arguments(text, begun.args, literals)
            with self._boxes.lock if verb in _INSIDE and verb != "IDLE" else nullcontext():
                words = todo(begun, text, given)
            # No message may change its number while numbers are spoken of (RFC 3501 7.4.1).
            if begun.uid or verb not in ("FETCH", "STORE", "SEARCH"):
                with self._boxes.lock:
                    self._news()
        except _Refused as refusal:
            self._say(f"{tag} NO {refusal}")
        except (NotUnderstood, ValueError, IndexError, AttributeError, TypeError):
            self._say(f"{tag} BAD this is not understood")
        else:
            self._say(f"{tag} OK {words or 'done'}")

    # ------------------------------------------------------------------ before and around

    def _capability(self, _c: Command, _text: bytes, _given: Given) -> None:
        self._say(f"* CAPABILITY {CAPABILITIES}")

    def _noop(self, _c: Command, _text: bytes, _given: Given) -> None:
        pass

    _check = _subscribe = _unsubscribe = _noop

    def _id(self, _c: Command, _text: bytes, _given: Given) -> None:
        self._say('* ID ("name" "practice server")')

    def _logout(self, _c: Command, _text: bytes, _given: Given) -> None:
        self._box, self._open = None, False
        self._say("* BYE come again")

    def _login(self, _c: Command, _text: bytes, given: Given) -> str:
        user, password = given
        return self._enter(user.decode(), password.decode())

    def _authenticate(self, _c: Command, _text: bytes, given: Given) -> str:
        if given[0].upper() != b"PLAIN":
            raise _Refused("[CANNOT] PLAIN only")
        if len(given) < 2:
            self._say("+ ")
        response = given[1] if len(given) > 1 else self._line()
        try:
            _, user, password = base64.b64decode(response, validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            raise _Refused("[AUTHENTICATIONFAILED] cancelled, or not base64") from None
        return self._enter(user, password)

    def _enter(self, user: str, password: str) -> str:
        if self.server.practice.users.get(user.lower()) != password:
            raise _Refused("[AUTHENTICATIONFAILED] the practice server does not know this password")
        self._user = user.lower()
        return f"[CAPABILITY {CAPABILITIES}] welcome"

    def _idle(self, _c: Command, _text: bytes, _given: Given) -> None:
        self._say("+ idling")
        self._flush()
        while not select.select([self.connection], [], [], 0.5)[0]:
            with self._boxes.lock:
                self._news()
            self._flush()
        self._line()

    # ------------------------------------------------------------------ mailboxes

    def _namespace(self, _c: Command, _text: bytes, _given: Given) -> None:
        self._say('* NAMESPACE (("" "/")) NIL NIL')

    def _list(self, c: Command, text: bytes, _given: Given) -> None:
        pattern = re.findall(rb'"[^"]*"|\([^)]*\)|[^\s()"]+', text[c.args :])[1].strip(b'"')
        if not pattern:
            self._say(f'* {c.verb.decode()} (\\Noselect) "/" ""')
        wanted = re.escape(pattern.decode()).replace(r"\*", ".*").replace("%", "[^/]*")
        for name, box in self._boxes.of(self._user).items():
            if re.fullmatch(wanted, name):
                self._say(f'* {c.verb.decode()} ({box.attribute}) "/" "{name}"')

    _lsub = _list

    def _name(self, raw: bytes) -> str:
        name = raw.decode("utf-8")
        return "INBOX" if name.upper() == "INBOX" else name

    def _find(self, raw: bytes) -> Box:
        try:
            return self._boxes.of(self._user)[self._name(raw)]
        except KeyError:
            raise _Refused("[TRYCREATE] no such mailbox") from None

    def _create(self, _c: Command, _text: bytes, given: Given) -> None:
        name = self._name(given[0].rstrip(b"/"))
        if not name.isprintable() or '"' in name or "\\" in name or not name:
            raise _Refused("[CANNOT] not a name for a mailbox")
        if not self._boxes.create(self._user, name):
            raise _Refused("[ALREADYEXISTS] it is there, or there are too many")

    def _delete(self, _c: Command, _text: bytes, given: Given) -> None:
        if not self._boxes.delete(self._user, given[0].decode("utf-8")):
            raise _Refused("[NONEXISTENT] no such mailbox")

    def _status(self, _c: Command, _text: bytes, given: Given) -> None:
        box, name = self._find(given[0]), given[0].decode()
        unseen = sum("\\Seen" not in mail.flags for mail in box.mails)
        figures = {
            "MESSAGES": len(box.mails), "RECENT": 0, "UNSEEN": unseen,
            "UIDNEXT": box.next_uid, "UIDVALIDITY": box.validity,
        }  # fmt: skip
        asked = [item.decode().upper() for item in given[1]]
        told = " ".join(f"{item} {figures[item]}" for item in asked if item in figures)
        self._say(f'* STATUS "{name}" ({told})')

    def _select(self, c: Command, _text: bytes, given: Given) -> str:
        self._box = None
        box = self._box = self._find(given[0])
        self._told = [mail.uid for mail in box.mails]
        self._say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self._say("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ok")
        self._say(f"* {len(self._told)} EXISTS")
        self._say("* 0 RECENT")
        self._say(f"* OK [UIDVALIDITY {box.validity}] ok")
        self._say(f"* OK [UIDNEXT {box.next_uid}] ok")
        self._read_only = c.verb == b"EXAMINE"
        return "[READ-ONLY] done" if self._read_only else "[READ-WRITE] done"

    _examine = _select

    def _close(self, c: Command, _text: bytes, _given: Given) -> None:
        if c.verb == b"CLOSE" and not self._read_only:
            self._selected().mails[:] = [m for m in self._selected().mails if not deleted(m)]
        self._box = None

    _unselect = _close

    def _append(self, _c: Command, _text: bytes, given: Given) -> str:
        raw, *rest, content = given
        self._find(raw)
        if not isinstance(content, bytes):
            raise NotUnderstood("no message")
        flags = [_flag(flag) for one in rest if isinstance(one, list) for flag in one]
        dates = [one for one in rest if isinstance(one, bytes)]
        arrived = (
            parsedate_to_datetime(dates[0].decode().strip().replace("-", " ", 2))
            if dates
            else datetime.now().astimezone()
        )
        validity, uid = self._boxes.put(self._user, self._name(raw), content, arrived, flags)
        return f"[APPENDUID {validity} {uid}] filed"

    # ------------------------------------------------------------------ messages

    def _selected(self) -> Box:
        if self._box is None:
            raise _Refused("no mailbox is selected")
        return self._box

    def _writable(self) -> Box:
        box = self._selected()
        if self._read_only:
            raise _Refused("it is opened read-only")
        return box

    def _news(self) -> None:
        """What has come and gone since the client was told last."""
        if self._box is None:
            return
        there = [mail.uid for mail in self._box.mails]
        gone = set(self._told).difference(there)
        for uid in sorted(gone, reverse=True):
            self._say(f"* {self._told.index(uid) + 1} EXPUNGE")
            self._told.remove(uid)
        if len(there) > len(self._told):
            self._told = there
            self._say(f"* {len(there)} EXISTS")

    def _chosen(self, words: bytes, uid: bool) -> Iterator[tuple[int, Kept]]:
        """Number and message of a set like 1:3,7:*."""
        by_uid = {mail.uid: mail for mail in self._selected().mails}
        wanted = numbers(words.decode(), max(self._told, default=0) if uid else len(self._told))
        for number, one in enumerate(self._told, 1):
            if wanted(one if uid else number) and one in by_uid:
                yield number, by_uid[one]

    def _fetch(self, c: Command, text: bytes, given: Given) -> None:
        asked = text[c.args :].split(b" ", 1)[1].decode().strip()
        found = items(asked)
        for number, mail in self._chosen(given[0], c.uid):
            names = [one[1].upper() for one in found]
            parts: list[bytes] = []
            if c.uid and "UID" not in names:
                parts.append(b"UID %d" % mail.uid)
            if any(map(sees, names)) and not self._read_only and "\\Seen" not in mail.flags:
                mail.flags.add("\\Seen")
                parts += [b"FLAGS " + told_flags(mail)] if "FLAGS" not in names else []
            parts += [item(one, mail) for one in found]
            self._said.append(b"* %d FETCH (" % number + b" ".join(parts) + b")\r\n")

    def _store(self, c: Command, text: bytes, given: Given) -> None:
        how = given[1].decode().upper()
        flags = {_flag(flag) for one in given[2:] for flag in several(one)}
        self._writable()
        for number, mail in self._chosen(given[0], c.uid):
            if how.startswith("+"):
                mail.flags |= flags
            elif how.startswith("-"):
                mail.flags -= flags
            else:
                mail.flags = set(flags)
            if not how.endswith(".SILENT"):
                uid = b"UID %d " % mail.uid if c.uid else b""
                told = b"* %d FETCH (" % number + uid + b"FLAGS " + told_flags(mail) + b")\r\n"
                self._said.append(told)

    def _expunge(self, c: Command, _text: bytes, given: Given) -> None:
        box = self._writable()
        meant = {mail.uid for _, mail in self._chosen(given[0], True)} if c.uid else None
        box.mails[:] = [
            mail
            for mail in box.mails
            if not deleted(mail) or (meant is not None and mail.uid not in meant)
        ]

    def _copy(self, c: Command, _text: bytes, given: Given) -> str:
        target = self._find(given[1])
        if c.verb == b"MOVE":
            self._writable()
        mails = [mail for _, mail in self._chosen(given[0], c.uid)]
        if not mails:
            return "nothing to do"
        name = self._name(given[1])
        new = [self._boxes.put(self._user, name, m.content, m.arrived, m.flags)[1] for m in mails]
        old = ",".join(str(mail.uid) for mail in mails)
        if c.verb == b"MOVE":
            self._selected().mails[:] = [m for m in self._selected().mails if m not in mails]
        return f"[COPYUID {target.validity} {old} {','.join(map(str, new))}] done"

    _move = _copy

    def _search(self, c: Command, text: bytes, given: Given) -> None:
        keys = [one.decode().upper() for one in given if isinstance(one, bytes)]
        found = []
        for number, mail in self._chosen(b"1:*", False):
            if matches(mail, list(keys), max(self._told, default=0)):
                found.append(str(mail.uid if c.uid else number))
        self._say(" ".join(["* SEARCH", *found]))


def _flag(raw: bytes) -> str:
    """It is told again as it stands: an atom, with or without a backslash before it."""
    if _FLAG.match(raw) is None:
        raise NotUnderstood("not a flag")
    return raw.decode()


_INSIDE: Final = frozenset(
    "IDLE NAMESPACE LIST LSUB CREATE DELETE STATUS SELECT EXAMINE CLOSE UNSELECT APPEND FETCH STORE"
    " EXPUNGE COPY MOVE SEARCH CHECK SUBSCRIBE UNSUBSCRIBE".split()
)
_OUTSIDE: Final = frozenset(("LOGIN", "AUTHENTICATE"))
_ANYWHERE: Final = frozenset("CAPABILITY NOOP ID LOGOUT".split())
_COMMANDS: Final = _INSIDE | _OUTSIDE | _ANYWHERE
