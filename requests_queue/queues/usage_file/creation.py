"""Creation of usage files: the vendor's draft, to which a spreadsheet is uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction

from requests_queue import clock, ids, topics
from requests_queue.api.fields import Values
from requests_queue.catalog import preview
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Connection, Contract, Product
from requests_queue.db.rows import get_named, set_columns
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import effects
from requests_queue.queues.usage_file.inputs import UsageFileInput, UsageFileUpdate
from requests_queue.queues.usage_file.models import UsageFile

CREATE, UPDATE = UsageFileInput(), UsageFileUpdate()
SCHEMAS = ("qt", "tr", "pr", "cr")
# While a file is here, its vendor may change what describes it.
EDITABLE = ("draft", "uploaded", "invalid", "ready", "rejected")


@transitions.atomic()
def create(data: Mapping[str, Any], actor: Actor) -> UsageFile:
    """Create the draft of a `POST /usage/files` body and return it.

    Raises Invalid, or Forbidden (the distributor).
    """
    if actor.role != VENDOR:
        raise Forbidden("A usage file is created by the vendor.")
    values = CREATE.check(data)
    products = Product.objects.filter(owner=actor.account)
    product = get_named(products, _id(values, "product"), "product.id", "Product")
    contract = _contract(values, actor)
    # Under the preview environment's contract the vendor is both parties.
    is_preview = contract.pk == preview.CONTRACT
    now = clock.shown(clock.now())
    file = UsageFile(
        status="draft",
        product=product,
        vendor_id=product.owner_id,
        provider_id=product.owner_id if is_preview else contract.provider_id,
        name=values["name"],
        environment=preview.TYPE if is_preview else _environment(product, contract),
        marketplace=contract.marketplace,
        contract=contract,
        schema=_schema(product),
        currency=contract.marketplace.currency,
        events={"created": effects.event(actor, now)},
        created=now,
        updated=now,
    )
    set_columns(file, _described(file, values))
    # Two creators may draw the same id: the primary key decides, and the other draws again.
    return ids.create(file, f"UF-{now:%Y-%m}-dddd-dddd", transitions.add)


@transaction.atomic
def edit(pk: str, data: Mapping[str, Any], actor: Actor) -> None:
    """Change what describes a file: description, note, period, currency, external_id."""
    if actor.role != VENDOR:
        raise Forbidden("A usage file is changed by the vendor.")
    file = UsageFile.objects.select_for_update().get(pk=pk)
    values = UPDATE.check(data)
    if file.status not in EDITABLE:
        raise ActionNotAllowed(
            f"{pk} is {file.status}: it is changed in {' or '.join(EDITABLE)} only."
        )
    columns = {**_described(file, values), "updated": clock.shown(clock.now())}
    UsageFile.objects.filter(pk=pk).update(**columns)
    topics.announce_objects(file.parties(), pk)


def _described(file: UsageFile, values: Values) -> dict[str, Any]:
    """Return the columns that the values set."""
    names = ("description", "note", "external_id")
    columns: dict[str, Any] = {name: values[name] for name in names if name in values}
    if currency := values.get("currency"):
        columns["currency"] = currency.upper()
    if "period" in values:
        columns |= _period(file, values["period"])
    return columns


def _period(file: UsageFile, values: Values) -> dict[str, date | None]:
    ends = {"from": file.period_from, "to": file.period_to} | values
    first, last = ends["from"], ends["to"]
    if first and last and last < first:
        raise Invalid("period.to", "The period ends before it starts.")
    return {"period_from": first, "period_to": last}


def _id(values: Values, name: str) -> str | None:
    return values.get(name) or values.get(f"{name}_id")


def _contract(values: Values, actor: Actor) -> Contract:
    pk = _id(values, "contract")
    if pk == preview.CONTRACT:
        return preview.contract()
    contracts = Contract.objects.filter(vendor=actor.account, program=None)
    return get_named(contracts, pk, "contract.id", "Contract")


def _environment(product: Product, contract: Contract) -> str:
    connections = Connection.objects.filter(product=product, provider=contract.provider_id)
    kind = connections.order_by("pk").values_list("type", flat=True).first()
    return kind if kind in ("test", "preview") else "production"


def _schema(product: Product) -> str:
    schema = str(product.capability("ppu.schema") or "").lower()
    return schema if schema in SCHEMAS else "qt"
