"""Makes a self-signed certificate, so that STARTTLS works before a real certificate is there.

Mail servers encrypt with it (opportunistic TLS checks no name, RFC 7435); mail programs warn of it
once. Promises: an ECDSA key on P-256, names in subjectAltName, valid from an hour ago (clocks
differ). Pure: the clock is an argument, the caller writes the files.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = 825


def make(hostname: str, now: datetime, days: int = DAYS) -> tuple[bytes, bytes]:
    """Certificate and private key of a host name, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    # a common name holds 64 characters at most (RFC 5280 A.1); clients read the subjectAltName
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
