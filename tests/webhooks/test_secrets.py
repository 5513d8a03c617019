"""Secrets are in no row, log, repr or task argument."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from requests_queue import task_messages
from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken
from tests import make
from tests.engines import running, until
from webhooks.delivery import attempt, claim, fan_out, wakeup
from webhooks.models import Attempt

CANARY = "JWT-canary-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"
pytestmark = pytest.mark.django_db(transaction=True)


def everything_stored() -> str:
    """Return every value of every table, as text."""
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            texts += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(texts)


def test_no_repr_has_a_secret(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog, jwt_secret=CANARY, headers={"X-Api-Key": CANARY})
    fan_out.trigger(hook)
    [claimed] = claim.claim(1).claims
    prepared = attempt.prepare(claimed)
    assert prepared.request.headers["X-Api-Key"] == CANARY
    shown = [repr(each) + str(each) for each in (hook, claimed, prepared, prepared.request)]
    assert not [text for text in shown if CANARY in text or "Bearer ey" in text]


def test_published_task_has_no_arguments(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "amqp://127.0.0.1:1//"
    sent: list[tuple[Any, Any]] = []
    app = task_messages.current_app
    monkeypatch.setattr(app, "send_task", lambda *args, **options: sent.append((args, options)))
    monkeypatch.setattr(wakeup, "_paused_until", 0.0)
    wakeup.send()
    [(args, options)] = sent
    assert args == ("webhooks.tasks.pump", ())
    assert not options.get("args") and not options.get("kwargs")


def test_api_keys_are_stored_hashed(catalog: make.Catalog) -> None:
    key = keys.new_key()
    keys.store(catalog.vendor, key, "test")
    assert key.partition(":")[2] not in everything_stored()
    assert keys.owner(key) == ApiToken.objects.get().user
    assert keys.owner(key[:-1] + ("0" if key[-1] != "0" else "1")) is None


def test_secret_encrypted_with_other_key_fails_with_message(
    catalog: make.Catalog, settings: Any
) -> None:
    hook = make.webhook(catalog, "http://127.0.0.1:9/", jwt_secret=CANARY)
    other = make.webhook(catalog, "http://127.0.0.1:9/", n=2)
    settings.SIM_ENCRYPTION_KEY = "another key"
    with running() as [engine]:
        fan_out.trigger(hook)
        fan_out.trigger(other)
        engine.wake()
        until(lambda: Attempt.objects.count() == 2, "both attempts")
    assert "SIM_ENCRYPTION_KEY is not the key" in Attempt.objects.first().error
