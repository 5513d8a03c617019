"""Usage files: from creation to closed, records, reconciliation, and visibility."""

from __future__ import annotations

import io
from typing import Any

import pytest
from openpyxl import load_workbook

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Contract, Marketplace, Product
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import leases, links, processing, samples, spreadsheet
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from tests import make
from tests.api import Caller, caller, ids, refused
from tests.queue import spreadsheets as sheets
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

PATH = "/usage/files"


def usage_file(catalog: make.Catalog, status: str, n: int = 1) -> UsageFile:
    """Make a file in a status, with two records and an upload, claimed by a worker."""
    file = UsageFile.objects.create(
        id=f"UF-2026-11-0000-{n:04d}",
        status=status,
        product=catalog.product,
        vendor=catalog.vendor,
        provider=catalog.provider,
        marketplace=Marketplace.objects.get(owner=catalog.provider),
        contract=Contract.objects.get(provider=catalog.provider),
        currency="USD",
        name="November",
        sub_status="processing",
        claim="mine",
        lease=0,
        created=make.AT,
        updated=make.AT,
    )
    record_status = {"accepted": "approved", "closed": "closed"}.get(status, "valid")
    for row in (2, 3):
        UsageRecord.objects.create(
            id=f"UR-2026-11-0000-{n:04d}-0000-000{row}",
            file=file,
            row=row,
            quantity=row,
            status=record_status,
            record_id=f"r-{row}",
            item=catalog.item,
        )
    StoredFile.objects.create(
        file=file, kind=StoredFile.UPLOAD, name="u.csv", content=b"x", created=make.AT
    )
    return file


def everything() -> tuple[Any, ...]:
    models = (UsageFile, UsageRecord, StoredFile, Event, Webhook)
    return tuple(list(model._default_manager.order_by("pk").values()) for model in models)


def statuses(file: UsageFile) -> list[str]:
    return list(file.records.values_list("status", flat=True))


def create(caller: Caller, catalog: make.Catalog, **more: Any) -> str:
    body = {
        "name": "November",
        "product": {"id": catalog.product.pk},
        "contract": {"id": Contract.objects.get(vendor=catalog.vendor).pk},
        **more,
    }
    response = caller.post(f"{PATH}/", body)
    assert response.status == 201, response
    return str(response.json["id"])


def ready(catalog: make.Catalog, *rows: dict[str, Any]) -> str:
    """Upload rows by HTTP, process them, and return the file's id."""
    vendor = caller(catalog.vendor)
    pk = create(vendor, catalog)
    content = sheets.xlsx(sheets.table(rows or (sheets.row(1), sheets.row(2))))
    assert sheets.send(vendor, f"{PATH}/{pk}/upload", content).status == 201
    processing.run(pk)
    return pk


@pytest.fixture
def pk(catalog: make.Catalog) -> str:
    """A submitted file with two records."""
    pk = ready(catalog)
    assert caller(catalog.vendor).post(f"{PATH}/{pk}/submit").json["status"] == "pending"
    return pk


@pytest.fixture
def catalog() -> make.Catalog:
    return sheets.catalog()


def test_file_from_creation_to_closed(catalog: make.Catalog) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    pk = create(vendor, catalog, period={"from": "2026-11-01", "to": "2026-11-30T23:59:59Z"})
    one = f"{PATH}/{pk}"
    shown = vendor.get(one).json
    assert shown["status"] == "draft"
    assert shown["period"] == {"from": "2026-11-01", "to": "2026-11-30"}
    assert (shown["currency"], shown["schema"], shown["environment"]) == ("USD", "qt", "test")
    assert shown["usage_file_uri"] == shown["processed_file_uri"] == ""
    content = sheets.xlsx(sheets.table([sheets.row(1), sheets.row(2)]))
    response = sheets.send(vendor, f"{one}/upload/", content)
    assert (response.status, response.json["status"]) == (201, "uploading")
    assert response.json["sub_status"] == "processing"
    processing.run(pk)
    shown = vendor.get(one).json
    assert (shown["status"], shown["sub_status"]) == ("ready", "processed")
    assert shown["records"] == {"valid": 2, "invalid": 0, "closed": 0}
    assert set(shown["events"]) == {"created", "uploaded"}
    assert vendor.post(f"{one}/submit").json["status"] == "pending"
    assert vendor.post(f"{one}/accept", {"acceptance_note": "x"}).status == 403
    response = distributor.post(f"{one}/accept", {"acceptance_note": "Fine."})
    assert (response.status, response.json["acceptance_note"]) == (200, "Fine.")
    assert response.json["stats"]["accepted"] == 2
    assert distributor.post(f"{one}/close", "null").json["status"] == "closed"
    assert [r["status"] for r in vendor.get("/usage/records").json] == ["closed", "closed"]


