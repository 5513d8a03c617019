"""How a usage file comes to be: the vendor's draft, which a spreadsheet is uploaded to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime

from requests_queue import body, clock, ids, transitions
from requests_queue.catalog import preview
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Connection, Contract, Product
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid
from requests_queue.queues.usage_file import effects
from requests_queue.queues.usage_file.models import UsageFile

SCHEMAS = ("qt", "tr", "pr", "cr")
# While a file is here, its vendor may change what describes it.
EDITABLE = ("draft", "uploaded", "invalid", "ready", "rejected")


@transitions.atomic()
def create(data: Mapping[str, Any], actor: Actor) -> UsageFile:
    """Create the draft of a `POST /usage/files` body and return it.

    `{name, product{id}, contract{id}, description?, note?, period{from, to}?, currency?,
    external_id?}`.  Raises Invalid, or Forbidden (the distributor).
    """
    if actor.role != VENDOR:
        raise Forbidden("A usage file is created by the vendor.")
    name = body.text(data, "name", 100)
    if not name.strip():
        raise Invalid("name", "This field is required.")
    product = _mine(Product, data, "product", owner=actor.account)
    contract = _contract(data, actor)
    # Under the preview environment's contract the vendor is both parties.
    is_preview = contract.pk == preview.CONTRACT
    now = clock.shown(clock.now())
    file = UsageFile(
        status="draft",
        product=product,
        vendor_id=product.owner_id,
        provider_id=product.owner_id if is_preview else contract.provider_id,
        name=name,
        environment=preview.TYPE if is_preview else _environment(product, contract),
        marketplace=contract.marketplace,
        contract=contract,
        schema=_schema(product),
        currency=contract.marketplace.currency,
        events={"created": effects.event(actor, now)},
        created=now,
        updated=now,
    )
    for column, value in _described(file, data).items():
        setattr(file, column, value)

    def numbered(pk: str) -> UsageFile:
        file.pk = pk
        return file

    # Two creators may draw the same id: the primary key decides, and the other draws again.
    return ids.create(numbered, f"UF-{now:%Y-%m}-dddd-dddd", transitions.add)


@transaction.atomic
def edit(pk: str, data: Mapping[str, Any], actor: Actor) -> None:
    """Change what describes a file: description, note, period, currency, external_id."""
    if actor.role != VENDOR:
        raise Forbidden("A usage file is changed by the vendor.")
    file = UsageFile.objects.select_for_update().get(pk=pk)
    if file.status not in EDITABLE:
        raise ActionNotAllowed(
            f"{pk} is {file.status}: it is changed in {' or '.join(EDITABLE)} only."
        )
    columns = {**_described(file, data), "updated": clock.shown(clock.now())}
    UsageFile.objects.filter(pk=pk).update(**columns)


def _described(file: UsageFile, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a body sets; a partial body leaves the others."""
    columns: dict[str, Any] = {
        name: body.text(data, name, 200)
        for name in ("description", "note", "external_id")
        if name in data
    }
    if currency := body.word(data, "currency"):
        if not (currency.isalpha() and currency.isascii()):
            raise Invalid("currency", "Not a valid currency.")
        if len(currency) != 3:
            raise Invalid("currency", "Name it by its three letters.")
        columns["currency"] = currency.upper()
    if data.get("period") is not None:
        columns |= _period(file, data["period"])
    return columns


def _period(file: UsageFile, given: Any) -> dict[str, date | None]:
    if not isinstance(given, Mapping):
        raise Invalid("period", "Not a valid period: it has a from and a to.")
    ends = {"from": file.period_from, "to": file.period_to}
    for name in ends:
        if name in given:
            ends[name] = _date(given[name], f"period.{name}")
    first, last = ends["from"], ends["to"]
    if first and last and last < first:
        raise Invalid("period.to", "The period ends before it starts.")
    return {"period_from": first, "period_to": last}


def _date(value: Any, field: str) -> date | None:
    """Return the day of a date or of a moment, which clients send as well."""
    if value in (None, ""):
        return None
    try:
        if isinstance(value, str):
            moment = parse_datetime(value)
            found = parse_date(value) if moment is None else moment.date()
            if found is not None:
                return found
    except ValueError:
        pass
    raise Invalid(field, "Not a valid date: write 2026-11-30.")


def _mine(model: Any, data: Mapping[str, Any], name: str, **mine: Any) -> Any:
    pk = body.id_of(data.get(name), name) or body.word(data, f"{name}_id")
    if pk is None:
        raise Invalid(f"{name}.id", "This field is required.")
    found = model.objects.filter(pk=pk, **mine).first()
    if found is None:
        raise Invalid(f"{name}.id", f"{name.capitalize()} {pk} does not exist.")
    return found


def _contract(data: Mapping[str, Any], actor: Actor) -> Contract:
    pk = body.id_of(data.get("contract"), "contract") or body.word(data, "contract_id")
    if pk == preview.CONTRACT:
        return preview.contract()
    found: Contract = _mine(Contract, data, "contract", vendor=actor.account)
    return found


def _environment(product: Product, contract: Contract) -> str:
    connections = Connection.objects.filter(product=product, provider=contract.provider_id)
    kind = connections.order_by("pk").values_list("type", flat=True).first()
    return kind if kind in ("test", "preview") else "production"


def _schema(product: Product) -> str:
    schema = str(product.capability("ppu.schema") or "").lower()
    return schema if schema in SCHEMAS else "qt"
