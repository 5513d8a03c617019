"""What a move of the clock or a reset did, in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.urls import reverse

from portal.identity import Viewer
from requests_queue.time_format import format_span
from sandbox import moves, settling
from sandbox.moves import MoveResult
from sandbox.settling import Unsettled
from sandbox.snapshots import Replacement
from sandbox.timeline import Cursor
from webhooks.models import Attempt, Webhook

GOOD, BAD = "good", "bad"

_OUTCOMES = {
    Attempt.SUCCESS: "succeeded",
    Attempt.FAILURE: "failed",
    Attempt.UNKNOWN: "with unknown outcome",
}
# Singular and plural. No details: other accounts' deliveries are none of the viewer's.
_UNSETTLED = {
    settling.DUE: ("due delivery", "due deliveries"),
    settling.IN_FLIGHT: ("request in flight", "requests in flight"),
    settling.PROCESSING: ("usage file in processing", "usage files in processing"),
    settling.JOB: ("job of the platform", "jobs of the platform"),
    settling.API_CALLS: ("API call in flight", "API calls in flight"),
    settling.SETTLE_TIME: ("handler that may still work", "handlers that may still work"),
    settling.HOLD: ("hold", "holds"),
}
_LEFT = "requests or handlers"  # of which a reset says only how many there were


@dataclass(frozen=True, slots=True)
class Summary:
    """A line: what happened, its color, a link to it, and the rest of the line."""

    text: str
    tone: str = ""
    link: str = ""
    more: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the fields, for the session."""
        return asdict(self)


def of_move(result: MoveResult, since: Cursor, viewer: Viewer) -> Summary:
    """Return what a move did with the viewer's webhooks, and what else it has to say."""
    named = {each["webhook"] for each in result.attempts}
    rows = Webhook.objects.filter(account=viewer.account, pk__in=named)
    own = set(rows.values_list("pk", flat=True)) if named else set()
    outcomes = Counter(each["outcome"] for each in result.attempts if each["webhook"] in own)
    others = len(result.attempts) - outcomes.total()
    failed = outcomes.total() - outcomes[Attempt.SUCCESS]
    text, tone = _attempts(outcomes), BAD if failed else GOOD
    if not outcomes:
        text, tone = "No attempt is due." if _is_idle(result) else "No attempt was due.", ""
    happened = result.attempts or result.stops
    link = f"{reverse('timeline')}?{urlencode({'after': str(since)})}" if happened else ""
    return Summary(text, tone, link, " ".join(filter(None, _more(result, others))))


def _attempts(outcomes: Counter[str]) -> str:
    counts = ", ".join(
        f"{outcomes[each]} {word}" for each, word in _OUTCOMES.items() if outcomes[each]
    )
    return f"{_counted(outcomes.total(), 'attempt')}: {counts}."


def _is_idle(result: MoveResult) -> bool:
    return result.stopped_because == moves.IDLE


def _more(result: MoveResult, others: int) -> Iterable[str]:
    if others:
        yield f"{_counted(others, 'attempt')} of other accounts."
    if moved := (result.end - result.start).total_seconds():
        yield f"Moved {format_span(moved)}."
    if result.stopped_because == moves.MAX:
        yield "More is pending later."
    if result.stopped_because == moves.STEPS:
        yield f"Stopped after {result.stops} due times: more is pending."
    if result.failed:
        yield f"Failed jobs of the platform: {', '.join(result.failed)}."
    if result.unsettled:
        yield f"Did not wait for: {_unsettled(result.unsettled)}."


def _unsettled(rows: Iterable[Unsettled]) -> str:
    counts = Counter(row.kind for row in rows)
    return ", ".join(_counted(n, *_UNSETTLED[kind]) for kind, n in counts.items())


def of_reset(result: Replacement) -> Summary:
    return _of_replacement("Reset to the demo data", result)


def of_restore(name: str, result: Replacement) -> Summary:
    """Return what a restore of a snapshot did."""
    return _of_replacement(f"Snapshot {name} restored", result)


def _of_replacement(what: str, result: Replacement) -> Summary:
    left = len(result.unsettled)
    more = f"It did not wait for {_counted(left, 'request or handler', _LEFT)}." if left else ""
    took = format_span(result.took_ms / 1000)
    return Summary(f"{what} in {took}.", GOOD, "", more)


def of_refusal(error: Exception) -> Summary:
    """Return why nothing happened."""
    return Summary(str(error), BAD)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
