"""Secrets that were repeated: they are replaced in API calls, the timeline and reports."""

from collections import defaultdict
from importlib import import_module
from typing import Any

from django.db import migrations, models
from requests_queue.redaction import Redaction

_BATCH = 500
_TEXTS = ("path", "query", "user_agent", "request_body", "response_body")
_REPORTS = ("report", "error")
_webhooks = import_module("webhooks.migrations.0012_redact")


class _ByAccount(defaultdict[str, Redaction]):
    """What redacts the secrets of an account; of none, for a call with an unknown key."""

    def __init__(self, apps: Any) -> None:
        super().__init__()
        self._apps = apps

    def __missing__(self, account: str) -> Redaction:
        self[account] = _webhooks.of_account(self._apps, account)
        return self[account]


def redact(apps: Any, schema_editor: Any) -> None:
    """Replace secrets in what is stored."""
    redactions = _ByAccount(apps)
    _redact_calls(apps.get_model("sandbox", "ApiCall").objects, redactions)
    accounts = dict(apps.get_model("webhooks", "Webhook").objects.values_list("pk", "account"))
    _redact_entries(apps.get_model("sandbox", "TimelineEntry").objects, accounts, redactions)
    # By their forms: the others were replaced when a report was stored.
    _redact_reports(apps.get_model("sandbox", "CheckRun").objects)


def _redact_calls(calls: Any, redactions: _ByAccount) -> None:
    for rows in _webhooks.batches(calls.all(), _BATCH):
        changed = []
        for row in rows:
            before = [getattr(row, name) for name in _TEXTS]
            redaction = redactions[row.account_id or ""]
            after = [redaction.text(text, is_cut=row.is_truncated) for text in before]
            if after != before:
                changed.append(row)
                row.redacted = True
                row.user_agent = after[2][:200]
                for name, text in zip(_TEXTS, after, strict=True):
                    setattr(row, name, text)
        calls.bulk_update(changed, [*_TEXTS, "redacted"])


def _redact_entries(entries: Any, accounts: dict[str, str], redactions: _ByAccount) -> None:
    for rows in _webhooks.batches(entries.all(), _BATCH):
        changed = []
        for row in rows:
            account = row.data.get("account") or accounts.get(row.webhook_id) or ""
            data = redactions[account].value(row.data)
            if data != row.data:
                row.data = data
                changed.append(row)
        entries.bulk_update(changed, ["data"])


def _redact_reports(runs: Any) -> None:
    for rows in _webhooks.batches(runs.all(), _BATCH):
        for row in rows:
            for name in _REPORTS:
                setattr(row, name, Redaction().text(getattr(row, name)))
        runs.bulk_update(rows, _REPORTS)


class Migration(migrations.Migration):
    """Add the column that says what was redacted, and redact what is stored."""

    dependencies = [("sandbox", "0008_compress_bodies"), ("webhooks", "0012_redact")]

    operations = [
        migrations.AddField(
            model_name="apicall",
            name="redacted",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.RunPython(redact, migrations.RunPython.noop),
    ]
