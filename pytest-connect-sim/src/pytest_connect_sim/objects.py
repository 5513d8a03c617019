"""What the methods of the fixture return: products, webhooks, objects of queues, results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_connect_sim.client import Client

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]

# By the prefix of an id: the path of the object in Connect's API.
PATHS = {
    "PR": "/requests",
    "AS": "/assets",
    "TCR": "/tier/config-requests",
    "TC": "/tier/configs",
    "TAR": "/tier/account-requests",
    "TA": "/tier/accounts",
    "LSTR": "/listing-requests",
    "BRV": "/subscriptions/requests",
    "BRP": "/subscriptions/requests",
    "UF": "/usage/files",
    "CA": "/helpdesk/cases",
    "WH": "/notifications/webhooks",
}


def prefix_of(pk: str) -> str:
    """Return the prefix of an id: `PR` of `PR-…`."""
    return pk.partition("-")[0]


class Named:
    """Something with an id."""

    id: str

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class Product(Named):
    """A product with its parts: `items`, `params`, `templates`, and what it is sold by."""

    def __init__(self, data: Json) -> None:
        self.data = data
        self.id: str = data["id"]
        self.name: str = data["name"]
        self.items: list[Json] = data["items"]
        self.params: list[Json] = data["params"]
        self.templates: list[Json] = data["templates"]

    def __getitem__(self, name: str) -> str | None:
        """Return an id: `product["connection"]`, `["contract"]`, `["marketplace"]`."""
        value: str | None = self.data[name]
        return value


class Remote(Named):
    """An object of Connect's API; `data` is its representation when it was last read."""

    def __init__(self, client: Client, data: Json) -> None:
        self._client = client
        self.data = data
        self.id: str = data["id"]

    def refresh(self) -> Json:
        """Read the object again, and return its representation."""
        self.data = self._client.get(f"{PATHS[prefix_of(self.id)]}/{self.id}")
        return self.data


class Webhook(Remote):
    """A webhook."""

    @property
    def url(self) -> str:
        """The URL of the handler."""
        return str(self.data["external_url"])

    @property
    def secret(self) -> str:
        """The secret that signs its tokens."""
        return str(self.data["jwt_secret"])


class QueueObject(Remote):
    """An object of a queue: a request, or a usage file. Each attribute reads it again."""

    @property
    def status(self) -> str:
        """The status now."""
        self.refresh()
        # Listing requests call it state, billing requests have none.
        return str(self.data.get("status") or self.data.get("state") or "")

    @property
    def params(self) -> dict[str, Any]:
        """The values of the parameters now, by name."""
        self.refresh()
        return {str(row["id"]): value_of(row) for row in self.rows("params")}

    @property
    def items(self) -> dict[str, Any]:
        """The quantities of the items now, by MPN."""
        self.refresh()
        return {str(row.get("mpn") or row["id"]): row.get("quantity") for row in self.rows("items")}

    @property
    def subscription(self) -> str:
        """The id of the subscription, AS-…; empty for an object without one."""
        return str((self.data.get("asset") or {}).get("id", ""))

    def rows(self, name: str) -> list[Json]:
        """Return the rows of a list of the object, or of its subscription."""
        rows = self.data.get(name)
        if rows is None:
            rows = (self.data.get("asset") or {}).get(name)
        return list(rows or ())


def value_of(row: Mapping[str, Any]) -> Any:
    """Return the value of a parameter; of structured ones the object."""
    return row.get("structured_value") or row.get("value")


class Validation:
    """The result of a validation: whether a validator was called, and what it changed.

    `before`, `after` are values by name, `errors` the messages of the parameters by name.
    """

    def __init__(self, data: Json) -> None:
        self.data = data
        self.called: bool = data["called"]
        self.before = {str(row["id"]): value_of(row) for row in data["before"]}
        self.after = {str(row["id"]): value_of(row) for row in data["after"]}
        self.errors = {
            str(row["id"]): str(row["value_error"])
            for row in data["after"]
            if row.get("value_error")
        }

    def __repr__(self) -> str:
        return f"<Validation called={self.called} errors={self.errors}>"


class Moved:
    """The result of a move of the clock: `attempts` that ended, `now`, `stops`, and the rest."""

    def __init__(self, data: Json) -> None:
        self.data = data
        self.start: str = data["from"]
        self.now: str = data["now"]
        self.stops: int = data["stops"]
        self.attempts: list[Json] = data["attempts"]
        self.stopped_because: str = data["stopped_because"]
        self.unsettled: list[Json] = data["unsettled"]
        self.failed: list[str] = data["failed"]

    def __repr__(self) -> str:
        return f"<Moved from {self.start} to {self.now}, {len(self.attempts)} attempts>"
