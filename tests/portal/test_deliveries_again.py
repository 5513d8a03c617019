"""Resending from the pages: unchanged, with changes, and as a curl command."""

from __future__ import annotations

import json
import shlex
from typing import Any

import jwt
import pytest
from django.test import Client

from portal.deliveries import changes_form
from requests_queue import clock
from requests_queue.redaction import MASK
from tests import html
from tests.portal.delivery_rows import CLAIMS, attempt, delivery
from tests.signed_in import vendor
from webhooks.models import Attempt, Delivery, Resend, Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(hook: Webhook) -> Delivery:
    """A delivery with a failure and a success."""
    row = delivery(hook, "PR-1111-1111-1111-001")
    attempt(row, "failure", request_headers={"X-Env": "it's", "Content-Type": "application/json"})
    attempt(row)
    return row


def created_delivery(response: Any) -> Delivery:
    """Return the delivery that a form has created."""
    assert response.status_code == 303, response.content.decode()
    delivery = Delivery.objects.latest("pk")
    assert response.headers["Location"] == f"/deliveries/{delivery.pk}/"
    return delivery


def test_attempt_is_sent_again(vendor: Client, row: Delivery) -> None:
    delivery = created_delivery(vendor.post(f"/deliveries/{row.pk}/again/", {"attempt": 1}))
    assert (delivery.state, delivery.forced, delivery.resend.repeats, delivery.resend.number) == (
        "waiting",
        True,
        row,
        1,
    )
    page = html.get(vendor, f"/deliveries/{delivery.pk}/")
    assert page.messages == f"Sent again as delivery {delivery.pk}."
    assert page.terms()["Events"].startswith(f"Resend of delivery {row.pk}, attempt 1.")
    link = page.by_role("link", f"delivery {row.pk}")
    assert link["href"] == f"/deliveries/{row.pk}/?attempt=1"
    page = html.get(vendor, f"/deliveries/{row.pk}/")
    assert page.terms()["Resends"] == f"delivery {delivery.pk}"


def test_resend_requires_a_post_with_a_csrf_token(vendor: Client, row: Delivery) -> None:
    for path in ("again", "curl"):
        assert vendor.get(f"/deliveries/{row.pk}/{path}/").status_code == 405
    forging = Client(enforce_csrf_checks=True)
    forging.cookies = vendor.cookies
    assert forging.post(f"/deliveries/{row.pk}/again/", {"attempt": 1}).status_code == 403
    assert not Resend.objects.exists()


@pytest.mark.parametrize("path", ["again", "change"])
def test_disabled_webhook_is_not_sent_again(vendor: Client, row: Delivery, path: str) -> None:
    Webhook.objects.update(active=False)
    sent = {**form(vendor, row), "attempt": 1}
    response = vendor.post(f"/deliveries/{row.pk}/{path}/", sent, follow=True)
    assert "is disabled" in html.parse(response)
    assert not Resend.objects.exists()
    button = html.get(vendor, f"/deliveries/{row.pk}/").by_role("button", "Send again")
    assert "disabled" in button.attributes


@pytest.mark.parametrize("path", ["again", "change", "curl"])
def test_unrecorded_request_cannot_be_sent_again(vendor: Client, row: Delivery, path: str) -> None:
    Attempt.objects.update(claims={}, request_body="")
    response = vendor.post(f"/deliveries/{row.pk}/{path}/", {"attempt": 1}, follow=True)
    assert "was not recorded" in html.parse(response)
    assert not Resend.objects.exists()


def form(client: Client, row: Delivery) -> dict[str, Any]:
    """Return the values that the form of changes sends."""
    page = html.get(client, f"/deliveries/{row.pk}/change/?attempt=1")
    sent: dict[str, Any] = {}
    for name, value in page.one("form.changes").sent():
        sent.setdefault(name, []).append(value)
    return sent


def test_form_is_filled_with_the_sent_request(vendor: Client, row: Delivery) -> None:
    filled = form(vendor, row)
    assert (filled["header_name"], filled["header_value"]) == (["X-Env", "", ""], [MASK, "", ""])
    assert json.loads(filled["content"][0]) == {k: v for k, v in CLAIMS.items() if k != "exp"}
    assert filled["external_url"] == [row.webhook.external_url]
    assert (filled["http_method"], filled["preset"]) == (["POST"], [""])


def test_row_for_a_header_is_added_without_scripts(vendor: Client, row: Delivery) -> None:
    sent = {**form(vendor, row), "external_url": "ftp://x", "go": "row"}
    page = html.parse(vendor.post(f"/deliveries/{row.pk}/change/", sent))
    assert len(page.all("[name=header_name]")) == 4 and not page.errors
    assert page.by_label("URL").value == "ftp://x" and not Resend.objects.exists()


