"""A provider's POST, PUT and DELETE of a tier account."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from rest_framework.exceptions import ValidationError

from requests_queue import clock
from requests_queue.api.fields import Choice, Input, Reference, Values
from requests_queue.catalog import tier_versions, tiers
from requests_queue.catalog.models import Account, Hub, TierAccount, TierAccountVersion
from requests_queue.db.rows import get_named, unique
from requests_queue.errors import ActionNotAllowed, Invalid

_COLUMNS = (*tiers.TierInput.texts, "type", "environment")
_unique_uid = partial(
    unique, "uid", "external_uid", "Tier account with this external_uid already exists."
)


class TierAccountInput(Input):
    """What can be written of a customer or a reseller."""

    texts = tiers.TierInput.texts
    type = Choice(("customer", "reseller"), allow_null=True)
    environment = Choice(("production", "test", "preview"), allow_null=True)
    contact_info = tiers.ContactInfoInput(required=True)
    parent = Reference(allow_null=True)
    hub = Reference(allow_null=True)

    def validate(self, attrs: Values) -> Values:
        """Return the values; raises ValidationError where a change takes the name away."""
        if self.partial and attrs.get("name") == "":
            raise ValidationError({"name": "This field may not be blank."}, "blank")
        return attrs


def create(values: Values, account: Account) -> TierAccount:
    """Create a tier account of the provider; raises Invalid."""
    info = tiers.complete_contact_info(values["contact_info"], "contact_info")
    names = {name: values.get(name, "") for name in TierAccountInput.texts}
    columns = {"environment": values["environment"]} if "environment" in values else {}
    with _unique_uid():
        return tiers.make(
            names,
            info,
            kind=values.get("type", "customer"),
            owner=account,
            hub=_hub(values.get("hub"), account),
            now=clock.now(),
            parent=_parent(values.get("parent"), account, None),
            **columns,
        )


@transaction.atomic
def update(pk: str, values: Values, account: Account) -> TierAccountVersion | None:
    """Change what the values name and return the version that this makes, None without a change.

    Receivers of `tier_versions.tier_account_changed` act in the same transaction.
    Raises Invalid, ActionNotAllowed.
    """
    if "parent" in values:
        # Two that become each other's parent: the later one sees the earlier.
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    row = _locked(pk)
    columns = {name: values[name] for name in values if name in _COLUMNS}
    if "parent" in values:
        columns["parent"] = _parent(values["parent"], account, row)
    if "contact_info" in values:
        columns["contact_info"] = _merged(values["contact_info"], row.contact_info)
    return write(row, columns)


def write(row: TierAccount, fields: Mapping[str, Any]) -> TierAccountVersion | None:
    """Write columns of an account, locked by the caller's transaction; the only way to."""
    changed = {k: v for k, v in fields.items() if getattr(row, k) != v}
    if not changed:
        return None
    tier_versions.keep(row)
    now = clock.now()
    with _unique_uid():
        TierAccount.objects.filter(pk=row.pk).update(
            **changed, version=F("version") + 1, updated=clock.shown(now)
        )
    row.refresh_from_db()
    version = tier_versions.keep(row)
    tier_versions.tier_account_changed.send(sender=TierAccount, version=version, now=now)
    return version


@transaction.atomic
def decommission(pk: str) -> None:
    """End a tier account: it stays readable, and orders no longer find it."""
    _locked(pk)
    now = clock.shown(clock.now())
    TierAccount.objects.filter(pk=pk).update(decommissioned=now, updated=now)


def _locked(pk: str) -> TierAccount:
    row = TierAccount.objects.select_for_update().get(pk=pk)
    if row.decommissioned:
        raise ActionNotAllowed(
            f"Tier account {pk} is decommissioned: it can't be changed any more."
        )
    return row


def _merged(values: Values, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contact information with a part of it replaced; raises Invalid."""
    contact = {**old.get("contact", {}), **values.get("contact", {})}
    return tiers.complete_contact_info({**old, **values, "contact": contact}, "contact_info")


def _hub(pk: str | None, account: Account) -> Hub | None:
    """Return a hub of the provider, locked so that it isn't deleted until commit."""
    if pk is None:
        return None
    mine = Hub.objects.select_for_update(no_key=True).filter(company=account)
    return get_named(mine, pk, "hub.id", "Hub")


def _parent(pk: str | None, account: Account, row: TierAccount | None) -> TierAccount | None:
    """Return the tier account above; raises Invalid where it is none, or below `row`."""
    if pk is None:
        return None
    mine = TierAccount.objects.filter(owner=account, decommissioned=None)
    parent = get_named(mine, pk, "parent.id", "Tier account")
    above: TierAccount | None = parent
    met = set()
    while row is not None and above is not None and above.pk not in met:
        if above.pk == row.pk:
            raise Invalid("parent.id", "A tier account can't be above itself.")
        met.add(above.pk)
        above = above.parent
    return parent
