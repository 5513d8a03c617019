"""The sandbox as a whole, in the bar on every page.

The bar has platform time, moves of the clock, reset, and armed faults. As in the API, everybody who
acts as an account may move the clock, which all accounts share, and go back to another state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.commands import Command
from portal.deliveries import detail
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from requests_queue.time_format import format_ahead, format_span
from sandbox.clock import moves, settling
from sandbox.clock.moves import MoveResult
from sandbox.clock.settling import Unsettled
from sandbox.faults import armed
from sandbox.faults.kinds import SIDES
from sandbox.pages import faults
from sandbox.readings import chosen
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Cursor
from sandbox.world import snapshots
from sandbox.world.snapshots import Replacement
from webhooks import next_attempt
from webhooks.models import Attempt, Delivery, Webhook

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
_SUMMARY = "clock_summary"  # in the session: of a move that leads to another page
# By the names of `BUTTONS`.
_MOVES: dict[str, Callable[[], MoveResult]] = {
    "advance-5m": lambda: moves.advance(timedelta(minutes=5)),
    "next-attempt": lambda: moves.run_next(),
    "advance-1d": lambda: moves.advance(timedelta(days=1)),
    "run-until-idle": lambda: moves.run_until_idle(),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """A line: what happened, its color, a link to it, and the rest of the line."""

    text: str
    tone: str = ""
    link: str = ""
    more: str = ""


def of_move(result: MoveResult, since: Cursor, viewer: Viewer) -> Summary:
    """Return what a move did with the viewer's webhooks, and what else it has to say."""
    named = {each.webhook_id for each in result.attempts}
    rows = Webhook.objects.filter(account=viewer.account, pk__in=named)
    own = set(rows.values_list("pk", flat=True))
    outcomes = Counter(e.data["outcome"] for e in result.attempts if e.webhook_id in own)
    others = len(result.attempts) - outcomes.total()
    failed = outcomes.total() - outcomes[Attempt.SUCCESS]
    counts = ", ".join(
        f"{outcomes[each]} {word}" for each, word in _OUTCOMES.items() if outcomes[each]
    )
    text = f"{counted(outcomes.total(), 'attempt')}: {counts}."
    tone = BAD if failed else GOOD
    if not outcomes:
        is_idle = result.stopped_because == moves.IDLE
        text, tone = "No attempt is due." if is_idle else "No attempt was due.", ""
    happened = result.attempts or result.stops
    link = f"{reverse('timeline')}?{urlencode({'after': str(since)})}" if happened else ""
    return Summary(text, tone, link, " ".join(filter(None, _more(result, others))))


def _more(result: MoveResult, others: int) -> Iterable[str]:
    if others:
        yield f"{counted(others, 'attempt')} of other accounts."
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
    return ", ".join(counted(n, *_UNSETTLED[kind]) for kind, n in counts.items())


def of_replacement(what: str, result: Replacement) -> Summary:
    """Return what a reset or restore did."""
    left = len(result.unsettled)
    more = f"It did not wait for {counted(left, 'request or handler', _LEFT)}." if left else ""
    took = format_span(result.took_ms / 1000)
    return Summary(f"{what} in {took}.", GOOD, "", more)


def of_refusal(error: Exception) -> Summary:
    """Return why nothing happened."""
    return Summary(str(error), BAD)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its word."""
    return f"{count} {one if count == 1 else many or one + 's'}"


@dataclass(frozen=True, slots=True)
class Button:
    """A move of the clock; `name` is the value that its form sends."""

    name: str
    label: str
    title: str


BUTTONS = (
    Button("advance-5m", "+5 min", "Move the clock forward by 5 minutes"),
    Button("next-attempt", "Next attempt", "Move to the next due attempt and through it"),
    Button("advance-1d", "+1 day", "Move the clock forward by 1 day"),
    Button("run-until-idle", "Until idle", "Move until nothing is pending, at most by 3 days"),
)


def commands(viewer: Viewer) -> Iterator[Command]:
    """Return the buttons of the bar."""
    for button in BUTTONS:
        words, field = "clock time advance skip", ("move", button.name)
        yield Command(button.title, reverse("time-move"), button.label, words, "post", field)
    yield Command("Reset the sandbox…", reverse("time-reset"), "Go back to the demo data")


@dataclass(frozen=True, slots=True)
class BarState:
    """What the bar shows and polls.

    The clock, how many armed faults the viewer may see, and alternatives that are not the defaults.
    """

    now: datetime
    ahead: str
    is_moving: bool
    faults: int
    readings: Sequence[str]

    @property
    def digest(self) -> str:
        """Return a value that changes with what is shown, apart from time that passes."""
        moment = self.now if self.is_moving else None
        return layout.digest(self.ahead, self.is_moving, moment, self.faults, *self.readings)


def bar_state(viewer: Viewer) -> BarState:
    """Return the bar's state; one statement, and two more while faults are armed."""
    clock = moves.clock_state()
    seconds = round(clock.offset.total_seconds())
    ahead = format_ahead(seconds) if seconds >= 1 else ""
    # Without any in this process, it takes no statement.
    rows = faults.readable(viewer) if any(map(armed.on, SIDES)) else ()
    count = sum(armed.is_armed(row) for row, _ in rows)
    return BarState(clock.now, ahead, clock.moving, count, chosen.differing())


