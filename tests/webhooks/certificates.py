"""Self-signed certificates, and those of an authority of its own, created when a test needs one."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def certificate(
    folder: Path, *, names: tuple[str, ...] = ("localhost", "127.0.0.1"), expired: bool = False
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts for a server with a self-signed certificate, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    built = _builder(names[0], key, expired=expired).add_extension(_alternatives(names), False)
    pem = folder / "certificate.pem"
    pem.write_bytes(_private(key) + _public(_self_signed(built, names[0], key)))
    return _server(pem), ssl.create_default_context(cafile=str(pem))


class Authority:
    """A certificate authority of a test's own; `pem` is the file with its certificate."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(_public(_self_signed(_builder(name, self._key), name, self._key)))

    def server(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server with a certificate that this authority has issued."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = (
            _builder(names[0], key, is_authority=False)
            .issuer_name(_subject(self._name))
            .add_extension(_alternatives(names), False)
            .add_extension(own, False)
            .sign(self._key, hashes.SHA256())
        )
        pem = self._folder / f"{self._name} {names[0]}.pem"
        pem.write_bytes(_private(key) + _public(built))
        return _server(pem)


def _builder(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    expired: bool = False,
    is_authority: bool = True,
) -> x509.CertificateBuilder:
    """Return a certificate without an issuer."""
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=-1 if expired else 1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), True)
        # Python 3.13 is strict about these two.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    return built.add_extension(_SIGNS, True) if is_authority else built


def _self_signed(
    builder: x509.CertificateBuilder, name: str, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    return builder.issuer_name(_subject(name)).sign(key, hashes.SHA256())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(built: x509.Certificate) -> bytes:
    return built.public_bytes(serialization.Encoding.PEM)


def _server(pem: Path) -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(name) for name in names])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
