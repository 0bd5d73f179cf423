"""The commands that the companion knows, and no others (edge).

Promises: nothing is ever changed in a mailbox: they are opened with EXAMINE, bodies are read with
BODY.PEEK. Waits and errors are proxy/imap/mailwire.py's.
Cites: RFC 3501, RFC 4731 (ESEARCH), RFC 6154 (SPECIAL-USE), RFC 4959 (SASL-IR), RFC 7628.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from aioimaplib.aioimaplib import AUTH, SELECTED

from crmstore.uidset import UidSet, parse_ranges
from proxy.imap.choice import Folder
from proxy.imap.grammar import FetchItems, NotUnderstood, fetch_items, response_code, tokens
from proxy.imap.login import Credentials
from proxy.imap.mailwire import PATIENCE, MailboxError, Server, Wire, open_transport
from proxy.imap.message import Octets, Tee

__all__ = ["MailboxClient", "MailboxError", "Server", "connect"]

AT_ONCE: Final = 5_000


class MailboxClient(Wire):
    """One connection. Made by `connect`."""

    _body: _Body | None = None

    def takes(self, text: bytes) -> Tee | None:
        """A message's octets go to whoever asked for it."""
        return self._body.takes(text) if self._body is not None else None

    def untagged(self, text: bytes) -> None:
        if self._body is not None:
            self._body.ended(text)

    async def login(self, credentials: Credentials) -> None:
        """MailboxError with the stage "login" or "authenticate" if they are refused."""
        mechanism = credentials.mechanism
        user, secret = credentials.user, credentials.secret.reveal()
        if mechanism in ("XOAUTH2", "OAUTHBEARER"):
            gs2 = (
                f"n,a={user.replace('=', '=3D').replace(',', '=2C')},"
                if mechanism[0] == "O"
                else ""
            )
            first = gs2 if gs2 else f"user={user}"
            message = f"{first}\x01auth=Bearer {secret}\x01\x01"
            await self._authenticate(mechanism, message.encode())
        elif "AUTH=PLAIN" in self.capabilities:
            await self._authenticate("PLAIN", f"{credentials.authzid}\0{user}\0{secret}".encode())
        elif "LOGINDISABLED" in self.capabilities or credentials.authzid:
            raise MailboxError("login", "the server offers no way to log in that we know")
        elif (user + secret).isascii() and (user + secret).isprintable():
            await self.ask("LOGIN", _quoted(user), _quoted(secret))
        else:
            raise MailboxError("login", "LOGIN cannot carry this password")
        self.state = AUTH
        await self.capabilities_again()

    async def _authenticate(self, mechanism: str, message: bytes) -> None:
        coded = b64encode(message)
        self._continued = 0
        try:
            if "SASL-IR" in self.capabilities:
                await self.ask("AUTHENTICATE", mechanism, coded.decode("ascii"))
            else:
                self._answers = [coded]
                await self.ask("AUTHENTICATE", mechanism)
        finally:
            self._answers = []

    async def folders(self) -> list[Folder]:
        """What LIST says, special uses included where the server knows them."""
        more = {"SPECIAL-USE", "LIST-EXTENDED"} <= self.capabilities
        heard = await self.ask("LIST", '""', '"*"', *(["RETURN (SPECIAL-USE)"] if more else []))
        found = []
        for text, literals in heard:
            if text[:7].upper() != b"* LIST ":
                continue
            try:
                parts = list(tokens(text, 7, literals))
            except NotUnderstood:
                continue
            if parts and parts[0].kind == "(":
                close = next((n for n, part in enumerate(parts) if part.kind == ")"), 0)
                attributes = tuple(part.value for part in parts[1:close] if part.value)
                name = parts[close + 2].value if len(parts) > close + 2 else None
                if name:
                    found.append(Folder(attributes, name))
        return found

    async def examine(self, raw: bytes) -> int:
        """Open a mailbox read-only; its UIDVALIDITY."""
        heard = await self.ask("EXAMINE", _quoted(raw.decode("ascii")))
        self.state = SELECTED
        for text, _ in heard:
            code = response_code(text[5:]) if text[:5].upper() == b"* OK " else None
            if code is not None and code[0] == b"UIDVALIDITY" and code[1].isdigit():
                return int(code[1])
        raise MailboxError("examine", "no UIDVALIDITY")

    async def search(self, since: str) -> UidSet:
        """The UIDs of what came on that day ("1-Feb-2026") or later."""
        extended = {"ESEARCH", "IMAP4REV2"} & self.capabilities
        how = ["RETURN (ALL)"] if extended else []
        heard = await self.ask("SEARCH", *how, "SINCE", since, prefix="UID")
        found = UidSet()
        try:
            for text, _ in heard:
                upper = text.upper()
                if upper.startswith(b"* SEARCH"):
                    words = text[8:].split()
                    for start in range(0, len(words), AT_ONCE):
                        for word in words[start : start + AT_ONCE]:
                            for low, high in parse_ranges(word.decode("ascii")):
                                found.add(low, high)
                        await asyncio.sleep(0)  # a mailbox may be large, and the loop is shared
                elif upper.startswith(b"* ESEARCH") and b" ALL " in upper:
                    uids = upper.rpartition(b" ALL ")[2].split(b" ")[0]
                    for low, high in parse_ranges(uids.decode("ascii")):
                        found.add(low, high)
        except ValueError:
            raise MailboxError("search", "not understood") from None
        return found

    async def sizes(self, uids: str) -> dict[int, FetchItems]:
        """Size, date and flags of some messages, by UID."""
        heard = await self.ask("FETCH", uids, "(UID RFC822.SIZE INTERNALDATE FLAGS)", prefix="UID")
        found: dict[int, FetchItems] = {}
        for text, _ in heard:
            items = _fetched(text)
            if items is not None and items.uid is not None and items.size is not None:
                found[items.uid] = items
        return found

    async def body(self, uid: int, write: Callable[[Octets], bool]) -> bool:
        """Hand over the octets of a message; False if the server has no such message (any more).

        `write` says whether it can take more at once; if not, reading stops for a moment. What was
        written before a False or an error is worth nothing.
        """
        body = self._body = _Body(self, uid, write)
        try:
            await self.ask("FETCH", str(uid), "(UID BODY.PEEK[])", prefix="UID")
        finally:
            self._body = None
        return body.whole

    async def logout(self) -> None:
        """Politely, but not at any price."""
        try:
            async with asyncio.timeout(5):
                await self.ask("LOGOUT")
        except (MailboxError, TimeoutError):
            pass
        self.close()


