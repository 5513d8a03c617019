"""Shared by the tests of the HTTP client: both event loops, a short way to send, and a guard
that keeps every packet on this machine.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from webhooks.http.addresses import AddressPolicy, parse_networks
from webhooks.http.client import Request, RequestFailed, Response, Transport

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Main = Callable[[Transport], Coroutine[Any, Any, Any]]

LOOPBACK = AddressPolicy(parse_networks("loopback"))
# A request ends at most half a second after its deadline.
GRACE = 0.5


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end, on either event loop."""
    if request.param == "asyncio":
        return asyncio.run
    return pytest.importorskip("uvloop").run  # type: ignore[no-any-return]


@dataclass
class Outcome:
    """The outcome of one request: a response or a failure, and its duration."""

    response: Response | None
    failure: RequestFailed | None
    seconds: float

    @property
    def sentence(self) -> str:
        assert self.failure is not None, f"the call succeeded: {self.response}"
        return str(self.failure)

    @property
    def partial(self) -> Response | None:
        assert self.failure is not None, f"the call succeeded: {self.response}"
        return self.failure.response

    @property
    def success(self) -> Response:
        assert self.failure is None, f"the call failed: {self.failure}"
        assert self.response is not None
        return self.response


async def attempt(
    transport: Transport,
    url: str,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    body: bytes | None = b"{}",
    timeout: float = 5,
    read_cap: int = 65536,
    on_sent: Callable[[], object] | None = None,
) -> Outcome:
    """Send one request by a transport."""
    call = Request(method, url, headers or {}, None if method == "GET" else body)
    began = time.monotonic()
    try:
        response = await transport.send(call, timeout=timeout, read_cap=read_cap, on_sent=on_sent)
    except RequestFailed as failure:
        return Outcome(None, failure, time.monotonic() - began)
    return Outcome(response, None, time.monotonic() - began)


async def once(
    url: str,
    *,
    policy: AddressPolicy = LOOPBACK,
    tls: Any = None,
    proxy: Any = None,
    **options: Any,
) -> Outcome:
    """Send one request by a new transport."""
    transport = Transport(policy, tls=tls, proxy=proxy)
    try:
        return await attempt(transport, url, **options)
    finally:
        await transport.close()


def with_transport(run: Run, main: Main) -> Any:
    """Run a coroutine with a transport, and close it."""

    async def framed() -> Any:
        transport = Transport(LOOPBACK)
        try:
            return await main(transport)
        finally:
            await transport.close()

    return run(framed())


def twice(run: Run, url: str, **options: Any) -> tuple[Outcome, Outcome]:
    """Send two requests by one transport."""

    async def main(transport: Transport) -> tuple[Outcome, Outcome]:
        return await attempt(transport, url, **options), await attempt(transport, url, **options)

    both: tuple[Outcome, Outcome] = with_transport(run, main)
    return both


def in_time(deadline: float, send: Callable[[], Outcome]) -> Outcome:
    """Send a request that ends by its deadline, and return the outcome.

    Other programs may delay it once or twice, but not in three tries.
    """
    outcomes = (send() for _ in range(3))
    outcome = next((each for each in outcomes if each.seconds < deadline + GRACE), None)
    assert outcome is not None, f"three requests ended later than {deadline + GRACE:g} s"
    return outcome


def names(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]) -> list[str]:
    """Resolve names by a table; return the list of resolved names."""
    resolved: list[str] = []

    def getaddrinfo(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        resolved.append(host)
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port or 0, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))
            for address in table[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return resolved


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse every connection that would leave the machine, and fail the test that tried.

    aiohttp connects through `socket.socket.connect` on asyncio and on uvloop alike, since it
    opens the sockets itself.
    """
    tried: list[object] = []

    def guard(method: str) -> None:
        real = getattr(socket.socket, method)

        def connect(sock: socket.socket, address: object) -> object:
            if sock.family != socket.AF_UNIX and not _is_loopback(address):
                tried.append(address)
                raise PermissionError(errno.EACCES, f"a test tried to connect to {address!r}")
            return real(sock, address)

        monkeypatch.setattr(socket.socket, method, connect)

    guard("connect")
    guard("connect_ex")
    yield tried
    assert not tried, f"a test tried to connect to {tried}"


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return False
    try:
        target = ipaddress.ip_address(address[0])
    except ValueError:
        return False
    return (getattr(target, "ipv4_mapped", None) or target).is_loopback
