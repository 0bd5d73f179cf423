"""Where mail for a domain goes: MX, addresses, and which of them we refuse to connect to.

An edge (DNS), with its decisions as pure functions above it. RFC 5321 section 5.1: MX by
preference, random within one, no MX means the domain's own address; RFC 7505: a null MX means no
mail.

Promises
- The address that was checked is the address that is connected to: it is never resolved again.
- Without `allow_private` only global unicast addresses pass, whatever dress they wear (mapped
  IPv4, NAT64, 6to4): a stranger's MX record must not make us talk to our own network.
- We are never our own next hop: an MX host with our name ends the list there (section 5.1), an
  address of ours is skipped, and if nothing is left that is a loop, 5.4.6.
- Permanent only what the DNS proves: NXDOMAIN (5.1.2), null MX (5.1.10), a loop (5.4.6), hosts
  without any usable address (5.4.4). SERVFAIL and time-outs are temporary (4.4.3).
- Bounded: 10 MX hosts, 8 addresses each, `lifetime` seconds a question, 1,000 cached answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import idna

from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.replies import Reply

MAX_HOSTS: Final = 10
MAX_HOST_ADDRESSES: Final = 8

_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_6TO4: Final = ipaddress.IPv6Network("2002::/16")
# What `is_global` of the older Python releases does not know yet (RFC 6890 and RFC 9637).
_SPECIAL_V4: Final = ipaddress.IPv4Network("192.0.0.0/24")
_SPECIAL_V6: Final = ipaddress.IPv6Network("3fff::/20")


class MX(NamedTuple):
    """A mail exchanger; the host without a dot at its end, "" for the null MX."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class HopAddress:
    """One address to connect to, and the name a certificate must have. Port 0: a unix socket."""

    name: str
    ip: str
    port: int

    @property
    def local(self) -> bool:
        """Nothing that is said leaves this machine."""
        return self.port == 0 or ipaddress.ip_address(self.ip).is_loopback


def order_mx(records: Iterable[MX], rng: random.Random) -> list[MX]:
    """By preference, at random within one."""
    shuffled = list(records)
    rng.shuffle(shuffled)
    return sorted(shuffled, key=lambda mx: mx.preference)


def before_ourselves(ordered: Sequence[MX], own_names: Collection[str]) -> list[MX]:
    """RFC 5321 section 5.1: with us in the list, only hosts of better preference are left."""
    ours = [mx.preference for mx in ordered if mx.host.lower() in own_names]
    return [mx for mx in ordered if not ours or mx.preference < min(ours)]


def is_public(ip: str) -> bool:
    """May a stranger's DNS record send us there?"""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        value = int(address)
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(value & 0xFFFFFFFF)))
        if address in _6TO4:
            return is_public(str(ipaddress.IPv4Address((value >> 80) & 0xFFFFFFFF)))
        if address not in _GLOBAL_V6 or address in _SPECIAL_V6:
            return False
    elif address in _SPECIAL_V4:
        return False
    return address.is_global and not address.is_multicast


def is_own_address(ip: str) -> bool:
    """Is it an address of this machine? Nothing is sent."""
    nobodys = "2001:db8::1" if ":" in ip else "192.0.2.1"
    if not _binds(nobodys):
        return _binds(ip)
    # net.ipv4.ip_nonlocal_bind, as fail-over pairs have it: everything binds. The routing table
    # knows too: to itself a machine speaks from the very same address (its first one at least).
    try:
        with _datagram(ip) as probe:
            probe.connect((ip, 9))
            return str(probe.getsockname()[0]) == ip
    except OSError:
        return False


def _binds(ip: str) -> bool:
    try:
        with _datagram(ip) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True


def _datagram(ip: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)


