"""Reads certificate files and says what is in them: names, dates, whether the key fits.

Used at start (a certificate that cannot work is refused by name) and by `mailweir check` (how many
days are left). A refusal is a ValueError whose text says what is allowed. Whether the chain leads
to an authority that strangers trust is not judged here: many relays use a private one.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a PEM file, and the number of those that follow it."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    self_signed: bool
    chain_length: int
    chain_ordered: bool

    def covers(self, hostname: str) -> bool:
        """Whether a client that checks the name is satisfied (RFC 6125 6.4: one label by "*")."""
        parent = hostname.partition(".")[2]
        return hostname in self.names or (bool(parent) and f"*.{parent}" in self.names)


def read_certificate(path: Path) -> Certificate:
    pem = read_pem(path)
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("a readable PEM file with a certificate") from None
    first = chain[0]
    return Certificate(
        names=_names(first),
        not_before=first.not_valid_before_utc,
        not_after=first.not_valid_after_utc,
        self_signed=first.issuer == first.subject,
        chain_length=len(chain),
        chain_ordered=all(a.issuer == b.subject for a, b in pairwise(chain)),
    )


def check_pair(cert: Path, key: Path) -> None:
    """The very call that the doors make: what OpenSSL cannot load here it cannot load there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # an empty password keeps OpenSSL from asking at the terminal for an encrypted key
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"the private key of the certificate {cert}") from None
        raise ValueError("a readable PEM file with an unencrypted private key") from None
    except OSError as error:
        raise ValueError(f"a readable PEM file ({error.strerror})") from None


def read_pem(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(2**20)
    except OSError as error:
        raise ValueError(f"a readable PEM file ({error.strerror})") from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Names of the subjectAltName only: clients have not read the common name since RFC 6125."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in found.value.get_values_for_type(x509.DNSName))
