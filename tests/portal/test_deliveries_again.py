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


@pytest.fixture
def at(row: Delivery) -> str:
    """The page of the delivery."""
    return f"/deliveries/{row.pk}/"


def created_delivery(response: Any) -> Delivery:
    """Return the delivery that a form has created."""
    assert response.status_code == 303, response.content.decode()
    delivery = Delivery.objects.latest("pk")
    assert response.headers["Location"] == f"/deliveries/{delivery.pk}/"
    return delivery


def test_attempt_is_sent_again(vendor: Client, row: Delivery, at: str) -> None:
    assert html.get(vendor, at).one(f'form[action="{at}again/"]').by_role("button", "Send again")
    delivery = created_delivery(vendor.post(f"{at}again/", {"attempt": 1}))
    resend = delivery.resend
    assert (delivery.state, delivery.forced) == ("waiting", True)
    assert (resend.repeats, resend.number) == (row, 1)
    page = html.get(vendor, f"/deliveries/{delivery.pk}/")
    assert page.messages == f"Sent again as delivery {delivery.pk}."
    assert page.terms()["Events"].startswith(f"Resend of delivery {row.pk}, attempt 1.")
    assert page.by_role("link", f"delivery {row.pk}")["href"] == f"{at}?attempt=1"
    assert html.get(vendor, at).terms()["Resends"] == f"delivery {delivery.pk}"


def test_resend_requires_a_post_with_a_csrf_token(vendor: Client, at: str) -> None:
    for path in ("again", "curl"):
        assert vendor.get(f"{at}{path}/").status_code == 405
    forging = Client(enforce_csrf_checks=True)
    forging.cookies = vendor.cookies
    assert forging.post(f"{at}again/", {"attempt": 1}).status_code == 403
    assert not Resend.objects.exists()


@pytest.mark.parametrize("path", ["again", "change"])
def test_disabled_webhook_is_not_sent_again(vendor: Client, at: str, path: str) -> None:
    Webhook.objects.update(active=False)
    page = html.parse(vendor.post(f"{at}{path}/", form(vendor, at), follow=True))
    assert "is disabled" in page and not Resend.objects.exists()
    assert "disabled" in html.get(vendor, at).by_role("button", "Send again").attributes


@pytest.mark.parametrize("path", ["again", "change", "curl"])
def test_unrecorded_request_cannot_be_sent_again(vendor: Client, at: str, path: str) -> None:
    Attempt.objects.update(claims={}, request_body="")
    page = html.parse(vendor.post(f"{at}{path}/", {"attempt": 1}, follow=True))
    assert "was not recorded" in page and not Resend.objects.exists()


def form(client: Client, at: str, **more: Any) -> dict[str, Any]:
    """Return the values that the form of changes sends."""
    page = html.get(client, f"{at}change/?attempt=1")
    sent: dict[str, Any] = {}
    for name, value in page.one("form.changes").sent():
        sent.setdefault(name, []).append(value)
    return {**sent, "attempt": 1, **more}


def test_form_is_filled_with_the_sent_request(vendor: Client, row: Delivery, at: str) -> None:
    filled = form(vendor, at)
    [content] = filled.pop("content")
    assert json.loads(content) == {k: v for k, v in CLAIMS.items() if k != "exp"}
    expected = {
        "header_name": ["X-Env", "", ""],
        "header_value": [MASK, "", ""],
        "external_url": [row.webhook.external_url],
        "http_method": ["POST"],
        "preset": [""],
    }
    assert {name: filled[name] for name in expected} == expected


def test_row_for_a_header_is_added_without_scripts(vendor: Client, at: str) -> None:
    sent = form(vendor, at, external_url="ftp://x", go="row")
    page = html.parse(vendor.post(f"{at}change/", sent))
    assert len(page.all("[name=header_name]")) == 4 and not page.errors
    assert page.by_label("URL").value == "ftp://x" and not Resend.objects.exists()


