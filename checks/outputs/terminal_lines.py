"""Lines about attempts and API calls for a terminal, and how many of them are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from checks.outputs.texts import one_line
from requests_queue.time_format import format_moment

LINES = 50  # per second
_LONGEST = 160  # characters of a URL, a path or an error
_API = "/public/v1"
GREEN, RED, YELLOW, DIM = "32", "31", "33", "2"


def attempt(
    at: datetime, webhook: str | None, changes: Sequence[str], data: Mapping[str, Any]
) -> tuple[str, str]:
    """Return line and color of a finished attempt.

    `changes` are those of its events (`PR-… created → pending`), `data` that of its entry in the
    timeline.
    """
    result = str(data["status"] or data["error"].rstrip(".") or data["outcome"])
    line = (
        f"{_clock(at)} {webhook} {_changes(changes)}  {data['method']} {_address(data['url'])} "
        f"{_cut(result)} {data['duration']} ms"
    )
    if data["next_attempt_at"]:
        line += f", next attempt at {_moment(data['next_attempt_at'], at)}"
    if data["out_of_order"]:
        line += ", the webhook is out of order"
    color = {"success": GREEN, "failure": RED}.get(data["outcome"], YELLOW)
    return one_line(line), color


def api_call(at: datetime, is_handler: bool, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return line and color of an API call by a handler, or by another client."""
    who = "handler" if is_handler else "API"
    path = _cut(data["path"].removeprefix(_API))
    code = f" {data['error_code']}" if data.get("error_code") else ""
    line = f"{_clock(at)}   {who}: {data['method']} {path}"
    status = data["status"] or 0
    line += f" {status}{code} {data['duration']:.0f} ms" if status else ", no response yet"
    return one_line(line), RED if status >= 400 else DIM


def paint(line: str, color: str) -> str:
    """Return the line in a color of the terminal."""
    return f"\x1b[{color}m{line}\x1b[0m"


class Limiter:
    """Allows LINES lines per second, and counts what is left out.

    Times are seconds of a monotonic clock.
    """

    def __init__(self, lines: int = LINES) -> None:
        self._lines = self._left = lines
        self._ends = 0.0
        self.attempts = self.calls = 0

    def allowed(self, now: float) -> int:
        """Return how many lines may be printed now."""
        if now >= self._ends:
            self._ends, self._left = now + 1, self._lines
        return self._left

    def printed(self, count: int) -> None:
        """Count printed lines."""
        self._left -= count

    def leave_out(self, attempts: int, calls: int) -> None:
        """Count attempts and calls that are not printed."""
        self.attempts += attempts
        self.calls += calls

    def remaining(self, now: float) -> float | None:
        """Return the seconds until a summary is due, None if nothing was left out."""
        return max(0.0, self._ends - now) if self.attempts or self.calls else None

    def summary(self, now: float) -> str:
        """Return the summary that is due now (`… 340 more attempts`), or an empty text."""
        if not (self.attempts or self.calls) or now < self._ends:
            return ""
        parts = [
            f"{count} more {noun}{'' if count == 1 else 's'}"
            for count, noun in ((self.attempts, "attempt"), (self.calls, "API call"))
            if count
        ]
        self.attempts = self.calls = 0
        return f"… {', '.join(parts)}"


def _changes(changes: Sequence[str]) -> str:
    if not changes:
        return "Trigger now"
    more = f" (+{len(changes) - 1} more)" if len(changes) > 1 else ""
    return f"{changes[0]}{more}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S}"


def _moment(text: str, now: datetime) -> str:
    """Return a time of day, with the date if it is another one."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return _clock(at) if at.date() == now.astimezone(UTC).date() else format_moment(at)


def _address(url: str) -> str:
    """Return a URL without its query and credentials, which may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return _cut(f"{parts.scheme}://{host}{parts.path or '/'}{'?…' if parts.query else ''}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
