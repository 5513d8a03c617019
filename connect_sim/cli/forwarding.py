"""`listen --forward-to`: pass requests on to a handler elsewhere, and its responses back.

Requests are sent by the client of the deliveries: addresses are allowed as for webhooks, redirects
are not followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import urlsplit

import click

from checks.client import Client
from connect_sim.cli import running
from connect_sim.cli.listener import MAX_BODY, Received, Reply
from webhooks.http.addresses import AddressPolicy, check_literal, parse_networks
from webhooks.http.client import Request, RequestFailed, Transport
from webhooks.http.headers import FRAMING
from webhooks.http.urls import check_url

_NETWORKS = "loopback,private"  # the default of SIM_ALLOW_NETWORKS
_TIMEOUT = 3600.0  # seconds; the sandbox itself gives up after SIM_HTTP_TIMEOUT
_HERE = frozenset({"127.0.0.1", "localhost"})
_WEBHOOKS = "/public/v1/notifications/webhooks"
_OBJECT_CLASS = "fulfillment_request"


class Forwarder:
    """Sends requests to one URL, in an event loop of its own."""

    def __init__(self, url: str) -> None:
        try:
            self.url = check_url(url)
            check_literal(self.url)
            networks = parse_networks(running.variable("SIM_ALLOW_NETWORKS", _NETWORKS))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--forward-to") from None
        self._policy = AddressPolicy(networks)
        self._loop = asyncio.new_event_loop()
        self._transport: Transport | None = None
        threading.Thread(target=self._loop.run_forever, name="forwarding", daemon=True).start()

    def forward(self, received: Received) -> Reply:
        """Return the handler's response to a request; a 502 where there is none."""
        sending = asyncio.run_coroutine_threadsafe(self._send(received), self._loop)
        try:
            return sending.result()
        except RequestFailed as error:
            return Reply({"error": str(error)}, f"nothing from {self.url}: {error}", 502)

    async def _send(self, received: Received) -> Reply:
        if self._transport is None:
            self._transport = Transport(self._policy)
        headers = {k: v for k, v in received.headers.items() if k.lower() not in FRAMING}
        body = received.body if received.method != "GET" or received.body else None
        request = Request(received.method, self.url, headers, body)
        response = await self._transport.send(request, timeout=_TIMEOUT, read_cap=MAX_BODY)
        if response.truncated:
            text = f"The response has more than {MAX_BODY // 1024**2} MiB."
            return Reply({"error": text}, text, 502)
        kept = [(name, value) for name, value in response.headers if name.lower() not in FRAMING]
        return Reply(response.body, _describe(response.body), response.status, kept)


def _describe(body: bytes) -> str:
    return body.decode("utf-8", "replace") or "(no body)"


def create_webhooks(client: Client, url: str, target: str) -> list[dict[str, Any]]:
    """Create a webhook for each of the vendor's products that has none which calls `url`.

    A webhook calls it if it names this machine and the same port, whatever its path.
    """
    rows = list(client.pages(_WEBHOOKS, "ordering(id)"))
    port = urlsplit(url).port
    called = {row["product"]["id"] for row in rows if _calls(row["external_url"], port)}
    products = client.pages("/public/v1/products", "ordering(id)")
    return [
        client.call(
            "POST",
            _WEBHOOKS,
            {
                "label": f"Forwarded to {target}"[:100],
                "product_id": product["id"],
                "object_class": _OBJECT_CLASS,
                "external_url": url,
                "jwt_secret": running.new_secret(),
            },
        )
        for product in products
        if product["id"] not in called
    ]


def _calls(url: str, port: int | None) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _HERE and (parts.port or 80) == port
