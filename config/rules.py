"""Rules that span several keys of the configuration: pure, each refusal with its key by name.

Promises: everything that would make the relay open, send it in circles, hand secrets over in
clear, or leave a key without effect is refused before a socket is opened. Features of the
contract that this version has not got are refused by name too: an administrator must never
believe that something is on which is not.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.targets import PRIVATE, HopTarget, ListenAddress, Network

if TYPE_CHECKING:
    from config.settings import ImapListener, Outbound, Settings, SmtpListener, Store

# The widest public networks that may be trusted. A larger one is nearly always a slip, and the
# slip is an open relay; who really owns more lists the parts.
WIDEST_V4, WIDEST_V6 = 16, 32

LATER = "not available in this version"


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal: the path of the key, the value as written, and what is allowed there."""

    key: str
    value: object
    allowed: str


class Refused(ValueError):
    """Carries the problems through pydantic, which keeps the exception of a validator."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.key}: {problem.allowed}" for problem in problems))
        self.problems = problems


def fill_recipient_domains(data: Any) -> Any:
    """An inbound listener takes mail for node.domains unless its own list says otherwise.

    Not with next_hop = "mx": the MX of our own domains is most likely this very listener, so what
    is to be relayed onward must be written down.
    """
    if not isinstance(data, dict) or not isinstance(data.get("node"), dict):
        return data
    domains, listeners = data["node"].get("domains"), data.get("smtp")
    if not domains or not isinstance(domains, list | tuple):
        return data
    if not isinstance(listeners, list | tuple):
        return data
    return {**data, "smtp": [_filled(listener, domains) for listener in listeners]}


def problems(settings: "Settings") -> Iterator[Problem]:
    yield from _later(settings)
    yield from _names_and_ports(settings)
    for number, listener in enumerate(settings.smtp):
        at = f"smtp[{number}]"
        yield from _door_tls(at, listener)
        yield from _auth(at, listener)
        yield from _public(at, listener)
        yield from _relay(at, listener)
        yield from _next_hop(at, listener)
        yield from _loop(f"{at}.next_hop", listener.next_hop, settings)
    for number, imap in enumerate(settings.imap):
        at = f"imap[{number}]"
        yield from _door_tls(at, imap)
        yield from _balancers(at, imap)
        yield from _upstream(at, imap, settings)
    if not settings.node.domains:
        yield Problem("node.domains", [], "our own mail domains, at least one")
    if settings.capture.listed and settings.capture.users == "all":
        yield Problem("capture.users", "all", '"listed", because capture.listed is set')
    yield from _database(settings.store)
    yield from _blobs(settings.store)
    yield from _outbound(settings.outbound)
    yield from _bounce(settings)
    yield from _loop("outbound.route", settings.outbound.route, settings)


def _filled(listener: Any, domains: Any) -> Any:
    if (
        isinstance(listener, dict)
        and listener.get("role") == "inbound"
        and listener.get("next_hop") != "mx"
    ):
        return {"recipient_domains": domains, **listener}
    return listener


def _later(settings: "Settings") -> Iterator[Problem]:
    """Values that would switch on what is not built yet."""
    store = settings.store
    if store.durability != "local":
        yield Problem("store.durability", store.durability, f'"local": "shared" is {LATER}')
    for number, smtp in enumerate(settings.smtp):
        if smtp.auth == "imap":
            allowed = f'"none" or "next_hop": "imap" is {LATER}'
            yield Problem(f"smtp[{number}].auth", smtp.auth, allowed)
    if settings.drop.domain:
        yield Problem("drop.domain", settings.drop.domain, f"nothing: the drop is {LATER}")
    if settings.hold.domain:
        allowed = f"nothing: scheduled sending is {LATER}"
        yield Problem("hold.domain", settings.hold.domain, allowed)
    if settings.hold.undo:
        yield Problem("hold.undo", settings.hold.undo, f'"0s": the undo window is {LATER}')


def _names_and_ports(settings: "Settings") -> Iterator[Problem]:
    names: set[str] = set()
    taken: dict[ListenAddress, str] = {settings.http.listen: "http.listen"}
    listeners: list[tuple[str, SmtpListener | ImapListener]] = [
        *((f"smtp[{number}]", smtp) for number, smtp in enumerate(settings.smtp)),
        *((f"imap[{number}]", imap) for number, imap in enumerate(settings.imap)),
    ]
    for at, listener in listeners:
        if listener.name in names:
            allowed = "a name that no other listener has"
            yield Problem(f"{at}.name", listener.name, allowed)
        names.add(listener.name)
        if owner := taken.get(listener.listen):
            allowed = f"an address and port that is not taken by {owner}"
            yield Problem(f"{at}.listen", str(listener.listen), allowed)
        taken.setdefault(listener.listen, f"{at}.listen")


def _door_tls(at: str, listener: "SmtpListener | ImapListener") -> Iterator[Problem]:
    for key, path in (("cert", listener.cert), ("key", listener.key)):
        if listener.tls != "none" and path is None:
            allowed = f'the path of a PEM file, because tls = "{listener.tls}"'
            yield Problem(f"{at}.{key}", None, allowed)
        if listener.tls == "none" and path is not None:
            allowed = f'"starttls" or "implicit", because {key} is set'
            yield Problem(f"{at}.tls", listener.tls, allowed)
            return


def _auth(at: str, listener: "SmtpListener") -> Iterator[Problem]:
    relayed = listener.auth == "next_hop"
    if relayed and listener.next_hop.kind == "mx":
        allowed = '"none": with next_hop = "mx" there is no server that could check a password'
        yield Problem(f"{at}.auth", listener.auth, allowed)
    if relayed and listener.role == "lmtp":
        yield Problem(f"{at}.auth", listener.auth, '"none": an LMTP listener has no users')
    hop = listener.next_hop
    if relayed and hop.kind == "smtp" and listener.next_hop_tls == "may" and not _loopback(hop):
        allowed = '"require" or "verify", so that no client\'s password crosses a network in clear'
        yield Problem(f"{at}.next_hop_tls", listener.next_hop_tls, allowed)
    if listener.auth_plain_without_tls and listener.auth == "none":
        yield Problem(f"{at}.auth_plain_without_tls", True, 'false, or auth = "next_hop"')
    if listener.role == "submission" and listener.auth == "none" and not listener.trusted:
        allowed = '"next_hop", or networks in trusted: as it stands nobody could send'
        yield Problem(f"{at}.auth", listener.auth, allowed)


def _public(at: str, listener: "SmtpListener") -> Iterator[Problem]:
    told = listener.public is not None and listener.public.kind != "none"
    if told and (listener.role != "submission" or listener.auth == "none"):
        allowed = 'nothing: mail programs send at role = "submission", and log in there (auth)'
        yield Problem(f"{at}.public", str(listener.public), allowed)


def _relay(at: str, listener: "SmtpListener") -> Iterator[Problem]:
    """Nobody may become an open relay by a slip (RFC 5321 7.8 leaves the policy to us)."""
    if listener.role == "submission" and listener.recipient_domains is not None:
        allowed = "nothing: a submission listener sends to all domains"
        yield Problem(f"{at}.recipient_domains", list(listener.recipient_domains), allowed)
    if listener.recipient_domains is None and (
        listener.role == "inbound" or (listener.role == "lmtp" and listener.next_hop.kind != "lmtp")
    ):
        allowed = f'the domains that "{listener.next_hop}" gets mail for: without them anyone could'
        yield Problem(f"{at}.recipient_domains", None, f"{allowed} relay to anywhere (open relay)")
    for key, networks in (("trusted", listener.trusted), ("proxy_from", listener.proxy_from)):
        for number, network in enumerate(networks):
            if _too_wide(network):
                allowed = (
                    f"public networks of /{WIDEST_V4} (IPv6: /{WIDEST_V6}) or smaller:"
                    " a wider one makes an open relay"
                )
                yield Problem(f"{at}.{key}[{number}]", str(network), allowed)
    yield from _balancers(at, listener)


def _balancers(at: str, listener: "SmtpListener | ImapListener") -> Iterator[Problem]:
    if listener.proxy_protocol and not listener.proxy_from:
        allowed = "the networks of the balancers, because proxy_protocol = true"
        yield Problem(f"{at}.proxy_from", [], allowed)
    if listener.proxy_from and not listener.proxy_protocol:
        yield Problem(f"{at}.proxy_protocol", False, "true, because proxy_from is set")


def _upstream(at: str, listener: "ImapListener", settings: "Settings") -> Iterator[Problem]:
    upstream, tls = listener.upstream, listener.upstream_tls
    near = _loopback_host(upstream.host)
    if upstream.kind == "imap" and tls == "may" and not near:
        allowed = '"require" or "verify", so that no user\'s password crosses a network in clear'
        yield Problem(f"{at}.upstream_tls", tls, allowed)
    if listener.upstream_ca and tls != "verify":
        yield Problem(f"{at}.upstream_tls", tls, '"verify": upstream_ca is set')
    if listener.auth_plain_without_tls and listener.tls != "starttls":
        allowed = 'false: it only concerns tls = "starttls"'
        yield Problem(f"{at}.auth_plain_without_tls", True, allowed)
    for other in settings.imap:
        if upstream.port == other.listen.port and _same(upstream.host, other.listen):
            allowed = f'another server: this is our own listener "{other.name}"'
            yield Problem(f"{at}.upstream", str(upstream), allowed)
            return


def _too_wide(network: Network) -> bool:
    if network.prefixlen >= (WIDEST_V4 if network.version == 4 else WIDEST_V6):
        return False
    return not any(
        private.version == network.version and network.subnet_of(private)  # type: ignore[arg-type]
        for private in PRIVATE
    )


def _next_hop(at: str, listener: "SmtpListener") -> Iterator[Problem]:
    hop = listener.next_hop
    if hop.unix_path and listener.next_hop_tls != "may":
        yield Problem(f"{at}.next_hop_tls", listener.next_hop_tls, '"may" with a unix socket')
    if listener.next_hop_ca and listener.next_hop_tls != "verify":
        yield Problem(f"{at}.next_hop_tls", listener.next_hop_tls, '"verify": next_hop_ca is set')
    if listener.next_hop_client != "none" and hop.kind == "mx":
        allowed = '"none": other people\'s servers do not believe us'
        yield Problem(f"{at}.next_hop_client", listener.next_hop_client, allowed)
    if listener.next_hop_client == "proxy" and hop.unix_path:
        yield Problem(f"{at}.next_hop_client", "proxy", '"none" or "xclient" with a unix socket')
    if listener.allow_private and hop.kind != "mx":
        yield Problem(f"{at}.allow_private", True, 'false: it only concerns next_hop = "mx"')


def _database(store: "Store") -> Iterator[Problem]:
    if store.password_file and store.url.engine == "sqlite":
        allowed = 'nothing with url = "sqlite"'
        yield Problem("store.password_file", str(store.password_file), allowed)
    elif store.password_file and store.url.password:
        allowed = "nothing: store.url has a password already"
        yield Problem("store.password_file", str(store.password_file), allowed)


def _blobs(store: "Store") -> Iterator[Problem]:
    endpoint = store.blobs_endpoint
    if not store.blobs.bucket:
        for key in ("endpoint", "region", "credentials_file", "ca", "allow_http"):
            if value := getattr(store, f"blobs_{key}"):
                shown = value if value is True else str(value)
                yield Problem(f"store.blobs_{key}", shown, 'nothing with blobs = "file"')
        return
    plain = endpoint is not None and endpoint.scheme == "http"
    if store.blobs_allow_http and not plain:
        yield Problem("store.blobs_allow_http", True, "false: blobs_endpoint is not http://")
    if store.blobs_ca and plain:
        yield Problem("store.blobs_ca", str(store.blobs_ca), "nothing: blobs_endpoint is http://")
    if plain and endpoint is not None and not endpoint.near and not store.blobs_allow_http:
        allowed = (
            '"https://...", or an address that is loopback or private, or blobs_allow_http = true:'
            " mail would cross a network in clear"
        )
        yield Problem("store.blobs_endpoint", str(endpoint), allowed)


def _outbound(outbound: "Outbound") -> Iterator[Problem]:
    route = outbound.route
    if outbound.user and route.kind == "mx":
        yield Problem("outbound.user", outbound.user, 'nothing with route = "mx"')
    if bool(outbound.user) != (outbound.password_file is not None):
        missing = "password_file" if outbound.user else "user"
        yield Problem(f"outbound.{missing}", None, "user and password_file together")
    if outbound.user and route.kind == "smtp" and outbound.tls == "may" and not _loopback(route):
        allowed = '"require" or "verify", so that the password never crosses a network in clear'
        yield Problem("outbound.tls", outbound.tls, allowed)
    if outbound.ca and outbound.tls != "verify":
        yield Problem("outbound.tls", outbound.tls, '"verify": ca is set')
    if outbound.allow_private and route.kind != "mx":
        yield Problem("outbound.allow_private", True, 'false: it only concerns route = "mx"')
    if outbound.retry_first > outbound.retry_max:
        allowed = "a duration that is not longer than retry_max"
        yield Problem("outbound.retry_first", outbound.retry_first, allowed)


def _bounce(settings: "Settings") -> Iterator[Problem]:
    bounce = settings.bounce
    if not bounce.return_path_domain:
        return
    taken = {*settings.node.domains}
    for listener in settings.smtp:
        taken |= set(listener.recipient_domains or ())
    if bounce.return_path_domain in taken:
        allowed = "a domain of its own, that no mailbox is in: its MX is this machine"
        yield Problem("bounce.return_path_domain", bounce.return_path_domain, allowed)
    if not any(listener.role in ("inbound", "lmtp") for listener in settings.smtp):
        allowed = "nothing: without an inbound listener no report could come back"
        yield Problem("bounce.return_path_domain", bounce.return_path_domain, allowed)


def _loop(key: str, hop: HopTarget, settings: "Settings") -> Iterator[Problem]:
    for listener in settings.smtp:
        own = listener.listen
        if hop.port == own.port and _reaches(hop, own):
            allowed = f'another server: this is our own listener "{listener.name}"'
            yield Problem(key, str(hop), allowed)
            return


def _reaches(hop: HopTarget, own: ListenAddress) -> bool:
    return _same(hop.host, own)


def _same(host: str, own: ListenAddress) -> bool:
    everywhere = ipaddress.ip_address(own.host).is_unspecified
    here = everywhere or ipaddress.ip_address(own.host).is_loopback
    return (
        host == own.host or (here and host == "localhost") or (everywhere and _loopback_host(host))
    )


def _loopback(hop: HopTarget) -> bool:
    return bool(hop.unix_path) or _loopback_host(hop.host)


def _loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