def load_bar(request: HttpRequest, viewer: Viewer) -> dict[str, Any]:
    """Return the data of the bar, with the summary of a move that has led to this page."""
    kept = request.session.pop(_SUMMARY, None)
    return {"state": bar_state(viewer), "buttons": BUTTONS, "summary": kept and Summary(**kept)}


def keep_summary(request: HttpRequest, summary: Summary) -> None:
    """Keep a summary for the next page of the session."""
    request.session[_SUMMARY] = asdict(summary)


def moments(account: str, keys: Sequence[int]) -> dict[int, str]:
    """Return the address that moves to the next attempt, for deliveries that wait for a moment."""
    now = clock.now()
    rows = Delivery.objects.filter(pk__in=keys, state=Delivery.WAITING).select_related("webhook")
    return {
        row.pk: reverse("delivery-advance", args=[row.pk])
        for row in rows
        if next_attempt.of_delivery(row, now).moment
    }


@layout.signed_in("POST")
def advance_to_attempt(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Move the clock to the next attempt of a delivery and through it."""
    row = detail.find(viewer.account, pk)
    now, since = clock.now(), timeline.now()
    at = next_attempt.of_delivery(row, now).moment
    try:
        result = moves.advance(at - now if at else timedelta())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        keep_summary(request, of_move(result, since, viewer))
    return pages.see_other(reverse("delivery", args=[pk]))


@layout.signed_in("GET")
def state(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the part of the bar that htmx polls."""
    if not layout.is_htmx(request):
        return pages.see_other("/")
    state = bar_state(viewer)
    if layout.is_unchanged(request, state.digest):
        return pages.empty()
    return layout.render(request, viewer, "sandbox/bar_state.html", {"state": state})


@layout.signed_in("POST")
def move(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Move the clock; return the summary, or without htmx to the page that shows it."""
    run = _MOVES.get(request.POST.get("move", ""))
    if run is None:
        raise Missing("move")
    since, status = timeline.now(), 200
    try:
        summary = of_move(run(), since, viewer)
    except Refused as refused:
        summary, status = of_refusal(refused), refused.status
    if layout.is_htmx(request):
        context = {"state": bar_state(viewer), "summary": summary}
        return layout.render(request, viewer, "sandbox/bar_moved.html", context, status)
    return _back(request, summary, pages.local_path(request.POST.get("next", "")))


@layout.signed_in("GET", "POST")
def reset(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Ask for confirmation, or go back to the demo data."""
    if request.method != "POST":
        back = pages.local_path(request.GET.get("next", ""))
        return layout.render(request, viewer, "sandbox/reset.html", {"next": back or "/"})
    try:
        summary = of_replacement("Reset to the demo data", snapshots.reset())
    except Refused as refused:
        summary = of_refusal(refused)
    # The first page of the section: the object of another one may be gone.
    path = pages.local_path(request.POST.get("next", "")).partition("?")[0]
    sections = (item.path for item in layout.NAVIGATION if path and item.contains(path))
    return _back(request, summary, next(sections, ""))


def _back(request: HttpRequest, summary: Summary, address: str) -> HttpResponse:
    keep_summary(request, summary)
    return pages.see_other(address or reverse("home"))
