"""Understands a logged-in session well enough to see every message that passes whole (core).

It is told of lines and literals (fragments.py, dialogue.py) and answers with where a literal's
octets go. It keeps the mailbox that is selected and its UIDVALIDITY, and what LIST says mailboxes
are for; appends.py keeps the APPENDs that wait for their answer.

Captured: FETCH items BODY[], RFC822 and whole BODY[]<0>, as literal, literal8 or quoted string,
with the UID before or behind them or not at all; the messages of APPEND, MULTIAPPEND and REPLACE
once the tagged OK is there. Not captured: Junk, Trash, Drafts; what is known already; parts and
partial fetches, BINARY[], CATENATE (the companion fetches what nobody read whole).

Blind rather than wrong: where it does not understand, it says `blind(reason)`, captures nothing of
that response, and goes on with the next one. It never changes, holds or ends anything.

Limits: a response's text without its literals TEXT octets, bodies in one response or command MANY,
mailboxes with a purpose PURPOSES.
"""

from __future__ import annotations

import re
from typing import Final

from crmstore.uidset import listed
from proxy.imap.appends import MANY, NAME, Appends, Given, discard, the_name
from proxy.imap.grammar import (
    Command,
    NotUnderstood,
    arguments,
    fetch_items,
    mailbox_name,
    response_code,
)
from proxy.imap.mailboxes import NEVER, special_by_attributes, special_by_name
from proxy.imap.message import Meta, Sink, Tee, World, into
from proxy.imap.turns import Turns

TEXT: Final = 65_536
PURPOSES: Final = 500
#: UIDs of one COPYUID that are looked at.
COPIED: Final = 10_000

WATCHED: Final = frozenset(
    (b"SELECT", b"EXAMINE", b"APPEND", b"REPLACE", b"COPY", b"MOVE", b"CLOSE", b"UNSELECT")
)

_FETCH = re.compile(rb"\* ([0-9]+) (UID)?FETCH (?=\()", re.IGNORECASE)
# What nearly all servers send before a body, read in one go.
_PLAIN = re.compile(
    rb"\* [0-9]+ FETCH \((?:UID ([0-9]{1,10}) |FLAGS \(([^()\"{]*)\) |RFC822\.SIZE [0-9]+ "
    rb"|MODSEQ \([0-9]+\) |INTERNALDATE \"([^\"\\]*)\" )*(?:BODY\[\]|RFC822) \{([0-9]+)\}\Z"
)
_PURPOSE = re.compile(rb"\\(?:Sent|Drafts|Junk|Trash|Spam)\b", re.IGNORECASE)


