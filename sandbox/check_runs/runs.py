"""The rows of runs: at most one is running; each change of state is a filtered UPDATE.

A row has the progress of its run, which follows from its events:

    {"checks": ["auth.control", …], "running": ["auth.no_header"],
     "results": [{"check", "title", "level", "mark", "text", "seconds"}, …]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Subquery

from checks.options import EVENT, VALIDATOR, new_name
from checks.outputs import events
from requests_queue import topics
from requests_queue.catalog.models import Account
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict
from requests_queue.redaction import Redaction
from sandbox.models import CheckRun
from sandbox.timeline import observer
from webhooks.models import Webhook

KEPT = 20  # runs of a webhook
LEASE = 30.0  # seconds without a sign of life after which a run's process is gone
STOPPED = "The sandbox was stopped."
# Checks create purchases, so they are about webhooks of subscription requests.
_OBJECT_CLASS = "fulfillment_request"
_TYPES = (EVENT, VALIDATOR)
_RESULT = ("check", "title", "level", "mark", "text", "seconds")

Progress = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended."""

    state: str
    report: str = ""
    exit_code: int | None = None
    error: str = ""


def begin(webhook: Webhook, options: Mapping[str, Any], user: str) -> CheckRun:
    """Create the row of a run; raises Conflict while another one is running."""
    try:
        with transaction.atomic():
            run = CheckRun.objects.create(
                name=new_name(),
                account_id=webhook.account_id,
                webhook_id=webhook.pk,
                webhook_label=webhook.label,
                started_by=user,
                started_at=datetime.now(UTC),
                options=dict(options),
                expires=DatabaseTime() + LEASE,
            )
    except IntegrityError:
        # The unique constraint lets one of several callers insert a row.
        text = "Checks are running already. Wait until they have ended, or cancel them."
        raise Conflict("CHK_001", text) from None
    _forget_old(webhook.pk)
    topics.announce(None, observer.CHECKS)
    return run


def _forget_old(webhook: str) -> None:
    rows = CheckRun.objects.filter(webhook_id=webhook)
    last = list(rows.order_by("-pk").values_list("pk", flat=True)[KEPT - 1 : KEPT])
    if last:
        rows.filter(pk__lt=last[0]).exclude(state=CheckRun.RUNNING).delete()


def apply(progress: Progress, event: Mapping[str, Any], secrets: Collection[str] = ()) -> Progress:
    """Return the progress after an event, without secrets; the report's changes nothing."""
    kind, running = event["event"], list(progress.get("running", []))
    if kind == events.BEGUN:
        return {"checks": event["checks"], "running": [], "results": []}
    if kind == events.STARTED:
        return {**progress, "running": [*running, event["check"]]}
    if kind == events.ENDED:
        result = {name: event[name] for name in _RESULT}
        result["text"] = Redaction(secrets).text(result["text"])
        return {
            **progress,
            "running": [each for each in running if each != event["check"]],
            "results": [*progress.get("results", []), result],
        }
    return progress


def keep(pk: int, progress: Progress) -> bool:
    """Store the progress of a run, and that its process is there; return whether it shall end."""
    row = CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING)
    if not row.update(progress=progress, expires=DatabaseTime() + LEASE):
        # It is gone, or another process took this one for dead.
        return True
    topics.announce(None, observer.CHECKS)
    return row.filter(is_cancelled=True).exists()


def cancel(pk: int) -> bool:
    """Let a run end; return False if it has ended."""
    return bool(CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING).update(is_cancelled=True))


def end(pk: int, progress: Progress, ending: Ending) -> bool:
    """Store how a run has ended; return False if it had ended already."""
    ended = CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING).update(
        state=ending.state,
        progress={**progress, "running": []},
        report=ending.report,
        exit_code=ending.exit_code,
        error=ending.error,
        ended_at=datetime.now(UTC),
    )
    topics.announce(None, observer.CHECKS)
    return bool(ended)


def end_lost(*, is_alone: bool = False) -> list[CheckRun]:
    """End the runs whose process is gone, and return them; all if no other process has any."""
    rows = _lost(is_alone)
    values = {"state": CheckRun.FAILED, "error": STOPPED, "ended_at": datetime.now(UTC)}
    # Race: of several callers, one changes the row.
    return [run for run in rows if _lost(is_alone).filter(pk=run.pk).update(**values)]


def has_lost() -> bool:
    """Return whether the process of a run is gone."""
    return _lost().exists()


def _lost(is_alone: bool = False) -> QuerySet[CheckRun]:
    running = CheckRun.objects.filter(state=CheckRun.RUNNING)
    return running if is_alone else running.filter(expires__lt=DatabaseTime())


def checkable_webhooks(account: str) -> QuerySet[Webhook]:
    """Return the webhooks of an account that can be checked: those that the vendor's key reads."""
    owner = Subquery(_vendors().values("pk")[:1])
    return Webhook.objects.filter(
        account=account, account_id=owner, object_class=_OBJECT_CLASS, type__in=_TYPES
    )


def key_owner() -> Account | None:
    """Return the vendor whose API key is in sandbox.json."""
    return _vendors().first()


def _vendors() -> QuerySet[Account]:
    # In the order of the command `sandbox`, which makes the key.
    return Account.objects.filter(type="vendor").order_by("created", "pk")
