"""Processing of usage spreadsheets: valid, invalid and hostile files, and lost workers."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from openpyxl import load_workbook

from requests_queue import clock, task_messages
from requests_queue.catalog.models import Asset, Contract, Item
from requests_queue.catalog.spreadsheets import limits, workbook_reader
from requests_queue.errors import Refused
from requests_queue.queues.usage_file import (
    due,
    leases,
    processing,
    publishing,
    spreadsheet,
    workbooks,
)
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from tests import make
from tests.api import Caller, caller, refused
from tests.queue import spreadsheets as sheets
from tests.queue.queues.test_usage_file import PATH, create, download
from tests.queue.spreadsheets import row, table

pytestmark = pytest.mark.django_db


def processed(catalog: make.Catalog, content: bytes, name: str = "usage.xlsx") -> UsageFile:
    """Upload and process a spreadsheet."""
    vendor = caller(catalog.vendor)
    pk = create(vendor, catalog)
    response = sheets.send(vendor, f"{PATH}/{pk}/upload", content, name=name)
    assert response.status == 201, response
    processing.run(pk)
    return UsageFile.objects.get(pk=pk)


@pytest.fixture
def catalog() -> make.Catalog:
    return sheets.catalog()


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


@pytest.fixture
def pk(catalog: make.Catalog, vendor: Caller) -> str:
    """A file with an upload of one row, which no worker has claimed."""
    pk = create(vendor, catalog)
    sheets.send(vendor, f"{PATH}/{pk}/upload", sheets.xlsx(table([row()])))
    return pk


def test_a_row_becomes_a_record(catalog: make.Catalog) -> None:
    cells = row(
        1,
        quantity=7,
        amount=11.7162,
        tier=1,
        category_id="c1",
        **{"v.invoice": "G-1", "v.none": ""},
    )
    content = sheets.xlsx(
        table([cells]), categories=[["category_id", "category_name"], ["c1", "Compute"]]
    )
    file = processed(catalog, content)
    assert (file.status, file.error_detail) == ("ready", "")
    record = file.records.get()
    assert record.pk == f"UR-{file.pk[3:]}-0000-0002"
    assert (record.record_id, record.row, record.status) == ("r-1", 2, "valid")
    assert (record.item, record.asset_id) == (catalog.item, sheets.ASSET)
    assert (record.quantity, record.amount, record.tier) == (7, Decimal("11.7162"), 1)
    assert record.start_date == datetime(2026, 11, 1, tzinfo=UTC)
    assert record.params == [{"parameter_name": "v.invoice", "parameter_value": "G-1"}]
    shown = caller(catalog.provider).get(f"/usage/records/{record.pk}").json
    assert (shown["usage"], shown["amount"], shown["category"]) == (7, 11.7162, "c1")
    assert shown["start_date"] == "2026-11-01T00:00:00+00:00"
    assert shown["usagefile"]["id"] == file.pk


def test_setting_makes_processing_end_in_uploaded(
    catalog: make.Catalog, vendor: Caller, settings: Any
) -> None:
    settings.SIM_USAGE_PROCESSED = "uploaded"
    file = processed(catalog, sheets.xlsx(table([row(1)])))
    assert (file.status, file.sub_status, file.records.count()) == ("uploaded", "processed", 1)
    assert vendor.get(f"{PATH}/{file.pk}").json["processed_file_uri"]
    assert vendor.post(f"{PATH}/{file.pk}/reprocess").json["status"] == "processing"
    processing.run(file.pk)
    assert vendor.post(f"{PATH}/{file.pk}/submit").json["status"] == "pending"
    file = processed(catalog, sheets.xlsx(table([row(1, quantity="many")])))
    assert file.status == "invalid"


def test_valid_cells_are_accepted() -> None:
    cells: list[dict[str, Any]] = [
        {"item_search_criteria": "item.local_id", "item_search_value": "SEAT"},
        {"item_search_criteria": "item.id", "item_search_value": "PRD-111-111-111-0001"},
        {"asset_search_criteria": "asset.external_id", "asset_search_value": "ext-1"},
        {"asset_search_criteria": "asset.external_uid", "asset_search_value": "uid-1"},
        {"asset_search_criteria": "parameter.tenant", "asset_search_value": "t-1"},
        {"start_time_utc": datetime(2026, 11, 1), "end_time_utc": datetime(2026, 11, 1, 12)},
        {"start_time_utc": "2026-11-01T00:00:00Z", "end_time_utc": "2026-11-02T00:00:00+02:00"},
        {"start_time_utc": "24-10-2026", "end_time_utc": "2026-10-25"},
        {"record_id": None},
        {"quantity": "3"},
        {"quantity": 0},
        {"quantity": 3.0},
        {"amount": None},
        {"amount": -11.5},
    ]
    rows = [row(n, **more) for n, more in enumerate(cells)]
    file = processed(sheets.catalog(), sheets.xlsx(table(rows)))
    assert (file.status, file.error_detail) == ("ready", "")


def test_invalid_cells_are_reported_with_row_and_column(
    catalog: make.Catalog, vendor: Caller
) -> None:
    cells: list[tuple[dict[str, Any], str, str]] = [
        ({"item_search_value": "NOPE"}, "item_search_value", "USG_011"),
        ({"item_search_criteria": "name"}, "item_search_criteria", "USG_010"),
        ({"item_search_criteria": None}, "item_search_criteria", "USG_001"),
        ({"quantity": "many"}, "quantity", "USG_002"),
        ({"quantity": "NaN"}, "quantity", "USG_002"),
        ({"quantity": True}, "quantity", "USG_002"),
        ({"quantity": "1e400"}, "quantity", "USG_002"),
        ({"quantity": None}, "quantity", "USG_001"),
        ({"quantity": -1}, "quantity", "USG_003"),
        ({"quantity": 1.5}, "quantity", "USG_012"),
        ({"amount": "x"}, "amount", "USG_002"),
        ({"tier": -1}, "tier", "USG_003"),
        ({"start_time_utc": "yesterday"}, "start_time_utc", "USG_005"),
        ({"start_time_utc": "2026-13-45 00:00:00"}, "start_time_utc", "USG_005"),
        ({"start_time_utc": 45000}, "start_time_utc", "USG_005"),
        ({"start_time_utc": None}, "start_time_utc", "USG_005"),
        ({"end_time_utc": "2026-10-01 00:00:00"}, "end_time_utc", "USG_007"),
        ({"end_time_utc": "0001-01-01T00:00:00+14:00"}, "end_time_utc", "USG_005"),
        ({"asset_search_value": "AS-9"}, "asset_search_value", "USG_021"),
        ({"asset_search_criteria": "name"}, "asset_search_value", "USG_020"),
        ({"asset_search_criteria": None}, "asset_search_value", "USG_001"),
        ({"tier": 9}, "tier", "USG_006"),
        ({"record_id": "x" * 256}, "record_id", "USG_004"),
    ]
    rows = [row(n, **more) for n, (more, _, _) in enumerate(cells, 3)]
    file = processed(catalog, sheets.xlsx(table([row(2), *rows])))
    assert (file.status, file.validated, file.invalid) == ("invalid", 1 + len(cells), len(cells))
    assert file.error_detail.startswith(f"{len(cells)} rows are invalid. Row 3, {cells[0][1]}: ")
    response = vendor.get(f"{PATH}/{file.pk}/errors")
    assert response.headers["Content-Range"] == f"items 0-{len(cells) - 1}/{len(cells)}"
    uri = vendor.get(f"{PATH}/{file.pk}").json["processed_file_uri"]
    _, *listed = load_workbook(io.BytesIO(download(uri)))["errors"].iter_rows(values_only=True)
    for n, (_, column, code) in enumerate(cells):
        reported = response.json[n]
        assert (reported["row"], listed[n][:3]) == (n + 3, (n + 3, column, code))
        assert [(e["column"], e["code"]) for e in reported["errors"]] == [(column, code)]
        cell = rows[n][column]
        assert reported["errors"][0]["raw_value"] == ("" if cell is None else str(cell)[:100])
    assert vendor.post(f"{PATH}/{file.pk}/submit").status == 400


def test_record_id_must_be_unique() -> None:
    file = processed(sheets.catalog(), sheets.xlsx(table([row(1), row(2), row(1)])))
    [error] = file.records.get(row=4).errors
    assert (error["column"], error["code"]) == ("record_id", "USG_008")
    assert file.error_detail == f"1 row is invalid. Row 4, record_id: {error['message']}"


def test_category_must_be_in_its_sheet(catalog: make.Catalog) -> None:
    listed = [["category_id", "category_name"], ["c1", "Compute"]]
    content = sheets.xlsx(table([row(category_id="c2")]), categories=listed)
    assert "categories has no such" in processed(catalog, content).error_detail
    free = sheets.xlsx(table([row(category_id="c2")]), categories=[["category_id"]])
    assert processed(catalog, free).status == "ready"


def test_value_of_two_subscriptions_is_refused(catalog: make.Catalog) -> None:
    make.asset(catalog, 2, params=[{"id": "tenant", "value": "t-1"}])
    more = {"asset_search_criteria": "parameter.tenant", "asset_search_value": "t-1"}
    assert (
        "2 subscriptions have" in processed(catalog, sheets.xlsx(table([row(**more)]))).error_detail
    )


def test_subscription_of_another_contract_is_not_found(catalog: make.Catalog) -> None:
    vendor, asset, other = caller(catalog.vendor), make.asset(catalog, 2), Contract.objects.get()
    pk = create(vendor, catalog)
    other.pk = "CRD-22222-22222-22222"
    other.save(force_insert=True)
    Asset.objects.filter(pk=asset.pk).update(contract=other)
    content = sheets.xlsx(table([row(asset_search_value=asset.pk)]))
    sheets.send(vendor, f"{PATH}/{pk}/upload", content)
    processing.run(pk)
    assert [error["code"] for error in UsageRecord.objects.get().errors] == ["USG_021"]


def test_schemas_require_their_columns() -> None:
    catalog = sheets.catalog(ppu={"schema": "TR"})
    file = processed(catalog, sheets.xlsx(table([row(amount=None)])))
    assert file.schema == "tr"
    assert [e["column"] for e in file.records.get().errors] == ["amount", "tier"]
    assert processed(catalog, sheets.xlsx(table([row(tier=0)]))).status == "ready"


def test_rows_define_items_with_the_capability(catalog: make.Catalog) -> None:
    named = {
        "item_search_value": "AmazonEC2",
        "item_mpn": "AmazonEC2",
        "item_name": "Compute",
        "item_unit": "Hours",
        "item_precision": "Decimal(8)",
        "quantity": 0.00000001,
    }
    content = sheets.xlsx(table([row(1, **named), row(2, **named)]))
    assert processed(catalog, content).status == "invalid"
    catalog.product.capabilities = {"ppu": {"dynamic": True}}
    catalog.product.save()
    assert processed(catalog, content).status == "ready"
    item = Item.objects.get(mpn="AmazonEC2")
    assert (item.pk, item.name, item.dynamic) == ("PRD-111-111-111-0002", "Compute", True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"item_precision": "Decimal(3)"}, 'precision: "Decimal(3)" is not a valid choice.'),
        ({"item_name": "Seat"}, "name: Item with same name already exists for the product."),
    ],
)
def test_item_defined_by_a_row_is_checked_as_by_the_api(more: dict[str, Any], message: str) -> None:
    catalog = sheets.catalog(ppu={"ppu": True, "dynamic": True})
    named = {"item_search_value": "new", "item_mpn": "new", "item_name": "New", **more}
    [error] = processed(catalog, sheets.xlsx(table([row(1, **named)]))).records.get().errors
    assert error["code"] == "USG_013" and error["message"].endswith(message)
    assert Item.objects.count() == 1


def test_items_with_a_common_prefix_are_defined_separately() -> None:
    catalog = sheets.catalog(ppu={"dynamic": True})
    rows = [
        row(n, item_search_value=mpn, item_mpn=mpn, item_name=f"Compute {n}")
        for n, mpn in enumerate(("SEAT", "x" * 70 + "a", "x" * 70 + "b"), 1)
    ]
    Item.objects.update(mpn="M-OTHER")
    file = processed(catalog, sheets.xlsx(table(rows)))
    assert (file.status, file.error_detail) == ("ready", "")
    assert sorted(Item.objects.values_list("pk", flat=True)) == [
        f"PRD-111-111-111-000{n}" for n in (1, 2, 3, 4)
    ]


def test_processed_file_can_be_uploaded_again(catalog: make.Catalog, vendor: Caller) -> None:
    rows = [
        row(1, **{"v.invoice": "G-1"}),
        row(2, quantity="many", start_time_utc="yesterday"),
        row(1),
        row(4, asset_search_value="AS-9", amount=-1.5),
    ]
    file = processed(catalog, sheets.xlsx(table(rows)))

    def records() -> list[Any]:
        names = ("record_id", "status", "quantity", "amount", "errors", "params", "record_note")
        return list(file.records.order_by("row").values_list(*names))

    before = records()
    assert [record[1] for record in before] == ["valid", "invalid", "invalid", "invalid"]
    for _ in range(3):
        content = download(vendor.get(f"{PATH}/{file.pk}").json["processed_file_uri"])
        assert sheets.send(vendor, f"{PATH}/{file.pk}/upload", content).status == 201
        processing.run(file.pk)
        file.refresh_from_db()
        assert records() == before, file.error_detail


def test_texts_that_workbooks_refuse_stop_neither_processing_nor_template(
    catalog: make.Catalog, vendor: Caller
) -> None:
    Item.objects.update(name="Se\x01at")
    Asset.objects.update(external_id="ext\x02")
    pk = create(vendor, catalog, name="Nov\x01ember", note="a\x0bb")
    sheets.send(vendor, f"{PATH}/{pk}/upload", sheets.xlsx(table([row()])))
    processing.run(pk)
    assert UsageFile.objects.get().status == "ready"
    general = load_workbook(
        io.BytesIO(download(vendor.get(f"{PATH}/{pk}").json["processed_file_uri"]))
    )
    assert ("report_name", "November") in list(general["general"].values)
    link = vendor.get(f"/usage/products/{catalog.product.pk}/template").json["template_link"]
    assert list(load_workbook(io.BytesIO(download(link)))["items"].values)[1][2] == "Seat"


def test_a_category_that_is_a_number_is_found() -> None:
    listed = [["category_id", "category_name"], [7.0, "Compute"]]
    content = sheets.xlsx(table([row(category_id="7")]), categories=listed)
    assert processed(sheets.catalog(), content).status == "ready"


def test_reprocess_finds_a_subscription_created_later(
    catalog: make.Catalog, vendor: Caller
) -> None:
    file = processed(catalog, sheets.xlsx(table([row(asset_search_value="AS-0000-0000-0002")])))
    assert file.status == "invalid"
    make.asset(catalog, 2)
    response = vendor.post(f"{PATH}/{file.pk}/reprocess")
    assert (response.json["status"], response.json["stats"]["validated"]) == ("processing", 0)
    processing.run(file.pk)
    assert UsageFile.objects.get().status == "ready"


@pytest.mark.parametrize("sheet", ["records", "usage_records", "Usage_Records"])
def test_names_of_the_sheet(sheet: str) -> None:
    content = sheets.xlsx(table([row()]), sheet=sheet, instructions=[["Fill in"]])
    assert processed(sheets.catalog(), content).status == "ready"


@pytest.mark.parametrize(
    ("delimiter", "encoding", "note", "stored"),
    [
        (",", "utf-8", "Gezählt", "Gezählt"),
        (";", "utf-8-sig", "Gezählt", "Gezählt"),
        ("\t", "utf-16", "Gezählt", "Gezählt"),
        (";", "cp1252", "Gezählt", "Gezählt"),
        # Characters that workbooks refuse are removed.
        (",", "utf-8", "a\x01b\x7f\ufffec", "ab\x7fc"),
    ],
)
def test_csv(delimiter: str, encoding: str, note: str, stored: str) -> None:
    content = sheets.csv(table([row(record_note=note)]), delimiter, encoding)
    file = processed(sheets.catalog(), content, "usage.csv")
    assert (file.status, file.error_detail) == ("ready", "")
    assert file.records.get().record_note == stored


def test_unreadable_file_is_invalid_as_a_whole(catalog: make.Catalog) -> None:
    for content, message in (
        (
            sheets.xlsx([["a"]], sheet="Sheet1"),
            "The workbook has no sheet records or usage_records.",
        ),
        (sheets.xlsx([["record_id"]]), "Columns are missing in row 1: item_search_criteria, "),
        (sheets.xlsx([[*sheets.HEADER, "tier"]]), "Row 1 has the column tier twice."),
        (
            sheets.xlsx([[f"c{n}" for n in range(120)]]),
            "The sheet has more than 50 columns. Remove some.",
        ),
        (sheets.xlsx(table([])), "The sheet has no records."),
        (sheets.xlsx([]), "Columns are missing in row 1: record_id, "),
        (b"hello", "Columns are missing in row 1: record_id, "),
        (sheets.csv([sheets.HEADER, ['"' + "x" * 200_000]]), "Line 2 of the CSV cannot be read"),
    ):
        file = processed(catalog, content)
        assert (file.status, file.sub_status, file.uploaded) == ("invalid", "processed", 0)
        assert file.error_detail.startswith(message)


def test_columns_of_a_processed_file_do_not_count_for_the_limit(catalog: make.Catalog) -> None:
    most = limits.MAX_COLUMNS - len(sheets.HEADER)
    columns = dict.fromkeys(["status", "error_details", "asset_id", "external_billing_note"], "x")
    params = {f"v.{n}": n for n in range(most)}
    for content in (
        sheets.csv(table([row(1, **params, **columns)])),
        sheets.xlsx(table([row(1, **params, **columns)])),
    ):
        file = processed(catalog, content)
        assert (file.status, len(file.records.get().params)) == ("ready", most)
    for content in (
        sheets.csv(table([row(1, **params, one_more=1)])),
        sheets.xlsx(table([row(1, **params, one_more=1)])),
    ):
        detail = processed(catalog, content).error_detail
        assert detail == "The sheet has more than 50 columns. Remove some."


_SST = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
_SHEET, _STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"


@cache
def _valid() -> bytes:
    return sheets.xlsx(table([row()]))


def _rows(inside: bytes) -> bytes:
    """Return a sheet with more after the header and one row."""
    archive = zipfile.ZipFile(io.BytesIO(_valid()))
    return archive.read(_SHEET).replace(b"</sheetData>", inside + b"</sheetData>")


def _nested(tag: bytes, depth: int, inside: bytes = b"") -> bytes:
    """Return elements in each other, with more in each of them."""
    return (b"<" + tag + b">" + inside) * depth + (b"</" + tag + b">") * depth


def _names(text: bytes) -> bytes:
    return b"".join(text % n for n in range(5000))


def test_hostile_workbooks_become_invalid(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook_reader, "MAX_TEXTS", 2**21)
    for part, content, message in (
        (_SHEET, _rows(_nested(b"row", 1000)), "too complex"),
        (_SHEET, _rows(_nested(b"row", 1000, b"<c/><c/>")), "too complex"),
        (_SHEET, _rows(b"<row>" + _nested(b"c", 1000) + b"</row>"), "too complex"),
        (_SHEET, _rows(b"<row><c><is>" + _nested(b"r", 1000)), "too complex"),
        (_SHEET, b"<worksheet>" + _nested(b"extLst", 1000) + b"</worksheet>", "too complex"),
        (_STRINGS, _SST + _nested(b"si", 1000) + b"</sst>", "too complex"),
        (_STRINGS, _nested(b"row", 1000), "too complex"),
        (_STRINGS, _SST + b"<si><t>ab</t></si>" * 40_000 + b"</sst>", "too complex"),
        (_STRINGS, _SST + b"<si><t>" + b"x" * (limits.MAX_ROW_TEXT + 1), "A row of the sheet is"),
        ("xl/styles.xml", _nested(b"styleSheet", 1000), "too complex"),
        ("xl/styles.xml", b"<styleSheet><cellXfs>" + b"<xf/>" * 20_001, "too complex"),
        (_WORKBOOK, b"<workbook><sheets>" + b"<sheet name='a' r:id='a'/>" * 20_001, "too complex"),
        (_LINKS, b"<Relationships>" + b"<Relationship Id='a' Type='b' Target='c'/>" * 20_001,
         "too complex"),
        (_LINKS, b"<Relationships a='" + b"x" * limits.MAX_ROW_TEXT + b"'/>", "too complex"),
        (_SHEET, _rows(_names(b"<a%d/>")), "too complex"),
        (_SHEET, _rows(_names(b"<a b%d='c'/>")), "too complex"),
        (_SHEET, _rows(b"<row a='" + b"x" * limits.MAX_ROW_TEXT + b"'/>"), "too complex"),
        (_SHEET, b"<!--" + b"< " * limits.MAX_ROW_TEXT + b"--><worksheet/>", "too complex"),
        (_SHEET, b"<?a " + b"< " * limits.MAX_ROW_TEXT + b"?><worksheet/>", "too complex"),
        (_SHEET, _rows(b"<row/>" * 50_002), "more than 50000 rows"),
        (_SHEET, _rows(b"<row r='50002'/>"), "more than 50000 rows"),
        (_SHEET, _rows(b"<row r='1'/>"), "Row 1 of the sheet comes after row 2."),
        (_SHEET, _rows(b"<row><c t='s'><v>99</v></c></row>"), "cannot be read (IndexError)"),
        (_SHEET, _rows(b"<row><c r='5'/></row>"), "cannot be read (ValueError)"),
        (_SHEET, b"<worksheet><sheetData><row>", "cannot be read (ExpatError)"),
        (_SHEET, b"<!DOCTYPE a><worksheet/>", "a document type"),
        ("xl/styles.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><styleSheet/>', "a document type"),
        (_SHEET, b'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet>'
         b"<sheetData><row><c t='str'><v>&b;</v></c></row></sheetData></worksheet>",
         "a document type"),
        (_WORKBOOK, b"<not xml", "cannot be read (ExpatError)"),
        (_SHEET, b"<worksheet/>", "Columns are missing in row 1"),
        (_SHEET, b"<worksheet><sheetData><row r='x'><c r='?'/></row>",
         "cannot be read (ValueError)"),
        (_LINKS, b"<Relationships/>", "The workbook has no sheet records"),
    ):  # fmt: skip
        file = processed(catalog, _replaced(part, content))
        assert (file.status, file.sub_status, file.uploaded) == ("invalid", "processed", 0)
        assert message in file.error_detail, (part, content[:100])


def test_long_texts_and_odd_values_survive_the_temporary_file() -> None:
    rows = [
        row(n, record_note="\u00e9\U0001f600" * 500, **{"v.date": datetime(2026, 11, n + 1, 8)})
        for n in range(3)
    ]
    file = processed(sheets.catalog(), sheets.xlsx(table(rows)))
    assert (file.status, file.error_detail, file.uploaded) == ("ready", "", 3)
    [record, *_] = file.records.order_by("row")
    assert record.record_note == "\u00e9\U0001f600" * 500
    assert record.params == [{"parameter_name": "v.date", "parameter_value": "2026-11-01 08:00:00"}]


@pytest.mark.parametrize("write", [sheets.xlsx, sheets.csv])
def test_full_disk_does_not_make_the_file_invalid(
    catalog: make.Catalog, write: Callable[[Any], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(rows: spreadsheet.Rows, *values: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(spreadsheet.Rows, "add", full)
        file = processed(catalog, write(table([row()])))
    assert (file.status, file.sub_status, file.error_detail) == ("processing", "processing", "")
    UsageFile.objects.update(lease=0)
    processing.run(file.pk)
    file.refresh_from_db()
    assert file.status == "ready"


def test_rows_can_be_iterated_several_times() -> None:
    rows = spreadsheet.Rows(["a", "b"])
    for number in range(250):
        rows.add(number, [number, None])
        if number == 120:
            assert len(list(rows)) == 121
    both = list(zip(rows, rows, strict=True))
    assert (len(rows), len(both)) == (250, 250)
    assert both[-1][0] == both[-1][1] == (249, {"a": 249, "b": None})


def test_empty_rows_are_counted(catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROWS", 5)
    assert processed(catalog, sheets.xlsx(table([row(n) for n in range(5)]))).status == "ready"
    for rows in (
        table([row(n) for n in range(6)]),
        [*table([row(1)]), *[[None]] * 50, ["late"]],
    ):
        assert "more than 5 rows" in processed(catalog, sheets.xlsx(rows)).error_detail


def _replaced(part: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a valid workbook with one part replaced."""
    buffer, good = io.BytesIO(), zipfile.ZipFile(io.BytesIO(_valid()))
    with good, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in {*good.namelist(), part}:
            if name == part:
                archive.writestr(name, content, method)
            elif name == _LINKS:
                # openpyxl writes no shared strings.
                link = b'<Relationship Id="x" Type="x/sharedStrings" Target="sharedStrings.xml"/>'
                end = b"</Relationships>"
                text = good.read(name)
                archive.writestr(name, text.replace(end, link + end) if part == _STRINGS else text)
            else:
                archive.writestr(name, good.read(name))
    return buffer.getvalue()


