"""A provider's POST, PUT and DELETE of a hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, Connection, Hub, TierAccount
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import ActionNotAllowed, Forbidden, Missing

TYPES = ("OA", "API")


def create(data: Mapping[str, Any], account: Account) -> Hub:
    """Create a hub from `{name, description?, instance_id?, instance_type?}`.

    `instance: {id, type}`, as a hub is read, is taken as well. Raises Invalid, Forbidden.
    """
    _require_provider(account)
    given, now = Given(data), clock.shown(clock.now())
    given.text("name", 256, blank=False)

    def make(pk: str) -> Hub:
        row = Hub(pk=pk, company=account, created=now, updated=now)
        _write(row, given)
        return row

    return ids.create(make, "hub")


@transaction.atomic
def update(pk: str, data: Mapping[str, Any], account: Account) -> None:
    """Change what the body names; raises Invalid, Forbidden, Missing."""
    row = _lock(pk, account)
    _write(row, Given(data))
    row.updated = clock.shown(clock.now())
    row.save()


@transaction.atomic
def delete(pk: str, account: Account) -> None:
    """Delete a hub that nothing has come from; raises Forbidden, IllegalMove, Missing."""
    row = _lock(pk, account)
    for kind, title in ((Connection, "connections"), (TierAccount, "tier accounts")):
        if kind._default_manager.filter(hub=row).exists():
            raise ActionNotAllowed(f"{pk} has {title}: a hub that is in use is not deleted.")
    row.delete()


def _require_provider(account: Account) -> None:
    if account.is_vendor:
        raise Forbidden("Hubs are written by their provider only.")


def _lock(pk: str, account: Account) -> Hub:
    _require_provider(account)
    row = Hub.objects.select_for_update().filter(pk=pk, company=account).first()
    if row is None:
        raise Missing(pk)
    return row


def _write(row: Hub, given: Given) -> None:
    if "name" in given:
        row.name = given.text("name", 256, blank=False)
    if "description" in given:
        row.description = given.text("description", 2000)
    nested = given.inner("instance").data if given.data.get("instance") is not None else {}
    named = Given({**{f"instance_{name}": value for name, value in nested.items()}, **given.data})
    if "instance_id" in named:
        row.instance_id = named.text("instance_id", 255)
    if named.data.get("instance_type") is not None:
        row.instance_type = named.choice("instance_type", TYPES)
