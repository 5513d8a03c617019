"""Names to addresses: looked up once for a connection, every address checked before any is used.

aiohttp asks `resolve` when it opens a connection, and connects to just what it returns.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from webhooks.http.addresses import AddressPolicy

THREADS = 32

_Lookup = asyncio.Future[list[str]]


class Resolver(AbstractResolver):
    """`getaddrinfo` in threads of its own, so that a slow name delays nothing else.

    Without a policy it resolves and checks nothing: for the operator's own proxy.
    """

    def __init__(self, policy: AddressPolicy | None, pool: ThreadPoolExecutor) -> None:
        self._policy = policy
        self._pool = pool
        self._lookups: dict[str, _Lookup] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises CallFailed if any of them is forbidden."""
        addresses = await self._look_up(host)
        if self._policy is not None:
            for address in addresses:
                self._policy.check(host, address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Do nothing: the pool belongs to the transport."""

    async def _look_up(self, host: str) -> list[str]:
        # One lookup a name at a time: a hundred calls to one slow name wait in one thread.
        lookup = self._lookups.get(host)
        if lookup is None:
            loop = asyncio.get_running_loop()
            lookup = loop.run_in_executor(self._pool, _addresses, host)
            self._lookups[host] = lookup
            lookup.add_done_callback(lambda done: self._forget(host, done))
        # The thread can't be stopped, and others may wait for it: a cancelled call just leaves.
        return await asyncio.shield(lookup)

    def _forget(self, host: str, lookup: _Lookup) -> None:
        self._lookups.pop(host, None)
        if not lookup.cancelled():
            # Everyone who asked may have left: an error that nobody fetches would be logged.
            lookup.exception()


def _addresses(host: str) -> list[str]:
    """Return the addresses of a name, each once.

    No AI_ADDRCONFIG: on a machine without a network it hides the loopback addresses.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
