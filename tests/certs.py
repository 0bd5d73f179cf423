"""Certificates for tests: an authority of our own and what it signs, made once and kept in memory.

Keys are elliptic (fast to make); everything is valid from yesterday for a month.
"""

import atexit
import datetime
import functools
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
NAMES = ("localhost", "hop.example.net", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificate:
    """A server certificate on disk, and the authority that vouches for it."""

    cert: Path
    key: Path
    ca: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


def make_certificate(
    folder: Path, names: tuple[str, ...] = NAMES, *, expired: bool = False
) -> Certificate:
    """Write ca.pem, cert.pem and key.pem into the folder; names may be host names or addresses."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Tests of Mailweir")
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), expired=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .add_extension(_SIGNS_ONLY, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    cert = (
        _builder(_name(names[0]), ca_name, key.public_key(), expired=expired)
        .add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
        # Python 3.13 verifies strictly (RFC 5280): it wants to find the authority by its key.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "key.pem").chmod(0o600)
    return Certificate(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")


@functools.cache
def certificate_for(*names: str) -> Certificate:
    """A certificate shared by the whole test process (its folder goes away with the process)."""
    folder = tempfile.TemporaryDirectory(prefix="mailweir-certs-")
    atexit.register(folder.cleanup)
    return make_certificate(Path(folder.name), names or NAMES)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * day)
        .not_valid_after(now - day if expired else now + 30 * day)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
