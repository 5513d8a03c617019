"""Usage files: uploaded as a workbook and as text, processed, accepted or rejected, and closed."""

import os
import time
from pathlib import Path

import requests
from common import SUITE
from either import CONTRACT, KIND, distributor, ids, refused, result, rows, status_of, vendor

FILES = vendor.ns("usage").files
THEIRS = distributor.ns("usage").files
HEADER = (
    "record_id", "item_search_criteria", "item_search_value", "quantity", "start_time_utc",
    "end_time_utc", "asset_search_criteria", "asset_search_value", "amount",
)  # fmt: skip


def _csv(*records):
    """Return text with a row of usage for each (number, subscription, MPN)."""
    lines = [
        (
            f"{KIND}-{number}", "item.mpn", mpn, "12.5", "2026-10-01 00:00:00",
            "2026-10-31 23:59:59", "asset.id", asset, "25",
        )
        for number, asset, mpn in records
    ]  # fmt: skip
    return "\r\n".join(",".join(line) for line in (HEADER, *lines)).encode()


async def _draft(name):
    return await result(FILES.create({
        "name": f"{name} ({KIND})", "product": {"id": SUITE}, "contract": {"id": CONTRACT},
        "period": {"from": "2026-10-01", "to": "2026-10-31"}, "description": "Hours of the desk.",
    }))  # fmt: skip


async def _upload(pk, name, content):
    """Upload with the client, whose keyword arguments are those of its HTTP library."""
    response = await result(FILES[pk]("upload").post(files={"usage_file": (name, content)}))
    return response, status_of(vendor)


async def _processed(pk):
    """Poll until the file is read, as published clients do."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        file = await result(FILES[pk].get())
        if file["status"] not in ("uploading", "processing"):
            return file
    raise AssertionError(f"{pk} is still {file['status']}")


async def _assets(count):
    assets = vendor.assets.filter(product__id=SUITE, status="active").order_by("id")
    return [row["id"] for row in (await rows(assets))[:count]]


async def accepted():
    """Upload a workbook, submit it, have it accepted, and close it."""
    draft = await _draft("October")
    pk = draft["id"]
    uploaded, status = await _upload(pk, "usage.xlsx", Path(os.environ["XLSX"]).read_bytes())
    ready = await _processed(pk)
    edited = await result(FILES[pk].update({"note": "Checked."}))
    submitted = await result(FILES[pk]("submit").post())
    not_theirs = await refused(lambda: FILES[pk]("accept").post({"acceptance_note": "Mine."}))
    taken = await result(THEIRS[pk]("accept").post({"acceptance_note": "Billed."}))
    closed = await result(THEIRS[pk]("close").post())
    link = (await result(vendor.ns("usage").products[SUITE]("template").get()))["template_link"]
    form = requests.get(link, timeout=10)
    return {
        "created": draft, "uploaded": uploaded, "upload_status": status, "ready": ready,
        "edited": edited, "submitted": submitted, "not_theirs": not_theirs, "accepted": taken,
        "closed": closed, "template": [form.status_code, form.content[:2].decode("latin-1")],
        "upload_again": await refused(lambda: FILES[pk]("upload").post(
            files={"usage_file": ("usage.csv", _csv())}
        )),
    }  # fmt: skip


async def rejected():
    """Upload text with a wrong row, correct it, submit, and have it rejected; delete another."""
    (asset,) = await _assets(1)
    pk = (await _draft("September"))["id"]
    await _upload(pk, "usage.csv", _csv((1, asset, "NSS-DESK-PPU"), (2, "AS-0", "NSS-DESK-PPU")))
    invalid = await _processed(pk)
    wrong = await rows(FILES[pk].errors.all())
    await _upload(pk, "usage.csv", _csv((1, asset, "NSS-DESK-PPU")))
    # Right after the upload: the submit waits for the processing.
    submitted = await result(FILES[pk]("submit").post())
    rejection = await result(THEIRS[pk]("reject").post({"rejection_note": "Counted twice."}))
    gone = (await _draft("Never"))["id"]
    not_theirs = await refused(lambda: THEIRS[gone]("delete").post())
    return {
        "invalid": invalid, "wrong": wrong, "submitted": submitted, "rejected": rejection,
        "deleted": await result(FILES[gone]("delete").post()),
        "not_theirs": not_theirs, "rejected_files": await ids(FILES.filter(status="rejected")),
    }  # fmt: skip


async def records():
    """Close an accepted file record by record, in bulk, and the last one by itself."""
    one, other = await _assets(2)
    pk = (await _draft("August"))["id"]
    used = [(number, asset, "NSS-DESK-PPU") for number, asset in enumerate((one, one, other))]
    await _upload(pk, "usage.csv", _csv(*used))
    await result(FILES[pk]("submit").post())
    await result(THEIRS[pk]("approve-all").put())
    await result(THEIRS[pk]("accept").post({"acceptance_note": "Billed."}))
    collection = distributor.ns("usage").records
    records = await rows(collection.filter(usagefile__id=pk).order_by("id"))
    first, second, last = (row["id"] for row in records)
    body = {"external_billing_id": "INV-1", "external_billing_note": "Paid."}
    closed = await result(collection[first]("close").post(body))
    many = await result(collection("close-records").post([{"id": second}, {"id": "UR-0"}]))
    many_status = status_of(distributor)
    before = await result(THEIRS[pk].get())
    await result(collection[last]("close").post(body))
    return {
        "records": records, "closed": closed, "many": many, "many_status": many_status,
        "before": before, "after": await result(THEIRS[pk].get()),
        "of_vendor": await result(vendor.ns("usage").records.filter(usagefile__id=pk).count()),
        "of_asset": await result(
            collection.filter(usagefile__id=pk, asset__id=one, status="closed").count()
        ),
    }  # fmt: skip
