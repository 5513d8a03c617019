"""The fixture `connect_sim`: a sandbox that was reset for this test."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pytest_connect_sim import names
from pytest_connect_sim.actions import Subject
from pytest_connect_sim.client import Client, segment
from pytest_connect_sim.expectations import (
    Expectation,
    ExpectationError,
    Span,
    span_text,
)
from pytest_connect_sim.extensions import TIMEOUT as CONNECTED
from pytest_connect_sim.extensions import Extension, command_of, variables_of
from pytest_connect_sim.faults import Faults
from pytest_connect_sim.literals import (
    Account,
    Action,
    DeliveryState,
    EntryKind,
    ObjectClass,
    WebhookMethod,
    WebhookType,
)
from pytest_connect_sim.objects import (
    PATHS,
    Json,
    Moved,
    Named,
    Product,
    QueueObject,
    Validation,
    Webhook,
    prefix_of,
)
from pytest_connect_sim.observer import Observer
from pytest_connect_sim.orders import Orders
from pytest_connect_sim.selling import Selling
from pytest_connect_sim.server import Server
from pytest_connect_sim.tier_data import People
from pytest_connect_sim.tiers import Tiers

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

TIMEOUT = 5.0  # seconds of real time that an expectation waits
# Tier accounts and configurations have no deliveries; their requests do.
_EXPECTABLE = PATHS.keys() - {"TA", "TC"}
Parts = Sequence[Mapping[str, Any]]


class ConnectSim(Orders, Tiers, Selling):
    """A sandbox of CloudBlue Connect, as one test uses it.

    `url` is its root, `api_url` the base URL of Connect's API, `vendor_key` and `provider_key` API
    keys; `seed` makes up customers and external ids. `faults` are what goes wrong on purpose.
    `since` is the cursor of the test's begin, by default that of the present.
    """

    def __init__(
        self,
        server: Server,
        *,
        seed: int | None = None,
        product: str = "",
        timeout: float = TIMEOUT,
        since: str = "",
    ) -> None:
        self.seed = secrets.randbelow(2**32) if seed is None else seed
        super().__init__(server.client("vendor"), server.client("provider"), People(self.seed))
        self._server, self._timeout, self._default_product = server, timeout, product
        self._observer = Observer(self._vendor, since)
        self.faults = Faults(self._vendor, seed)
        self._failures: list[ExpectationError] = []
        self._extensions: list[Extension] = []

    def __repr__(self) -> str:
        return f"<ConnectSim at {self.url}>"

    @property
    def url(self) -> str:
        """The root URL of the sandbox."""
        return self._server.url

    @property
    def api_url(self) -> str:
        """The base URL of Connect's API, for handlers."""
        return self._server.api_url

    @property
    def vendor_key(self) -> str:
        """The vendor's API key, for handlers: `Authorization: ApiKey …`."""
        return self._server.vendor_key

    @property
    def provider_key(self) -> str:
        """The distributor's API key."""
        return self._server.provider_key

    def api(self, account: Account = "vendor") -> Client:
        """Return a small client of Connect's API for `vendor` or `provider`.

        Its calls are the test's, not the handler's.
        """
        return self._server.client(account).at("/public/v1")

    def connect_client(self, account: Account = "vendor") -> Any:
        """Return CloudBlue's `ConnectClient` for an account; raises ImportError without it."""
        try:
            from connect.client import ConnectClient  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise ImportError(
                "connect_client needs CloudBlue's client: pip install connect-openapi-client."
            ) from None
        key = self.vendor_key if account == "vendor" else self.provider_key
        headers = {"X-Sandbox-Actor": "test"}
        return ConnectClient(f"ApiKey {key}", endpoint=self.api_url, default_headers=headers)

    # Products and webhooks.

    def product(
        self,
        id: str = "",
        *,
        name: str = "",
        items: Parts | None = None,
        params: Parts | None = None,
        templates: Parts | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> Product:
        """Return a fresh product with all capabilities, or the one with an id.

        Parts that are given replace the default ones: `items=[{"mpn": "seat"}]`,
        `params=[{"name": "agreement", "scope": "tier1"}]`. Without arguments, the product of the
        marker `connect_sim(product="PRD-…")`, if the test has one.
        """
        given = {
            "name": name or None,
            "items": items,
            "params": params,
            "templates": templates,
            "capabilities": capabilities,
        }
        body = {key: value for key, value in given.items() if value is not None}
        if not body:
            id = id or self._default_product
        elif id:
            raise TypeError(f"{id} exists: parts can be given for a fresh product only.")
        if id:
            return self._sold(id)
        product = Product(self._vendor.post("/sandbox/products", body))
        self._products[product.id] = product
        return product

    def webhook(
        self,
        product: str | Product,
        url: str,
        object_class: ObjectClass = "fulfillment_request",
        *,
        type: WebhookType | Literal[""] = "",
        secret: str = "",
        method: WebhookMethod | Literal[""] = "",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        account: Account = "vendor",
        label: str = "Test",
    ) -> Webhook:
        """Create a webhook of a product for a handler's URL.

        `object_class` is a queue's: `tier_config_request`, `usage_file`, …; `type` names a
        validator: `validator`, `change_validator`, … Without `secret` a random one signs.
        """
        given = {
            "type": type,
            "http_method": method,
            "headers": dict(headers or {}),
            "data": dict(data or {}),
        }
        body = {
            "label": label,
            "product_id": str(product),
            "object_class": object_class,
            "external_url": url,
            "jwt_secret": secret or f"JWT-{self._people.uid()}{self._people.uid()}",
            **{name: value for name, value in given.items() if value},
        }
        client = self.api(account)
        return Webhook(client, client.post("/notifications/webhooks", body))

    def extension(
        self,
        folder: str | Path,
        products: Iterable[str | Product] = (),
        *,
        multi_account: bool = False,
        account: Account = "vendor",
        executable: str = "cextrun",
        arguments: Iterable[str] = ("-n", "--no-rich-logging"),
        variables: Mapping[str, str] | None = None,
        timeout: float = CONNECTED,
    ) -> Extension:
        """Make an extension, and start its runner in a folder; return it when it is connected.

        It is for `products`, by default all of the account, and its runner ends with the test.
        `variables` are added to those of its process. Raises ExtensionError.
        """
        command = command_of(executable, arguments)
        client = self._server.client(account)
        body: Json = {"name": Path(folder).name[:100] or "Extension"}
        if multi_account:
            body["type"] = "multiaccount"
        if ids := [str(product) for product in products]:
            body["products"] = ids
        extension = Extension(client, client.post("/sandbox/extensions", body))
        key = self.vendor_key if account == "vendor" else self.provider_key
        own = {**variables_of(extension.data, key), **(variables or {})}
        self._extensions.append(extension)
        extension.start(command, Path(folder), own, timeout)
        return extension

    def stop_extensions(self) -> None:
        """End the runners of the test's extensions."""
        for extension in self._extensions:
            extension.stop()

    def trigger(self, webhook: Webhook) -> None:
        """Trigger a webhook now, without a queue change."""
        webhook._client.post(f"/notifications/webhooks/{webhook.id}/trigger")

    # Objects.

    def get(self, subject: Subject) -> QueueObject:
        """Return an object of a queue, a subscription or a tier by its id."""
        return self._object(self._read(subject), prefix_of(str(subject)) != "BRP")

    def sample(
        self,
        product: str | Product,
        queue: ObjectClass = "fulfillment_request",
        type: str = "",
        *,
        draft: bool = False,
    ) -> QueueObject:
        """Create a made-up object of a queue, and what it needs, such as a subscription.

        By default of the queue's first type. Drafts can be validated.
        """
        body: Json = {"queue": queue, "product": str(product), "draft": draft}
        if type:
            body["type"] = type
        return self.get(self._vendor.post("/sandbox/queue/samples", body)["id"])

    def move(self, subject: Subject, action: Action, **data: Any) -> QueueObject:
        """Run an action as the party that may run it: `move(order, "fail", reason="…")`."""
        body = {"id": str(subject), "action": action, "data": data}
        self._client_of(str(subject)).post("/sandbox/queue/moves", body)
        return self.get(subject)

    def fill(self, subject: Subject, params: Mapping[str, Any]) -> QueueObject:
        """Set parameters of an order or a tier configuration request, as the vendor."""
        pk = str(subject)
        self._api().put(f"{self._path(pk)}/{pk}", self._params_body(pk, params))
        return self.get(pk)

    def validate(self, subject: Subject, params: Mapping[str, Any] | None = None) -> Validation:
        """Validate a draft or an inquiry as its distributor, with other parameters if given."""
        pk = str(subject)
        body: Json = {"id": pk}
        if params is not None:
            body["data"] = self._params_body(pk, params)
        return Validation(self._provider.post("/sandbox/queue/validate", body))

    def _client_of(self, pk: str) -> Client:
        return self._provider if prefix_of(pk) == "BRP" else self._vendor

    def _path(self, pk: str) -> str:
        paths = {"PR": "/requests", "TCR": "/tier/config-requests"}
        if prefix_of(pk) not in paths:
            raise ValueError(f"{pk} has no parameters: name an order or a TCR-….")
        return paths[prefix_of(pk)]

    def _params_body(self, pk: str, params: Mapping[str, Any]) -> Json:
        self._path(pk)
        data = self._read(pk)
        about = data["asset"] if "asset" in data else data["configuration"]
        sold = self._sold(str(about["product"]["id"]))
        values = names.values(sold.params, params, sold.id)
        return {"asset": {"params": values}} if "asset" in data else {"params": values}

    # Time.

    def advance(self, by: Span) -> Moved:
        """Move simulated time forward, such as `5m`; run everything due on the way."""
        return self._moved("advance", {"by": span_text(by)})

    def next_attempt(self) -> Moved:
        """Move to the next due attempt and through it."""
        return self._moved("next", {})

    def run_until_idle(self, max: Span | None = None, max_steps: int | None = None) -> Moved:
        """Move until no work is left, by `max` at most (three days by default)."""
        span = None if max is None else span_text(max)
        body = {"max": span, "max_steps": max_steps}
        return self._moved("run-until-idle", {k: v for k, v in body.items() if v is not None})

    def _moved(self, how: str, body: Json) -> Moved:
        path = f"/sandbox/clock/{how}"
        return Moved(self._vendor.call("POST", path, body, timeout=600))

    # The world.

    def reading(self, id: str, alternative: str | None) -> None:
        """Choose an alternative of what public sources leave open, for the rest of the test.

        `reading("jwt_header", "authentication")`; None goes back to that of the sandbox's start.
        """
        self._vendor.call("PUT", "/sandbox/readings", {id: alternative})

    def snapshot(self, name: str) -> None:
        """Save the data of the sandbox by a name; replaces a snapshot of this name."""
        self._vendor.post("/sandbox/snapshots", {"name": name, "replace": True})

    def restore(self, name: str) -> None:
        """Restore a snapshot; it has no faults."""
        self.faults.remember()
        self._vendor.post(f"/sandbox/snapshots/{segment(name)}/restore")

    # What happened.

    def deliveries(
        self, subject: object = "", state: DeliveryState | Literal[""] = ""
    ) -> list[Json]:
        """Return the deliveries of a webhook or about an object, the newest first."""
        return self._observer.deliveries(str(subject), state)

    def timeline(self, subject: object = "", kind: EntryKind | Literal[""] = "") -> list[Json]:
        """Return what happened since the test began, about a webhook or an object."""
        return self._observer.timeline(str(subject), kind)

    def expect(
        self,
        subject: str | Named = "",
        *,
        soft: bool = False,
        timeout: float | None = None,
    ) -> Expectation:
        """Return what can be expected of an object or a webhook; without one, of the sandbox.

        `soft`: the test goes on after a failure, and fails at its end with all of them.
        """
        pk = str(subject)
        if pk and prefix_of(pk) not in _EXPECTABLE:
            raise ValueError(
                f"{pk!r} is not the id of a webhook, a subscription or an object of a queue."
            )
        return Expectation(
            self._vendor,
            self._observer,
            pk,
            self._timeout if timeout is None else timeout,
            self._failures.append if soft else _raise,
        )

    def soft_failures(self) -> list[ExpectationError]:
        """Return the failures of soft expectations, and forget them."""
        failures, self._failures = self._failures, []
        return failures


def _raise(error: ExpectationError) -> None:
    raise error
