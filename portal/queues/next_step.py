"""What an object waits for: the usual action of a party, the platform, or what its status says."""

from __future__ import annotations

from dataclasses import dataclass

from portal.identity import Viewer
from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import PRIMARY, Queue, QueueObject


@dataclass(frozen=True, slots=True)
class NextStep:
    """Who or what an object waits for, and the titles of the next actions, if any."""

    waits_for: str
    actions: tuple[str, ...] = ()
    is_own: bool = False

    def __str__(self) -> str:
        if not self.actions:
            return f"Waiting for {self.waits_for}."
        return f"Waiting for {self.waits_for}. Next action: {' or '.join(self.actions)}."


def of_object(queue: Queue, row: QueueObject, viewer: Viewer) -> NextStep | None:
    """Return the next step of an object; None if it has no status or a final one."""
    status = queue.status(row.status)
    if not row.status or status.final:
        return None
    if status.waits_for:
        return NextStep(status.waits_for)
    for role, account in ((VENDOR, row.vendor), (DISTRIBUTOR, row.provider)):
        if action := queue.usual_action(row, role):
            return NextStep(account.name, (action.title,), account == viewer.account)
    return _without_usual_action(queue, row)


def _without_usual_action(queue: Queue, row: QueueObject) -> NextStep:
    for role, account in ((VENDOR, row.vendor), (DISTRIBUTOR, row.provider)):
        if found := queue.available_actions(row, role):
            return NextStep(account.name, tuple(dict.fromkeys(one.title for one in found)))
    return NextStep("the platform")


def of_status(queue: Queue, name: str, role: str) -> str:
    """Return what objects in a status wait for, as a viewer with this role reads it."""
    status = queue.status(name)
    if status.final:
        return ""
    if status.waits_for:
        return f"Waiting for {status.waits_for}"
    usual = [one for one in queue.actions if name in one.source and queue.emphasis(one) == PRIMARY]
    titles = " or ".join(dict.fromkeys(one.title for one in usual))
    # Of a case either role may be the issuer.
    parties = {one.party for one in usual if one.party}
    parties = parties or {actor for one in usual for actor in one.actors} - {SYSTEM}
    if not parties:
        return ""
    return f"Next: {titles}" + ("" if role in parties else f", by the {min(parties)}")
