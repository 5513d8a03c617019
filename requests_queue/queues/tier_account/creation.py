"""Creation of tier account requests: one for each product linked to a changed account.

A change comes by `PUT /tier/accounts/{id}`, or by `POST /tier/account-requests`, which makes it
in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from requests_queue import clock, ids
from requests_queue.api.fields import Choice, Id, Input, Values
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Asset, Product, TierAccount, TierAccountVersion
from requests_queue.catalog.tier_versions import SCOPES, tier_account_changed
from requests_queue.catalog.writes import tier_accounts
from requests_queue.errors import Forbidden, Invalid, Refused
from requests_queue.queues import transitions
from requests_queue.queues.tier_account.models import TierAccountRequest

CAPABILITY = "tiers.updates"
# From an object that published clients captured.
UNSUPPORTED = "Product does not support contact details change."
# Subscriptions that link a product to a tier account no more, or not yet.
_UNLINKED = ("draft", "terminated")


class ChangedAccountInput(tier_accounts.TierAccountInput):
    """A tier account by `id`, `external_uid` or `external_id`, and what changes of it."""

    id = Id()


class TierAccountRequestInput(Input):
    """A change of a tier account."""

    type = Choice(("update",), required=True)
    account = ChangedAccountInput(partial=True, required=True)


BODY = TierAccountRequestInput()


def create(data: Mapping[str, Any], actor: Actor) -> list[TierAccountRequest]:
    """Change the account of a `POST /tier/account-requests` body; return the new requests.

    Raises Invalid; Forbidden for a vendor; Refused with `TAR_003` for an account without a vendor
    to decide, with `TAR_004` where nothing changes.
    """
    if actor.role == VENDOR and not TierAccount.objects.filter(owner=actor.account).exists():
        raise Forbidden("A tier account request is created by the distributor.")
    values = BODY.check(data)["account"]
    account = _find(values, actor)
    if account.decommissioned:
        raise Refused("TAR_003", f"Tier account {account.pk} is decommissioned.")
    with transitions.atomic():
        return _change(account, values)


def _change(account: TierAccount, values: Values) -> list[TierAccountRequest]:
    try:
        version = tier_accounts.update(account.pk, values, account.owner)
    except Invalid as wrong:
        raise Invalid.of(replace(e, path=f"account.{e.path}") for e in wrong.errors) from None
    if version is None:
        raise Refused("TAR_004", f"There are no changes in the tier account {account.pk}.")
    rows = list(version.requests.order_by("pk"))
    if not rows:
        # The exception rolls the change back: there is no request to respond with.
        raise Refused("TAR_003", f"Tier account {account.pk} has no subscriptions.")
    return rows


def _find(values: Values, actor: Actor) -> TierAccount:
    """Return the provider's tier account that the body names; raises Invalid."""
    mine = TierAccount.objects.select_related("owner").filter(owner=actor.account)
    names = [name for name in ("id", "external_uid", "external_id") if values.get(name)]
    for name in names:
        # Of several with one external id: the one that can still be changed.
        rows = mine.filter(**{name: values[name]}).order_by("-decommissioned", "pk")
        row = rows.filter(decommissioned=None).first() or rows.first()
        if row is not None:
            return row
        if name == "id":
            break
    if not names:
        raise Invalid("account.id", "This field is required.", "required")
    message = f"Tier account {values[names[0]]} does not exist."
    raise Invalid(f"account.{names[0]}", message, "does_not_exist")


@receiver(tier_account_changed)
@transitions.atomic()
def ask(version: TierAccountVersion, now: datetime, **kwargs: Any) -> None:
    """Ask the vendor of each product that the account's subscriptions are of."""
    found = _linked(version.account)
    products = Product.objects.filter(pk__in=found).order_by("pk")
    # Numbered as captured: the first change of an account makes its version 2, and 001.
    whole = f"{version.account_id}-{version.version - 1:03d}"
    shown = clock.shown(now)
    for taken, product in enumerate(products):
        supported = bool(product.capability(CAPABILITY))
        transitions.add(
            TierAccountRequest(
                pk=ids.next_in(TierAccountRequest, whole, "TAR-", taken),
                status="pending" if supported else "unsupported",
                account=version,
                scopes=found[product.pk],
                reason="" if supported else UNSUPPORTED,
                product=product,
                vendor_id=product.owner_id,
                provider_id=version.account.owner_id,
                created=shown,
                updated=shown,
            )
        )


def _linked(account: TierAccount) -> dict[str, list[str]]:
    """Return the ids of the products linked to the account, each with its tiers there."""
    found: dict[str, list[str]] = {}
    for scope in SCOPES:
        assets = Asset.objects.filter(**{scope: account}).exclude(status__in=_UNLINKED)
        for product_id in assets.order_by().values_list("product", flat=True).distinct():
            found.setdefault(product_id, []).append(scope)
    return found
