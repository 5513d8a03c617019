"""All hostile responses in one process: print how many requests failed, and the growth in KiB.

A separate process: `python -m tests.webhooks.memory`. The growth is that of the peak of the
resident memory, so freed memory counts as well.
"""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

from tests.webhooks.hostile import Behavior, Server, drips, floods, hangs, polite, responds
from tests.webhooks.loopback import Outcome, attempt
from tests.webhooks.test_client_hostile import BROKEN_BODIES, BROKEN_HEADS, CHUNKED, HEAD
from webhooks.http.addresses import AddressPolicy, parse_networks
from webhooks.http.client import Transport

ROUNDS = 3


def behaviors() -> list[Behavior]:
    """Return every hostile behavior."""
    bomb = gzip.compress(bytes(200_000_000), 9)
    zipped = HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    return [
        *(row[1] for row in BROKEN_HEADS),
        *(row[1] for row in BROKEN_BODIES),
        hangs,
        drips(HEAD),
        drips(HEAD + b"\r\n"),
        floods(HEAD + b"\r\n", b"x" * 65536),
        floods(CHUNKED, b"1\r\nx\r\n" * 10_000),
        floods(CHUNKED + b"5;", b"x" * 65536),
        floods(CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
        responds(zipped + bomb),
        responds(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"),
    ]


def peak() -> int:
    """Return the peak of the resident memory, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM in /proc/self/status")


async def storm(urls: list[str]) -> list[Outcome]:
    """Send requests to all of them concurrently."""
    transport = Transport(AddressPolicy(parse_networks("loopback")))
    try:
        return await asyncio.gather(*(attempt(transport, url, timeout=0.5) for url in urls))
    finally:
        await transport.close()


def main() -> None:
    """Warm up, reset the peak, and run everything concurrently."""
    hostile = behaviors()
    with Server(polite) as server:
        asyncio.run(storm([server.url] * 20))
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    servers = [Server(behavior) for behavior in hostile]
    failures = 0
    for _ in range(ROUNDS):
        outcomes = asyncio.run(storm([server.url for server in servers]))
        failures += sum(outcome.failure is not None for outcome in outcomes)
    grown = peak() - before
    for server in servers:
        server.__exit__()
    print(failures // ROUNDS, grown)


if __name__ == "__main__":
    main()
