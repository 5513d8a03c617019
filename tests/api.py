"""Callers of the API by account, on a seeded platform: fixtures for any test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from django.test import Client

from connect_sim.server import paths
from requests_queue import seed
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account
from tests import copies, make

VENDOR, PROVIDER = "VA-610-138", "PA-318-442"
_KEYS = {
    VENDOR: "SU-100-000-001:vendor-secret-of-the-tests",
    PROVIDER: "SU-100-000-002:provider-secret-of-the-tests",
}


class Response(NamedTuple):
    """A response: `status, body, headers = vendor.get(…)`; `json` is None without a body."""

    status: int
    json: Any
    headers: Any


@dataclass
class Caller:
    """One account's client of `/public/v1`; without a key, nobody's."""

    key: str | None
    client: Client = field(default_factory=Client)

    def get(self, path: str, **headers: str) -> Response:
        """GET a path with an unchanged query: `/requests?and(eq(…))`."""
        return self.call("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Response:
        """POST; without a body nothing is sent, not even a content type."""
        return self.call("POST", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Response:
        """Change."""
        return self.call("PUT", path, body, headers)

    def delete(self, path: str, **headers: str) -> Response:
        """Delete."""
        return self.call("DELETE", path, headers=headers)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send a request; `str` and `bytes` are sent unchanged, other bodies as JSON."""
        raw = body if isinstance(body, (str, bytes)) else json.dumps(body)
        path, mark, query = path.partition("?")
        if not path.startswith("/sandbox/"):
            path = f"/public/v1{path}"
        # As the web server does.
        path = paths.normalize(path.encode())[0].decode()
        sent = {"authorization": f"ApiKey {self.key}"} if self.key else {}
        response = self.client.generic(
            method,
            f"{path}{mark}{query}",
            b"" if body is None else raw,
            content_type="" if body is None else "application/json",
            headers={**sent, **(headers or {})},
        )
        is_json = response.headers.get("Content-Type", "") == "application/json"
        return Response(
            response.status_code, response.json() if is_json else None, response.headers
        )


def caller(account: Account, key: str = "") -> Caller:
    """Return a caller for an account, with a key of its own."""
    key = key or _KEYS.get(account.pk) or keys.new_key()
    keys.store(account, key, f"Tests of {account.name}")
    return Caller(key)


def _seed() -> seed.Summary:
    return seed.run(lambda line: None)


_restored = copies.Restored(_seed)


@pytest.fixture
def seeded(db: None) -> seed.Summary:
    """The demo data."""
    return _seed() if Account.objects.exists() else _restored()


@pytest.fixture
def vendor(seeded: seed.Summary) -> Caller:
    """The demo vendor, Nimbus Inc."""
    return caller(Account.objects.get(pk=VENDOR))


@pytest.fixture
def distributor(seeded: seed.Summary) -> Caller:
    """The demo provider, Northland Distribution."""
    return caller(Account.objects.get(pk=PROVIDER))


@pytest.fixture
def nobody(db: None) -> Caller:
    """A caller without a key."""
    return Caller(None)


@pytest.fixture
def other(seeded: seed.Summary) -> make.Catalog:
    """A second vendor and a second provider, with a subscription between them."""
    catalog = make.catalog("7")
    make.asset(catalog, 7)
    return catalog


def ids(caller: Caller, path: str) -> list[str]:
    """Return the ids of a list."""
    response = caller.get(path)
    assert response.status == 200, response
    return [row["id"] for row in response.json]


def refused(response: Response, status: int, *errors: str) -> None:
    """Check that a response is an error of Connect's API or the sandbox's, with these texts."""
    assert response.status == status, response
    more = set(response.json) - {"error_code", "errors"}
    assert more in (set(), {"hint", "retryable"})
    assert response.json["error_code"]
    if errors:
        assert response.json["errors"] == list(errors)
