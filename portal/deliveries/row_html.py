"""The rows of the log as HTML.

Written here instead of in a template, which takes several times as long for the fifty rows of a
page. So does `format_html`, which looks for lazy translations in each value: here text is escaped
by `escape`, and all else is a number or HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from html import escape
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString

from portal import time_html
from portal.deliveries.rows import DeliveryRow, LoggedAttempt
from portal.panels import FilledPanel
from requests_queue.time_format import format_duration
from webhooks.delivery.retry import STATE_LABELS
from webhooks.models import Delivery

_NONE = '<span class="none">–</span>'
_TONES = {
    Delivery.WAITING: "wait", Delivery.CALLING: "busy", Delivery.DELIVERED: "good",
    Delivery.FAILED: "bad",
}  # fmt: skip
_DOTS = {"success": " dot-good", "failure": " dot-bad"}


def write(
    rows: Sequence[DeliveryRow],
    columns: Sequence[FilledPanel],
    now: datetime,
    names: Mapping[str, str] | None,
) -> SafeString:
    """Return the rows; `names` of webhooks by id add the column of the webhook."""
    address = _addresses()
    return SafeString("".join(_row(row, columns, now, address, names) for row in rows))


@cache
def badge(state: str) -> SafeString:
    """Show the state of a delivery in the color of its meaning, with the term that finds it."""
    label = STATE_LABELS[state]
    tone = f" badge-{_TONES[state]}" if state in _TONES else ""
    return SafeString(f'<span class="badge{tone}" title="state:{state}">{label}</span>')


def _row(
    line: DeliveryRow,
    columns: Sequence[FilledPanel],
    now: datetime,
    address: Callable[[int], str],
    names: Mapping[str, str] | None,
) -> str:
    row, attempt = line.row, line.attempt
    pk, number = row.pk, attempt.number if attempt else 0
    is_older = attempt is not None and number != row.attempts
    href = f"{address(pk)}?attempt={number}" if is_older else address(pk)
    keys = f' data-id="{pk}" data-attempt="{number}"' if attempt else ""
    disabled = "" if row.attempts else ' disabled title="It was not sent yet."'
    time, since = time_html.precise(row.created_at, now), time_html.since(row.created_at, now)
    return f"""
<tr id="d{pk}" data-opens-link{keys}>
<td class="log-select"><input type="checkbox" name="delivery" value="{pk}" form="bulk-form" \
aria-label="Select delivery {pk}"{disabled}></td>
<td data-label="Time" class="nowrap log-time">{time} <span class="quiet">{since}</span></td>
<th class="full log-event" scope="row" data-label="Event"><a id="l{pk}" data-step \
href="{href}">{escape(line.about)}</a>{_more(line.more_events)} \
<span class="id">{escape(line.object_id) or f"delivery {pk}"}</span></th>
{_webhook(row.webhook_id, names) if names is not None else ""}
<td data-label="State">{badge(row.state)}</td>
<td data-label="Response" class="log-response">{_response(attempt, line.detail)}</td>
<td data-label="Attempts" class="number nowrap">\
{f"{number} of {row.attempts}" if is_older else row.attempts}</td>
<td data-label="Duration" class="number nowrap">\
{format_duration(attempt.duration) if attempt else _NONE}</td>
{"".join(_column(each, line.key) for each in columns)}</tr>"""


def _addresses() -> Callable[[int], str]:
    """Return a function for the page of a delivery; the URL is reversed once for all rows."""
    before, _, after = reverse("delivery", args=[0]).rpartition("0")
    return lambda pk: f"{before}{pk}{after}"


def _more(events: int) -> str:
    if events <= 0:
        return ""
    return f' <span class="quiet nowrap">+{events}<span class="visually-hidden"> more</span></span>'


def _webhook(pk: str, names: Mapping[str, str]) -> str:
    label = escape(names[pk])
    return (
        '<td class="log-webhook" data-label="Webhook">'
        f'<span class="truncated" title="{label} {pk}">{label}</span></td>'
    )


def _response(attempt: LoggedAttempt | None, detail: str) -> str:
    if attempt is None:
        return _NONE
    outcome, status, detail = attempt.outcome, attempt.status_code, escape(detail)
    what = f'{status} <span class="visually-hidden">{outcome}</span>' if status else outcome
    return (
        f'<span class="truncated" title="{detail}">'
        f'<span class="dot{_DOTS.get(outcome, "")}" aria-hidden="true"></span>{what} '
        f'<span class="quiet">{detail}</span></span>'
    )


def _column(filled: FilledPanel, key: Any) -> str:
    text = escape(filled.data.get(key, ""))
    cell = f'<span class="truncated" title="{text}">{text}</span>' if text else _NONE
    return f'<td class="log-column" data-label="{filled.panel.title}">{cell}</td>'
