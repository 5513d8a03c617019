"""Faults as the page shows them, and which of them a user may see, arm and clear.

Administrators: all. Users of an account: those of its webhooks and of its calls of the API. They
also see the faults that concern everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from portal.commands import MAX_FOUND, Command
from portal.identity import Viewer
from requests_queue.errors import Missing
from requests_queue.time_format import format_span
from sandbox.faults import api_side, armed
from sandbox.faults.kinds import API, DELIVERY, KINDS, SIDES, Kind
from sandbox.models import Fault, HeldResponse
from webhooks.models import Webhook

SIDE_TITLES = {
    DELIVERY: "Requests to handlers",
    API: "Responses of the API to handlers",
}
MAX_HELD = 10  # calls of a fault that are shown


def webhooks(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the webhooks of the account that the viewer acts as."""
    return Webhook.objects.filter(account=viewer.account).order_by("label", "pk")


def readable(viewer: Viewer) -> list[tuple[Fault, bool]]:
    """Return the faults that a viewer may see, and whether they may change each."""
    rows = armed.listed()
    own = _own(viewer, rows)
    return [
        (row, row.pk in own)
        for row in rows
        if row.pk in own or not {"webhook", "account"} & row.scope.keys()
    ]


def linked(viewer: Viewer, rows: Iterable[Fault]) -> set[str]:
    """Return the webhooks of faults whose pages the viewer may see; at most one statement."""
    named = {row.scope["webhook"] for row in rows if "webhook" in row.scope}
    return set(webhooks(viewer).filter(pk__in=named).values_list("pk", flat=True))


def find(viewer: Viewer, pk: str) -> Fault:
    """Return a fault that a viewer may change; raises Missing."""
    row = armed.get(pk)
    if row.pk not in _own(viewer, [row]):
        raise Missing(pk)
    return row


def _own(viewer: Viewer, rows: Sequence[Fault]) -> set[str]:
    """Return the ids of the faults that a viewer may change."""
    if viewer.user.is_superuser:
        return {row.pk for row in rows}
    theirs = linked(viewer, rows)
    return {
        row.pk
        for row in rows
        if row.scope.get("webhook") in theirs or row.scope.get("account") == viewer.account.pk
    }


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault, what it holds, whether the viewer may change it, and see its webhook's page."""

    row: Fault
    may_change: bool
    has_page: bool = False
    held: Sequence[HeldResponse] = ()

    @property
    def text(self) -> str:
        return KINDS[self.row.kind].texts[self.row.side]

    @property
    def side(self) -> str:
        return SIDE_TITLES[self.row.side]

    @property
    def scope(self) -> str:
        """Return what it is limited to, besides a webhook."""
        scope = self.row.scope
        return " ".join(scope[name] for name in ("account", "method", "path") if name in scope)

    @property
    def parameters(self) -> str:
        """Return the values of its parameters, in the order of the registry."""
        names = [parameter.name for parameter in KINDS[self.row.kind].parameters]
        values = self.row.parameters
        return ", ".join(f"{name} {values[name]}" for name in names if name in values)

    @property
    def counts(self) -> str:
        """Return for which of the matching requests it fires."""
        row, parts = self.row, []
        if row.nth:
            parts.append(f"for requests {', '.join(map(str, row.nth))}")
        if row.probability is not None:
            parts.append(f"with probability {row.probability:g}, seed {row.seed}")
        if row.after:
            parts.append(f"after the first {row.after}")
        if row.times is not None:
            parts.append(f"at most {row.times} time{'s' if row.times > 1 else ''}")
        return ", ".join(parts)

    @property
    def is_armed(self) -> bool:
        """Whether it may still fire."""
        return armed.is_armed(self.row)

    @property
    def state(self) -> str:
        left: float | None = getattr(self.row, "expires_in", None)
        if left is not None and left <= 0:
            return "expired"
        return "armed" if self.is_armed else "used up"

    @property
    def expires(self) -> str:
        """Return when it expires, rounded up to 10 s so that the page changes seldom."""
        left: float | None = getattr(self.row, "expires_in", None)
        return "" if left is None or left <= 0 else format_span(-(-left // 10) * 10)

    @property
    def shown_held(self) -> Sequence[HeldResponse]:
        """Return the oldest calls that it holds."""
        return self.held[:MAX_HELD]

    @property
    def more_held(self) -> int:
        """Return how many are left out."""
        return max(0, len(self.held) - MAX_HELD)

    @property
    def digest(self) -> tuple[object, ...]:
        """Return what changes when the page changes."""
        held = [row.pk for row in self.held]
        return (self.row.pk, self.row.asked, self.row.fired, self.state, self.expires, held)


def visible(viewer: Viewer) -> list[FaultView]:
    """Return the faults that a viewer may see, in the order of arming."""
    rows = readable(viewer)
    held = api_side.held([row.pk for row, _ in rows])
    with_page = linked(viewer, [row for row, _ in rows])
    return [
        FaultView(row, may, row.scope.get("webhook") in with_page, held.get(row.pk, ()))
        for row, may in rows
    ]


def kinds_by_side() -> list[tuple[str, str, list[tuple[Kind, str]]]]:
    """Return the sides, their titles, and the kinds of each with what they do."""
    return [
        (side, title, [(kind, kind.texts[side]) for kind in KINDS.values() if side in kind.texts])
        for side, title in SIDE_TITLES.items()
    ]


def commands(viewer: Viewer) -> Iterator[Command]:
    """Return the form of each kind of fault, and what clears all that the viewer may change."""
    # Without any in this process, it takes no statement.
    if any(map(armed.on, SIDES)) and any(may_change for _, may_change in readable(viewer)):
        yield Command("Clear all faults", reverse("faults-clear"), method="post")
    for side, title, kinds in kinds_by_side():
        for kind, _ in kinds:
            address = reverse("fault-new", args=[side, kind.name])
            yield Command(f"Arm fault {kind.name}…", address, title, "new")


def find_faults(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the faults by a part of their name or id, with what clears those of the viewer."""
    if not any(map(armed.on, SIDES)):
        return
    part = text.strip().casefold().removeprefix("clear ").removeprefix("fault ")
    rows = [
        (row, may_change)
        for row, may_change in readable(viewer)
        if part in row.name.casefold() or part == row.pk.casefold()
    ]
    for row, may_change in rows[:MAX_FOUND]:
        yield Command(f"Fault {row.name}", reverse("faults"), row.kind)
        if may_change:
            address = reverse("fault-clear", args=[row.pk])
            yield Command(f"Clear fault {row.name}", address, row.kind, method="post")
