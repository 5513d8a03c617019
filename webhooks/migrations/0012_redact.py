"""Secrets that were repeated: they are replaced in the attempts that are stored."""

from collections.abc import Iterator
from typing import Any

from django.db import migrations, models
from requests_queue.redaction import Redaction
from webhooks.http.headers import secret_values

_BATCH = 100  # attempts, whose bodies have up to 64 KiB
_TEXTS = ("url", "error", "why", "request_body")
_CHANGED = (*_TEXTS, "claims", "response_headers", "response_body", "redacted")


def redact(apps: Any, schema_editor: Any) -> None:
    """Replace secrets in the attempts of each account."""
    account_ids = apps.get_model("webhooks", "Webhook").objects.values_list("account", flat=True)
    for account in sorted(set(account_ids)):
        redaction = of_account(apps, account)
        attempts = apps.get_model("webhooks", "Attempt").objects
        for rows in batches(attempts.filter(webhook__account=account), _BATCH):
            changed = [row for row in rows if _redact(row, redaction)]
            attempts.bulk_update(changed, _CHANGED)


def of_account(apps: Any, account: str) -> Redaction:
    """Return what redacts the secrets of an account's webhooks."""
    rows = apps.get_model("webhooks", "Webhook").objects.filter(account=account)
    secrets: list[str] = []
    for secret, headers in rows.values_list("jwt_secret", "headers"):
        secrets += [secret, *secret_values(headers)]
    return Redaction(secrets)


def batches(rows: Any, size: int) -> Iterator[list[Any]]:
    """Yield rows by their primary keys, so many at once."""
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:size]):
        yield batch
        last = batch[-1].pk


def _redact(row: Any, of_account: Redaction) -> bool:
    """Replace the secrets of an attempt; return whether it has changed."""
    redaction = of_account.including(secret_values(row.request_headers))
    headers = {str(name).lower(): str(value) for name, value in row.response_headers}
    body = bytes(row.response_body)
    found = {
        **{name: redaction.text(getattr(row, name)) for name in _TEXTS},
        "claims": redaction.value(row.claims),
        "response_headers": redaction.value(row.response_headers),
    }
    stored = redaction.body(body, headers.get("content-encoding", ""), is_cut=row.truncated)
    if stored == body and all(getattr(row, name) == value for name, value in found.items()):
        return False
    for name, value in (found | {"response_body": stored, "redacted": True}).items():
        setattr(row, name, value)
    return True


class Migration(migrations.Migration):
    """Add the column that says what was redacted, and redact what is stored."""

    dependencies = [("webhooks", "0011_delivery_due_at")]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="redacted",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.RunPython(redact, migrations.RunPython.noop),
    ]
