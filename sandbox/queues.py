"""Playing the other side by hand: a move of any object, a validation of a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from requests_queue import transitions
from requests_queue.catalog.models import User
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues import base, validation
from requests_queue.queues.base import SYSTEM, Actor, QueueObject

Params = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Validation:
    """What came of a validation: whether a validator was called, the parameters as they were and
    as they are."""

    row: QueueObject
    called: bool
    before: Params
    after: Params


def move(pk: str, name: str, data: Mapping[str, Any], user: User) -> QueueObject:
    """Make a move with an object, as whichever of its parties the move is for.

    The caller must be a party. Raises Missing, Invalid, or what the queue refuses.
    """
    queue, row = _held(pk, user)
    if name not in queue.by_name:
        raise Invalid(f"action: {pk} has no {name}; there is {', '.join(queue.by_name)}.")
    moved: QueueObject = transitions.move(
        queue.model, pk, name, _actor(queue, row, name, user), data
    )
    return moved


def validate(pk: str, data: Mapping[str, Any], user: User) -> Validation:
    """Validate a draft or an inquiry, with a body applied, as the distributor whose order it is.

    The caller must be a party. Raises Missing, Invalid, or what the validation refuses.
    """
    queue, row = _held(pk, user)
    about = validation.of(queue.object_class)
    if about is None:
        raise Invalid(f"id: A {queue.object_class} is not validated.")
    before = about.params_of(about.shown(pk))
    called = validation.validate(about, pk, data, Actor(None, row.provider))
    row.refresh_from_db()
    return Validation(row, called, before, about.params_of(about.shown(pk)))


def _held(pk: str, user: User) -> tuple[base.Queue, QueueObject]:
    """Return the object of an id and its queue, if the user's account is a party to it."""
    found = base.holding(pk)
    if found is None or user.account is None:
        raise Missing(pk)
    queue, row = found
    if not queue.model.visible_to(user.account).filter(pk=pk).exists():
        raise Missing(pk)
    return queue, row


def _actor(queue: base.Queue, row: QueueObject, name: str, user: User) -> Actor:
    """Return the caller where the move is the caller's, else the other party.

    A move that is not legal now is tried all the same, by whoever makes it from elsewhere:
    `transitions` says what is wrong with it.
    """
    moves = queue.by_name[name]
    here = [move for move in moves if row.status in move.source]
    roles = {role for move in here or moves for role in move.who - {SYSTEM}}
    own = Actor(user, user.account)
    if not own.roles_for(row).isdisjoint(roles):
        return own
    for account in (row.vendor, row.provider):
        other = Actor(None, account)
        if not other.roles_for(row).isdisjoint(roles):
            return other
    raise Forbidden(f"{name} is made by the platform itself.")
