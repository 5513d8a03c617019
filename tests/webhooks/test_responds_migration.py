"""A database of an older version: which webhooks respond is read from their last attempts."""

from __future__ import annotations

from pathlib import Path

from tests.older_versions import on_both_databases, printed_by

# Makes the database one of the older version, changes its webhooks, and migrates it.
OLDER = """
import json
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from tests import make

call_command("migrate", verbosity=0)
catalog = make.catalog()
for n in range(1, 6):
    make.webhook(catalog, n=n)
call_command("migrate", "webhooks", "0008", verbosity=0)
older = MigrationLoader(connection).project_state(("webhooks", "0008_delivery_state_index")).apps
Webhook, Delivery, Attempt = (
    older.get_model("webhooks", name) for name in ("Webhook", "Delivery", "Attempt")
)

def attempt(hook, outcome, status):
    delivery = Delivery.objects.create(webhook_id=hook.pk, created_at=make.AT)
    return Attempt.objects.create(
        webhook_id=hook.pk, delivery=delivery, number=1, outcome=outcome, started_at=make.AT,
        finished_at=make.AT, duration=1, method="POST", url="http://127.0.0.1:9/", revision=0,
        status_code=status,
    )

# Of each webhook: failures since the last success, and the status of last success and failure.
CASES = [(0, [], []), (0, [200], []), (2, [], [500]), (1, [200], [None]), (0, [200], [None])]
for hook, (since, success, failure) in zip(Webhook.objects.order_by("pk"), CASES, strict=True):
    hook.failure_since_last_success = since
    for status in success:
        hook.last_success = attempt(hook, "success", status)
    for status in failure:
        hook.last_failure = attempt(hook, "failure", status)
    hook.save()
call_command("migrate", verbosity=0)
from webhooks.models import Webhook as Newer
print(json.dumps(list(Newer.objects.order_by("pk").values_list("responds", flat=True))))
"""


@on_both_databases
def test_last_attempts_tell_which_webhooks_respond(database: str, tmp_path: Path) -> None:
    assert printed_by(OLDER, database, tmp_path) == [False, True, True, False, True]
