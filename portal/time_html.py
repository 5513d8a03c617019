"""Moments as HTML: text that is complete without scripts, and that the browser keeps current."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from requests_queue.time_format import format_moment, format_precise, format_span
from webhooks import next_attempt as next_attempts


def moment(at: datetime | None, mode: str = "") -> SafeString | str:
    """Show a moment as `2026-11-26 01:42:30 UTC`; – for none.

    With mode `ago` the browser replaces it by the time since then.
    """
    if not at:
        return SafeString('<span class="none">–</span>')
    return _time(at, mode, format_moment(at))


def precise(at: datetime, now: datetime) -> SafeString:
    """Show a moment with its milliseconds if it has any, for logs: `01:42:30.123`.

    It has a date unless that is today.
    """
    return _time(at, "", format_precise(at, now), "" if at.microsecond else "whole-second")


def since(at: datetime, now: datetime) -> SafeString:
    """Show the time since a moment in one unit, which the browser keeps current: `4 min ago`."""
    seconds = (now - at).total_seconds()
    return _time(
        at, "short", f"{format_span(round(seconds), 1)} ago" if seconds >= 2 else "just now"
    )


def countdown(at: datetime, now: datetime) -> SafeString:
    """Show the time until a moment, which the browser counts down: `in 4 min 59 s`."""
    return _time(at, "countdown", f"in {next_attempts.until(at, now)}")


def clock_time(at: datetime, now: datetime) -> SafeString:
    """Show a moment as `02:04:44 UTC`, with its date unless that is today."""
    return _time(at, "", next_attempts.clock_time(at, now))


def next_attempt(at: datetime, now: datetime) -> SafeString:
    """Show when the next attempt is: `Next attempt in 4 min 59 s, at 02:04:44 UTC`."""
    text = next_attempts.clock_time(at, now)
    return format_html("Next attempt {}, at {}.", countdown(at, now), text)


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


def _time(at: datetime, mode: str, text: str, name: str = "") -> SafeString:
    # Without `format_html`, since lists have a hundred of them: nothing in it needs to be escaped.
    at = at.astimezone(UTC)
    stamp = at.isoformat(timespec="seconds")[:19]
    mark = f' data-time="{mode}"' if mode else f' class="{name}"' if name else ""
    title = f"{stamp[:10]} {stamp[11:]} UTC"
    return SafeString(f'<time datetime="{stamp}Z" title="{title}"{mark}>{text}</time>')
