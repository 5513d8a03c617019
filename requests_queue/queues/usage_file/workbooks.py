"""Workbooks to download: processed files, chunks, results of reconciliations, templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import QuerySet

from requests_queue.catalog.models import Item, Product
from requests_queue.catalog.spreadsheets import workbook_writer
from requests_queue.queues.usage_file import cells, columns
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord

Row = list[Any]
# Records per query, and between two calls of `renew`.
PAGE = 500


def processed_file(file: UsageFile, renew: Callable[[], None]) -> bytes:
    """Return the workbook of a file's records with the objects found and the errors.

    Calls `renew` before each page of records, to renew the lease of the worker.
    """
    rows = UsageRecord.objects.filter(file=file)
    named = rows.exclude(category="").order_by("category")
    categories = named.values_list("category", flat=True).distinct()
    return build(
        {
            "general": _general(file),
            columns.CATEGORIES: [list(columns.CATEGORY), *([c, c, ""] for c in categories)],
            columns.SHEETS[0]: _records(file, renew, rows),
            "errors": _errors(rows),
        }
    )


def chunk_file(file: UsageFile, rows: QuerySet[UsageRecord]) -> bytes:
    """Return the workbook of the records of a chunk."""
    records = _records(file, lambda: None, rows)
    return build({"general": _general(file), columns.SHEETS[0]: records})


def results(rows: Iterable[Row]) -> bytes:
    """Return the workbook of a reconciliation: the status of the record of each row."""
    header: Row = ["record_id", "status", "external_billing_id", "external_billing_note"]
    return build({columns.SHEETS[0]: [header, *rows]})


def template(product: Product) -> bytes:
    """Return the workbook that a vendor fills in for a product, with a list of its items."""
    items = Item.objects.filter(product=product)
    rows: list[Row] = [["item.mpn", "item.local_id", "name", "unit", "precision", "type"]]
    rows += [
        [i.mpn, i.local_id, i.name, i.unit.get("title", ""), i.precision.lower(), i.type]
        for i in items
    ]
    return build(
        {
            "instructions": _instructions(product),
            columns.CATEGORIES: [list(columns.CATEGORY)],
            columns.SHEETS[0]: [list(columns.RECORD)],
            "items": rows,
        }
    )


def build(sheets: Mapping[str, Iterable[Row]]) -> bytes:
    """Return the workbook of these sheets: their rows by title."""
    return workbook_writer.write({title: _storable(rows) for title, rows in sheets.items()})


def _storable(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield [(cells.storable(v) or None) if isinstance(v, str) else v for v in row]


def _general(file: UsageFile) -> Iterator[Row]:
    yield ["attribute_id", "attribute_value"]
    contract, product = file.contract, file.product
    yield from (
        ["report_name", file.name],
        ["report_note", file.note],
        ["report_id", file.pk],
        ["report_start_time_utc", _day(file.period_from)],
        ["report_end_time_utc", _day(file.period_to)],
        ["usage_schema", file.schema.upper()],
        ["currency", file.currency],
        ["product_id", product.pk],
        ["product_name", product.name],
        ["marketplace_id", file.marketplace_id],
        ["marketplace_name", file.marketplace.name],
        ["vendor_account_id", file.vendor_id],
        ["distributor_account_id", file.provider_id],
        ["distribution_contract_id", contract.pk],
        ["distribution_contract_name", contract.name],
    )


def _records(
    file: UsageFile, renew: Callable[[], None], rows: QuerySet[UsageRecord]
) -> Iterator[Row]:
    names: dict[str, None] = {}
    for page in _pages(rows.only("row", "params").exclude(params=[])):
        renew()
        for record in page:
            names |= dict.fromkeys(p["parameter_name"] for p in record.params)
    header = [*columns.RECORD, *columns.FOUND]
    yield [*header, *names]
    for page in _pages(rows.select_related("item", "asset__customer")):
        renew()
        for record in page:
            values = _input(record) | _invalid_cells(record) | _results(record, file)
            params = {p["parameter_name"]: p["parameter_value"] for p in record.params}
            yield [*(values.get(name) for name in header), *(params.get(name) for name in names)]


def _pages(rows: QuerySet[UsageRecord]) -> Iterator[list[UsageRecord]]:
    """Yield the records page by page, without an open cursor.

    `renew` writes between two pages, which SQLite refuses a connection that is still reading an
    older snapshot.
    """
    last = 0
    while page := list(rows.filter(row__gt=last).order_by("row")[:PAGE]):
        yield page
        last = page[-1].row


def _input(record: UsageRecord) -> dict[str, Any]:
    item = record.item
    return {
        "record_id": record.pk,
        "record_note": record.record_note,
        "item_search_criteria": record.item_search_criteria,
        "item_search_value": record.item_search_value,
        "quantity": record.quantity,
        "start_time_utc": _moment(record.start_date),
        "end_time_utc": _moment(record.end_date),
        "asset_search_criteria": record.asset_search_criteria,
        "asset_search_value": record.asset_search_value,
        "category_id": record.category,
        "amount": record.amount,
        "tier": record.tier,
        "item_name": item.name if item else "",
        "item_unit": item.unit.get("title", "") if item else "",
        "item_mpn": item.mpn if item else "",
        "item_precision": item.precision.lower() if item else "",
    }


def _invalid_cells(record: UsageRecord) -> dict[str, Any]:
    """Return the raw values of invalid cells, so that the vendor can fix them in place."""
    values = {e["column"]: e["raw_value"] for e in record.errors}
    # The vendor's record id has its own column, `vendor_record_id`.
    return {name: value for name, value in values.items() if value and name != "record_id"}


def _results(record: UsageRecord, file: UsageFile) -> dict[str, Any]:
    item, asset = record.item, record.asset
    return {
        "status": record.status,
        "error_details": "; ".join(f"{e['column']}: {e['message']}" for e in record.errors),
        "product_id": file.product_id,
        "item_id": record.item_id,
        "item_type": item.type if item else "",
        "item_period": item.period if item else "",
        "asset_id": record.asset_id,
        "asset_external_id": asset.external_id if asset else "",
        "asset_recon_id": record.asset_search_value,
        "customer_account_id": asset.customer_id if asset else "",
        "customer_company_name": asset.customer.name if asset else "",
        "vendor_record_id": record.record_id,
        "external_billing_id": record.external_billing_id,
        "external_billing_note": record.external_billing_note,
    }


def _errors(rows: QuerySet[UsageRecord]) -> Iterator[Row]:
    names = ("column", "code", "message", "raw_value")
    yield ["row", *names]
    for page in _pages(rows.filter(status="invalid").only("row", "errors")):
        for record in page:
            for error in record.errors:
                yield [record.row, *(error[name] for name in names)]


def _instructions(product: Product) -> list[Row]:
    return [
        [f"Usage of {product.name} ({product.pk})"],
        [f"Fill in the sheet {columns.SHEETS[0]}, one row per usage record. All times are UTC."],
        [f"Required columns: {', '.join(columns.REQUIRED)}."],
        ["item_search_criteria: item.mpn or item.local_id; see the sheet items."],
        ["asset_search_criteria: asset.id, asset.external_id, asset.external_uid, parameter.<id>."],
        ["Columns that start with v. are stored as parameters of the record."],
    ]


def _moment(value: Any) -> str | None:
    return value.strftime("%Y-%m-%d %H:%M:%S") if value else None


def _day(value: Any) -> str:
    return value.isoformat() if value else ""
