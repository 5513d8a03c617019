"""Values of a webhook's headers are masked, except in the response to a POST that reveals them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from requests_queue.redaction import MASK
from tests import html, make
from tests.make import Catalog
from tests.portal import delivery_rows, webhooks
from tests.signed_in import root, stranger, vendor  # noqa: F401  (fixtures)
from webhooks.delivery import fan_out
from webhooks.models import Webhook

CANARY = "canary-4d1e-key-of-a-handler"
HEADERS = {"X-Api-Key": CANARY, "Accept": "text/plain", "X-Empty": ""}
HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(catalog: Catalog) -> Webhook:
    return make.webhook(catalog, headers=HEADERS, jwt_secret=webhooks.CANARY)


@pytest.fixture
def path(hook: Webhook) -> str:
    """The page of a delivery whose request had the headers."""
    row = delivery_rows.delivery(hook)
    for value in (CANARY, CANARY + "-2"):
        headers = {**HEADERS, "X-Api-Key": value, "Authorization": "Bearer (decoded below)"}
        attempt = delivery_rows.attempt(row, "failure", request_headers=headers)
    Webhook.objects.filter(pk=hook.pk).update(last_failure=attempt)
    return f"/deliveries/{row.pk}/"


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def test_no_page_shows_the_secret_or_a_header_value(
    vendor: Client, root: Client, hook: Webhook, path: str
) -> None:
    fan_out.trigger(hook)
    admin = "/admin/webhooks"
    attempts = [f"{admin}/attempt/{row.pk}/change/" for row in hook.attempt_set.all()]
    own = f"/webhooks/{hook.pk}/"
    pages = [
        "/webhooks/",
        own,
        f"{own}http/",
        f"{own}statistics/",
        f"{own}data/",
        f"{own}edit/",
        f"{own}delete/",
        f"{own}deliveries/",
        f"{own}secret/new/",
        "/deliveries/",
        path,
        f"{path}?attempt=1",
        f"{path}?attempt=2&raw=1&full=1",
        f"{path}change/?attempt=1",
        f"{own}last/failure/",
        f"{admin}/webhook/",
        f"{admin}/webhook/{hook.pk}/change/",
        f"{admin}/webhook/{hook.pk}/history/",
        *attempts,
        f"{admin}/delivery/{path.split('/')[2]}/change/",
    ]
    for client in (vendor, root):
        for page in pages:
            shown = text(client.get(page, headers=HTMX if "/last/" in page else {}))
            assert CANARY not in shown and hook.jwt_secret not in shown, page
    assert not LogEntry.objects.exists()
    http = html.get(vendor, f"{own}http/")
    assert http.one("#secret code").text == "JWT-c0ff*****c3e7"
    assert MASK in http and MASK in text(vendor.get(path))
    # Harmless values are shown, and differences from the previous attempt.
    shown = text(vendor.get(f"{path}?attempt=2"))
    values = ("text/plain", "Bearer (decoded below)", f"{MASK} (another value)")
    assert [value for value in values if value not in shown] == []


def test_post_reveals_values_and_is_recorded(
    vendor: Client, stranger: Client, hook: Webhook, path: str
) -> None:
    own = f"/webhooks/{hook.pk}/secret/"
    for headers in ({}, HTMX):
        assert CANARY in text(vendor.post(own, headers=headers))
        shown = vendor.post(f"{path}headers/", {"attempt": 1}, headers=headers)
        assert CANARY in text(shown) and MASK not in text(shown)
        assert shown.headers["Cache-Control"] == "no-store"
    assert vendor.get(own).status_code == vendor.get(f"{path}headers/").status_code == 405
    assert stranger.post(f"{path}headers/", {"attempt": 1}).status_code == 404
    admin = f"/admin/webhooks/webhook/{hook.pk}"
    assert CANARY in text(vendor.post(f"{admin}/secret/"))
    history = text(vendor.get(f"{admin}/history/"))
    assert "Revealed the JWT secret and the header values." in history
    assert "Revealed the header values of delivery" in history and CANARY not in history


def edit(client: Client, hook: Webhook, rows: list[tuple[str, str]]) -> Any:
    return client.post(
        f"/webhooks/{hook.pk}/edit/",
        {
            "label": "Hook",
            "active": "on",
            "external_url": hook.external_url,
            "http_method": "POST",
            "data": "{}",
            "header_name": [name for name, _ in rows],
            "header_value": [value for _, value in rows],
        },
    )


@pytest.mark.parametrize(
    ("rows", "headers", "revision"),
    [
        ([("x-api-key", MASK), ("Accept", "text/html"), ("X-Empty", ""), ("X-New", "1")],
         {"x-api-key": CANARY, "Accept": "text/html", "X-Empty": "", "X-New": "1"}, 1),
        ([("X-Api-Key", MASK), ("Accept", "text/plain"), ("X-Empty", "")], HEADERS, 0),
        ([("X-Api-Key", "other")], {"X-Api-Key": "other"}, 1),
        ([("X-Api-Key", "")], {"X-Api-Key": ""}, 1),
        ([], {}, 1),
    ],
)  # fmt: skip
def test_edit_keeps_masked_values(
    vendor: Client,
    hook: Webhook,
    rows: list[tuple[str, str]],
    headers: dict[str, str],
    revision: int,
) -> None:
    form = text(vendor.get(f"/webhooks/{hook.pk}/edit/"))
    assert f'value="{MASK}"' in form and 'value="text/plain"' in form
    assert edit(vendor, hook, rows).status_code == 303
    hook.refresh_from_db()
    assert (hook.headers, hook.revision) == (headers, revision)


def test_renamed_header_requires_its_value(vendor: Client, hook: Webhook) -> None:
    response = edit(vendor, hook, [("X-Renamed", MASK)])
    assert "The value of X-Renamed is not stored" in text(response) and CANARY not in text(response)
    hook.refresh_from_db()
    assert hook.headers == HEADERS


def test_admin_keeps_masked_values(vendor: Client, hook: Webhook) -> None:
    page = f"/admin/webhooks/webhook/{hook.pk}/change/"
    form = vendor.get(page).context["adminform"].form
    assert json.loads(form["headers"].value()) == {**HEADERS, "X-Api-Key": MASK}
    body = {name: form[name].value() or "" for name in form.fields}
    body |= {"headers": json.dumps({"X-Api-Key": MASK, "X-New": "1"}), "active": "on"}
    assert vendor.post(page, body).status_code == 302
    hook.refresh_from_db()
    assert hook.headers == {"X-Api-Key": CANARY, "X-New": "1"}
    body["headers"] = json.dumps({"X-Renamed": MASK})
    assert "The value of X-Renamed is not stored" in text(vendor.post(page, body))
