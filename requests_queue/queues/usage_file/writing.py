"""The workbooks that Connect hands out: the processed file, and a product's template.

Texts are written as texts, whatever they start with: no sheet of ours holds a formula.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import QuerySet
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from requests_queue.catalog.models import Item, Product
from requests_queue.queues.usage_file import cells, columns
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord

Row = list[Any]
# Rows between two signs of life.
BEAT = 500


def processed(file: UsageFile, alive: Callable[[], None]) -> bytes:
    """Return a file's records as found, with what is wrong of which row; `alive` is called on
    the way."""
    book = Workbook(write_only=True)
    _sheet(book, "general", _general(file))
    categories = (
        UsageRecord.objects.filter(file=file)
        .exclude(category="")
        .order_by("category")
        .values_list("category", flat=True)
        .distinct()
    )
    _sheet(book, columns.CATEGORIES, [list(columns.CATEGORY), *([c, c, ""] for c in categories)])
    _sheet(book, columns.SHEETS[0], _records(file, alive, UsageRecord.objects.filter(file=file)))
    _sheet(book, "errors", _errors(file))
    return _saved(book)


def part(file: UsageFile, rows: QuerySet[UsageRecord]) -> bytes:
    """Return the workbook of some of a file's records: a chunk's."""
    book = Workbook(write_only=True)
    _sheet(book, "general", _general(file))
    _sheet(book, columns.SHEETS[0], _records(file, lambda: None, rows))
    return _saved(book)


def results(rows: Iterable[Row]) -> bytes:
    """Return the workbook of a reconciliation: what became of the record of each row."""
    header: Row = ["record_id", "status", "external_billing_id", "external_billing_note"]
    book = Workbook(write_only=True)
    _sheet(book, columns.SHEETS[0], [header, *rows])
    return _saved(book)


def template(product: Product) -> bytes:
    """Return the workbook that a vendor fills in for a product, its items listed beside."""
    book = Workbook(write_only=True)
    _sheet(book, "instructions", _instructions(product))
    _sheet(book, columns.CATEGORIES, [list(columns.CATEGORY)])
    _sheet(book, columns.SHEETS[0], [list(columns.RECORD)])
    items = Item.objects.filter(product=product)
    rows: list[Row] = [["item.mpn", "item.local_id", "name", "unit", "precision", "type"]]
    rows += [
        [i.mpn, i.local_id, i.name, i.unit.get("title", ""), i.precision.lower(), i.type]
        for i in items
    ]
    _sheet(book, "items", rows)
    return _saved(book)


def _saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _sheet(book: Workbook, title: str, rows: Iterable[Row]) -> None:
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])


def _cell(sheet: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = cells.plain(value) or None
    if value is None or not value.startswith("="):
        return value
    cell: Any = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell


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
    file: UsageFile, alive: Callable[[], None], rows: QuerySet[UsageRecord]
) -> Iterator[Row]:
    names: dict[str, None] = {}
    for page in _pages(rows.only("row", "params").exclude(params=[])):
        alive()
        for record in page:
            names |= dict.fromkeys(p["parameter_name"] for p in record.params)
    header = [*columns.RECORD, *columns.FOUND]
    yield [*header, *names]
    for page in _pages(rows.select_related("item", "asset__customer")):
        alive()
        for record in page:
            known = _given(record) | _wrong(record) | _found(record, file)
            params = {p["parameter_name"]: p["parameter_value"] for p in record.params}
            yield [*(known.get(name) for name in header), *(params.get(name) for name in names)]


def _pages(rows: QuerySet[UsageRecord]) -> Iterator[list[UsageRecord]]:
    """Yield the records page by page, no query left open: `alive` writes in between, which
    SQLite refuses a connection that still reads an older state."""
    last = 0
    while page := list(rows.filter(row__gt=last).order_by("row")[:BEAT]):
        yield page
        last = page[-1].row


def _given(record: UsageRecord) -> dict[str, Any]:
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


def _wrong(record: UsageRecord) -> dict[str, Any]:
    """Return the cells that could not be read, as they are: to be mended where they stand."""
    wrong = {e["column"]: e["raw_value"] for e in record.errors}
    # The vendor's own id is in a column of its own.
    return {name: value for name, value in wrong.items() if value and name != "record_id"}


def _found(record: UsageRecord, file: UsageFile) -> dict[str, Any]:
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


def _errors(file: UsageFile) -> Iterator[Row]:
    yield ["row", "column", "code", "message", "raw_value"]
    invalid = UsageRecord.objects.filter(file=file, status="invalid").only("row", "errors")
    for page in _pages(invalid):
        for record in page:
            for error in record.errors:
                named = ("column", "code", "message", "raw_value")
                yield [record.row, *(error[name] for name in named)]


def _instructions(product: Product) -> list[Row]:
    return [
        [f"Usage of {product.name} ({product.pk})"],
        [f"Fill in the sheet {columns.SHEETS[0]}, one row per usage; all times are UTC."],
        [f"Required columns: {', '.join(columns.REQUIRED)}."],
        ["item_search_criteria: item.mpn or item.local_id; the sheet items has them."],
        ["asset_search_criteria: asset.id, asset.external_id, asset.external_uid, parameter.<id>."],
        ["Columns that start with v. are kept as parameters of the record."],
    ]


def _moment(value: Any) -> str | None:
    return value.strftime("%Y-%m-%d %H:%M:%S") if value else None


def _day(value: Any) -> str:
    return value.isoformat() if value else ""
