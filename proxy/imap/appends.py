"""What a session files: the messages of APPEND, MULTIAPPEND and REPLACE until they are answered
(core).

    tee = appends.part(given, utf8)           # a part of the command; where its literal goes
    appends.answered(tag, ok, text)           # captured with the tagged OK, dropped with NO and BAD
    appends.give_up(tag), appends.lost()
    tag in appends, appends.rename(before, tag)

The octets of a message go to its sink while they pass; whether it was mail is known at the end
(RFC 3501 section 6.3.11, RFC 3502, RFC 8508; APPENDUID: RFC 4315). CATENATE is put together by the
server (RFC 4469): nothing is captured, the companion finds it.

Limits: MANY messages in a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from crmstore.uidset import listed
from proxy.imap.grammar import (
    Command,
    NotUnderstood,
    arguments,
    mailbox_name,
    response_code,
    tokens,
)
from proxy.imap.mailboxes import NEVER
from proxy.imap.message import Meta, Octets, Sink, Tee, World

MANY: Final = 1_000
NAME: Final = 1_024


def the_name(chunk: Octets) -> None:
    """Instead of a place for octets: the literal is the mailbox's name, for the caller to keep."""


class Given(NamedTuple):
    """A command as far as it is there: `text` with its literals as they were announced, `size` of
    the one that follows (-1: none, it is whole)."""

    command: Command
    text: bytes
    literals: Sequence[bytes | None]
    size: int


class _Append:
    """An APPEND or REPLACE on its way."""

    __slots__ = ("dropped", "mailbox", "mark", "sinks", "whole")

    def __init__(self) -> None:
        self.mailbox = ""
        self.mark = 0
        """Up to where the text belongs to messages that are there."""
        self.sinks: list[Sink | None] = []
        self.whole = False
        self.dropped = False
        """Nothing of it is captured; its answer is still to come."""


class Appends:
    """Those of one session."""

    __slots__ = ("_by_tag", "_special", "_user", "_world")

    def __init__(self, world: World, user: str, special: Callable[[str], str]) -> None:
        """`special`: what a mailbox is for."""
        self._world = world
        self._user = user
        self._special = special
        self._by_tag: dict[bytes, _Append] = {}

    def part(self, given: Given, utf8: bool) -> Tee | None:
        """Where the octets of the literal go that follows; the_name if it is the mailbox's name.

        Raises NotUnderstood; the caller gives the command up then.
        """
        command, text, literals, size = given
        append = self._by_tag.setdefault(command.tag, _Append())
        if append.dropped:
            return None
        if size < 0:
            append.whole = True
            return None
        words = arguments(text, command.args, literals)
        at = 1 if command.verb == b"REPLACE" else 0
        if len(words) == at + 1:
            append.mark = len(text)
            return the_name if size <= NAME else None
        raw = words[at] if len(words) > at else None
        if not isinstance(raw, bytes):
            raise NotUnderstood("a mailbox that was not read")
        if not append.mailbox:
            append.mailbox = mailbox_name(raw, utf8)
            if not append.mark:
                append.mark = next(islice(tokens(text, command.args), at, None)).end
        if any(isinstance(one, bytes) and one.upper() == b"CATENATE" for one in words[at + 1 :]):
            self._world.blind("catenate")
            self.give_up(command.tag)
            return None
        if len(append.sinks) >= MANY:
            raise NotUnderstood("too many messages")
        sink = self._sink(append, text[append.mark :])
        append.mark = len(text)
        append.sinks.append(sink)
        return None if sink is None else sink.write

    def _sink(self, append: _Append, text: bytes) -> Sink | None:
        """For a message whose flags and date, if any, stand in `text`."""
        special = self._special(append.mailbox)
        if special in NEVER:
            return None
        meta = Meta("imap_append", self._user, append.mailbox, special)
        own = list(tokens(text))
        for token in own:
            if token.kind == "quoted" and len(token.value or b"") >= 20:
                meta.internaldate = (token.value or b"").decode("ascii", "replace").strip()
        meta.keywords = tuple(
            (token.value or b"").decode("ascii", "replace")
            for token in own
            if token.kind == "atom" and (token.value or b"")[:1] in (b"\\", b"$")
        )
        return self._world.begin(meta)

    def give_up(self, tag: bytes) -> None:
        """Nothing of this command is captured, nor of what still comes of it."""
        append = self._by_tag.setdefault(tag, _Append())
        discard(append.sinks)
        append.sinks, append.dropped = [], True

    def __contains__(self, tag: bytes) -> bool:
        """Is there one that has begun and is not answered?"""
        return tag in self._by_tag

    def rename(self, before: bytes, tag: bytes) -> None:
        """From now on the one that was called `before`, if there is one, is this."""
        append = self._by_tag.pop(before, None)
        if append is not None:
            self._by_tag[tag] = append

    def answered(self, tag: bytes, ok: bool, text: bytes) -> bool:
        """The tagged answer; `text` follows OK, NO or BAD. False: it is not one of these."""
        append = self._by_tag.pop(tag, None)
        if append is None:
            return False
        if append.dropped or not ok or not append.whole:  # an OK to half a command is none
            discard(append.sinks)
            return True
        validity, uids = self._appenduid(text)
        known = validity is not None and len(uids) == len(append.sinks)
        for at, sink in enumerate(append.sinks):
            if sink is None:
                continue
            learned = None
            if known and validity is not None:
                learned = {"uidvalidity": validity, "uid": uids[at]}
            sink.finish("accepted", "OK " + text.decode("utf-8", "replace"), learned=learned)
        return True

    def _appenduid(self, text: bytes) -> tuple[int | None, list[int]]:
        """UIDVALIDITY and UIDs that the server gave, where it says so."""
        code = response_code(text)
        if code is None or code[0] != b"APPENDUID":
            return None, []
        first, _, rest = code[1].partition(b" ")
        try:
            uids = listed(rest.decode("ascii", "replace"), MANY)
            return (int(first) if first.isdigit() and len(first) <= 10 else None), uids
        except ValueError:
            self._world.blind("grammar")
            return None, []

    def lost(self) -> None:
        """The connection is gone: nobody knows what became of what was there as a whole."""
        for append in self._by_tag.values():
            for sink in append.sinks:
                if sink is not None and append.whole:
                    sink.finish("unknown")
                elif sink is not None:
                    sink.discard()
        self._by_tag.clear()


def discard(sinks: Sequence[Sink | None]) -> None:
    """Forget these messages."""
    for sink in sinks:
        if sink is not None:
            sink.discard()
