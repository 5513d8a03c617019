"""What a sandbox in a container says about handlers outside of it."""

from __future__ import annotations

import socket

import pytest

from connect_sim import container


@pytest.mark.parametrize(
    ("host_name", "named"),
    [("3f2a91c04be7", "3f2a91c04be7"), ("my-sandbox", "CONTAINER"), ("3F2A91C04BE7", "CONTAINER")],
)
def test_program_is_called_by_the_container_id(
    monkeypatch: pytest.MonkeyPatch, host_name: str, named: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host_name)
    assert container.program() == f"docker exec -it {named} connect-sim"


def test_hints_name_host_option_and_settings() -> None:
    text = "\n".join(container.hints("http://sim:8000", 9001))
    for part in (
        "http://host.docker.internal:9001/",
        "http://sim:8000",
        "SIM_PUBLIC_URL=",
        "--add-host=host.docker.internal:host-gateway",
    ):
        assert part in text
