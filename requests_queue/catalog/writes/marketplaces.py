"""A provider's POST, PUT and DELETE of a marketplace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.db import transaction

from requests_queue import clock, ids
from requests_queue.api.fields import Choice, Id, Input, List, Reference, String, Text, Values
from requests_queue.catalog.models import Account, Agreement, Hub, Marketplace
from requests_queue.catalog.writes.products import refuse_in_use
from requests_queue.db.rows import get_row, set_columns
from requests_queue.errors import Invalid, Refused

ZONES = ("AF", "NA", "OC", "AS", "EU", "SA")
_COUNTRY = RegexValidator(r"[A-Z]{2}\Z", "Name it by its two capital letters.")
_CURRENCY = RegexValidator(r"[A-Z]{3}\Z", "Name it by its three capital letters.")


class CountryInput(Input):
    """A country by its code."""

    id = String(2, required=True, validators=[_COUNTRY])


class MarketplaceHubInput(Input):
    """A hub of the marketplace's provider, and what that calls the marketplace."""

    hub = Reference(required=True)
    external_id = Text(255)


class MarketplaceInput(Input):
    """What can be written of a marketplace."""

    texts = {"description": 20_000}
    name = Text(255, required=True)
    zone = Choice(ZONES, allow_null=True)
    currency = Id(validators=[_CURRENCY])
    countries = List(CountryInput())
    hubs = List(MarketplaceHubInput())

    def validate(self, attrs: Values) -> Values:
        """Return the columns, and the ids of `hubs` with their external ids."""
        if attrs.get("currency", "") is None:
            del attrs["currency"]
        if "countries" in attrs:
            # The names are the platform's own; the code stands for those that it doesn't have.
            codes = dict.fromkeys(country["id"] for country in attrs["countries"])
            attrs["countries"] = [{"id": code, "name": code} for code in codes]
        if "hubs" in attrs:
            links = {link["hub"]: link.get("external_id", "") for link in attrs.pop("hubs")}
            attrs["hub_external_ids"] = links
        return attrs


@transaction.atomic
def create(values: Values, account: Account) -> Marketplace:
    """Create a marketplace of `MarketplaceInput`; raises Invalid."""
    row = Marketplace(owner=account, created=clock.shown(clock.now()))
    set_columns(row, values)
    row = ids.create(row, "marketplace")
    _set_hubs(row, values)
    return row


@transaction.atomic
def update(pk: str, values: Values, account: Account) -> None:
    """Change what the values name; raises Invalid, Missing."""
    row = _lock(pk, account)
    set_columns(row, values)
    row.save()
    _set_hubs(row, values)


@transaction.atomic
def delete(pk: str, account: Account) -> None:
    """Delete a marketplace that nothing refers to; raises Refused, Missing."""
    row = _lock(pk, account)
    refuse_in_use(row, "of it", parts=(Hub.marketplaces.through, Agreement))
    # The agreement of its contracts goes with it, those that were created don't.
    if row.agreements.exclude(parent=None).exists():
        raise Refused("REQ_003", f"{row.pk} can't be deleted: there are agreements of it.")
    row.delete()


def _set_hubs(row: Marketplace, values: Mapping[str, Any]) -> None:
    """Connect the marketplace to the hubs that the values name; raises Invalid.

    Lock order: the marketplace, then its hubs by id, which a delete of a hub locks first.
    """
    if "hub_external_ids" not in values:
        return
    wanted = values["hub_external_ids"]
    own = Hub.objects.select_for_update().filter(company_id=row.owner_id, pk__in=wanted)
    hubs = list(own.order_by("pk"))
    for pk in wanted.keys() - {hub.pk for hub in hubs}:
        raise Invalid("hubs.hub.id", f"Hub {pk} does not exist.", "does_not_exist")
    row.hubs.set(hubs)


def _lock(pk: str, account: Account) -> Marketplace:
    return get_row(Marketplace.objects.select_for_update().filter(owner=account), pk)
