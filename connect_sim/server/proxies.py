"""Forwarded headers of reverse proxies, used only from SIM_TRUSTED_PROXY."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from connect_sim.server import Scope
from webhooks.http.addresses import KEYWORDS, Network


class TrustedProxies:
    """The proxies whose X-Forwarded-For, -Proto and -Host describe the client; raises ValueError.

    `setting` has addresses, networks, and the words `loopback` and `private`. A word only trusts
    the connected peer, because clients in private networks are not proxies. A proxy in front of
    another proxy is trusted by address or network.
    """

    def __init__(self, setting: str) -> None:
        entries = setting.replace(",", " ").lower().split()
        self._peers = tuple(network for entry in entries for network in _networks(entry))
        self._proxies = tuple(
            network for entry in entries if entry not in KEYWORDS for network in _networks(entry)
        )
        self._is_peer = lru_cache(maxsize=1024)(lambda text: _is_in(text, self._peers))

    def apply(self, scope: Scope) -> None:
        """Set client, scheme and host of a scope from the forwarded headers, and remove these.

        Headers of untrusted peers are only removed.
        """
        forwarded: dict[bytes, list[str]] = {}
        headers = []
        for name, value in scope["headers"]:
            if name == b"forwarded" or name.startswith(b"x-forwarded-"):
                values = value.decode("latin-1").split(",")
                forwarded.setdefault(name, []).extend(map(str.strip, values))
            else:
                headers.append((name, value))
        scope["headers"] = headers
        client = scope.get("client")
        if not forwarded or not client or not self._is_peer(client[0]):
            return
        # The last value is from the nearest proxy.
        scheme = forwarded.get(b"x-forwarded-proto", [""])[-1].lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        if host := forwarded.get(b"x-forwarded-host", [""])[-1]:
            others = [(name, value) for name, value in headers if name != b"host"]
            scope["headers"] = [(b"host", host.encode("latin-1")), *others]
        scope["client"] = self._client(client, forwarded.get(b"x-forwarded-for", []))

    def _client(self, proxy: tuple[str, int], hops: list[str]) -> tuple[str, int]:
        """Return the nearest address that is not a trusted proxy's.

        Each proxy appends its client's address. Addresses before the last untrusted one could be
        forged.
        """
        client = proxy
        for hop in reversed(hops):
            address = _parse(hop)
            if address is None:
                break
            client = (str(address), 0)
            if not _is_in(client[0], self._proxies):
                break
        return client


def _parse(hop: str) -> IPv4Address | IPv6Address | None:
    """Return the address of `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1` or `[2001:db8::1]:567`."""
    text = hop.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(text: str, networks: Iterable[Network]) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)


def _networks(entry: str) -> tuple[Network, ...]:
    try:
        return KEYWORDS.get(entry) or (ip_network(entry),)
    except ValueError:
        raise ValueError(
            f"SIM_TRUSTED_PROXY holds {entry!r}, which is neither an address like 10.1.2.3, nor a "
            f"network like 10.1.0.0/16, nor one of the words {' and '.join(KEYWORDS)}."
        ) from None
