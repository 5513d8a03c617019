"""Who may be called: the policy for special addresses, the resolver, certificate authorities.

Addresses are checked at each connection, and when a URL is saved: the resolver looks up a name
once for a connection, and checks every address before any is used. The table is explicit, because
`ipaddress.is_private` misses some of them. No ORM, no Django.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "SIM_ALLOW_NETWORKS"
DNS_THREADS = 32
_CACHED = 4096  # pairs of host and address, for each policy


@dataclass(frozen=True, slots=True)
class Rule:
    """One network of the table, and its description."""

    network: Network
    description: str


def _rules(*rows: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(ip_network(network), description) for network, description in rows)


# No handler has such an address, and metadata services hand out credentials.
ALWAYS_FORBIDDEN = _rules(
    ("0.0.0.0/8", "the unspecified address and its network"),
    ("100.100.100.200/32", "a cloud metadata service (Alibaba)"),
    ("168.63.129.16/32", "a cloud platform service (Azure)"),
    ("169.254.0.0/16", "a link-local address, where cloud metadata services answer"),
    ("192.0.0.192/32", "a cloud metadata service (Oracle)"),
    ("224.0.0.0/4", "a multicast address"),
    ("255.255.255.255/32", "the broadcast address"),
    ("::/128", "the unspecified address"),
    ("fd00:ec2::/32", "a cloud metadata service (AWS)"),
    ("fd20:ce::254/128", "a cloud metadata service (Google)"),
    ("fe80::/10", "a link-local address"),
    ("ff00::/8", "a multicast address"),
)

# The IANA special-purpose registries, without the networks that are globally reachable.
FORBIDDEN_BY_DEFAULT = _rules(
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a shared address of carrier-grade NAT"),
    ("127.0.0.0/8", "a loopback address"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "an address for protocol assignments"),
    ("192.0.2.0/24", "an address for documentation"),
    ("192.88.99.0/24", "a 6to4 relay, which is no longer in use"),
    ("192.168.0.0/16", "a private address"),
    ("198.18.0.0/15", "an address for benchmarks"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("240.0.0.0/4", "a reserved address"),
    ("::1/128", "a loopback address"),
    ("::/96", "an IPv4-compatible address, which is no longer in use"),
    ("64:ff9b:1::/48", "an address of a local IPv4 translator"),
    ("100::/64", "an address that discards"),
    ("100:0:0:1::/64", "a dummy prefix"),
    ("2001::/23", "an address for protocol assignments (Teredo among them)"),
    ("2001:db8::/32", "an address for documentation"),
    ("3fff::/20", "an address for documentation"),
    ("5f00::/16", "an address of segment routing"),
    ("fc00::/7", "a private address"),
    ("fec0::/10", "a site-local address, which is no longer in use"),
)

KEYWORDS: dict[str, tuple[Network, ...]] = {
    "loopback": (ip_network("127.0.0.0/8"), ip_network("::1/128")),
    "private": (
        ip_network("10.0.0.0/8"),
        ip_network("172.16.0.0/12"),
        ip_network("192.168.0.0/16"),
        ip_network("fc00::/7"),
    ),
}

# IPv6 networks that contain an IPv4 address, and how many bits follow it.
_WITH_IPV4 = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),
        ("::ffff:0:0/96", 0),
        ("::ffff:0:0:0/96", 0),
        ("64:ff9b::/96", 0),
        ("2001::/32", 64),
        ("2002::/16", 80),
    )
)
# An operator's translators may use any prefix within this network (RFC 8215), of these lengths.
_TRANSLATORS = IPv6Network("64:ff9b:1::/48")
_TRANSLATOR_PREFIXES = (48, 56, 64, 96)
_UNSPECIFIED = IPv4Network("0.0.0.0/8")
_TEREDO = IPv6Network("2001::/32")
_WITHOUT_IPV4 = (IPv6Address("::"), IPv6Address("::1"))


@lru_cache(maxsize=_CACHED)
def is_literal(host: str) -> bool:
    """Return whether the host of a normalized URL is an address, which no resolver looks up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_literal(url: str) -> None:
    """Raise AddressRefused if the host of a normalized URL is an address that no setting allows.

    A host name is not resolved: its addresses are checked at each connection, as are those that
    depend on a setting.
    """
    host = urlsplit(url).hostname or ""
    if is_literal(host):
        _ANYWHERE.check(host, host)


class AddressRefused(ValueError):
    """An address that may not be called; the text says why."""


class AddressPolicy:
    """The table, without the networks that the operator has allowed."""

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self.allow = tuple(allow)
        # The result depends on the arguments alone. Without the cache, each request is compared
        # with all networks, which is a tenth of a worker's CPU time.
        self._problem = lru_cache(maxsize=_CACHED)(self._find_problem)

    def check(self, host: str, address: str) -> None:
        """Raise AddressRefused if `address`, which belongs to `host`, may not be called."""
        if problem := self._problem(host, address):
            raise AddressRefused(problem)

    def _find_problem(self, host: str, address: str) -> str | None:
        try:
            # The zone id is not part of the address.
            outer = ip_address(address.partition("%")[0])
        except ValueError:
            return f"{host} cannot be called: {address!r} is not an IP address."
        addresses = (outer, *_contained_ipv4(outer))
        for inner in addresses:
            if rule := _first(ALWAYS_FORBIDDEN, inner):
                return _refusal(host, outer, inner, rule, "No setting allows that.")
        for inner in addresses:
            if any(inner in network for network in self.allow):
                continue
            if rule := _first(FORBIDDEN_BY_DEFAULT, inner):
                hint = f"To allow it, add {_with_keyword(rule.network)} to {SETTING}."
                return _refusal(host, outer, inner, rule, hint)
        return None


