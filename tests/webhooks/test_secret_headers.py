"""The values of a webhook's headers are encrypted at rest, in no log and no repr, and sent."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import running, until
from tests.handlers import handler
from tests.webhooks.test_secrets import everything_stored
from webhooks.delivery import claims, fan_out, in_flight, resend
from webhooks.models import Attempt, Resend, Webhook

CANARY = "canary-9f2b1c77-key-of-a-handler"
HEADERS = {"X-Api-Key": CANARY, "Accept": "application/json"}
pytestmark = pytest.mark.django_db(transaction=True)
migration = import_module("webhooks.migrations.0004_encrypted_headers")


def test_a_value_is_sent_and_neither_stored_nor_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    world = make.world()
    with handler(lambda got: 500) as served, running() as [engine]:
        make.webhook(world, served.url, headers=HEADERS)
        creation.create(make.purchase(world), world.as_distributor)
        engine.wake()
        assert served.next().headers["X-Api-Key"] == CANARY
        until(lambda: Attempt.objects.count() == 1, "the attempt")
        # What an attempt has stored is sent again.
        resend.create_resend(Attempt.objects.get(), {"headers": {**HEADERS, "X-More": CANARY}})
        resend.create_resend(Attempt.objects.get())
        engine.wake()
        again = [served.next().headers for _ in range(2)]
        until(lambda: Attempt.objects.count() == 3, "the attempts of what is sent again")
        assert sorted(got.get("X-More", "") for got in again) == ["", CANARY]
        assert {got["X-Api-Key"] for got in again} == {CANARY}
    printed = caplog.text + "".join(capfd.readouterr())
    assert CANARY not in everything_stored() + printed
    assert {row.request_headers["X-Api-Key"] for row in Attempt.objects.all()} == {CANARY}
    assert {row.headers["X-Api-Key"] for row in Resend.objects.all()} == {CANARY}


def test_no_repr_shows_a_value() -> None:
    world = make.world()
    hook = make.webhook(world, headers=HEADERS)
    fan_out.trigger(hook)
    [claimed] = claims.claim(1)
    prepared = in_flight.prepare(claimed)
    assert prepared.request.headers["X-Api-Key"] == CANARY
    shown = [hook, claimed, prepared, prepared.request]
    assert not [each for each in shown if CANARY in repr(each) + str(each)]


def test_the_api_returns_headers_as_connect_does() -> None:
    from tests.api import caller

    world = make.world()
    hook = make.webhook(world, headers=HEADERS)
    path = f"/notifications/webhooks/{hook.pk}"
    vendor = caller(world.vendor)
    assert vendor.get(path).json["headers"] == HEADERS
    assert vendor.put(path, {"headers": {"X-Other": CANARY}}).json["headers"] == {"X-Other": CANARY}
    assert CANARY not in everything_stored()


def test_headers_under_another_key_are_empty_and_break_nothing(settings: Any) -> None:
    hook = make.webhook(make.world(), headers=HEADERS)
    settings.SIM_ENCRYPTION_KEY = "another key"
    assert Webhook.objects.get(pk=hook.pk).headers == {}


# -- the migration


def plain(table: str, column: str) -> list[Any]:
    """Return the JSON of a column as it is stored."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT CAST({column} AS text) FROM {table}")
        return [json.loads(text) for (text,) in cursor.fetchall()]


def write_plain(table: str, key: str, column: str, pk: Any, value: Any) -> None:
    """Store JSON as it was stored before the migration."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {column} = %s WHERE {key} = %s", [json.dumps(value), pk]
        )


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Five webhooks, with an attempt and something that is sent again each, stored in plain."""
    monkeypatch.setattr(migration, "STEP", 2)
    world = make.world()
    values = [HEADERS, {}, {"X-Naïve": "Grüße"}, {"B": "2", "A": "1"}, {"X": '"quoted"'}]
    for n, value in enumerate(values, 1):
        hook = make.webhook(world, n=n)
        fan_out.trigger(hook)
        delivery = hook.deliveries.get()
        attempt = Attempt.objects.create(
            webhook=hook, delivery=delivery, number=1, outcome="failure", started_at=make.AT,
            finished_at=make.AT, duration=1, method="POST", url="http://127.0.0.1:9/",
        )  # fmt: skip
        Resend.objects.create(
            delivery=delivery, number=1, changed=False, url="x", method="POST", payload="{}"
        )
        write_plain("webhooks_webhook", "id", "headers", hook.pk, value)
        write_plain("webhooks_attempt", "id", "request_headers", attempt.pk, value)
        write_plain("webhooks_resend", "delivery_id", "headers", delivery.pk, value)
    return {"values": values}


TABLES = {"webhooks_webhook": "headers", "webhooks_attempt": "request_headers",
          "webhooks_resend": "headers"}  # fmt: skip
EDITOR = SimpleNamespace(connection=connection)


def test_what_was_stored_in_plain_is_encrypted_and_can_be_decrypted(rows: dict[str, Any]) -> None:
    def read() -> list[list[Any]]:
        models = ((Webhook, "headers"), (Attempt, "request_headers"), (Resend, "headers"))
        return [list(m.objects.order_by("pk").values_list(c, flat=True)) for m, c in models]

    # Readable before it as well: a process may be quicker than the migration.
    assert read() == [rows["values"]] * 3
    for _ in range(2):
        migration.forwards(apps, EDITOR)
        assert read() == [rows["values"]] * 3
        assert CANARY not in everything_stored()
        for table, column in TABLES.items():
            assert all(isinstance(value, str) for value in plain(table, column))
    migration.backwards(apps, EDITOR)
    for table, column in TABLES.items():
        stored = sorted(map(str, plain(table, column)))
        assert len(stored) == 5
        assert sorted(str(dict(sorted(v.items()))) for v in plain(table, column)) == sorted(
            str(dict(sorted(v.items()))) for v in rows["values"]
        )


def test_a_migration_back_under_another_key_loses_nothing(
    rows: dict[str, Any], settings: Any
) -> None:
    migration.forwards(apps, EDITOR)
    key = settings.SIM_ENCRYPTION_KEY
    settings.SIM_ENCRYPTION_KEY = "another key"
    with pytest.raises(RuntimeError, match="SIM_ENCRYPTION_KEY"):
        migration.backwards(apps, EDITOR)
    settings.SIM_ENCRYPTION_KEY = key
    migration.backwards(apps, EDITOR)
    assert HEADERS in plain("webhooks_webhook", "headers")
