"""Template tags and filters of the portal: icons, times, statuses, query strings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal import markdown as markdown_renderer
from portal import media
from portal.deliveries import json_html
from portal.deliveries.bodies import escape_controls
from portal.paging import with_values
from portal.panels import FilledPanel
from portal.products import labels as product_labels
from portal.queues import labels
from portal.webhooks import health
from requests_queue.catalog.models import Account, Marketplace, Product
from requests_queue.queues.base import Queue
from requests_queue.time_format import format_moment, format_precise, format_span
from webhooks.delivery import next_attempt as next_attempts

register = template.Library()
register.filter("words", labels.spaced)
register.filter("escape_controls", escape_controls)
register.filter("json_html", json_html.render)
register.filter("markdown", markdown_renderer.render)
register.filter("constraints", product_labels.constraints)
register.filter("webhook_state", health.state_of)
register.filter("cleared", next_attempts.describe_cleared)


@register.simple_tag
def program() -> str:
    """Return how users call the program `connect-sim`."""
    return str(settings.PROGRAM)


@register.simple_tag(takes_context=True)
def icon(context: dict[str, Any], row: Account | Product | Marketplace) -> SafeString:
    """Draw an icon inline, which saves a request; a second use on a page refers to the first."""
    drawn: set[str] = context["request"].__dict__.setdefault("_icons", set())
    symbol = ""
    if row.pk not in drawn:
        drawn.add(row.pk)
        # `icon_content` escapes the name.
        content = SafeString(media.icon_content(row.pk, row.name))
        symbol = format_html(
            '<symbol id="icon-{}" viewBox="{}">{}</symbol>', row.pk, media.VIEW_BOX, content
        )
    return format_html(
        '<svg class="icon" aria-hidden="true">{}<use href="#icon-{}"/></svg>', symbol, row.pk
    )


@register.simple_tag
def moment(at: datetime | None, mode: str = "") -> SafeString | str:
    """Show a moment as `2026-11-26 01:42:30 UTC`; – for none.

    With mode `ago` the browser replaces it by the time since then.
    """
    if not at:
        return SafeString('<span class="none">–</span>')
    return _time(at, mode, format_moment(at))


@register.simple_tag
def precise(at: datetime, now: datetime) -> SafeString:
    """Show a moment with its milliseconds, for logs: `01:42:30.123`, with its date unless that is
    today."""
    return _time(at, "", format_precise(at, now))


@register.simple_tag
def since(at: datetime, now: datetime) -> SafeString:
    """Show the time since a moment in one unit, which the browser keeps current: `4 min ago`."""
    seconds = (now - at).total_seconds()
    return _time(
        at, "short", f"{format_span(round(seconds), 1)} ago" if seconds >= 2 else "just now"
    )


@register.simple_tag
def countdown(at: datetime, now: datetime) -> SafeString:
    """Show the time until a moment, which the browser counts down: `in 4 min 59 s`."""
    return _time(at, "countdown", f"in {next_attempts.until(at, now)}")


@register.simple_tag
def clock_time(at: datetime, now: datetime) -> SafeString:
    """Show a moment as `02:04:44 UTC`, with its date unless that is today."""
    return _time(at, "", next_attempts.clock_time(at, now))


@register.simple_tag
def clock(now: datetime, *, runs: bool = True) -> SafeString:
    """Show platform time, `2026-11-26 01:42:30 UTC`, by which the browser counts relative times.

    The browser lets it run on, unless it is being moved.
    """
    return format_html(
        '<time datetime="{}"{} data-now="{}">{}</time>',
        now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        SafeString(' data-time="clock"') if runs else "",
        now.isoformat(timespec="milliseconds"),
        format_moment(now),
    )


def _time(at: datetime, mode: str, text: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        format_moment(at),
        format_html(' data-time="{}"', mode) if mode else "",
        text,
    )


@register.simple_tag(name="next_attempt")
def next_attempt_at(at: datetime, now: datetime) -> SafeString:
    """Show when the next attempt is: `Next attempt in 4 min 59 s, at 02:04:44 UTC.`"""
    clock_time = next_attempts.clock_time(at, now)
    return format_html("Next attempt {}, at {}.", countdown(at, now), clock_time)


@register.filter
def milliseconds(duration: int) -> str:
    """Show a duration in ms with its unit: `300 ms`, `1.2 s`."""
    return format_span(duration / 1000) if duration else "0 ms"


@register.filter
def status_title(queue: Queue, name: str) -> str:
    """Show a status of a queue in words."""
    return queue.status(name).title


@register.simple_tag
def badge(queue: Queue, name: str) -> SafeString:
    """Show a status of a queue in its color."""
    status = queue.status(name)
    color = f" badge-{status.tone}" if status.tone else ""
    return format_html('<span class="badge{}">{}</span>', color, status.title)


@register.simple_tag(takes_context=True)
def panel(context: dict[str, Any], filled: FilledPanel, key: Any) -> SafeString:
    """Show what a panel of another app has about a row; nothing where it has nothing."""
    if key not in filled.data:
        return SafeString("")
    data = {"data": filled.data[key]}
    return SafeString(render_to_string(filled.panel.template, data, context["request"]))


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **values: Any) -> str:
    """Return the page's query with some values changed (None removes one), on page 1."""
    return with_values(context["request"].GET, page=None, **values)