# Refuses only what no setting allows.
_ANYWHERE = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a setting such as `loopback,private,10.1.0.0/16`."""
    networks: list[Network] = []
    for entry in text.replace(",", " ").split():
        networks.extend(KEYWORDS.get(entry.lower()) or (_parse(entry),))
    return tuple(networks)


def _parse(entry: str) -> Network:
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(
            f"{SETTING} contains {entry!r}, which is neither a network like 10.1.0.0/16 "
            f"nor one of the keywords {' and '.join(KEYWORDS)}."
        ) from None
    if "/" in entry and str(network.network_address) != str(ip_address(entry.partition("/")[0])):
        raise ValueError(
            f"{SETTING} contains {entry}, which is an address within a network: write "
            f"{network} for the whole network."
        )
    for rule in ALWAYS_FORBIDDEN:
        is_same_version = network.version == rule.network.version
        if is_same_version and network.subnet_of(rule.network):  # type: ignore[arg-type]
            raise ValueError(
                f"{SETTING} contains {entry}, but {rule.network} is {rule.description}: "
                f"no setting allows that."
            )
    return network


def _first(rules: Iterable[Rule], address: Address) -> Rule | None:
    return next((rule for rule in rules if address in rule.network), None)


def _contained_ipv4(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses within an IPv6 address: a router may translate to them."""
    if isinstance(address, IPv4Address) or address in _WITHOUT_IPV4:
        return
    number = int(address)
    for network, shift in _WITH_IPV4:
        if address in network:
            yield IPv4Address((number >> shift) & 0xFFFFFFFF)
    if address in _TRANSLATORS:
        targets = [translated(address, length) for length in _TRANSLATOR_PREFIXES]
        # At another length than the prefix has, its zeros are read: no translator's target.
        yield from [each for each in targets if each not in _UNSPECIFIED] or targets
    if address in _TEREDO:
        # Teredo: the server's address is in the middle, the client's at the end, inverted.
        yield IPv4Address(~number & 0xFFFFFFFF)


def translated(address: IPv6Address, length: int) -> IPv4Address:
    """Return the IPv4 address that follows a translator's prefix of this length (RFC 6052, 2.2)."""
    number = int(address)
    # Bits 64 to 71 belong to neither; a prefix of 96 bits includes them.
    others = number >> 64 << 56 | number & (1 << 56) - 1
    return IPv4Address(others >> 88 - min(length, 88) & 0xFFFFFFFF)


def _with_keyword(network: Network) -> str:
    for keyword, networks in KEYWORDS.items():
        if network in networks:
            return f'{network} (or the keyword "{keyword}")'
    return str(network)


def _refusal(host: str, outer: Address, inner: Address, rule: Rule, hint: str) -> str:
    subject = "it" if host == str(outer) else str(outer)
    if inner != outer:
        subject += f" contains {inner}, which"
    return f"{host} cannot be called: {subject} is {rule.description} ({rule.network}). {hint}"


_Lookup = asyncio.Future[list[str]]


class Resolver(AbstractResolver):
    """`getaddrinfo` in threads of its own, so that a slow lookup delays nothing else.

    Without a policy nothing is checked: for the operator's own proxy.
    """

    def __init__(self, policy: AddressPolicy | None, pool: ThreadPoolExecutor) -> None:
        self._policy = policy
        self._pool = pool
        self._lookups: dict[str, _Lookup] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises AddressRefused if any is forbidden."""
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
        """Give up the lookups, whose results would reach a closed loop."""
        for lookup in self._lookups.values():
            lookup.cancel()

    async def _look_up(self, host: str) -> list[str]:
        # One lookup of a name at a time: a hundred requests to a slow name use one thread.
        lookup = self._lookups.get(host)
        if lookup is None:
            loop = asyncio.get_running_loop()
            lookup = loop.run_in_executor(self._pool, _addresses, host)
            self._lookups[host] = lookup
            lookup.add_done_callback(lambda result: self._forget(host, result))
        # A lookup can't be stopped and others may wait for it, so cancelling must not reach it.
        return await asyncio.shield(lookup)

    def _forget(self, host: str, lookup: _Lookup) -> None:
        self._lookups.pop(host, None)
        if not lookup.cancelled():
            # Retrieve the error: asyncio logs one that is never retrieved.
            lookup.exception()


def _addresses(host: str) -> list[str]:
    """Return the addresses of a name, each once.

    No AI_ADDRCONFIG: on a machine without a network it hides the loopback addresses.
    """
    rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in rows))


class Unusable(ValueError):
    """A file of certificates that cannot be used; the text is the reason, without a full stop."""


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return a client's TLS context that trusts the system's authorities and those of a file.

    The file has one or more certificates in PEM format. Raises Unusable.
    """
    # With `cafile` as an argument, it would not load the system's.
    tls = ssl.create_default_context()
    # As aiohttp's own context.
    tls.set_alpn_protocols(("http/1.1",))
    try:
        tls.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise Unusable("it has no certificates in PEM format, or a damaged one") from None
    except (OSError, ValueError) as error:
        raise Unusable(getattr(error, "strerror", None) or "it is not a file name") from None
    return tls