def test_invalid_uploads_are_refused_and_change_nothing(
    catalog: make.Catalog, vendor: Caller
) -> None:
    pk = create(vendor, catalog)
    for content, message in (
        (b"", "The submitted file is empty."),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "encrypted or in an old format"),
        (b"\x89PNG\0\0\0", "neither an XLSX workbook nor a CSV text"),
        (b"PK\x03\x04 and nothing more", "The workbook is damaged."),
        (sheets.zipped({"readme.txt": b"x"}), "not an XLSX workbook"),
        (
            _replaced("xl/worksheets/sheet1.xml", b"\0" * (workbook_reader.MAX_UNPACKED + 1)),
            "uncompressed workbook is too large",
        ),
        (
            sheets.zipped({"xl/workbook.xml": b"", **{f"p{n}": b"" for n in range(500)}}),
            "uncompressed workbook is too large",
        ),
        (_replaced("xl/styles.xml", b"<a/>", zipfile.ZIP_BZIP2), "an unusual compression"),
        (_replaced("xl/styles.xml", b"<a/>", zipfile.ZIP_LZMA), "an unusual compression"),
    ):
        response = sheets.send(vendor, f"{PATH}/{pk}/upload", content)
        refused(response, 400)
        assert message in response.json["errors"][0]
    assert UsageFile.objects.get().status == "draft"
    assert not StoredFile.objects.exists()


