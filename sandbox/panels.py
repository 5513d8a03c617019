"""The sandbox's panels in the portal: handler activity, forecasts, and verdicts of checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.deliveries.bodies import escape_controls
from portal.panels import (
    ATTEMPT,
    CHOSEN_ATTEMPT,
    DELIVERY_COLUMN,
    NEXT_ATTEMPT,
    OBJECT,
    PANELS,
    WEBHOOK,
    WEBHOOK_HEALTH,
    Panel,
)
from sandbox import deliveries, forecast, handler_activity
from sandbox.check_runs import targets
from sandbox.handler_activity import Key
from sandbox.handler_notes import Note
from sandbox.pages import check_views, next_attempt, object_stream
from sandbox.pages.call_view import CallView
from sandbox.stored_calls import Call
from webhooks.models import Webhook

MAX_CALLS = 20  # of an attempt or object that are shown
MAX_FORECAST = 20  # attempts of a forecast that are shown


@dataclass(frozen=True, slots=True)
class ActivityView:
    """Handler activity as a page shows it; `more` is how many calls are left out."""

    calls: Sequence[CallView]
    more: int = 0
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True)
class ForecastView:
    """A forecast as a page shows it; `more` is how many attempts are left out."""

    rows: Sequence[forecast.Row]
    more: int = 0


@dataclass(frozen=True, slots=True)
class EndView:
    """When a webhook would be out of order if every attempt failed."""

    webhook: str
    at: datetime


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The last run of a webhook's checks; `run` is None if there is none."""

    webhook: str
    run: int | None = None
    badge: check_views.Badge | None = None
    counts: str = ""
    at: datetime | None = None


def register() -> None:
    """Add the panels to the portal's registry."""
    PANELS.extend(
        [
            Panel(ATTEMPT, "sandbox/attempt.html", _summaries),
            Panel(CHOSEN_ATTEMPT, "sandbox/activity.html", _chosen_attempt),
            Panel(NEXT_ATTEMPT, "sandbox/advance.html", next_attempt.moments),
            Panel(DELIVERY_COLUMN, "", _summary_texts, "Handler"),
            Panel(OBJECT, "sandbox/object.html", object_stream.load),
            Panel(WEBHOOK, "sandbox/forecast.html", _forecasts),
            Panel(WEBHOOK_HEALTH, "sandbox/forecast_end.html", _ends),
            Panel(WEBHOOK, "sandbox/check_verdict.html", _verdicts),
        ]
    )


def _chosen_attempt(account: str, keys: Sequence[Key]) -> dict[Key, ActivityView]:
    return {
        key: _view(each.calls, each.notes)
        for key, each in handler_activity.for_attempts(keys).items()
        if each.calls or each.notes
    }


def _summaries(account: str, keys: Sequence[Key]) -> dict[Key, str]:
    return {key: text for key, text in handler_activity.summaries(keys).items() if text}


def _summary_texts(account: str, keys: Sequence[Key]) -> dict[Key, str]:
    return {key: escape_controls(text) for key, text in _summaries(account, keys).items()}


def _forecasts(account: str, keys: Sequence[str]) -> dict[str, ForecastView]:
    """Return the forecasts of webhooks that back off."""
    return {
        pk: ForecastView(steps[:MAX_FORECAST], max(0, len(steps) - MAX_FORECAST))
        for pk, steps in _steps(keys).items()
    }


def _ends(account: str, keys: Sequence[str]) -> dict[str, EndView]:
    """Return when webhooks that back off would be out of order."""
    return {pk: EndView(pk, each[-1].at) for pk, each in _steps(keys).items()}


def _steps(keys: Sequence[str]) -> dict[str, list[forecast.Row]]:
    rows = Webhook.objects.filter(pk__in=keys, active=True, round__gt=0)
    steps = {row.pk: deliveries.forecast_of(row).rows for row in rows}
    return {pk: each for pk, each in steps.items() if each}


def _verdicts(account: str, keys: Sequence[str]) -> dict[str, VerdictView]:
    """Return the last run of each webhook that can be checked."""
    rows = targets.webhooks(account).filter(pk__in=keys).values_list("pk", flat=True)
    last = check_views.latest(keys)
    return {pk: _verdict(pk, last.get(pk)) for pk in rows}


def _verdict(webhook: str, last: check_views.RunView | None) -> VerdictView:
    if last is None:
        return VerdictView(webhook)
    return VerdictView(webhook, last.run.pk, last.badge, last.counts, last.run.started_at)


def _view(calls: Sequence[Call], notes: Sequence[Note] = ()) -> ActivityView:
    shown = [CallView(call) for call in calls[:MAX_CALLS]]
    return ActivityView(shown, max(0, len(calls) - MAX_CALLS), notes)
