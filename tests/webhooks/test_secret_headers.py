"""Header values are encrypted at rest, absent from logs and reprs, and sent."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.db import connection

from portal.deliveries import changes_form
from tests import make
from tests.engines import running, until
from tests.webhooks.calling import called_webhook
from tests.webhooks.test_secrets import everything_stored
from webhooks.delivery import fan_out, resend
from webhooks.models import Attempt, Resend, Webhook

CANARY = "canary-9f2b1c77-key-of-a-handler"
JWT = "JWT-canary-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"
HEADERS = {"X-Api-Key": CANARY, "Accept": "application/json"}
pytestmark = pytest.mark.django_db(transaction=True)


def test_secrets_are_sent_and_neither_stored_nor_logged(
    catalog: make.Catalog, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        called_webhook(catalog, 500, headers=HEADERS, jwt_secret=JWT) as (served, hook),
        running() as [engine],
    ):
        until(lambda: Attempt.objects.count() == 1, "the attempt")
        # Resend the stored request.
        more = {"headers": {**HEADERS, "X-More": CANARY}}
        changes_form.send_changed(Attempt.objects.get(), more)
        resend.create_resend(Attempt.objects.get())
        engine.wake()
        until(lambda: Attempt.objects.count() == 3, "the attempts of what is sent again")
    received = [request.headers for request in served.received]
    assert [headers["X-Api-Key"] for headers in received] == [CANARY] * 3
    assert sorted(headers.get("X-More", "") for headers in received) == ["", "", CANARY]
    written = everything_stored() + caplog.text + "".join(capfd.readouterr())
    tokens = [request.token for request in served.received]
    assert not [each for each in (CANARY, JWT, *tokens) if each in written]
    stored = [row.request_headers for row in Attempt.objects.all()]
    assert {headers["X-Api-Key"] for headers in stored} == {CANARY}
    assert {headers["Authentication"] for headers in stored} == {"Bearer (decoded below)"}
    assert {row.headers["X-Api-Key"] for row in Resend.objects.all()} == {CANARY}
    hook.refresh_from_db()
    assert hook.jwt_secret == JWT


def test_api_returns_headers(catalog: make.Catalog) -> None:
    from tests.api import caller

    hook = make.webhook(catalog, headers=HEADERS)
    path = f"/notifications/webhooks/{hook.pk}"
    vendor = caller(catalog.vendor)
    assert vendor.get(path).json["headers"] == HEADERS
    assert vendor.put(path, {"headers": {"X-Other": CANARY}}).json["headers"] == {"X-Other": CANARY}
    assert CANARY not in everything_stored()


def test_headers_encrypted_with_other_key_are_empty(settings: Any) -> None:
    hook = make.webhook(make.catalog(), headers=HEADERS)
    settings.SIM_ENCRYPTION_KEY = "another key"
    assert Webhook.objects.get(pk=hook.pk).headers == {}


def stored(table: str, column: str) -> list[Any]:
    """Return the JSON of a column as it is stored."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT CAST({column} AS text) FROM {table}")
        return [json.loads(text) for (text,) in cursor.fetchall()]


@pytest.mark.parametrize(
    "headers", [HEADERS, {}, {"X-Naïve": "Grüße"}, {"B": "2", "A": "1"}, {"X": '"quoted"'}]
)
def test_headers_are_stored_as_encrypted_text(headers: dict[str, str]) -> None:
    hook = make.webhook(make.catalog(), headers=headers)
    fan_out.trigger(hook)
    delivery = hook.deliveries.get()
    Attempt.objects.create(
        webhook=hook,
        delivery=delivery,
        number=1,
        outcome="failure",
        started_at=make.AT,
        finished_at=make.AT,
        duration=1,
        method="POST",
        url="http://127.0.0.1:9/",
        request_headers=headers,
    )
    Resend.objects.create(
        delivery=delivery,
        number=1,
        changed=False,
        url="x",
        method="POST",
        payload="{}",
        headers=headers,
    )
    columns = [(Webhook, "headers"), (Attempt, "request_headers"), (Resend, "headers")]
    for model, column in columns:
        [text] = stored(model._meta.db_table, column)
        assert isinstance(text, str) and CANARY not in text
        assert list(model.objects.get().__dict__[column].items()) == list(headers.items())