def test_only_the_vendor_deletes_files(vendor: Caller, distributor: Caller) -> None:
    [pk] = ids(vendor, f"{PATH}?status=ready")
    assert distributor.post(f"{PATH}/{pk}/delete", "null").status == 403
    response = vendor.post(f"{PATH}/{pk}/delete/", "null")
    assert (response.status, response.json["status"]) == (200, "deleted")
    assert not UsageRecord.objects.filter(file=pk).exists()
    assert not StoredFile.objects.filter(file=pk).exists()


def test_a_rejected_file_is_uploaded_again(catalog: make.Catalog, pk: str) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    response = distributor.post(f"{PATH}/{pk}/reject", {"rejection_note": "Twice."})
    assert response.json["rejection_note"] == "Twice."
    assert statuses(UsageFile.objects.get(pk=pk)) == ["rejected", "rejected"]
    content = sheets.xlsx(sheets.table([sheets.row(7)]))
    response = sheets.send(vendor, f"{PATH}/{pk}/upload", content)
    assert (response.status, response.json["rejection_note"]) == (201, "")
    processing.run(pk)
    assert statuses(UsageFile.objects.get(pk=pk)) == ["valid"]


def test_closing_the_last_record_closes_the_file(catalog: make.Catalog, pk: str) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    first, second = ids(distributor, f"/usage/records?usagefile.id={pk}")
    assert vendor.put(f"/usage/records/{first}", {"status": "approved"}).status == 403
    assert distributor.put(f"/usage/records/{first}", {"status": "closed"}).status == 400
    response = distributor.put(f"/usage/records/{first}", {"status": "rejected"})
    assert (response.status, response.json["status"]) == (200, "rejected")
    assert distributor.post(f"/usage/records/{second}/close").status == 400
    response = distributor.put(f"{PATH}/{pk}/approve-all")
    assert (response.status, response.json["stats"]["accepted"]) == (200, 2)
    assert vendor.put(f"{PATH}/{pk}/approve-all").status == 403
    assert distributor.post(f"{PATH}/{pk}/accept").status == 200
    assert vendor.post(f"/usage/records/{first}/close").status == 403
    billing = {"external_billing_id": "INV-1", "external_billing_note": "n"}
    response = distributor.post(f"/usage/records/{first}/close", billing)
    assert (response.json["status"], response.json["external_billing_id"]) == ("closed", "INV-1")
    assert response.json["closed_at"] and response.json["closed_by"]
    assert distributor.post(f"/usage/records/{first}/close").status == 400
    body = [{"id": second, "external_billing_id": "INV-2"}, {"id": first}, {"id": "UR-0"}, 7]
    response = distributor.post("/usage/records/close-records", body)
    assert response.status == 206
    assert [r.get("status") for r in response.json] == ["closed", "closed", None, None]
    assert [r["error_codes"] for r in response.json] == ["", "REQ_003", "NFND_000", "VAL_001"]
    shown = distributor.get(f"{PATH}/{pk}").json
    assert (shown["status"], shown["stats"]["billed"]) == ("closed", 2)
    assert vendor.post("/usage/records/close-records", []).status == 403
    assert distributor.post("/usage/records/close-records", {"id": first}).status == 400


def test_reconciliation_closes_named_records_and_then_the_file(
    catalog: make.Catalog, pk: str
) -> None:
    distributor = caller(catalog.provider)
    one = f"{PATH}/{pk}/reconciliation"
    first = UsageFile.objects.get(pk=pk).records.first()
    distributor.post(f"{PATH}/{pk}/accept")
    before = everything()
    for bad, message in (
        (b"record_id,external_billing_id\nx,1\n", "Row 2, record_id: The file has no such record."),
        (b"id\n1\n", "Columns are missing in row 1: record_id."),
        (b"record_id,status\nr-1,approved\n", "No row of the sheet marks a record as billed."),
        (b"record_id\nr-1\nr-9\n", "Row 3, record_id: The file has no such record."),
    ):
        response = sheets.send(distributor, one, bad, "recon_file", "r.csv")
        refused(response, 400, f"recon_file: {message}")
        assert everything() == before
    content = sheets.xlsx([["record_id", "external_billing_id"], [first.pk, "INV-1"], ["r-2", ""]])
    response = sheets.send(distributor, one, content, "reconciliation_file")
    assert (response.status, response.json["status"]) == (200, "accepted")
    assert response.json["stats"]["closed"] == response.json["stats"]["billed"] == 1
    assert response.json["reconciliation_file_uri"]
    response = sheets.send(
        distributor, one, b"record_id,status\nr-1,closed\nr-2,closed\n", "recon_file"
    )
    assert (response.status, response.json["status"]) == (200, "closed")