def test_preset_is_stored_with_the_resend(vendor: Client, at: str) -> None:
    resend = created_delivery(
        vendor.post(f"{at}change/", form(vendor, at, preset="no_token"))
    ).resend
    assert (resend.preset, resend.changed, resend.headers) == ("no_token", True, {"X-Env": "it's"})


def test_without_presets_the_form_offers_none(
    vendor: Client, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_form, "PRESETS", [])
    assert "preset" not in form(vendor, at)


def test_changes_apply_to_one_request(vendor: Client, row: Delivery, at: str) -> None:
    changes = {
        "external_url": "http://127.0.0.1:9/new",
        "header_name": "X-New",
        "header_value": "1",
        "content": '{"data": {"n": 1}}',
    }
    resend = created_delivery(vendor.post(f"{at}change/", form(vendor, at, **changes))).resend
    url = "http://127.0.0.1:9/new"
    assert (resend.url, resend.headers, resend.changed) == (url, {"X-New": "1"}, True)
    assert json.loads(resend.payload)["data"] == {"n": 1}
    hook, url = Webhook.objects.get(), row.webhook.external_url
    assert (hook.external_url, hook.headers, hook.data, hook.revision) == (url, {}, {}, 0)


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
    vendor: Client, at: str, name: str, value: str, sentence: str
) -> None:
    sent = form(vendor, at, **{"external_url": "http://127.0.0.1/kept", name: value})
    response = vendor.post(f"{at}change/", sent)
    assert response.status_code == 400 and not Resend.objects.exists()
    shown = response.context["form"]
    assert sentence in " ".join(shown.errors[name])
    for kept in ("external_url", name):
        assert str(shown[kept].value()) == sent[kept]


@pytest.mark.parametrize(
    ("headers", "errors"),
    [
        ([("Host", "x"), ("X-Ok", "1")], ["Host is reserved for the connection", ""]),
        ([("A", "1"), ("a", "2")], ["", "a is the same header as A"]),
        ([("X y", "1"), ("X-New", MASK)], ["not a valid header name", "is not stored"]),
    ],
)
def test_invalid_headers_show_their_errors_at_their_rows(
    vendor: Client, at: str, headers: list[tuple[str, str]], errors: list[str]
) -> None:
    names, values = zip(*headers, strict=True)
    sent = form(vendor, at, header_name=names, header_value=values)
    response = vendor.post(f"{at}change/", sent)
    assert response.status_code == 400 and not Resend.objects.exists()
    shown = [each.text for each in html.parse(response).all("[data-row]")]
    assert all(error in text for error, text in zip(errors, shown, strict=True))


def test_curl_command_equals_a_resend(vendor: Client, row: Delivery, at: str) -> None:
    response = vendor.post(f"{at}curl/", {"attempt": 1})
    assert response.headers["Cache-Control"] == "no-store"
    words = shlex.split(html.parse(response).one("#curl-command").raw_text)
    assert words[:7] == [
        *("curl", "--globoff", "--path-as-is", "--include"),
        *("--request", "POST", row.webhook.external_url),
    ]
    headers = [words[n + 1] for n, word in enumerate(words) if word == "--header"]
    assert {"X-Env: it's", "Content-Type: application/json"} <= set(headers)
    [token] = {h.partition("Bearer ")[2] for h in headers if h.startswith("Auth")}
    claims = jwt.decode(token, row.webhook.jwt_secret, algorithms=["HS256"])
    assert claims.pop("exp") > clock.now().timestamp() + 500
    assert json.loads(words[words.index("--data-raw") + 1]) == claims
    assert not Resend.objects.exists() and Delivery.objects.count() == 1
    # Other pages have no token.
    for path in ("", "change/?attempt=1", "?attempt=1&raw=1"):
        assert "eyJ" not in vendor.get(f"{at}{path}").content.decode()


def test_htmx_gets_the_command_only(vendor: Client, at: str) -> None:
    page = html.parse(vendor.post(f"{at}curl/", {"attempt": 1}, headers={"HX-Request": "true"}))
    assert not page.all("html") and "curl --globoff" in page.one("#curl-command")
