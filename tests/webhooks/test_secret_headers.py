"""Header values are encrypted at rest, absent from logs and reprs, and sent."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.db import connection

from portal.deliveries import changes_form
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import running, until
from tests.handlers import handler
from tests.webhooks.test_secrets import everything_stored
from webhooks.delivery import attempt, claim, fan_out, resend
from webhooks.models import Attempt, Resend, Webhook

CANARY = "canary-9f2b1c77-key-of-a-handler"
HEADERS = {"X-Api-Key": CANARY, "Accept": "application/json"}
pytestmark = pytest.mark.django_db(transaction=True)


def test_header_value_is_sent_and_neither_stored_nor_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    catalog = make.catalog()
    with handler(lambda request: 500) as served, running() as [engine]:
        make.webhook(catalog, served.url, headers=HEADERS)
        creation.create(make.purchase(catalog), catalog.as_distributor)
        engine.wake()
        assert served.next().headers["X-Api-Key"] == CANARY
        until(lambda: Attempt.objects.count() == 1, "the attempt")
        # Resend the stored request.
        changes_form.send_changed(Attempt.objects.get(), {"headers": {**HEADERS, "X-More": CANARY}})
        resend.create_resend(Attempt.objects.get())
        engine.wake()
        again = [served.next().headers for _ in range(2)]
        until(lambda: Attempt.objects.count() == 3, "the attempts of what is sent again")
        assert sorted(headers.get("X-More", "") for headers in again) == ["", CANARY]
        assert {headers["X-Api-Key"] for headers in again} == {CANARY}
    printed = caplog.text + "".join(capfd.readouterr())
    assert CANARY not in everything_stored() + printed
    assert {row.request_headers["X-Api-Key"] for row in Attempt.objects.all()} == {CANARY}
    assert {row.headers["X-Api-Key"] for row in Resend.objects.all()} == {CANARY}


def test_no_repr_has_a_header_value() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog, headers=HEADERS)
    fan_out.trigger(hook)
    [claimed] = claim.claim(1).claims
    prepared = attempt.prepare(claimed)
    assert prepared.request.headers["X-Api-Key"] == CANARY
    shown = [hook, claimed, prepared, prepared.request]
    assert not [each for each in shown if CANARY in repr(each) + str(each)]


def test_api_returns_headers() -> None:
    from tests.api import caller

    catalog = make.catalog()
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