def test_preset_is_stored_with_the_resend(vendor: Client, row: Delivery) -> None:
    sent = {**form(vendor, row), "preset": "no_token"}
    delivery = created_delivery(vendor.post(f"/deliveries/{row.pk}/change/", sent))
    assert (delivery.resend.preset, delivery.resend.changed) == ("no_token", True)
    assert delivery.resend.headers == {"X-Env": "it's"}


def test_without_presets_the_form_offers_none(
    vendor: Client, row: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_form, "PRESETS", [])
    assert "preset" not in form(vendor, row)


def test_changes_apply_to_one_request(vendor: Client, row: Delivery) -> None:
    sent = {
        **form(vendor, row),
        "attempt": 1,
        "external_url": "http://127.0.0.1:9/new",
        "header_name": "X-New",
        "header_value": "1",
        "content": '{"data": {"n": 1}}',
    }
    delivery = created_delivery(vendor.post(f"/deliveries/{row.pk}/change/", sent))
    resend = delivery.resend
    assert (resend.url, resend.headers, resend.changed) == (
        "http://127.0.0.1:9/new",
        {"X-New": "1"},
        True,
    )
    assert json.loads(resend.payload)["data"] == {"n": 1}
    hook = Webhook.objects.get()
    assert (hook.external_url, hook.headers, hook.data, hook.revision) == (
        row.webhook.external_url,
        {},
        {},
        0,
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("external_url", "", "This field is required."),
        ("external_url", "gopher://x", "The URL must begin with http:// or https://."),
        ("http_method", "PUT", "Select a valid choice"),
        ("preset", "unknown", "Select a valid choice"),
        ("content", "[]", "This must be an object"),
        ("content", '{"a": ', "This is not valid JSON"),
        ("content", '{"processing_timeout": "x"}', "must be a whole number of seconds"),
        ("content", '{"a": "\\u0000"}', "cannot be stored"),
    ],
)
def test_invalid_form_shows_errors_and_keeps_its_values(
    vendor: Client, row: Delivery, name: str, value: str, sentence: str
) -> None:
    sent = {**form(vendor, row), "attempt": 1, "external_url": "http://127.0.0.1/kept", name: value}
    response = vendor.post(f"/deliveries/{row.pk}/change/", sent)
    assert response.status_code == 400
    shown = response.context["form"]
    assert sentence in " ".join(shown.errors[name])
    assert str(shown[name].value()) == value
    if name != "external_url":
        assert shown["external_url"].value() == "http://127.0.0.1/kept"
    assert not Resend.objects.exists()


@pytest.mark.parametrize(
    ("headers", "errors"),
    [
        ([("Host", "x"), ("X-Ok", "1")], ["Host is reserved for the connection", ""]),
        ([("A", "1"), ("a", "2")], ["", "a is the same header as A"]),
        ([("X y", "1"), ("X-New", MASK)], ["not a valid header name", "is not stored"]),
    ],
)
def test_invalid_headers_show_their_errors_at_their_rows(
    vendor: Client, row: Delivery, headers: list[tuple[str, str]], errors: list[str]
) -> None:
    sent = {
        **form(vendor, row),
        "header_name": [name for name, _ in headers],
        "header_value": [value for _, value in headers],
    }
    response = vendor.post(f"/deliveries/{row.pk}/change/", sent)
    assert response.status_code == 400 and not Resend.objects.exists()
    shown = [each.text for each in html.parse(response).all("[data-row]")]
    assert all(error in text for error, text in zip(errors, shown, strict=True))


def test_curl_command_equals_a_resend(vendor: Client, row: Delivery) -> None:
    response = vendor.post(f"/deliveries/{row.pk}/curl/", {"attempt": 1})
    assert response.headers["Cache-Control"] == "no-store"
    words = shlex.split(html.parse(response).one("#curl-command").raw_text)
    assert words[:5] == ["curl", "--globoff", "--path-as-is", "--include", "--request"]
    assert words[5:7] == ["POST", row.webhook.external_url]
    headers = [words[n + 1] for n, word in enumerate(words) if word == "--header"]
    assert "X-Env: it's" in headers and "Content-Type: application/json" in headers
    [token] = {h.partition("Bearer ")[2] for h in headers if h.startswith("Auth")}
    claims = jwt.decode(token, row.webhook.jwt_secret, algorithms=["HS256"])
    assert claims.pop("exp") > clock.now().timestamp() + 500
    assert json.loads(words[words.index("--data-raw") + 1]) == claims
    assert not Resend.objects.exists() and Delivery.objects.count() == 1
    # Other pages have no token.
    for path in ("", "change/?attempt=1", "?attempt=1&raw=1"):
        assert "eyJ" not in vendor.get(f"/deliveries/{row.pk}/{path}").content.decode()


def test_htmx_gets_the_command_only(vendor: Client, row: Delivery) -> None:
    response = vendor.post(
        f"/deliveries/{row.pk}/curl/", {"attempt": 1}, headers={"HX-Request": "true"}
    )
    page = html.parse(response)
    assert not page.all("html") and "curl --globoff" in page.one("#curl-command")
