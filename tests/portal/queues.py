"""The demo data's two sides, signed in to the pages of the queues: fixtures of their tests."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from requests_queue import seed
from requests_queue.catalog.models import User
from tests.api import PROVIDER, VENDOR, seeded
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
    """Somebody of Nimbus Inc."""
    return _person(VENDOR)


@pytest.fixture
def distributor(seeded: seed.Summary) -> Client:
    """Somebody of Northland Distribution."""
    return _person(PROVIDER)


def read(client: Client, path: str, status: int = 200, **headers: str) -> str:
    """Return the text of a page, its HTML without tags."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.status_code)
    return text(answer)


def text(answer: Any) -> str:
    """Return the words of an answer."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def fields(client: Client, path: str, **changed: str) -> dict[str, Any]:
    """Return what the page's last form would send, with some of it changed."""
    html = client.get(path).content.decode()
    form = html[html.rindex("<form", 0, html.rindex("</form>")) :]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]+>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        found.setdefault(unescape(attributes["name"]), []).append(
            unescape(attributes.get("value", ""))
        )
    for name, body in re.findall(
        r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.S
    ):
        found[unescape(name)] = unescape(body)
    for name, body in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'value="([^"]*)" selected', body)
        found[unescape(name)] = unescape(chosen[1]) if chosen else ""
    found.pop("csrfmiddlewaretoken", None)
    return {**found, **changed}
