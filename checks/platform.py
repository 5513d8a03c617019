"""The sandbox as checks use it: products, orders, webhooks, time, snapshots and history."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from checks import purchases
from checks.client import PAGE, ApiError, Client
from checks.history import Call, History, call_of, change_of
from checks.purchases import Catalog
from checks.timing import Budget
from requests_queue.catalog import sample_values

Json = dict[str, Any]

QUEUE = "fulfillment_request"
WEBHOOKS = "/public/v1/notifications/webhooks"
REQUESTS = "/public/v1/requests"
# Below `/public/v1`, as the paths of recorded calls are.
TIERS = "/tier/config-requests"
_PAGE = 1000
# The parameters of a product of the checks.
_PARAMETERS = (
    {"name": "domain", "title": "Domain", "type": "domain", "phase": "ordering"},
    {
        "name": "activation_id",
        "title": "Activation id",
        "phase": "fulfillment",
        "constraints": {"required": True},
    },
)
_NAMES = {each["name"] for each in _PARAMETERS}
# Seconds of real time that a settling, a move or a validation may take.
PATIENCE = 60.0
# The same for a handler that may repeat its calls without a pause.
SHORT_PATIENCE = 10.0
_CLOCK_IS_MOVING, _NOT_YET = 409, 408
# What becomes of a pending request.
FINISHED = ("approved", "failed", "inquiring")
# Requests that one call waits for: a wait has at most 50 conditions.
WAITED = 12
_AGAIN = 0.05


class ArmedFault:
    """A fault that is armed: how often it fired, and the responses that it holds."""

    def __init__(self, client: Client, row: Mapping[str, Any], budget: Budget) -> None:
        self._client, self._budget = client, budget
        self.id: str = row["id"]

    @property
    def fired(self) -> int:
        """How often it has fired."""
        return int(self._client.call("GET", f"/sandbox/faults/{self.id}")["fired"])

    def wait_held(self, count: int, timeout: float) -> int:
        """Wait until it holds so many responses, or until the timeout; return how many it holds."""
        with self._budget.wait(timeout) as seconds:
            path = f"/sandbox/faults/{self.id}?held={count}&timeout={seconds:.3f}"
            return len(self._client.call("GET", path, timeout=seconds + 30)["held"])

    def release(self, count: int | None = None) -> None:
        """Let the oldest held responses go, by default all."""
        body = {} if count is None else {"count": count}
        self._client.call("POST", f"/sandbox/faults/{self.id}/release", body)

    def clear(self) -> None:
        """Disarm it, and let held responses go."""
        try:
            self._client.call("DELETE", f"/sandbox/faults/{self.id}")
        except ApiError as error:
            if error.status != 404:
                raise


@dataclass(frozen=True, slots=True)
class Platform:
    """A running sandbox, with clients of the vendor and of the distributor."""

    url: str
    vendor: Client = field(repr=False)
    provider: Client = field(repr=False)
    # What orders of a product are made from, by its id.
    _catalogs: dict[str, Catalog] = field(default_factory=dict, init=False, repr=False)
    budget: Budget = field(default_factory=Budget, init=False, repr=False)
    # What a check draws: each check begins with the seed of its run and its own id.
    random: Random = field(default_factory=Random, init=False, repr=False)

    @property
    def api_url(self) -> str:
        """The base URL of Connect's API, as tokens have it."""
        return f"{self.url}/public/v1"

    def version(self) -> str:
        return str(self.vendor.call("GET", "/sandbox/version")["version"])

    # Products, webhooks and orders.

    def create_product(self, name: str, parameters: Iterable[str] = ()) -> Json:
        """Create a product that can be ordered.

        It has the default parameters, and further optional ones that orders set.
        """
        added = [{"name": each, "phase": "ordering"} for each in parameters if each not in _NAMES]
        body = {"name": name, "params": [*_PARAMETERS, *added]}
        product: Json = self.vendor.call("POST", "/sandbox/products", body)
        return product

    def create_webhook(self, product: str, url: str, secret: str, **values: Any) -> Json:
        """Create an inactive webhook: queue changes don't call the handler until it is active."""
        body = {
            "label": "Check",
            "product_id": product,
            "object_class": QUEUE,
            "external_url": url,
            "jwt_secret": secret,
            "active": False,
            **values,
        }
        webhook: Json = self.vendor.call("POST", WEBHOOKS, body)
        return webhook

    def webhook(self, webhook: str) -> Json:
        row: Json = self.vendor.call("GET", f"{WEBHOOKS}/{webhook}")
        return row

    def webhooks(self) -> list[Json]:
        """Return the vendor's webhooks."""
        return list(self.vendor.pages(WEBHOOKS, ""))

    def update_webhook(self, webhook: str, **values: Any) -> None:
        self.vendor.call("PUT", f"{WEBHOOKS}/{webhook}", values)

    def trigger(self, webhook: str) -> None:
        """Trigger an active webhook without a queue change."""
        self.vendor.call("POST", f"{WEBHOOKS}/{webhook}/trigger", {})

    def catalog(self, product: str) -> Catalog:
        """Return what orders of a product are made from; raises ApiError."""
        if product not in self._catalogs:
            sold = self.vendor.call("GET", f"/sandbox/products/{product}")
            if not (sold["connection"] and sold["marketplace"] and sold["items"]):
                raise ApiError(
                    f"{product} cannot be ordered. It needs an item, a connection, and a listing "
                    "on a marketplace."
                )
            path = f"/public/v1/products/{product}"
            rows = tuple(self.vendor.pages(f"{path}/parameters", ""))
            tree = self.vendor.call("GET", path)["capabilities"]
            self._catalogs[product] = Catalog(sold, rows, tree)
        return self._catalogs[product]

    def order(self, product: str, *, draft: bool = False) -> str:
        """Create a purchase, or a draft, with a value for each parameter; return its id."""
        catalog = self.catalog(product)
        if not draft:
            return str(self.provider.call("POST", REQUESTS, catalog.purchase(self.random))["id"])
        # This refuses a draft of a product that has none; an order would not become one.
        body = {"queue": QUEUE, "type": "purchase", "product": product, "draft": True}
        pk = str(self.provider.call("POST", "/sandbox/queue/samples", body)["id"])
        self.provider.call("PUT", f"{REQUESTS}/{pk}", {"asset": {"params": catalog.values()}})
        return pk

    def order_for(self, product: str, customer: str) -> str:
        """Create a purchase for a customer with a name; return its id."""
        body = self.catalog(product).purchase(self.random, customer)
        return str(self.provider.call("POST", REQUESTS, body)["id"])

    def tier_requests(self, order: str) -> list[Json]:
        """Return the open tier requests for which an order waits, the higher tier first."""
        asset = self.request(order)["asset"]
        accounts = ",".join(row["id"] for row in asset["tiers"].values() if row)
        rows = self.vendor.pages(
            f"/public/v1{TIERS}",
            f"eq(configuration.product.id,{asset['product']['id']})"
            f"&in(configuration.account.id,({accounts}))"
            "&in(status,(tiers_setup,inquiring,pending))",
        )
        return sorted(rows, key=lambda row: -row["configuration"]["tier_level"])

    def tier_request(self, request: str) -> Json:
        """Return a tier request as the vendor sees it."""
        row: Json = self.vendor.call("GET", f"/public/v1{TIERS}/{request}")
        return row

    def answer_tier_request(self, request: str) -> None:
        """Answer an inquiry about a reseller as its distributor."""
        values = purchases.values(self.tier_request(request)["params"])
        self.provider.call("PUT", f"/public/v1{TIERS}/{request}", {"params": values})
        self.act(request, "pend")

    def approve_tier_request(self, request: str) -> None:
        """Approve a pending tier request beside the handler."""
        if rows := _to_fill(self.tier_request(request)["params"]):
            self.vendor.call("PUT", f"/public/v1{TIERS}/{request}", {"params": rows})
        self.act(request, "approve")

    def change_order(self, kind: str, subscription: str, **more: Any) -> str:
        """Create an order that changes a subscription: `suspend`, `cancel`, …; return its id."""
        body = {"type": kind, "asset": {"id": subscription, **more}}
        return str(self.provider.call("POST", REQUESTS, body)["id"])

    def wait_finished(self, requests: Sequence[str], timeout: float) -> bool:
        """Wait until none of at most WAITED requests is pending; return False at the timeout.

        That is, until each is approved, failed or inquired.
        """
        finished = [
            {"any": [{"status": {"object": pk, "is": status}} for status in FINISHED]}
            for pk in requests
        ]
        with self.budget.wait(timeout) as seconds:
            body = {"until": {"all": finished}, "timeout": seconds}
            try:
                self.vendor.call("POST", "/sandbox/wait", body, timeout=seconds + 30)
            except ApiError as error:
                if error.status != _NOT_YET:
                    raise
                return False
            return True

    def request(self, request: str) -> Json:
        """Return a fulfillment request as the vendor sees it."""
        row: Json = self.vendor.call("GET", f"{REQUESTS}/{request}")
        return row

    def requests_by_id(self, ids: Sequence[str]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for start in range(0, len(ids), PAGE):
            among = ",".join(ids[start : start + PAGE])
            found |= {row["id"]: row for row in self.vendor.pages(REQUESTS, f"in(id,({among}))")}
        return found

    def act(self, request: str, action: str, data: Mapping[str, Any] | None = None) -> None:
        """Run an action as the party that may run it, beside the handler."""
        body = {"id": request, "action": action, "data": dict(data or {})}
        self.vendor.call("POST", "/sandbox/queue/moves", body)

    def fill(self, request: str) -> dict[str, Json]:
        """Give values to the empty parameters of a request that its vendor must fill.

        Return what was set, by parameter.
        """
        rows = _to_fill(self.request(request)["asset"]["params"])
        if rows:
            self.vendor.call("PUT", f"{REQUESTS}/{request}", {"asset": {"params": rows}})
        return {row["id"]: row for row in rows}

    def approve(self, request: str) -> None:
        """Approve a pending request beside the handler."""
        self.fill(request)
        self.act(request, "approve")

    def inquire(self, request: str) -> bool:
        """Ask the customer for a parameter; return False if a request has none to ask for."""
        params = self.request(request)["asset"]["params"]
        asked = [row["id"] for row in params if row["phase"] == "ordering"][:1]
        if not asked:
            return False
        rows = [{"id": asked[0], "value_error": "Is this right?"}]
        self.vendor.call("PUT", f"{REQUESTS}/{request}", {"asset": {"params": rows}})
        self.act(request, "inquire")
        return True

    def answer(self, request: str) -> None:
        """Answer an inquiry as the customer, who keeps each value."""
        params = self.request(request)["asset"]["params"]
        rows = [{"id": row["id"], "value": row["value"]} for row in params if row["value_error"]]
        body = {"asset": {"params": rows}}
        self.provider.call("POST", f"{REQUESTS}/{request}/pend", body)

    def fail(self, request: str) -> None:
        """Fail a pending request beside the handler."""
        self.act(request, "fail", {"reason": "Out of stock."})

    def validate(self, request: str, data: Mapping[str, Any] | None = None) -> Json:
        """Validate a draft through its validator webhook."""
        body: Json = {"id": request}
        if data is not None:
            body["data"] = dict(data)
        with self.budget.wait(PATIENCE) as seconds:
            path = "/sandbox/queue/validate"
            result: Json = self.provider.call("POST", path, body, timeout=seconds)
            return result

    # History.

    def cursor(self) -> str:
        """Return the cursor of the present."""
        return str(self.vendor.call("GET", "/sandbox/cursor")["cursor"])

    def history(self, since: str) -> History:
        """Return what happened after a cursor."""
        changes, attempts = [], []
        for entry in self.entries("change,attempt_finished", since):
            if entry["kind"] == "change":
                changes.append(change_of(entry))
            else:
                attempts.append(entry)
        return History(tuple(self.calls(since)), tuple(changes), tuple(attempts))

    def trace(self, since: str, about: Json) -> bytes:
        """Return what happened after a cursor as the file of a trace."""
        return self.vendor.download("/sandbox/trace-file", body={"since": since, **about})

    def calls(self, since: str) -> list[Call]:
        """Return the API calls of handlers after a cursor."""
        found: list[Call] = []
        while True:
            page = self.vendor.call("GET", f"/sandbox/api-calls?since={since}&limit={_PAGE}")
            found += [call_of(row) for row in page["calls"] if row["actor"] == "handler"]
            since = page["cursor"]
            if len(page["calls"]) < _PAGE:
                return found

    def wait_entries(self, since: str, kinds: str, timeout: float) -> tuple[list[Json], str]:
        """Return the entries after a cursor, and the cursor after them.

        While there are none, wait for one; there is none at the timeout.
        """
        with self.budget.wait(timeout) as seconds:
            path = f"/sandbox/timeline?since={since}&limit={_PAGE}&kind={kinds}&wait={seconds:.3f}"
            page = self.vendor.call("GET", path, timeout=seconds + 30)
            return page["entries"], page["cursor"]

    def entries(self, kinds: str, since: str = "") -> Iterator[Json]:
        """Yield the entries of some kinds after a cursor, by default all."""
        while True:
            more = f"&since={since}" if since else ""
            path = f"/sandbox/timeline?limit={_PAGE}&kind={kinds}{more}"
            page = self.vendor.call("GET", path)
            yield from page["entries"]
            since = page["cursor"]
            if len(page["entries"]) < _PAGE:
                return

    # Time.

    def settle(self, quiet: float, patience: float = PATIENCE) -> Json:
        """Run what is due, and wait until no API call has been made for `quiet` seconds."""
        return self.advance("0s", quiet, patience)

    def next_attempt(self, quiet: float, patience: float = PATIENCE) -> Json:
        """Move to the next due attempt and through it."""
        return self._move("next", {"settle": quiet * 1000}, patience)

    def advance(self, by: str, quiet: float, patience: float = PATIENCE) -> Json:
        """Move simulated time, and run what becomes due."""
        return self._move("advance", {"by": by, "settle": quiet * 1000}, patience)

    def _move(self, how: str, body: Json, patience: float) -> Json:
        path, deadline = f"/sandbox/clock/{how}", time.monotonic() + patience
        while True:
            try:
                # Its patience is that of each stop. A restore ends a move that nobody waits for.
                with self.budget.wait(10 * patience) as seconds:
                    body = {**body, "patience": min(patience, seconds)}
                    result: Json = self.vendor.call("POST", path, body, timeout=seconds)
                    return result
            except ApiError as error:
                if error.status != _CLOCK_IS_MOVING or time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN)

    # The world.

    def readings(self) -> dict[str, str]:
        """Return the alternative of each reading."""
        rows = self.vendor.call("GET", "/sandbox/readings")
        return {row["id"]: row["value"] for row in rows}

    def choose(self, readings: Mapping[str, str]) -> None:
        """Choose alternatives of readings."""
        self.vendor.call("PUT", "/sandbox/readings", dict(readings))

    def save(self, name: str) -> None:
        self.vendor.call("POST", "/sandbox/snapshots", {"name": name, "replace": True})

    def restore(self, name: str, patience: float = 10.0, settle: float | None = None) -> list[str]:
        """Go back to a snapshot; return what did not end.

        `settle` replaces the settle times of handlers (seconds).
        """
        path = f"/sandbox/snapshots/{name}/restore"
        body = {"patience": patience}
        if settle is not None:
            body["settle"] = settle * 1000
        return list(self.vendor.call("POST", path, body, timeout=patience + 60)["unsettled"])

    def forget(self, name: str) -> None:
        """Delete a snapshot."""
        self.vendor.call("DELETE", f"/sandbox/snapshots/{name}")

    # Faults.

    def arm(
        self, kind: str, parameters: Mapping[str, Any] | None = None, **scope: Any
    ) -> ArmedFault:
        """Arm a fault; `scope` are `path`, `method`, `webhook`, `nth`, `times` and others."""
        body = {"kind": kind, "parameters": dict(parameters or {}), **scope}
        row = self.vendor.call("POST", "/sandbox/faults", body)
        return ArmedFault(self.vendor, row, self.budget)

    @contextmanager
    def fault(
        self, kind: str, parameters: Mapping[str, Any] | None = None, **scope: Any
    ) -> Iterator[ArmedFault]:
        """Arm a fault for a block."""
        armed = self.arm(kind, parameters, **scope)
        try:
            yield armed
        finally:
            armed.clear()


def _to_fill(params: Iterable[Json]) -> list[Json]:
    """Return values for the empty parameters that the vendor must fill."""
    return [
        sample_values.fill(row, f"set before for {row['id']}")
        for row in params
        if row["phase"] == "fulfillment"
        and row["constraints"]["required"]
        and not row.get("value")
        and not row.get("structured_value")
    ]
