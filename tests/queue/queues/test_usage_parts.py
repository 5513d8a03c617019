"""Chunks, reconciliations and aggregates of usage files."""

from __future__ import annotations

import io
from itertools import zip_longest
from typing import Any

import pytest
from openpyxl import load_workbook

from requests_queue.catalog.models import Asset, Connection, Hub
from requests_queue.queues.usage_file.models import UsageChunk, UsageFile, UsageRecord
from tests import make
from tests.api import Caller, Response, caller, ids, refused
from tests.queue import spreadsheets as sheets

pytestmark = pytest.mark.django_db

ACCEPTED, CLOSED, PENDING = (f"UF-2026-01-3391-000{n}" for n in (2, 1, 4))
CHUNK = f"UFC-{ACCEPTED[3:]}-001"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def upload(caller: Caller, *lines: str, note: str = "", header: str = "") -> Response:
    """Upload a reconciliation by `/usage/reconciliations`."""
    text = "\n".join([header or "record_id,external_billing_id", *lines, ""])
    parts = f'--B\r\nContent-Disposition: form-data; name="upload_note"\r\n\r\n{note}\r\n'
    parts += (
        '--B\r\nContent-Disposition: form-data; name="recon_file"; filename="billed.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    return caller.call("POST", "/usage/reconciliations", parts.encode(), headers)


def content(caller: Caller, path: str) -> tuple[str, bytes]:
    """Return the content type and the bytes of a downloaded file."""
    response = caller.client.get(
        f"/public/v1{path}", headers={"authorization": f"ApiKey {caller.key}"}
    )
    assert response.status_code == 200, response.content
    assert response["Content-Disposition"].startswith("attachment")
    return response["Content-Type"], response.content


def sheet(workbook: bytes) -> list[list[Any]]:
    """Return the rows of a workbook; the first row has the names."""
    rows = load_workbook(io.BytesIO(workbook), read_only=True)["records"].iter_rows(
        values_only=True
    )
    return [list(row) for row in rows]


class TestChunks:
    def test_accepted_file_is_split_by_hub(self, distributor: Caller) -> None:
        other = Hub.objects.create(
            pk="HB-0001-0001",
            name="Shop",
            company_id="PA-318-442",
            instance_id="shop",
            created="2026-01-01T00:00:00Z",
            updated="2026-01-01T00:00:00Z",
        )
        records = list(UsageRecord.objects.filter(file=PENDING).order_by("row"))
        asset = records[0].asset
        assert asset is not None
        Connection.objects.filter(pk=asset.connection_id).update(hub=other)
        connection = Connection.objects.create(
            pk="CT-0001-0001-0001",
            product_id=asset.product_id,
            provider_id="PA-318-442",
            vendor_id="VA-610-138",
            hub_id="HB-7710-3391",
            created="2026-01-01T00:00:00Z",
        )
        Asset.objects.filter(pk=records[1].asset_id).update(connection=connection)
        assert distributor.post(f"/usage/files/{PENDING}/accept", {}).status == 200
        chunks = distributor.get(f"/usage/chunks?usagefile.id={PENDING}&ordering(id)").json
        assert [row["id"][-4:] for row in chunks] == ["-001", "-002"]
        by_hub = {row["binding"]["hub"]["id"]: row for row in chunks}
        assert by_hub["HB-7710-3391"]["stats"]["accepted"] == 1
        assert by_hub["HB-0001-0001"]["stats"]["accepted"] == len(records) - 1
        assert by_hub["HB-0001-0001"]["binding"]["external_id"] == "shop"
        [one] = distributor.get("/usage/chunks?binding.hub.id=HB-0001-0001").json
        assert one["usagefile"]["id"] == PENDING

    def test_rejected_file_has_no_chunks(self, distributor: Caller) -> None:
        distributor.post(f"/usage/files/{PENDING}/reject", {"rejection_note": "No."})
        assert ids(distributor, f"/usage/chunks?usagefile.id={PENDING}") == []

    def test_both_parties_see_the_chunk(self, vendor: Caller, distributor: Caller) -> None:
        path = f"/usage/chunks/{CHUNK}"
        assert vendor.get(path).json == distributor.get(path).json

    def test_vendor_cannot_change_chunks(self, vendor: Caller) -> None:
        before = vendor.get(f"/usage/chunks/{CHUNK}").json
        message = "Only the distributor can change usage chunks."
        refused(vendor.put(f"/usage/chunks/{CHUNK}", {"external_id": "x"}), 403, message)
        body = {"external_billing_id": "x"}
        refused(vendor.post(f"/usage/chunks/{CHUNK}/close", body), 403, message)
        refused(vendor.post(f"/usage/chunks/{CHUNK}/regenerate"), 403, message)
        assert vendor.get(f"/usage/chunks/{CHUNK}").json == before

    def test_distributor_renames_a_chunk(self, distributor: Caller) -> None:
        path = f"/usage/chunks/{CHUNK}"
        assert distributor.put(path, {"external_id": "desk-1"}).json["external_id"] == "desk-1"
        assert ids(distributor, "/usage/chunks?external_id=desk-1") == [CHUNK]
        for body in (
            {},
            {"external_id": None},
            {"external_id": 7},
            {"external_id": []},
            {"external_id": "x" * 201},
        ):
            refused(distributor.put(path, body), 400)
        assert distributor.get(path).json["external_id"] == "desk-1"

    def test_closing_a_chunk_closes_its_records_and_the_file(self, distributor: Caller) -> None:
        path, body = f"/usage/chunks/{CHUNK}", {"external_billing_id": "INV-9"}
        for wrong in (
            {},
            {"external_billing_id": None},
            {"external_billing_id": 9},
            {**body, "external_billing_note": []},
        ):
            refused(distributor.post(f"{path}/close", wrong), 400)
        assert distributor.get(path).json["status"] == "ready"
        assert ids(distributor, "/usage/chunks?status=ready") == [CHUNK]
        assert distributor.post(f"{path}/regenerate").json["outdated"] is False
        closed = distributor.post(f"{path}/close", {**body, "external_billing_note": "May."})
        assert (closed.status, closed.json["status"]) == (200, "closed"), closed
        stats = closed.json["stats"]
        assert stats["accepted"] == 0
        assert stats["closed"] == stats["billed"] == stats["uploaded"] > 0
        assert closed.json["events"]["closed"]["at"]
        records = distributor.get(f"/usage/records?usagefile.id={ACCEPTED}").json
        assert {r["external_billing_id"] for r in records if r["status"] == "closed"} == {"INV-9"}
        assert distributor.get(f"/usage/files/{ACCEPTED}").json["status"] == "closed"
        message = f"{CHUNK} is closed. Only ready chunks can be closed."
        refused(distributor.post(f"{path}/close", body), 400, message)
        refused(distributor.post(f"{path}/regenerate"), 400)
        assert ids(distributor, "/usage/chunks?status=ready") == []
        assert CHUNK in ids(distributor, "/usage/chunks?in(status,(closed,failed))")

    def test_download_has_the_records_of_the_chunk(self, vendor: Caller) -> None:
        kind, workbook = content(vendor, f"/usage/chunks/{CHUNK}/download")
        assert kind == XLSX
        header, *rows = sheet(workbook)
        records = UsageRecord.objects.filter(file=ACCEPTED, status__in=("approved", "closed"))
        assert {row[header.index("record_id")] for row in rows} == set(
            records.values_list("pk", flat=True)
        )

    def test_many_chunks_take_few_queries(
        self, distributor: Caller, django_assert_max_num_queries: Any
    ) -> None:
        file = UsageFile.objects.get(pk=ACCEPTED)
        hub = Hub.objects.get(pk="HB-7710-3391")
        for n in range(20):
            fresh = Hub.objects.create(
                pk=f"HB-0002-{n:04d}",
                name=f"Hub {n}",
                company=hub.company,
                created=hub.created,
                updated=hub.updated,
            )
            UsageChunk.objects.create(pk=f"UFC-0-{n}", file=file, hub=fresh, created=file.created)
        with django_assert_max_num_queries(12):
            assert len(distributor.get("/usage/chunks").json) > 20


class TestReconciliations:
    RECORDS = (f"UR-{ACCEPTED[3:]}-0000-0002", f"UR-{ACCEPTED[3:]}-0000-0003")

    def test_upload_closes_the_named_records(self, vendor: Caller, distributor: Caller) -> None:
        response = upload(distributor, f"{self.RECORDS[0]},INV-1", note="Of May.")
        assert response.status == 201, response
        body = response.json
        assert (body["status"], body["usagefile"]["id"]) == ("processed", ACCEPTED)
        assert (body["notes"]["uploaded"], body["partusagefile"]["id"]) == ("Of May.", CHUNK)
        assert body["binding"]["hub"]["id"] == "HB-7710-3391"
        record = distributor.get(f"/usage/records/{self.RECORDS[0]}").json
        assert (record["status"], record["external_billing_id"]) == ("closed", "INV-1")
        path = f"/usage/reconciliations/{body['id']}"
        assert vendor.get(path).json == body
        for query in (
            f"usagefile.id={ACCEPTED}",
            f"partusagefile.id={CHUNK}",
            f"and(eq(binding.hub.id,HB-7710-3391),eq(usagefile.id,{ACCEPTED}))",
        ):
            assert ids(distributor, f"/usage/reconciliations?{query}") == [body["id"]], query
        kind, sent = content(distributor, f"{path}/uploadedfile")
        assert (kind, b"INV-1" in sent) == ("text/csv", True)
        kind, processed = content(distributor, f"{path}/processedFile")
        assert kind == XLSX
        header, row = sheet(processed)
        assert dict(zip_longest(header, row)) == {
            "record_id": self.RECORDS[0],
            "status": "closed",
            "external_billing_id": "INV-1",
            "external_billing_note": None,
        }

    def test_upload_to_the_file_creates_a_reconciliation(self, distributor: Caller) -> None:
        before = ids(distributor, "/usage/reconciliations")
        content = f"record_id,external_billing_id\n{self.RECORDS[0]},INV-1\n".encode()
        path = f"/usage/files/{ACCEPTED}/reconciliation"
        assert sheets.send(distributor, path, content, "recon_file", "b.csv").status == 200
        assert len(ids(distributor, "/usage/reconciliations")) == len(before) + 1

    def test_upload_is_refused_as_a_whole(self, vendor: Caller, distributor: Caller) -> None:
        before = ids(distributor, "/usage/reconciliations")
        refused(upload(vendor, f"{self.RECORDS[0]},INV-1"), 403)
        refused(
            upload(distributor, "UR-0,INV-1"),
            400,
            "recon_file: No row names a record of an accepted usage file.",
        )
        # Records of a file that is not accepted, and an invalid row next to a valid one.
        refused(upload(distributor, f"UR-{PENDING[3:]}-0000-0002,INV-1"), 400)
        refused(upload(distributor, f"{self.RECORDS[0]},INV-1", "UR-0,INV-2"), 400)
        refused(upload(distributor, f"{self.RECORDS[0]},INV-1", note="x" * 201), 400)
        assert distributor.get(f"/usage/records/{self.RECORDS[0]}").json["status"] == "approved"
        assert ids(distributor, "/usage/reconciliations") == before

    def test_rows_of_two_files_are_refused(self, distributor: Caller) -> None:
        assert distributor.post(f"/usage/files/{PENDING}/accept", {}).status == 200
        other = f"UR-{PENDING[3:]}-0000-0002"
        message = "recon_file: The rows belong to several usage files. Upload one for each."
        refused(upload(distributor, f"{self.RECORDS[0]},INV-1", f"{other},INV-1"), 400, message)

    def test_records_of_another_distributor_count_as_missing(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        stranger = caller(other.provider)
        response = upload(stranger, f"{self.RECORDS[0]},INV-1")
        assert response.json == upload(stranger, "UR-0,INV-1").json
        refused(response, 400)

    def test_demo_data_has_a_reconciliation_of_the_closed_file(self, distributor: Caller) -> None:
        [row] = distributor.get(f"/usage/reconciliations?usagefile.id={CLOSED}").json
        assert row["notes"]["uploaded"] == "Invoices of the month."


class TestAggregates:
    def test_usage_is_summed_by_item_and_subscription(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        rows = distributor.get("/usage/aggregates").json
        assert rows == vendor.get("/usage/aggregates").json
        assert rows
        row = rows[0]
        records = UsageRecord.objects.filter(
            asset=row["asset"]["id"],
            item=row["item"]["id"],
            file__status__in=("pending", "accepted", "closed"),
        )
        counted = [r for r in records if r.status != "rejected"]
        assert row["consumed"] == round(sum(r.quantity for r in counted))
        assert row["amount"] == sum(float(r.amount or 0) for r in counted)
        accepted = [r for r in counted if r.file.status in ("accepted", "closed")]
        assert row["accepted"] == round(sum(r.quantity for r in accepted))
        assert 0 < row["accepted"] < row["consumed"]
        assert row["currency"] == "USD"
        reported = {r.file.events["submitted"]["at"] for r in counted}
        assert row["events"]["last_reported"]["at"] == max(reported)

    def test_rejected_and_unsubmitted_files_do_not_count(self, distributor: Caller) -> None:
        before = distributor.get("/usage/aggregates").json
        assert distributor.post(f"/usage/files/{PENDING}/reject", {}).status == 200
        after = distributor.get("/usage/aggregates").json
        assert [row["accepted"] for row in after] == [row["accepted"] for row in before]
        assert all(row["consumed"] == row["accepted"] for row in after)

    def test_aggregates_are_filtered_and_paged(self, distributor: Caller) -> None:
        rows = distributor.get("/usage/aggregates").json
        asset, item = rows[0]["asset"], rows[0]["item"]
        for query in (
            f"asset.id={asset['id']}",
            f"eq(asset.external_uid,{asset['external_uid']})",
            f"in(asset.id,({asset['id']},AS-0))",
        ):
            assert distributor.get(f"/usage/aggregates?{query}").json == [rows[0]], query
        for query in (
            f"item.id={item['id']}",
            f"item.local_id={item['local_id']}",
            "item.type=PPU",
        ):
            assert distributor.get(f"/usage/aggregates?{query}").json == rows, query
        assert distributor.get("/usage/aggregates?item.type=Reservation").json == []
        for row in rows:
            path = f"/assets/{row['asset']['id']}/usage/aggregates"
            assert row in distributor.get(path).json
            assert distributor.get(f"{path}?item.type=Reservation").json == []
        refused(distributor.get("/assets/AS-0000-0000-0000/usage/aggregates"), 404)
        page = distributor.get("/usage/aggregates?limit=1&offset=1")
        assert page.json == [rows[1]]
        assert page.headers["Content-Range"] == f"items 1-1/{len(rows)}"
        assert distributor.get("/usage/aggregates?ordering(-asset.id)").json == rows[::-1]
        refused(distributor.get("/usage/aggregates?eq(amount,1)"), 400)
