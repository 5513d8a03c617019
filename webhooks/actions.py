"""Webhook actions for the portal and the admin.

Each goes through `webhooks.lifecycle` or `webhooks.delivery.fan_out`, and returns a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from requests_queue.catalog.models import User
from requests_queue.errors import Refused
from webhooks import lifecycle
from webhooks.delivery import fan_out
from webhooks.models import Webhook


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that can be done to a webhook; `sense` says whether its button makes sense."""

    name: str
    label: str
    do: Callable[[Webhook, User], str]
    sense: Callable[[Webhook], bool]


def _trigger(row: Webhook, user: User) -> str:
    delivery = fan_out.trigger(row)
    return f"{row.pk} is triggered now: delivery {delivery.pk}."


def _enable(row: Webhook, user: User) -> str:
    lifecycle.edit(row.pk, user, {"active": True})
    return f"{row.pk} is enabled."


def _disable(row: Webhook, user: User) -> str:
    lifecycle.edit(row.pk, user, {"active": False})
    return f"{row.pk} is disabled; pending deliveries are cancelled."


def _recover(row: Webhook, user: User) -> str:
    if not lifecycle.recover(row.pk, user):
        raise Refused("WH_002", f"{row.pk} is not out of order.")
    return f"{row.pk} has recovered; pending deliveries will be sent."


DEEDS = {
    deed.name: deed
    for deed in (
        Deed("trigger", "Trigger now", _trigger, lambda row: True),
        Deed("enable", "Enable", _enable, lambda row: not row.active),
        Deed("disable", "Disable", _disable, lambda row: row.active),
        Deed("recover", "Recover", _recover, lambda row: row.out_of_order and row.active),
    )
}
