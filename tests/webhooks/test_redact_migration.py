"""A database of an older version: secrets that were repeated are replaced in its rows."""

from __future__ import annotations

from pathlib import Path

from tests.older_versions import on_both_databases, printed_by

# Makes the database one of the older version, stores secrets in it, and migrates it.
OLDER = """
import gzip
import json
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from tests import make
from tests.webhooks.test_secrets import everything_stored

call_command("migrate", verbosity=0)
catalog = make.catalog()
hook = make.webhook(catalog, jwt_secret="JWT-canary-1", headers={"X-Api-Key": "canary/2"})
call_command("migrate", "sandbox", "0008", verbosity=0)
call_command("migrate", "webhooks", "0011", verbosity=0)
state = MigrationLoader(connection).project_state(
    [("webhooks", "0011_delivery_due_at"), ("sandbox", "0008_compress_bodies")]
)
Delivery, Attempt = (state.apps.get_model("webhooks", name) for name in ("Delivery", "Attempt"))
ApiCall, TimelineEntry, CheckRun = (
    state.apps.get_model("sandbox", name) for name in ("ApiCall", "TimelineEntry", "CheckRun")
)

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.canary"
ALL = f"JWT-canary-1 canary%2F2 SU-100-200-300:canary-key Bearer {TOKEN} http://u:canary@h"
BODIES = [ALL.encode(), gzip.compress(ALL.encode()), b"harmless", 2000 * b"x" + ALL.encode()]

def attempt(body, **more):
    delivery = Delivery.objects.create(webhook_id=hook.pk, created_at=make.AT)
    Attempt.objects.create(
        webhook_id=hook.pk, delivery=delivery, number=1, outcome="failure", started_at=make.AT,
        finished_at=make.AT, duration=1, method="POST", url="http://127.0.0.1:9/", revision=0,
        status_code=500, response_body=body, **more,
    )

def call(account=catalog.vendor.pk, **more):
    fields = {"path": "/public/v1/requests", **more}
    ApiCall.objects.create(
        started_at=make.AT, real_started_at=make.AT, duration=1, method="GET", status=200,
        account_id=account, **fields,
    )

def entry(data, **more):
    TimelineEntry.objects.create(
        kind="api_call", at=make.AT, real_at=make.AT, data=data, **more,
    )

# More than a batch.
for n in range(101):
    attempt(b"harmless")
for body in BODIES:
    attempt(body, response_headers=[["Content-Encoding", "gzip" if body[:1] == b"\\x1f" else ""]])
attempt(b"", response_headers=[["X-Echo", ALL]])
attempt(b"", error=ALL, why=ALL)
attempt(b"", claims={"data": [ALL, 5]}, request_body=json.dumps([ALL]))
attempt(b"JWT-cana", truncated=True)
# Of a header that the webhook has no more.
attempt(b"canary-3", request_headers={"X-Old": "canary-3"})
call(query=ALL, path=f"/{ALL}", user_agent=180 * "x" + "JWT-canary-1")
call(request_body=5000 * "y" + ALL, response_body=ALL)
call(account=None, query="SU-100-200-300:canary-key")
call(response_body="harmless")
entry({"query": ALL, "account": catalog.vendor.pk, "status": 200})
entry({"url": ALL, "error": ALL}, webhook_id=hook.pk)
entry({"path": "SU-100-200-300:canary-key"})
CheckRun.objects.create(
    name="a", account_id=catalog.vendor.pk, webhook_id=hook.pk, webhook_label="a", started_by="a",
    started_at=make.AT, expires=0, state="finished", report='{"a": "SU-100-200-300:canary-key"}',
)
assert everything_stored().count("canary") > 20
call_command("migrate", verbosity=0)

from sandbox.models import ApiCall, CheckRun, TimelineEntry
from webhooks.models import Attempt
attempts = list(Attempt.objects.order_by("pk"))
calls = list(ApiCall.objects.order_by("pk"))
hook.refresh_from_db()
shown = [
    everything_stored(), *(bytes(row.response_body).decode("latin-1") for row in attempts),
    *(row.request_body + row.response_body for row in calls),
]
print(json.dumps({
    "left": [text[max(0, text.index("cana") - 50):][:100] for text in shown if "cana" in text],
    "attempts": [row.redacted for row in attempts[101:]],
    "harmless": sum(row.redacted for row in attempts[:101]),
    "calls": [row.redacted for row in calls],
    "claims": attempts[-3].claims["data"][1],
    "status": TimelineEntry.objects.order_by("pk")[0].data["status"],
    "report": json.loads(CheckRun.objects.get().report)["a"][:15],
    "settings": [hook.jwt_secret, hook.headers],
}))
"""


@on_both_databases
def test_secrets_in_older_rows_are_replaced(database: str, tmp_path: Path) -> None:
    assert printed_by(OLDER, database, tmp_path) == {
        "left": [],
        "attempts": [True, True, False, True, True, True, True, True, True],
        "harmless": 0,
        "calls": [True, True, True, False],
        "claims": 5,
        "status": 200,
        "report": "SU-100-200-300:",
        "settings": ["JWT-canary-1", {"X-Api-Key": "canary/2"}],
    }