class _Body:
    """The one body that is being fetched."""

    def __init__(self, client: MailboxClient, uid: int, write: Callable[[Octets], bool]) -> None:
        self._client = client
        self._uid = uid
        self._write = write
        self._begun = False
        self.whole = False

    def takes(self, text: bytes) -> Tee | None:
        items = _fetched(text)
        if items is None or not items.bodies or items.bodies[-1][0] != b"BODY[]" or self._begun:
            return None
        if items.uid not in (None, self._uid) or items.bodies[-1][1].kind != "literal":
            return None
        self._begun = True
        return self._part

    def _part(self, chunk: Octets) -> None:
        if not self._write(chunk):
            self._client.pause()

    def ended(self, text: bytes) -> None:
        """The response stands whole."""
        items = _fetched(text)
        if items is None or items.uid != self._uid or not items.bodies:
            return
        name, token = items.bodies[-1]
        if name == b"BODY[]" and token.kind == "literal":
            self.whole = self._begun
        elif name == b"BODY[]" and token.kind == "quoted" and not self._begun:
            self._begun = self.whole = True
            self._write(token.value or b"")


def _fetched(text: bytes) -> FetchItems | None:
    """The items of `* n FETCH (...)`, as far as the text goes."""
    star, _, rest = text.partition(b" ")
    number, _, rest = rest.partition(b" ")
    word, _, _ = rest.partition(b" ")
    if star != b"*" or not number.isdigit() or word.upper() not in (b"FETCH", b"UIDFETCH"):
        return None
    try:
        return fetch_items(text, len(text) - len(rest) + len(word) + 1)
    except NotUnderstood:
        return None


async def connect(server: Server, patience: float = PATIENCE) -> MailboxClient:
    """A greeted connection, under TLS as the policy has it. MailboxError."""
    loop = asyncio.get_running_loop()
    client = MailboxClient(loop, patience)
    try:
        async with asyncio.timeout(patience):
            await open_transport(client, server, loop)
            await client.greeted
            await client.capabilities_again()
            if not server.implicit:
                if "STARTTLS" in client.capabilities and server.tls != "none":
                    await client.starttls(server)
                elif server.tls in ("require", "verify"):
                    raise MailboxError("tls", "the server offers no STARTTLS")
            if server.ident and "ID" in client.capabilities:
                await client.ask("ID", server.ident)
    except TimeoutError:
        client.close()
        raise MailboxError("timeout", "connect") from None
    except OSError as error:
        client.close()
        raise MailboxError("connect", type(error).__name__) from None
    except BaseException:
        client.close()
        raise
    return client


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
