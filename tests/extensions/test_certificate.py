"""The certificate of the TLS port: who may read its files, and when it is renewed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import certifi
import pytest
import time_machine
from cryptography import x509

from extensions import certificate
from tests.background import concurrently


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    files = certificate.ensure(tmp_path)
    assert [_mode(each) for each in (files.key.parent, files.key)] == [0o700, 0o600]
    assert {each.name for each in files.key.parent.iterdir()} == {
        "key.pem",
        "cert.pem",
        "bundle.pem",
    }
    # Server and client can load them.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    ssl.create_default_context(cafile=str(files.bundle))
    shown = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "host.docker.internal"} <= set(names.get_values_for_type(x509.DNSName))
    assert len(names.get_values_for_type(x509.IPAddress)) == 2


def test_threads_get_the_same_files(tmp_path: Path) -> None:
    made = concurrently(*(lambda: certificate.ensure(tmp_path).bundle.read_bytes(),) * 8)
    assert len(set(made)) == 1


def test_bundle_has_the_certificates_of_certifi_and_ours(tmp_path: Path) -> None:
    files = certificate.ensure(tmp_path)
    files.bundle.write_text("old")
    files = certificate.ensure(tmp_path)
    expected = Path(certifi.where()).read_bytes() + files.certificate.read_bytes()
    assert files.bundle.read_bytes() == expected


@pytest.mark.parametrize(
    ("days", "broken", "is_new"),
    [
        (0, "", False),
        (794, "", False),
        (796, "", True),
        (0, "cert.pem", True),
        (0, "key.pem", True),
    ],
)
def test_certificate_is_renewed_before_it_expires(
    tmp_path: Path, days: int, broken: str, is_new: bool
) -> None:
    first = certificate.ensure(tmp_path).certificate.read_bytes()
    if broken == "cert.pem":
        (tmp_path / "tls" / broken).write_text("nothing")
    elif broken:
        (tmp_path / "tls" / broken).unlink()
    now = datetime.now(UTC).timestamp()
    with time_machine.travel(now + days * 86400, tick=False):
        assert (certificate.ensure(tmp_path).certificate.read_bytes() != first) is is_new