class Observer:
    """One session; all methods are told in the order things happen."""

    __slots__ = (
        "_appends", "_arg", "_at_hand", "_copies", "_gather", "_literals", "_plain", "_purposes",
        "_selects", "_sinks", "_text", "_turns", "_validity", "mailbox", "special",
        "uidvalidity", "user", "utf8", "world",
    )  # fmt: skip

    def __init__(self, world: World, user: str, purposes: dict[str, str] | None = None) -> None:
        """`purposes`: what LIST said to other sessions of this user; shared and filled."""
        self.world = world
        self.user = user
        self.utf8 = False
        self.mailbox: str | None = None
        self.special = ""
        self.uidvalidity: int | None = None
        self._validity: int | None = None
        self._selects: dict[bytes, str] | None = None
        self._appends: Appends | None = None
        self._copies: dict[bytes, str] | None = None
        self._purposes: dict[str, str] = {} if purposes is None else purposes
        self._plain = False
        self._text = b""  # the response at hand, its literals as they were announced
        self._literals: list[bytes | None] = []
        self._gather: list[bytes] | None = None
        self._sinks: list[Sink] = []
        self._arg: tuple[bytes, list[bytes | None], list[bytes] | None] = (b"", [], None)
        self._at_hand: Command | None = None  # parts of it may follow, unless it is answered before
        self._turns: Turns | None = None  # most sessions need none

    # ------------------------------------------------------------------ the client

    def command(self, command: Command, text: bytes, size: int) -> Tee | None:
        """A WATCHED command begins. Returns where the literal goes that its line announces."""
        self._arg = (b"", [], None)
        self._at_hand = self._turn(command)
        return self._command_part(self._at_hand, text, size)

    def command_more(self, command: Command, text: bytes, size: int) -> Tee | None:
        """A command goes on behind a literal."""
        if self._at_hand is None:
            return None  # given up, or answered already
        return self._command_part(self._at_hand, text, size)

    def _turn(self, command: Command) -> Command:
        """By a name of its own, if its tag waits already."""
        waiting = (self._selects, self._copies, self._appends)
        if not any(command.tag in some for some in waiting if some is not None):
            return command
        self._turns = self._turns or Turns()
        return command._replace(tag=self._turns.named(command.tag))

    def _next_turn(self, turns: Turns, tag: bytes) -> None:
        """The first of those that share the tag is answered: the next one has it for its own."""
        if (name := turns.next(tag)) is None:
            return
        for names in (self._selects, self._copies):
            if names and name in names:
                names[tag] = names.pop(name)
        if self._appends is not None:
            self._appends.rename(name, tag)
        if self._at_hand is not None and self._at_hand.tag == name:
            self._at_hand = self._at_hand._replace(tag=tag)

    def _command_part(self, command: Command, text: bytes, size: int) -> Tee | None:
        before, literals, gather = self._arg
        if gather is not None:
            literals.append(b"".join(gather))
        elif before:
            literals.append(None)
        whole = before + text
        self._arg = (whole, literals, None)
        if len(whole) > TEXT or len(literals) > MANY:
            self._give_up_command(command, "overlong")
            return None
        try:
            if command.verb in (b"APPEND", b"REPLACE"):
                given = Given(command, whole, literals, size)
                tee = self._filing().part(given, self.utf8)
                return self._collect(literals) if tee is the_name else tee
            if size >= 0:
                return self._collect(literals) if size <= NAME else None
            self._command_end(command, whole, literals)
        except NotUnderstood:
            self._give_up_command(command, "grammar")
        return None

    def _collect(self, literals: list[bytes | None]) -> Tee:
        gather: list[bytes] = []
        self._arg = (self._arg[0], literals, gather)
        return into(gather)

    def _filing(self) -> Appends:
        if self._appends is None:
            self._appends = Appends(self.world, self.user, self._special)
        return self._appends

    def _give_up_command(self, command: Command, reason: str) -> None:
        """Nothing is made of it; that it has an answer to come is remembered."""
        self.world.blind(reason)
        self._at_hand = None
        if command.verb in (b"APPEND", b"REPLACE"):
            self._filing().give_up(command.tag)
        elif command.verb in (b"COPY", b"MOVE"):
            self._copies = _noted(self._copies, command.tag, "")
        else:  # whatever mailbox it is then, it is no longer the one before
            self._selects = _noted(self._selects, command.tag, "")

    def _command_end(self, command: Command, text: bytes, literals: list[bytes | None]) -> None:
        """SELECT, EXAMINE, COPY, MOVE, CLOSE, UNSELECT are there as a whole."""
        if command.verb in (b"CLOSE", b"UNSELECT"):
            self._selects = _noted(self._selects, command.tag, "")
            return
        given = arguments(text, command.args, literals)
        at = 1 if command.verb in (b"COPY", b"MOVE") else 0
        raw = given[at] if len(given) > at else None
        if not isinstance(raw, bytes):
            raise NotUnderstood("a mailbox that was not read")
        name = mailbox_name(raw, self.utf8)
        if at:
            self._copies = _noted(self._copies, command.tag, name)
        else:
            self._selects = _noted(self._selects, command.tag, name)

    # ------------------------------------------------------------------ the server

    def fetch(self, text: bytes, size: int) -> Tee | None:
        """A response `* n FETCH` begins that has a literal or may have a body in quotes."""
        self._text, self._literals = text, []
        plain = _PLAIN.match(text)
        self._plain = plain is not None
        if plain is not None:
            uid = int(plain[1]) if plain[1] else None
            flags = tuple(plain[2].decode("ascii", "replace").split()) if plain[2] else ()
            date = plain[3].decode("ascii", "replace") if plain[3] else None
            return self._body(uid, flags, date, size)
        return self._fetch_part(size)

    def fetch_more(self, text: bytes, size: int) -> Tee | None:
        """It goes on behind a literal."""
        if self._plain and size < 0 and text == b")":
            self._fetch_end()
            return None
        self._plain = False
        if not self._text:
            return None  # given up before
        self._text += text
        return self._fetch_part(size)

    def _fetch_part(self, size: int) -> Tee | None:
        text = self._text
        if len(text) > TEXT:
            self._lost_response("overlong")
            return None
        begin = _FETCH.match(text)
        try:
            if begin is None:
                raise NotUnderstood("not a FETCH")
            items = fetch_items(text, begin.end())
        except NotUnderstood:
            self._lost_response("grammar")
            return None
        uid = int(begin[1]) if begin[2] else items.uid
        flags = items.flags or ()
        for name, value in items.bodies:
            if value.end == len(text) and value.kind == "literal" and size >= 0:
                if name[-1:] == b">" and not (name.endswith(b"<0>") and size == items.size):
                    self.world.blind("partial")
                elif name[:6] == b"BINARY":
                    self.world.blind("binary")
                else:
                    return self._body(uid, flags, items.internaldate, size)
            elif (
                size < 0
                and value.kind == "quoted"
                and value.value
                and name in (b"BODY[]", b"RFC822")
            ):
                write = self._body(uid, flags, items.internaldate, len(value.value))
                if write is not None:
                    write(value.value)
        if size < 0:
            for meta in (sink.meta for sink in self._sinks):
                meta.uid = uid if meta.uid is None else meta.uid
                meta.keywords = flags or meta.keywords
                meta.internaldate = items.internaldate or meta.internaldate
            self._fetch_end()
        return None

    def _body(
        self, uid: int | None, flags: tuple[str, ...], date: str | None, size: int
    ) -> Tee | None:
        """A whole message comes: where its octets go."""
        if self.mailbox is None:
            self.world.blind("no_mailbox")
        elif size > self.world.most:
            self.world.blind("too_big")
        elif size and self.special not in NEVER:
            if self.world.is_known(self.mailbox, self.uidvalidity, uid):
                return None
            if len(self._sinks) >= MANY:
                self.world.blind("too_many")
                return None
            meta = Meta(
                "imap_fetch", self.user, self.mailbox, self.special, self.uidvalidity, uid,
                date, flags,
            )  # fmt: skip
            sink = self.world.begin(meta)
            if sink is not None:
                self._sinks.append(sink)
                return sink.write
        return None

    def _fetch_end(self) -> None:
        sinks, self._sinks = self._sinks, []
        self._text = b""
        for sink in sinks:
            sink.finish("accepted")

    def _lost_response(self, reason: str) -> None:
        self.world.blind(reason)
        sinks, self._sinks = self._sinks, []
        discard(sinks)
        self._text = b""

    def untagged(self, text: bytes, size: int) -> Tee | None:
        """Another untagged response; a literal is collected where a mailbox's name may be one."""
        self._text = b""
        head = text[2:9].upper()
        if head[:3] == b"OK ":
            self._status(text[5:])
        elif head[:5] == b"LIST " or head[:6] == b"XLIST ":
            if _PURPOSE.search(text):
                self._text, self._literals = text, []
                if 0 <= size <= NAME:
                    self._gather = []
                    return into(self._gather)
                self._list(text)
        elif head == b"ENABLED":
            words = text.upper().split()
            self.utf8 = self.utf8 or b"UTF8=ACCEPT" in words or b"IMAP4REV2" in words
        return None

    def untagged_more(self, text: bytes, size: int) -> Tee | None:
        """It goes on behind a literal."""
        if self._gather is not None:
            self._literals.append(b"".join(self._gather))
            self._gather = None
            if size < 0 and self._text:
                self._list(self._text)
        return None

    def _status(self, text: bytes) -> None:
        code = response_code(text)
        if code is None:
            return
        name, rest = code
        if name == b"UIDVALIDITY":
            if self._selects and rest.isdigit() and len(rest) <= 10:
                self._validity = int(rest)
        elif name == b"COPYUID" and self._copies:  # MOVE says it so (RFC 6851)
            self._copied(next(iter(self._copies.values())), rest)

    def _list(self, text: bytes) -> None:
        try:
            at = text.index(b" ", 2)
            given = arguments(text, at, self._literals)
        except (NotUnderstood, ValueError):
            self.world.blind("grammar")
            return
        if len(given) < 3 or not isinstance(given[0], list) or not isinstance(given[2], bytes):
            return
        special = special_by_attributes(given[0])
        if special and len(self._purposes) < PURPOSES:
            name = mailbox_name(given[2], self.utf8)
            self._purposes[name] = special
            if name == self.mailbox:
                self.special = special

    def tagged(self, tag: bytes, ok: bool, text: bytes) -> None:
        """A WATCHED command is answered; `text` is what follows OK, NO or BAD."""
        if self._at_hand is not None and tag == self._at_hand.tag:
            self._at_hand = None
        if self._selects and tag in self._selects:
            self._selected(self._selects.pop(tag), ok)
        elif self._appends is not None and self._appends.answered(tag, ok, text):
            pass
        elif self._copies and tag in self._copies:
            code = response_code(text)
            target = self._copies.pop(tag)
            if ok and code is not None and code[0] == b"COPYUID":
                self._copied(target, code[1])
        if self._turns is not None:
            self._next_turn(self._turns, tag)

    def _selected(self, name: str, ok: bool) -> None:
        validity, self._validity = self._validity, None
        if not ok or not name:
            self.mailbox = self.uidvalidity = None
            self.special = ""
            return
        self.mailbox, self.uidvalidity = name, validity
        self.special = self._special(name)
        if validity is not None:
            self.world.selected(name, validity)

    def _special(self, name: str) -> str:
        return self._purposes.get(name) or special_by_name(name)

    def _copied(self, target: str, code: bytes) -> None:
        """What is known here is known there as well."""
        if self.mailbox is None or not target:
            return
        try:
            validity, source, copy = code.decode("ascii", "replace").split(" ")
            pairs = zip(listed(source, COPIED), listed(copy, COPIED), strict=True)
            for uid, new in pairs:
                if self.world.is_known(self.mailbox, self.uidvalidity, uid):
                    self.world.learn(target, int(validity), new)
        except ValueError:
            self.world.blind("grammar")

    # ------------------------------------------------------------------ the end

    def overlong(self) -> None:
        """A line of the server was longer than is kept, and was not read."""
        self._lost_response("overlong")

    def lost(self) -> None:
        """The connection is gone: nobody knows what became of what was appended."""
        if self._sinks:
            discard(self._sinks)
            self._sinks = []
        if self._appends is not None:
            self._appends.lost()
            self._appends = None


def _noted(names: dict[bytes, str] | None, tag: bytes, name: str) -> dict[bytes, str]:
    """With one more; most sessions never need such a dict."""
    if names is None:
        return {tag: name}
    names[tag] = name
    return names
