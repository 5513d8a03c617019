"""The certificate of the sandbox's second port: runners call the API by https only.

Self-signed, for this machine's names, in the folder `tls` of the data folder: `key.pem` (0600),
`cert.pem`, and `bundle.pem`, certifi's certificates with ours, for the variables SSL_CERT_FILE and
REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from requests_queue import whole_files

LIFETIME = timedelta(days=825)
# A certificate that ends sooner is replaced at a start.
_RENEWED = timedelta(days=30)
# Key and certificate belong together; requests may ask at the same time.
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Files:
    """The paths of the three files."""

    key: Path
    certificate: Path
    bundle: Path


def ensure(data_dir: Path) -> Files:
    """Return the files, made at the first use and renewed before they expire."""
    folder = data_dir / "tls"
    files = Files(folder / "key.pem", folder / "cert.pem", folder / "bundle.pem")
    with _guard:
        if not _is_valid(files):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(files)
        # Each time: certifi may have been updated.
        bundle = Path(certifi.where()).read_bytes() + files.certificate.read_bytes()
        whole_files.write(files.bundle, bundle, 0o644)
    return files


def _is_valid(files: Files) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    except (OSError, ValueError):
        return False
    is_fresh = certificate.not_valid_after_utc > datetime.now(UTC) + _RENEWED
    return is_fresh and files.key.exists()


def _make(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Connect Sim")])
    now = datetime.now(UTC)
    names = dict.fromkeys(("localhost", socket.gethostname(), "host.docker.internal"))
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
    alternatives += [x509.IPAddress(ip_address(each)) for each in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    whole_files.write(files.key, secret)
    text = certificate.public_bytes(serialization.Encoding.PEM)
    whole_files.write(files.certificate, text, 0o644)
