"""A port that is reserved before the settings are read."""

from __future__ import annotations

import socket

import pytest

from connect_sim.server import listening


def port_of(bind: str) -> int:
    return int(bind.rpartition(":")[2])


@pytest.mark.parametrize(
    ("bind", "hosts"),
    [
        ("127.0.0.1:8000", ["127.0.0.1"]),
        ("localhost:8000", ["localhost"]),
        ("[::1]:8000 127.0.0.1:8001", ["[::1]", "127.0.0.1"]),
        ("127.0.0.1:8000 127.0.0.1:8001", ["127.0.0.1"]),
        ("*:8000", ["*"]),
    ],
)
def test_all_hosts_listen_on_the_same_free_port(bind: str, hosts: list[str]) -> None:
    chosen = listening.reserve(bind)
    sockets = listening.listen(chosen)
    try:
        port = port_of(chosen)
        assert chosen == " ".join(f"{host}:{port}" for host in hosts)
        assert {each.getsockname()[1] for each in sockets} == {port}
    finally:
        listening.close(sockets)


def test_reserved_port_cannot_be_taken_before_it_is_used() -> None:
    chosen = listening.reserve("127.0.0.1:0")
    try:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port_of(chosen)))
    finally:
        listening.close(listening.listen(chosen))
    # The reservation is used once.
    listening.close(listening.listen(chosen))


def test_port_that_is_taken_on_another_host_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has the first port on the second host."""
    taken: list[socket.socket] = []
    listen = listening.listen

    def take_once(bind: str) -> list[socket.socket]:
        if " " in bind and not taken:
            taken.extend(listen(bind.split()[1]))
        return listen(bind)

    monkeypatch.setattr(listening, "listen", take_once)
    try:
        chosen = listening.reserve("127.0.0.1:0 127.0.0.2:0")
        assert port_of(chosen) != taken[0].getsockname()[1]
        listening.close(listen(chosen))
    finally:
        listening.close(taken)


@pytest.mark.parametrize("bind", ["nowhere.invalid:80", "192.0.2.1:80"])
def test_host_that_cannot_be_bound_is_an_error(bind: str) -> None:
    with pytest.raises(OSError):
        listening.reserve(bind)
