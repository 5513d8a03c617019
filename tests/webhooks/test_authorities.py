"""SIM_CA_FILE: handlers with HTTPS whose certificates are of an authority of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.certificates import Authority
from tests.webhooks.hostile import Server, polite
from tests.webhooks.loopback import Outcome, Run, attempt, loopback_only, run  # noqa: F401
from webhooks import conf
from webhooks.http import addresses


async def sent(url: str) -> Outcome:
    """Send one request as the engine and the validators do."""
    transport = conf.open_transport()
    try:
        return await attempt(transport, url)
    finally:
        await transport.close()


def test_handler_of_an_own_authority_is_called(run: Run, settings: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Server(polite, tls=authority.server("127.0.0.1")) as server:
        refused = run(sent(server.url)).sentence
        assert "its issuer is unknown" in refused and "SIM_CA_FILE" in refused
        settings.SIM_CA_FILE = str(authority.pem)
        assert run(sent(server.url)).success.status == 200


def test_other_authorities_and_host_names_are_refused(
    run: Run, settings: Any, tmp_path: Path
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other")
    settings.SIM_CA_FILE = str(authority.pem)
    with Server(polite, tls=other.server("127.0.0.1")) as server:
        assert "its issuer is unknown" in run(sent(server.url)).sentence
    with Server(polite, tls=authority.server("127.0.0.9")) as server:
        assert "it is for another address" in run(sent(server.url)).sentence


def test_authorities_of_the_system_stay_trusted(
    run: Run, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, system = Authority(tmp_path), Authority(tmp_path, "System")
    # OpenSSL's own variable for the system's authorities.
    monkeypatch.setenv("SSL_CERT_FILE", str(system.pem))
    settings.SIM_CA_FILE = str(authority.pem)
    for each in (authority, system):
        with Server(polite, tls=each.server("127.0.0.1")) as server:
            assert run(sent(server.url)).success.status == 200


def test_file_may_have_several_authorities(run: Run, settings: Any, tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "First"), Authority(tmp_path, "Second")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# Ours\n{first.pem.read_text()}\n# Theirs\n{second.pem.read_text()}")
    settings.SIM_CA_FILE = str(bundle)
    for each in (first, second):
        with Server(polite, tls=each.server("127.0.0.1")) as server:
            assert run(sent(server.url)).success.status == 200


@pytest.mark.parametrize("content", ["", "x", "key", "half", "cut"])
def test_file_without_whole_certificates_is_unusable(tmp_path: Path, content: str) -> None:
    authority = Authority(tmp_path)
    whole = authority.pem.read_text()
    authority.server("127.0.0.1")
    key = (tmp_path / "Test authority 127.0.0.1.pem").read_text().partition("-----BEGIN CERT")[0]
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    text = {"key": key, "half": whole + broken, "cut": whole[:200]}.get(content, content)
    file = tmp_path / "ca.pem"
    file.write_text(text)
    with pytest.raises(addresses.Unusable, match="no certificates in PEM format"):
        addresses.tls_context(str(file))


def test_removed_file_is_named_when_the_transport_opens(settings: Any, tmp_path: Path) -> None:
    settings.SIM_CA_FILE = str(tmp_path / "gone.pem")
    with pytest.raises(ValueError, match=r"^SIM_CA_FILE: No such file or directory$"):
        conf.check_transport()
