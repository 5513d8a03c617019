"""What templates of the portal draw: icons, moments, query strings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal import icons
from requests_queue.catalog.models import Account, Marketplace, Product
from webhooks.delivery import next_attempt as next_attempts

register = template.Library()


@register.simple_tag(takes_context=True)
def icon(context: dict[str, Any], row: Account | Product | Marketplace) -> SafeString:
    """Draw the row's icon within the page, where a picture of its own would cost a request.

    It is drawn once; where it is shown again, it is referred to.
    """
    drawn: set[str] = context["request"].__dict__.setdefault("_icons", set())
    symbol = ""
    if row.pk not in drawn:
        drawn.add(row.pk)
        # Escaped where it is drawn.
        face = SafeString(icons.face(row.pk, row.name))
        symbol = format_html(
            '<symbol id="icon-{}" viewBox="{}">{}</symbol>', row.pk, icons.BOX, face
        )
    return format_html(
        '<svg class="icon" aria-hidden="true">{}<use href="#icon-{}"/></svg>', symbol, row.pk
    )


@register.simple_tag
def moment(at: datetime | None, kind: str = "") -> SafeString | str:
    """Show a moment as `05/18/2021 8:49 AM` UTC, to the second in its title; – for none.

    Kind `ago` has the browser say how long ago it is.
    """
    if not at:
        return SafeString('<span class="none">–</span>')
    hour = at.hour % 12 or 12
    text = f"{at:%m/%d/%Y} {hour}:{at:%M} {at:%p}"
    return format_html(
        '<time datetime="{}" title="{} UTC"{}>{}</time>',
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        format_html(' data-time="{}"', kind) if kind else "",
        text,
    )


@register.simple_tag
def countdown(at: datetime, now: datetime) -> SafeString:
    """Show how long it is until a moment, which the browser counts down: `in 4 min 59 s`."""
    return format_html(
        '<time datetime="{}" title="{} UTC" data-time="countdown">in {}</time>',
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        next_attempts.until(at, now),
    )


@register.simple_tag(name="next_attempt")
def next_attempt_at(at: datetime, now: datetime) -> SafeString:
    """Show when the next attempt is: `Next attempt in 4 min 59 s, at 02:04:44 UTC.`"""
    clock_time = next_attempts.clock_time(at, now)
    return format_html("Next attempt {}, at {}.", countdown(at, now), clock_time)


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **values: Any) -> str:
    """Return the page's query with some values changed (None: without them), on page 1."""
    found = context["request"].GET.copy()
    found.pop("page", None)
    for name, value in values.items():
        found.pop(name, None)
        if value not in (None, ""):
            found[name] = str(value)
    return f"?{found.urlencode()}"