def test_reprocess_by_the_distributor_rewrites_the_processed_file(
    catalog: make.Catalog, pk: str
) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    distributor.post(f"{PATH}/{pk}/accept")
    record = ids(distributor, "/usage/records")[0]
    distributor.post(f"/usage/records/{record}/close")
    assert processed_statuses(vendor, pk) == ["valid", "valid"]
    response = distributor.post(f"{PATH}/{pk}/reprocess")
    assert (response.json["status"], response.json["sub_status"]) == ("accepted", "processing")
    processing.run(pk)
    assert processed_statuses(vendor, pk) == ["closed", "approved"]
    assert vendor.get(f"{PATH}/{pk}").json["sub_status"] == "processed"


def processed_statuses(caller: Caller, pk: str) -> list[str]:
    content = download(caller.get(f"{PATH}/{pk}").json["processed_file_uri"])
    header, *rows = load_workbook(io.BytesIO(content))["records"].iter_rows(values_only=True)
    return [row[header.index("status")] for row in rows]


def download(uri: str) -> bytes:
    """Download a link without a key, as published clients do."""
    response = Caller(None).client.get(f"/public/v1{uri.partition('/public/v1')[2]}")
    assert response.status_code == 200, response.content
    return bytes(response.content)


def test_files_of_the_demo_data_can_be_read(vendor: Caller) -> None:
    rows = StoredFile.objects.values_list("file", "kind")
    assert {kind for _, kind in rows} == {"usage", "processed", "reconciliation"}
    for pk, kind in rows:
        shown = vendor.get(f"{PATH}/{pk}").json
        content = download(shown[f"{kind}_file_uri"])
        workbook = spreadsheet.read(content, required=())
        count = shown["records"]["valid"] + shown["records"]["invalid"]
        assert len(list(workbook.rows)) == count > 0, (pk, kind)


def test_links_are_valid_for_one_content_and_ten_minutes(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = caller(catalog.vendor).get(f"{PATH}/{ready(catalog)}").json
    assert download(shown["usage_file_uri"])[:2] == b"PK"
    assert "usage_file_uri" not in caller(catalog.vendor).get(PATH).json[0]
    path = shown["processed_file_uri"].partition("/public/v1")[2]
    assert Caller(None).get(path[:-3]).status == 403
    assert Caller(None).get("/usage/download/x").status == 403
    StoredFile.objects.all().delete()
    assert Caller(None).get(path).status == 404
    monkeypatch.setattr(links, "SECONDS", -1)
    assert Caller(None).get(path).status == 403


def test_the_template_can_be_filled_in_and_uploaded(catalog: make.Catalog) -> None:
    vendor = caller(catalog.vendor)
    response = vendor.get(f"/usage/products/{catalog.product.pk}/template/")
    assert response.status == 200
    book = load_workbook(io.BytesIO(download(response.json["template_link"])))
    header = [c.value for c in next(book["records"].iter_rows())]
    assert [c.value for c in book["items"]["A"]] == ["item.mpn", "M-SEAT"]
    book["records"].append([sheets.row().get(name) for name in header])
    buffer = io.BytesIO()
    book.save(buffer)
    pk = create(vendor, catalog)
    assert sheets.send(vendor, f"{PATH}/{pk}/upload", buffer.getvalue()).status == 201
    processing.run(pk)
    assert UsageFile.objects.get().status == "ready"


def test_submit_of_a_file_that_is_being_read_waits_only_in_our_web_server(
    catalog: make.Catalog,
) -> None:
    """`tests/runtime/test_may_wait.py` has the wait."""
    vendor = caller(catalog.vendor)
    pk = create(vendor, catalog)
    assert not processing.is_pending(pk, catalog.vendor)
    sheets.send(vendor, f"{PATH}/{pk}/upload", sheets.xlsx(sheets.table([sheets.row()])))
    assert processing.is_pending(pk, catalog.vendor)
    refused(vendor.post(f"{PATH}/{pk}/submit"), 400)
    processing.run(pk)
    assert not processing.is_pending(pk, catalog.vendor)
    assert vendor.post(f"{PATH}/{pk}/submit").json["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": ""}, "name: This field is required."),
        ({"name": " "}, "name: This field is required."),
        ({"name": 7}, "name: Not a valid string."),
        ({"name": "x" * 101}, "name: Ensure this field has no more than 100 characters."),
        ({"product": None}, "product.id: This field is required."),
        ({"product": {"id": ["P"]}}, "product.id: Not a valid string."),
        (
            {"product": {"id": "PRD-222-222-222"}},
            "product.id: Product PRD-222-222-222 does not exist.",
        ),
        ({"contract": {"id": "CRD-0"}}, "contract.id: Contract CRD-0 does not exist."),
        ({"description": {}}, "description: Not a valid string."),
        (
            {"external_id": "x" * 201},
            "external_id: Ensure this field has no more than 200 characters.",
        ),
        ({"currency": "Dollar"}, "currency: Name it by its three letters."),
        ({"currency": "€€€"}, "currency: Not a valid currency."),
        ({"currency": 1}, "currency: Not a valid string."),
        ({"period": "2026"}, "period: Expected an object."),
        ({"period": {"from": "tomorrow"}}, "period.from: Not a valid date: write 2026-11-30."),
        ({"period": {"to": "2026-02-31"}}, "period.to: Not a valid date: write 2026-11-30."),
        (
            {"period": {"from": "2026-12-01", "to": "2026-11-01"}},
            "period.to: The period ends before it starts.",
        ),
    ],
)  # fmt: skip
def test_invalid_bodies_are_refused(body: dict[str, Any], message: str) -> None:
    catalog, _ = make.catalog(), make.catalog("2")
    good = {
        "name": "N",
        "product": {"id": catalog.product.pk},
        "contract": {"id": "CRD-11111-11111-11111"},
    }
    refused(caller(catalog.vendor).post(PATH, {**good, **body}), 400, message)
    assert not UsageFile.objects.exists()
    assert caller(catalog.provider).post(PATH, good).status == 403


