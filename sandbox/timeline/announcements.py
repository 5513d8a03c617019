"""Announce to open pages what changes in the sandbox (`requests_queue.topics`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from requests_queue import topics
from requests_queue.topics import OBJECTS, one
from webhooks.announcements import DELIVERIES

if TYPE_CHECKING:
    from sandbox.timeline.timeline import Entry

CALLS, FAULTS, CHECKS = "calls", "faults", "checks"


def announce_calls(entries: Sequence[Entry]) -> None:
    """Announce API calls to their accounts, with the deliveries that they are linked to."""
    if not topics.LISTENERS:
        return
    for entry in entries:
        if account := entry.data["account"]:
            changed = [CALLS]
            if entry.delivery is not None:
                changed += [DELIVERIES, one(DELIVERIES, entry.delivery)]
            if entry.object is not None:
                changed.append(one(OBJECTS, entry.object))
            topics.announce({account}, *changed)


def announce_world() -> None:
    """Announce a move of the clock, or a reset: all pages of all accounts."""
    topics.announce(None, topics.EVERYTHING)


def announce(kind: str) -> None:
    """Announce faults or check runs, which belong to no account."""
    topics.announce(None, kind)