class MailResolver:
    """The way of mail for "mx"."""

    def __init__(
        self,
        hostname: str,
        *,
        port: int = 25,
        allow_private: bool = False,
        own: Collection[tuple[str, int]] | None = None,
        lifetime: float = 20.0,
        resolver: dns.asyncresolver.Resolver | None = None,
        rng: random.Random | None = None,
        is_own: Callable[[str], bool] = is_own_address,
    ) -> None:
        """`own`: where our doors listen (IP, port); None: every address of this machine is ours."""
        self._own_names = {hostname.lower()}
        self._port = port
        self._allow_private = allow_private
        self._own = own
        self._lifetime = lifetime
        self._resolver = resolver
        self._rng = rng or random.Random()
        self._is_own = is_own

    async def hosts(self, domain: str) -> list[HopAddress]:
        """The addresses to try, in order, never empty; raises HopUnavailable."""
        if domain.startswith("["):
            literal = _literal(domain)
            return self._usable(domain, [(literal, [literal])])
        try:
            name = domain
            if not name.isascii():
                name = idna.encode(name, uts46=True).decode("ascii")
            dns.name.from_text(name)
        except (idna.IDNAError, UnicodeError, dns.exception.DNSException) as error:
            raise _refusal(550, "5.1.2", f"{domain} is no mail domain", str(error)) from error
        records = await self._mx(name)
        ordered = order_mx(records, self._rng)
        hosts = before_ourselves(ordered, self._own_names)
        if not hosts:
            raise _loop(domain)
        found: list[tuple[str, list[str]]] = []
        unsure = ""
        for mx in hosts[:MAX_HOSTS]:
            try:
                found.append((mx.host, await self._addresses(mx.host)))
            except HopUnavailable as error:
                if error.permanent:
                    continue
                unsure = error.detail
        if not any(ips for _, ips in found) and unsure:
            raise _unsure(domain, unsure)
        return self._usable(domain, found)

    def _usable(self, domain: str, found: list[tuple[str, list[str]]]) -> list[HopAddress]:
        usable: list[HopAddress] = []
        own = private = 0
        for name, ips in found:
            for ip in ips:
                if self._ours(ip):
                    own += 1
                elif not self._allow_private and not is_public(ip):
                    private += 1
                else:
                    usable.append(HopAddress(name, ip, self._port))
        if usable:
            return usable
        if own:
            raise _loop(domain)
        if private:
            text = f"the mail hosts of {domain} have no public address"
            raise _refusal(550, "5.4.4", text, str(found))
        raise _refusal(550, "5.4.4", f"the mail hosts of {domain} have no address", str(found))

    def _ours(self, ip: str) -> bool:
        if self._own is None:
            return self._is_own(ip)
        if (ip, self._port) in self._own:
            return True
        everywhere = {("0.0.0.0", self._port), ("::", self._port)}
        return not everywhere.isdisjoint(self._own) and self._is_own(ip)

    async def _mx(self, name: str) -> list[MX]:
        try:
            answer = await self._ask(name, "MX")
        except _NoData:
            return [MX(0, name)]  # RFC 5321 section 5.1: as if it were its own MX
        records = [
            MX(int(record.preference), record.exchange.to_text(omit_final_dot=True).strip("."))
            for record in answer
        ]
        real = [mx for mx in records if mx.host]
        if not real:
            raise _refusal(556, "5.1.10", f"{name} takes no mail (null MX)", "RFC 7505")
        return real

    async def _addresses(self, host: str) -> list[str]:
        """IPv6 and IPv4 by turns, so that one family out of order does not use up the tries."""
        answers = await asyncio.gather(
            self._ips(host, "AAAA"), self._ips(host, "A"), return_exceptions=True
        )
        lists = [answer for answer in answers if isinstance(answer, list)]
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        ips = [ip for turn in zip_longest(*lists) for ip in turn if ip is not None]
        if not ips and failures:
            raise failures[0]
        return ips[:MAX_HOST_ADDRESSES]

    async def _ips(self, host: str, kind: str) -> list[str]:
        try:
            return [record.address for record in await self._ask(host, kind)]
        except _NoData:
            return []

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer:
        if self._resolver is None:
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.exception.DNSException as error:  # no /etc/resolv.conf
                raise _unsure(name, str(error)) from error
            self._resolver.cache = dns.resolver.LRUCache(1000)
        try:
            return await self._resolver.resolve(
                dns.name.from_text(name), kind, search=False, lifetime=self._lifetime
            )
        except dns.resolver.NXDOMAIN as error:
            raise _refusal(550, "5.1.2", f"{name} does not exist", str(error)) from error
        except dns.resolver.NoAnswer as error:
            raise _NoData from error
        except (dns.exception.DNSException, OSError) as error:
            raise _unsure(name, f"{type(error).__name__}: {error}") from error


class _NoData(Exception):
    """The name is there, a record of this kind is not."""


def _literal(domain: str) -> str:
    text = domain[1:-1] if domain.endswith("]") else ""
    if text[:5].upper() == "IPV6:":
        text = text[5:]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise _refusal(550, "5.1.2", "no such address literal", str(error)) from error


def _refusal(code: int, enhanced: str, text: str, detail: str) -> HopUnavailable:
    return HopUnavailable(
        Reply.of(code, enhanced, text), permanent=True, stage="resolve", detail=detail
    )


def _loop(domain: str) -> HopUnavailable:
    return _refusal(550, "5.4.6", f"mail for {domain} loops back to this host", "own address")


def _unsure(domain: str, detail: str) -> HopUnavailable:
    reply = Reply.of(451, "4.4.3", f"the DNS gave no answer for {domain}")
    return HopUnavailable(reply, stage="resolve", detail=detail)