def test_put_changes_descriptive_fields(vendor: Caller, distributor: Caller) -> None:
    [pk] = ids(vendor, f"{PATH}?status=draft")
    body = {"note": "n", "currency": "eur", "period": {"from": "2020-01-01"}, "status": "closed"}
    response = vendor.put(f"{PATH}/{pk}/", body)
    assert (response.status, response.json["status"], response.json["note"]) == (200, "draft", "n")
    assert (response.json["currency"], response.json["period"]["from"]) == ("EUR", "2020-01-01")
    assert distributor.put(f"{PATH}/{pk}", body).status == 403
    [done] = ids(vendor, f"{PATH}?status=closed")
    assert vendor.put(f"{PATH}/{done}", body).status == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?product.id=PRD-362-917-440", 11), ("?product_id=PRD-362-917-440&status=ready", 1),
        ("?in(status,(ready,pending))", 2), ("?distribution_contract_id=CRD-41020-88713-20954", 11),
        ("?schema=qt&ordering(-created)&limit=3", 3), ("?environment=production", 0),
        ("?status=ready&status=invalid", 2), ("?ge(created.at,2020-01-01)", 11),
    ],
)  # fmt: skip
def test_file_filters(vendor: Caller, query: str, count: int) -> None:
    assert len(ids(vendor, f"{PATH}{query}")) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?status=invalid", 1), ("?usagefile.id=UF-2026-01-3391-0001", 2),
        ("?asset.id=AS-2934-6610-1216&usagefile.status=accepted", 1),
        ("?ge(start_date,2000-01-01T00:00:00+00:00)", 16), ("?usagefile.schema=tr", 0),
        ("?hub.id=HB-7710-3391", 16), ("?part_usage_file__hub__id=HB-0000-0000", 0),
    ],
)  # fmt: skip
def test_record_filters(vendor: Caller, query: str, count: int) -> None:
    assert len(ids(vendor, f"/usage/records{query}")) == count


def test_records_of_others_are_not_closed(vendor: Caller, other: make.Catalog) -> None:
    [file] = ids(vendor, f"{PATH}?status=accepted")
    record = ids(vendor, f"/usage/records?usagefile.id={file}")[0]
    response = caller(other.provider).post("/usage/records/close-records", [{"id": record}])
    assert response.json[0]["error_codes"] == "NFND_000"
    assert UsageRecord.objects.get(pk=record).status == "approved"


def test_a_sample_is_ready_and_can_be_submitted(vendor: Caller) -> None:
    row = samples.create_sample("", None)
    assert (row.status, row.invalid, row.product_id) == ("ready", 0, "PRD-362-917-440")
    assert row.validated > 0 and leases.in_progress() == []
    moved = transitions.move(UsageFile, row.pk, "submit", Actor(None, row.vendor))
    assert moved.status == "pending"
    product = Product.objects.get(pk="PRD-814-505-018")
    assert samples.create_sample("", product).product == product
