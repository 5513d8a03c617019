"""Template tags and filters of the portal: icons, times, statuses, query strings."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal import markdown as markdown_renderer
from portal import media, time_html
from portal.deliveries import json_html
from portal.deliveries.bodies import escape_controls, format_size
from portal.paging import with_values
from portal.panels import FilledPanel
from portal.products import labels as product_labels
from portal.queues import labels
from portal.webhooks import health
from requests_queue.catalog.models import Account, Marketplace, Product
from requests_queue.queues.base import Queue
from requests_queue.time_format import format_duration
from webhooks import next_attempt as next_attempts
from webhooks.models import Delivery
from webhooks.states import STATE_LABELS

register = template.Library()
register.filter("words", labels.spaced)
register.filter("size", format_size)
register.filter("escape_controls", escape_controls)
register.filter("json_html", json_html.render)
register.filter("markdown", markdown_renderer.render)
register.filter("constraints", product_labels.constraints)
register.filter("webhook_state", health.state_of)
register.filter("milliseconds", format_duration)
register.filter("cleared", next_attempts.describe_cleared)
for tag in (
    time_html.moment,
    time_html.precise,
    time_html.since,
    time_html.countdown,
    time_html.clock_time,
    time_html.next_attempt,
    time_html.clock,
):
    register.simple_tag(tag)
_TONES = {
    Delivery.WAITING: "wait",
    Delivery.CALLING: "busy",
    Delivery.DELIVERED: "good",
    Delivery.FAILED: "bad",
}


@register.simple_tag
def delivery_state(state: str) -> SafeString:
    """Show the state of a delivery in the color of its meaning, with the term that finds it."""
    tone = f" badge-{_TONES[state]}" if state in _TONES else ""
    return format_html(
        '<span class="badge{}" title="state:{}">{}</span>', tone, state, STATE_LABELS[state]
    )


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