def test_uploads_without_a_file_or_too_large(
    catalog: make.Catalog, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{PATH}/{create(vendor, catalog)}/upload"
    refused(vendor.post(path), 400, "usage_file: No file was submitted.")
    refused(vendor.post(path, {"usage_file": "x"}), 400)
    refused(vendor.post(path, "null"), 400)
    refused(sheets.send(vendor, path, b"a,b", "file"), 400, "usage_file: No file was submitted.")
    text = b'--B\r\nContent-Disposition: form-data; name="usage_file"\r\n\r\nx\r\n--B--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=B"}
    refused(vendor.post(path, text, **form), 400, "usage_file: The submitted data was not a file.")
    refused(vendor.post(path, b"garbage", **form), 400)
    refused(vendor.post(path, b"x", **{"Content-Type": "multipart/form-data"}), 400)
    monkeypatch.setattr(limits, "MAX_BYTES", 10)
    refused(sheets.send(vendor, path, b"a,b\n" * 9), 413)
    refused(sheets.send(vendor, path, b"a,b\n" * 99_999), 413)


def test_formulas_are_neither_evaluated_nor_written(catalog: make.Catalog) -> None:
    evil = '=HYPERLINK("http://evil.example.com")'
    content = sheets.csv(table([row(record_note='"=HYPERLINK(""http://evil.example.com"")"')]))
    file = processed(catalog, content, "usage.csv")
    assert file.records.get().record_note == evil
    book = load_workbook(io.BytesIO(workbooks.processed_file(file, lambda: None)))
    [cell] = [c for c in book["records"][2] if c.value == evil]
    assert cell.data_type == "s"
    # A formula without a stored value is an empty cell.
    file = processed(catalog, sheets.xlsx(table([row(quantity="=1+1")])))
    assert file.error_detail == "1 row is invalid. Row 2, quantity: This field is required."


def test_task_is_published_after_the_commit(
    catalog: make.Catalog,
    vendor: Caller,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[str] = []
    monkeypatch.setattr(publishing, "publish", published.append)
    pk = create(vendor, catalog)
    with django_capture_on_commit_callbacks(execute=False):
        sheets.send(vendor, f"{PATH}/{pk}/upload", sheets.xlsx(table([row()])))
        assert published == []
    assert UsageFile.objects.get().status == "uploading"


def _lose(pk: str) -> None:
    """Let the lease of a file run out."""
    UsageFile.objects.filter(pk=pk).update(lease=1)


def test_lost_task_is_published_again_and_lost_worker_replaced(
    catalog: make.Catalog,
    vendor: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[str] = []
    monkeypatch.setattr(publishing, "publish", published.append)
    pk = create(vendor, catalog)
    sheets.send(vendor, f"{PATH}/{pk}/upload", sheets.xlsx(table([row(1), row(2)])))
    due.run(clock.now())
    assert published == []
    assert due.busy(clock.now()) == {f"processing:{pk}"}
    _lose(pk)
    due.run(clock.now())
    due.run(clock.now())
    assert published == [pk]
    # A worker claims the file, writes a batch, and stops.
    token = leases.claim(pk)
    assert token and leases.claim(pk) is None
    UsageRecord.objects.create(id="UR-1", file_id=pk, row=99, status="valid", record_id="x")
    _lose(pk)
    due.run(clock.now())
    assert published == [pk, pk]
    processing.run(pk)
    assert (UsageFile.objects.get().status, UsageRecord.objects.count()) == ("ready", 2)
    # The first worker resumes too late, and writes nothing.
    with pytest.raises(leases.LostClaim):
        leases.renew(pk, token, validated=1)
    with pytest.raises(leases.LostClaim):
        leases.release(pk, token)
    assert due.busy(clock.now()) == set()


def test_worker_without_claim_stops(monkeypatch: pytest.MonkeyPatch, pk: str) -> None:
    written = workbooks.processed_file

    def interrupted(file: UsageFile, alive: Any) -> bytes:
        UsageFile.objects.filter(pk=pk).update(claim="another")
        return written(file, lambda: None)

    monkeypatch.setattr(workbooks, "processed_file", interrupted)
    processing.run(pk)
    file = UsageFile.objects.get()
    assert (file.status, file.claim, file.sub_status) == ("processing", "another", "processing")
    assert not StoredFile.objects.filter(kind=StoredFile.PROCESSED).exists()


def test_worker_without_claim_deletes_nothing(monkeypatch: pytest.MonkeyPatch, pk: str) -> None:
    UsageFile.objects.update(status="processing")
    UsageRecord.objects.create(id="UR-1", file_id=pk, row=99, status="valid", record_id="x")
    take = leases.claim

    def overtaken(pk: str) -> str | None:
        token = take(pk)
        UsageFile.objects.update(claim="another")
        return token

    monkeypatch.setattr(leases, "claim", overtaken)
    processing.run(pk)
    assert UsageRecord.objects.get().pk == "UR-1"
    assert UsageFile.objects.get().claim == "another"


def test_file_becomes_invalid_after_repeated_worker_failures(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, pk: str
) -> None:
    def die(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(processing.spreadsheet, "read", die)
    for _ in range(processing.ATTEMPTS):
        processing.run(pk)
        assert UsageFile.objects.get().status == "processing"
        _lose(pk)
    processing.run(pk)
    file = UsageFile.objects.get()
    assert file.status == "invalid"
    assert file.error_detail == "Processing failed 3 times. Upload the file again."


def test_upload_succeeds_without_a_broker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(task_messages, "_connection", away)
    publishing.publish("UF-1")
    assert "The broker is unreachable" in caplog.text


# Files are read one at a time in a process.


def _release_at_the_second_call(calls: list[str]) -> None:
    calls.append("renew")
    if len(calls) == 2:
        spreadsheet._TURN.release()


def test_worker_renews_its_lease_until_it_is_its_turn(
    monkeypatch: pytest.MonkeyPatch, pk: str
) -> None:
    renew, read, calls = leases.renew, spreadsheet.read, list[str]()

    def renewed(pk: str, token: str, **progress: Any) -> None:
        renew(pk, token, **progress)
        # The first one deletes earlier records.
        if not progress and spreadsheet._TURN.locked() and "read" not in calls:
            _release_at_the_second_call(calls)

    def reading(content: bytes, **options: Any) -> spreadsheet.Sheet:
        assert spreadsheet._TURN.locked()
        calls.append("read")
        return read(content, **options)

    monkeypatch.setattr(leases, "renew", renewed)
    monkeypatch.setattr(spreadsheet, "read", reading)
    monkeypatch.setattr(spreadsheet, "MAX_WAIT", 0.01)
    assert spreadsheet._TURN.acquire(blocking=False)
    processing.run(pk)
    assert calls == ["renew", "renew", "read"] and not spreadsheet._TURN.locked()
    assert UsageFile.objects.get().status == "ready"


def test_turn_ends_with_an_error() -> None:
    for renew in (None, lambda: None):
        with pytest.raises(limits.Unreadable), spreadsheet.turn(renew):
            raise limits.Unreadable
    assert not spreadsheet._TURN.locked()


def test_request_waits_for_its_turn_and_is_then_refused(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = create(caller(catalog.vendor), catalog)
    distributor = caller(catalog.provider)
    path, content = f"{PATH}/{pk}/reconciliation", sheets.csv([["record_id"], ["UR-1"]])
    monkeypatch.setattr(spreadsheet, "MAX_WAIT", 0.01)
    with spreadsheet.turn():
        response = sheets.send(distributor, path, content, "recon_file")
    refused(response, 503, "Other spreadsheets are being read. Try again in a minute.")
    refused(sheets.send(distributor, path, content, "recon_file"), 400)


def test_few_requests_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    # A request that waited would not end.
    monkeypatch.setattr(spreadsheet, "MAX_WAIT", 3600)
    with ExitStack() as stack:
        stack.enter_context(spreadsheet.turn())
        while spreadsheet._REQUESTS.acquire(blocking=False):
            stack.callback(spreadsheet._REQUESTS.release)
        with pytest.raises(Refused), spreadsheet.turn():
            pass
