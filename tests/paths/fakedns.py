"""A name server for tests: what it knows is a dictionary; it counts what it was asked.

    with FakeDNS({("d.example", "MX"): ["10 mx.d.example."], ("mx.d.example", "A"): ["192.0.2.1"]}):

A name that stands in no entry does not exist (NXDOMAIN); one that has others has no data. Instead
of records: SERVFAIL, or SILENCE.
"""

import socket
import threading
from collections.abc import Mapping, Sequence

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SERVFAIL, SILENCE = "SERVFAIL", "SILENCE"


class FakeDNS:
    def __init__(self, zone: Mapping[tuple[str, str], Sequence[str] | str]) -> None:
        self.zone = zone
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "FakeDNS":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def resolver(self) -> dns.asyncresolver.Resolver:
        """A resolver that knows no other server than this one."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        return resolver

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            answer = self._answer(dns.message.from_wire(data))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        known = self.zone.get((name, kind))
        if known == SILENCE:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if known == SERVFAIL:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif known:
            answer.answer.append(
                dns.rrset.from_text_list(question.name, 60, "IN", kind, list(known))
            )
        elif not any(entry == name for entry, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
