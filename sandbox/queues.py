"""Playing the other side by hand: a sample object into a queue, a move of any object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue import transitions
from requests_queue.catalog.models import User
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues import base
from requests_queue.queues.base import SYSTEM, Actor, QueueObject


def move(pk: str, name: str, data: Mapping[str, Any], user: User) -> QueueObject:
    """Make a move with an object, as whichever of its parties the move is for.

    The caller must be a party. Raises Missing, Invalid, or what the queue refuses.
    """
    found = base.holding(pk)
    if found is None or user.account is None:
        raise Missing(pk)
    queue, row = found
    if not queue.model.visible_to(user.account).filter(pk=pk).exists():
        raise Missing(pk)
    if name not in queue.by_name:
        raise Invalid(f"action: {pk} has no {name}; there is {', '.join(queue.by_name)}.")
    moved: QueueObject = transitions.move(
        queue.model, pk, name, _actor(queue, row, name, user), data
    )
    return moved


def _actor(queue: base.Queue, row: QueueObject, name: str, user: User) -> Actor:
    """Return the caller where the move is the caller's, else the other party.

    A move that is not legal now is tried all the same, by whoever makes it from elsewhere:
    `transitions` says what is wrong with it.
    """
    moves = queue.by_name[name]
    here = [move for move in moves if row.status in move.source]
    roles = {role for move in here or moves for role in move.who - {SYSTEM}}
    own = Actor(user, user.account)
    if own.role in roles:
        return own
    for account in (row.vendor, row.provider):
        other = Actor(None, account)
        if other.role in roles:
            return other
    raise Forbidden(f"{name} is made by the platform itself.")
