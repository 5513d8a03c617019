"""Sending again from the pages: as it was, with changes, and as a command for a shell."""

from __future__ import annotations

import json
import shlex
from html import unescape
from typing import Any

import jwt
import pytest
from django.test import Client

from requests_queue import clock
from tests.portal.delivered import CLAIMS, attempt, delivery, hook
from tests.signed_in import vendor, world
from webhooks.http.headers import MASK
from webhooks.models import Attempt, Delivery, Resend, Webhook

__all__ = ["hook", "vendor", "world"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(hook: Webhook) -> Delivery:
    """A delivery with an attempt that failed and one that didn't."""
    made = delivery(hook, "PR-1111-1111-1111-001")
    attempt(made, "failure", request_headers={"X-Env": "it's", "Content-Type": "application/json"})
    attempt(made)
    return made


def made(answer: Any) -> Delivery:
    """Return the delivery that a form has made."""
    assert answer.status_code == 303, answer.content.decode()
    found = Delivery.objects.latest("pk")
    assert answer.headers["Location"] == f"/deliveries/{found.pk}/"
    return found


def test_what_an_attempt_sent_is_sent_again(vendor: Client, row: Delivery) -> None:
    found = made(vendor.post(f"/deliveries/{row.pk}/again/", {"attempt": 1}))
    assert (found.state, found.forced, found.resend.repeats, found.resend.number) == (
        "waiting", True, row, 1,
    )  # fmt: skip
    page = vendor.get(f"/deliveries/{found.pk}/").content.decode()
    assert f"Sent again, as delivery {found.pk}: it is called at once." in page
    assert f'href="/deliveries/{row.pk}/?attempt=1">delivery {row.pk}</a>, attempt 1' in page
    assert f"delivery {found.pk}</a>" in vendor.get(f"/deliveries/{row.pk}/").content.decode()


def test_only_by_a_form_of_the_page(vendor: Client, row: Delivery) -> None:
    for path in ("again", "curl"):
        assert vendor.get(f"/deliveries/{row.pk}/{path}/").status_code == 405
    forging = Client(enforce_csrf_checks=True)
    forging.cookies = vendor.cookies
    assert forging.post(f"/deliveries/{row.pk}/again/", {"attempt": 1}).status_code == 403
    assert not Resend.objects.exists()


@pytest.mark.parametrize("path", ["again", "change"])
def test_a_disabled_webhook_says_so(vendor: Client, row: Delivery, path: str) -> None:
    Webhook.objects.update(active=False)
    sent = {**form(vendor, row), "attempt": 1}
    answer = vendor.post(f"/deliveries/{row.pk}/{path}/", sent, follow=True)
    assert "is disabled: enable it to send again." in answer.content.decode()
    assert not Resend.objects.exists()
    assert (
        "enable it to send anything again" in vendor.get(f"/deliveries/{row.pk}/").content.decode()
    )


@pytest.mark.parametrize("path", ["again", "change", "curl"])
def test_what_was_not_recorded_cannot_be_sent(vendor: Client, row: Delivery, path: str) -> None:
    Attempt.objects.update(claims={}, request_body="")
    answer = vendor.post(f"/deliveries/{row.pk}/{path}/", {"attempt": 1}, follow=True)
    assert "was not recorded" in answer.content.decode()
    assert not Resend.objects.exists()


def form(client: Client, row: Delivery) -> dict[str, str]:
    """Return what the form of changes is filled with."""
    found = client.get(f"/deliveries/{row.pk}/change/?attempt=1").context["form"]
    return {field.name: str(field.value()) for field in found}


def test_the_form_is_filled_with_what_was_sent(vendor: Client, row: Delivery) -> None:
    filled = form(vendor, row)
    assert json.loads(filled["headers"]) == {"X-Env": MASK}
    assert json.loads(filled["content"]) == {k: v for k, v in CLAIMS.items() if k != "exp"}
    assert (filled["external_url"], filled["http_method"]) == (row.webhook.external_url, "POST")


def test_changes_are_for_that_call(vendor: Client, row: Delivery) -> None:
    sent = {**form(vendor, row), "attempt": 1, "external_url": "http://127.0.0.1:9/new",
            "headers": '{"X-New": "1"}', "content": '{"data": {"n": 1}}'}  # fmt: skip
    found = made(vendor.post(f"/deliveries/{row.pk}/change/", sent))
    resend = found.resend
    assert (resend.url, resend.headers, resend.changed) == (
        "http://127.0.0.1:9/new", {"X-New": "1"}, True,
    )  # fmt: skip
    assert json.loads(resend.payload)["data"] == {"n": 1}
    hook = Webhook.objects.get()
    assert (hook.external_url, hook.headers, hook.data, hook.revision) == (
        row.webhook.external_url, {}, {}, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("external_url", "", "This field is required."),
        ("external_url", "gopher://x", "The URL must begin with http:// or https://."),
        ("http_method", "PUT", "Select a valid choice"),
        ("headers", '{"Host": "x"}', "Host belongs to the connection"),
        ("headers", "{", "This is not valid JSON"),
        ("content", "[]", "This must be an object"),
        ("content", '{"a": ', "This is not valid JSON"),
        ("content", '{"processing_timeout": "x"}', "must be a whole number of seconds"),
        ("content", '{"a": "\\u0000"}', "cannot be stored"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_loses_nothing(
    vendor: Client, row: Delivery, name: str, value: str, sentence: str
) -> None:
    sent = {**form(vendor, row), "attempt": 1, "external_url": "http://127.0.0.1/kept", name: value}
    answer = vendor.post(f"/deliveries/{row.pk}/change/", sent)
    assert answer.status_code == 400
    shown = answer.context["form"]
    assert sentence in " ".join(shown.errors[name])
    assert str(shown[name].value()) == value
    if name != "external_url":
        assert shown["external_url"].value() == "http://127.0.0.1/kept"
    assert not Resend.objects.exists()


def test_the_command_calls_as_sending_again_would(vendor: Client, row: Delivery) -> None:
    answer = vendor.post(f"/deliveries/{row.pk}/curl/", {"attempt": 1})
    page = unescape(answer.content.decode())
    assert answer.headers["Cache-Control"] == "no-store"
    command = page[page.index("curl --globoff") : page.index("</pre>")]
    words = shlex.split(command)
    assert words[:4] == ["curl", "--globoff", "--include", "--request"]
    assert words[4:6] == ["POST", row.webhook.external_url]
    headers = [words[n + 1] for n, word in enumerate(words) if word == "--header"]
    assert "X-Env: it's" in headers and "Content-Type: application/json" in headers
    [token] = {h.partition("Bearer ")[2] for h in headers if h.startswith("Auth")}
    claims = jwt.decode(token, row.webhook.jwt_secret, algorithms=["HS256"])
    assert claims.pop("exp") > clock.now().timestamp() + 500
    assert json.loads(words[words.index("--data-raw") + 1]) == claims
    assert not Resend.objects.exists() and Delivery.objects.count() == 1
    # Nowhere else is there a token.
    for path in ("", "change/?attempt=1", "?attempt=1&raw=1"):
        assert "eyJ" not in vendor.get(f"/deliveries/{row.pk}/{path}").content.decode()


def test_a_piece_of_the_page_gets_the_command_alone(vendor: Client, row: Delivery) -> None:
    answer = vendor.post(
        f"/deliveries/{row.pk}/curl/", {"attempt": 1}, headers={"HX-Request": "true"}
    )
    assert "<html" not in answer.content.decode() and "curl --globoff" in answer.content.decode()
