"""Users of the demo data's two parties, signed in: fixtures of tests of queue pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from requests_queue import seed
from requests_queue.catalog.models import User
from tests import html
from tests.api import PROVIDER, VENDOR, seeded
from tests.html import Element
from tests.signed_in import signed_in

__all__ = ["distributor", "seeded", "vendor"]

# An order of the plain product, one of the suite with errors, and a draft of the suite.
PENDING, INQUIRING, DRAFT = (
    "PR-5810-2277-4101-001", "PR-2934-6610-1178-001", "PR-2934-6610-1185-001",
)  # fmt: skip
PLAIN, SUITE = "PRD-814-505-018", "PRD-362-917-440"


def _person(account: str) -> Client:
    return signed_in(User.objects.filter(account=account, is_service=False)[0])


@pytest.fixture
def vendor(seeded: seed.Summary) -> Client:
    """A user of Nimbus Inc."""
    return _person(VENDOR)


@pytest.fixture
def distributor(seeded: seed.Summary) -> Client:
    """A user of Northland Distribution."""
    return _person(PROVIDER)


def fields(client: Client, path: str, **changed: str) -> dict[str, Any]:
    """Return the values that the page's last form sends, with some changed."""
    sent: dict[str, Any] = {}
    for name, value in html.get(client, path).all("main form")[-1].sent():
        sent[name] = [*sent.get(name, []), value] if name in sent else [value]
    del sent["csrfmiddlewaretoken"]
    return {**sent, **changed}


def refused(client: Client, path: str, sent: dict[str, Any] | None = None) -> Element:
    """Send a form that is refused; return the page that shows it again."""
    response = client.post(path, sent)
    assert response.status_code == 400, response
    return html.parse(response)
