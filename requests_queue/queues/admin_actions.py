"""Actions in the admin: the roles of the user, and taking an action in one of them.

The rules are in the queue's declaration and in `transitions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR, Actor
from requests_queue.catalog.admin_access import account_of, user_of
from requests_queue.errors import Forbidden
from requests_queue.queues import transitions
from requests_queue.queues.base import Queue, QueueObject


@dataclass(frozen=True, slots=True)
class AvailableAction:
    """An action that the user can take: its name, the role, and the status after it."""

    name: str
    role: str
    target: str


def roles_on(request: HttpRequest, model: type[Model]) -> tuple[str, ...]:
    """Return the roles of the user: of an account its own, of an administrator both."""
    account = account_of(request)
    if account is not None:
        return (VENDOR,) if account.is_vendor else (DISTRIBUTOR,)
    may = user_of(request).has_perm(f"{model._meta.app_label}.change_{model._meta.model_name}")
    return (VENDOR, DISTRIBUTOR) if may else ()


def roles(request: HttpRequest, row: QueueObject) -> tuple[str, ...]:
    """Return the roles of the user with an object: of an account that of the party."""
    account = account_of(request)
    if account is None:
        return roles_on(request, type(row))
    if account.pk not in row.parties():
        return ()
    held = Actor(None, account).roles_for(row)
    return tuple(role for role in (VENDOR, DISTRIBUTOR) if role in held)


def available(queue: Queue, row: QueueObject, acting: tuple[str, ...]) -> list[AvailableAction]:
    """Return the available actions of the roles; one of several roles for the first of them."""
    found: dict[str, AvailableAction] = {}
    for role in acting:
        for move in queue.available_actions(row, role):
            found.setdefault(move.name, AvailableAction(move.name, role, move.target))
    order = [move.name for move in queue.actions]
    return sorted(found.values(), key=lambda offer: order.index(offer.name))


def run(
    queue: Queue, row: QueueObject, name: str, request: HttpRequest, data: Mapping[str, Any]
) -> AvailableAction:
    """Take an action in the role that has it; raises Refused.

    For an action that is not available, `transitions` raises the error.
    """
    acting = roles(request, row)
    offer = next((o for o in available(queue, row, acting) if o.name == name), None)
    if offer is None:
        who = {role for move in queue.by_name[name] for role in move.actors}
        role = next((r for r in acting if r in who), None)
        if role is None:
            raise Forbidden(
                f"{name} is not for a {' or '.join(acting) or 'user without an account'}."
            )
        offer = AvailableAction(name, role, "")
    account = row.vendor if offer.role == VENDOR else row.provider
    actor = Actor(user_of(request), account)
    moved = transitions.move(queue.model, row.pk, name, actor, data)
    return AvailableAction(name, offer.role, moved.status)
