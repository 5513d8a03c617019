"""URL validation: valid URLs, and hosts in any notation that must be refused."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.hostile import OK, Server, polite, responds
from tests.webhooks.loopback import (  # noqa: F401  (two of them are fixtures)
    LOOPBACK,
    Outcome,
    Run,
    attempt,
    loopback_only,
    names,
    once,
    run,
)
from webhooks.http.addresses import AddressPolicy, Resolver, parse_networks
from webhooks.http.client import Transport, check_url

CLOSED = AddressPolicy()


# Valid, and not changed.
NORMAL = (
    "http://handler.example",
    "https://handler.example/",
    "http://localhost:8000/hook",
    "http://my_service:8000/",
    "http://handler.example./",
    "http://127.0.0.1:80/",
    "http://[::1]:8000/",
    "https://h/a//b/../c;d=1?x=%2f&y=a+b&z=[1]|{2}^`'\"\\&&",
    "https://h?x=1?y=2",
    "https://h/%zz?%",
    "http://h/a?mail=a@b.example",
)


def test_url_is_normalized() -> None:
    for url, normal in (
        *zip(NORMAL, NORMAL, strict=True),
        ("HTTP://Handler.EXAMPLE/Path", "http://handler.example/Path"),
        (
            "https://bücher.example/ü?q=é&x=%41",
            "https://xn--bcher-kva.example/%C3%BC?q=%C3%A9&x=%41",
        ),
        ("http://h:/x", "http://h/x"),
        ("http://h:0080/x", "http://h:80/x"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        # Python 3.13 writes the last part of a mapped address in decimal.
        ("http://[::FFFF:127.0.0.1]/", f"http://[{IPv6Address('::ffff:7f00:1')}]/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f000001/", "http://127.0.0.1/"),
        ("http://0177.0.0.01/", "http://127.0.0.1/"),
        ("http://0X7F.1/", "http://127.0.0.1/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://①②⑦.①/", "http://127.0.0.1/"),
    ):
        assert check_url(url) == normal


def test_invalid_url_is_refused_with_message() -> None:
    for url, words in (
        ("", "blank"),
        ("handler.example", "http:// or https://"),
        ("ftp://h/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http:/h/", "http:// or https://"),
        ("//h/", "http:// or https://"),
        ("http:///path", "no host"),
        ("http://:80/", "no host"),
        ("http://user@h/", "user name"),
        ("http://user:secret@h/", "user name"),
        ("http://@h/", "user name"),
        ("http://127.0.0.1\\@h/", "user name"),
        ("http://h/#a", "fragment"),
        ("http://h#", "fragment"),
        ("http://h/?q#", "fragment"),
        ("http://h:0/", "port"),
        ("http://h:65536/", "port"),
        ("http://h:8o/", "port"),
        ("http://h:-1/", "port"),
        ("http://h:８０/", "port"),
        ("http://::1/", "brackets"),
        ("http://[fe80::1%25eth0]/", "zone id"),
        ("http://[::1%lo]/", "zone id"),
        ("http://[::g]/", "IPv6"),
        ("http://[v1.x]/", "IPv6"),
        ("http://[::1/", "brackets"),
        ("http://[::1]x/", "brackets"),
        ("http://256.1.1.1/", "IPv4"),
        ("http://1.2.3.4.5/", "IPv4"),
        ("http://99999999999/", "IPv4"),
        ("http://0x/", "IPv4"),
        ("http://h.08/", "IPv4"),
        ("http://a..b/", "host name"),
        ("http://-\u00ad.example/", "host name"),
        ("http://a b/", "spaces"),
        ("http://h/a b", "spaces"),
        (" http://h/", "spaces"),
        ("http://h/\t", "spaces"),
        ("http://h/\r\nX: y", "spaces"),
        ("http://h/\u2028", "spaces"),
        ("http://h/\x00", "control"),
        ("http://h/\x7f", "control"),
        ("http://h/\ud800", "control"),
        ("http://h%2eexample/", "host name"),
        ("http://127.0.0.1%00.example/", "host name"),
        ("http://127.0.0.1\\.example/", "host name"),
        ("http://" + "a" * 64 + ".example/", "host name"),
        ("http://" + "a." * 130 + "example/", "host name"),
        ("http://h/" + "a" * 4096, "4096"),
        ("http://h/" + "é" * 2000, "4096"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            check_url(url)
        assert "secret" not in str(caught.value)


@given(st.text(st.characters(), max_size=40))
def test_normalizing_twice_changes_nothing(text: str) -> None:
    for url in (text, f"http://{text}", f"https://h{text}", f"http://h/?{text}"):
        try:
            normal = check_url(url)
        except ValueError:
            continue
        assert check_url(normal) == normal
        assert normal.isascii()


LITERALS = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("0x7f.0.0.1", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("１２７.１", "127.0.0.1"),
    ("[::1]", "::1"),
    ("[0:0:0:0:0:0:0:1]", "::1"),
    ("[::ffff:127.0.0.1]", "127.0.0.1"),
    ("[::ffff:7f00:1]", "127.0.0.1"),
    ("[::127.0.0.1]", "IPv4-compatible"),
    ("[64:ff9b::7f00:1]", "127.0.0.1"),
    ("[2002:7f00:1::]", "127.0.0.1"),
    ("10.0.0.1", "10.0.0.1"),
    ("167772161", "10.0.0.1"),
    ("192.168.1", "192.168.0.1"),
    ("[fd12::1]", "fd12::1"),
    ("100.64.0.1", "100.64.0.1"),
]
NEVER = [
    ("0.0.0.0", "0.0.0.0"),
    ("0", "0.0.0.0"),
    ("169.254.169.254", "169.254.169.254"),
    ("2852039166", "169.254.169.254"),
    ("0xA9.0xFE.0xA9.0xFE", "169.254.169.254"),
    ("0251.0376.0251.0376", "169.254.169.254"),
    ("169.254.43518", "169.254.169.254"),
    ("１６９.254.169.254", "169.254.169.254"),
    ("[::ffff:169.254.169.254]", "169.254.169.254"),
    ("[64:ff9b::a9fe:a9fe]", "169.254.169.254"),
    ("[2002:a9fe:a9fe::]", "169.254.169.254"),
    ("[::]", "::"),
    ("[fe80::1]", "fe80::1"),
    ("[fd00:ec2::254]", "fd00:ec2::254"),
    ("[ff02::1]", "ff02::1"),
    ("224.0.0.1", "224.0.0.1"),
    ("255.255.255.255", "255.255.255.255"),
]


def test_ip_literal_is_refused_in_any_notation(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = names(monkeypatch, {})
    for host, means in LITERALS + NEVER:
        outcome = run(once(f"http://{host}/", policy=CLOSED))
        assert means in outcome.sentence, host
        assert ("SIM_ALLOW_NETWORKS" in outcome.sentence) == ((host, means) in LITERALS)
        assert outcome.failure is not None
        assert outcome.failure.response is None
    assert resolved == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "１２７.1"])
def test_allowed_ip_literal_is_called_in_any_notation(run: Run, host: str) -> None:
    with Server(polite) as server:
        outcome = run(once(f"http://{host}:{server.port}/"))
        assert outcome.success.status == 200
        assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in server.requests[0]


# The two event loops word it differently.
@pytest.mark.allow_hosts(["127.0.0.1", "::ffff:7f00:1", "::ffff:127.0.0.1"])
def test_mapped_literal_reaches_its_ipv4_address(run: Run) -> None:
    with Server(polite) as server:
        url = f"http://[::ffff:127.0.0.1]:{server.port}/"
        assert run(once(url)).success.status == 200


DNS = [
    *[[address] for _, address in NEVER],
    ["10.0.0.1"],
    ["172.16.0.1"],
    ["192.168.0.1"],
    ["100.64.0.1"],
    ["198.18.0.1"],
    ["192.0.2.1"],
    ["240.0.0.1"],
    ["fd12::1"],
    ["2001:db8::1"],
    ["::ffff:10.0.0.1"],
    ["64:ff9b::a00:1"],
    ["fe80::1%eth0"],
    # One forbidden address is enough to refuse the name, at any position.
    ["127.0.0.1", "10.0.0.1"],
    ["10.0.0.1", "127.0.0.1"],
    ["127.0.0.1", "::1", "169.254.169.254"],
    ["127.0.0.1", "fd00:ec2::254"],
]


def test_name_is_refused_if_any_of_its_addresses_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(polite) as server:
        for addresses in DNS:
            resolved = names(monkeypatch, {"handler.example": addresses})
            outcome = run(once(f"http://handler.example:{server.port}/"))
            assert outcome.sentence.startswith("handler.example cannot be called: "), addresses
            assert resolved == ["handler.example"]
        assert server.connections == 0


def test_checked_address_is_the_one_connected_to(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name resolves to loopback when it is checked, and to the metadata service afterwards."""
    responses = iter(["127.0.0.1"])
    resolved: list[str] = []

    def turning(host: str, port: int | None, *_: object, **__: object) -> list[object]:
        resolved.append(host)
        address = next(responses, "169.254.169.254")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", turning)

    async def main(url: str) -> tuple[Outcome, Outcome]:
        transport = Transport(LOOPBACK)
        try:
            return await attempt(transport, url), await attempt(transport, url)
        finally:
            await transport.close()

    # Connection: close, so that the second request opens a connection and resolves the name.
    with Server(responds(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))) as server:
        first, second = run(main(f"http://rebind.example:{server.port}/"))
        assert first.success.body == b"ok"
        assert "169.254.169.254" in second.sentence
        assert resolved == ["rebind.example", "rebind.example"]
        assert server.connections == 1


def test_final_address_check_is_at_the_socket(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An address that bypasses the resolver is not connected to."""

    async def unchecked(_: Resolver, host: str, port: int = 0, **__: object) -> list[object]:
        one = {"hostname": host, "host": "224.0.0.1", "port": port}
        return [one | {"family": socket.AF_INET, "proto": 6, "flags": 0}]

    monkeypatch.setattr(Resolver, "resolve", unchecked)
    outcome = run(once("http://handler.example:81/"))
    assert outcome.sentence.startswith("224.0.0.1 cannot be called: it is a multicast address")


def test_setting_allows_a_network_for_names_too(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Server(polite, host="127.0.0.1") as server:
        names(monkeypatch, {"handler.example": ["127.0.0.1"]})
        url = f"http://handler.example:{server.port}/"
        narrow = AddressPolicy(parse_networks("127.0.0.2"))
        assert "SIM_ALLOW_NETWORKS" in run(once(url, policy=narrow)).sentence
        wide = AddressPolicy(parse_networks("127.0.0.1"))
        assert run(once(url, policy=wide)).success.status == 200
        assert server.connections == 1
