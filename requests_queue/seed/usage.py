"""Usage files of a pay-as-you-go item with their records, in every status.

Files in `uploading` and `processing` stay there as examples: they have no lease, so no worker
processes them.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset, Contract, Item, Product, User
from requests_queue.queues.usage_file import (
    chunks,
    effects,
    reconciliations,
    records,
    samples,
)
from requests_queue.queues.usage_file.checking import record_pk
from requests_queue.queues.usage_file.models import StoredFile, UsageFile, UsageRecord
from requests_queue.seed.accounts import (
    CONTRACT,
    DISTRIBUTOR_USER,
    MARKETPLACE,
    PROVIDER,
    VENDOR,
    VENDOR_USER,
)
from requests_queue.seed.products import SUITE
from requests_queue.seed.rows import add_missing

# The last digits of the id, status, months before the first seed, names of its events.
_FILES: tuple[tuple[str, str, int, str], ...] = (
    ("3391-0001", "closed", 5, "created uploaded submitted accepted closed"),
    ("3391-0002", "accepted", 4, "created uploaded submitted accepted"),
    ("3391-0003", "rejected", 3, "created uploaded submitted rejected"),
    ("3391-0004", "pending", 2, "created uploaded submitted"),
    ("3391-0005", "ready", 1, "created uploaded"),
    ("3391-0006", "uploaded", 1, "created uploaded"),
    ("3391-0007", "invalid", 1, "created uploaded"),
    ("3391-0008", "processing", 0, "created uploaded"),
    ("3391-0009", "uploading", 0, "created uploaded"),
    ("3391-0010", "draft", 0, "created"),
    ("3391-0011", "deleted", 0, "created deleted"),
)
_RECORD_STATUS = {"closed": "closed", "accepted": "approved", "rejected": "rejected"}
_EMPTY = ("draft", "deleted", "uploading")
_UNKNOWN: dict[str, str] = {
    "column": "item_search_value",
    "code": "USG_011",
    "message": "The product has no item with item.mpn NSS-DESK-OLD.",
    "raw_value": "NSS-DESK-OLD",
}


def add_usage(at: datetime) -> dict[str, int]:
    """Add missing files with their records and contents."""
    added = dict.fromkeys(
        ("usage files", "usage records", "usage contents", "usage chunks", "reconciliations"), 0
    )
    product = Product.objects.filter(pk=SUITE, owner=VENDOR).first()
    contract = Contract.objects.filter(pk=CONTRACT).first()
    item = Item.objects.filter(product=SUITE, type="PPU").first()
    assets = list(
        Asset.objects.filter(product=SUITE, contract=CONTRACT, status="active").order_by("pk")[:3]
    )
    if not product or not contract or not item or not assets:
        return added
    people = {u.uid: u for u in User.objects.filter(uid__in=(VENDOR_USER, DISTRIBUTOR_USER))}
    existing = set(UsageFile.objects.values_list("pk", flat=True))
    files = [
        file
        for digits, status, months, history in _FILES
        if (file := _file(digits, status, _month(at, months), history.split(), people)).pk
        not in existing
    ]
    for file in files:
        file.schema = str(product.capability("ppu.schema") or "qt").lower()
    added["usage files"] = add_missing(files)
    filled = [file for file in files if file.status not in _EMPTY]
    rows = [row for file in filled for row in _records(file, item, assets)]
    added["usage records"] = add_missing(rows)
    contents = [content for file in filled for content in _contents(file, assets)]
    added["usage contents"] = len(StoredFile.objects.bulk_create(contents))
    for file in filled:
        records.recount(file.pk)
        if "accepted" in file.events:
            chunks.create(file, file.created + timedelta(hours=3))
            added["usage chunks"] += file.chunks.count()
        if file.status == "closed":
            _reconcile(file)
            added["usage contents"] += 1
            added["reconciliations"] += 1
    return added


def _reconcile(file: UsageFile) -> None:
    """Store the spreadsheet by which the distributor closed a file's records."""
    rows = file.records.order_by("row").values_list("pk", "external_billing_id")
    text = "record_id,external_billing_id\n" + "".join(f"{pk},{bill}\n" for pk, bill in rows)
    content, at = text.encode(), file.updated
    StoredFile.objects.create(
        file=file, kind=StoredFile.RECONCILIATION, name="billed.csv", content=content, created=at
    )
    event = file.events["closed"]
    reconciliations.create(
        file,
        "billed.csv",
        content,
        reconciliations.read(content),
        event,
        "Invoices of the month.",
        at,
    )


def _month(at: datetime, before: int) -> datetime:
    """Return the first day of the month so many months earlier."""
    months = at.year * 12 + at.month - 1 - before
    return at.replace(
        year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )


def _file(
    digits: str, status: str, month: datetime, history: list[str], people: dict[str, User]
) -> UsageFile:
    last = _month(month, -1) - timedelta(days=1)
    created = clock.shown(month + timedelta(hours=9))
    events = {}
    for number, name in enumerate(history):
        uid = (
            VENDOR_USER
            if name in ("created", "uploaded", "submitted", "deleted")
            else (DISTRIBUTOR_USER)
        )
        actor = Actor(people.get(uid), None)
        events[name] = effects.event(actor, created + timedelta(hours=number))
    busy = status in ("uploading", "processing")
    return UsageFile(
        id=f"UF-2026-01-{digits}",
        status=status,
        product_id=SUITE,
        vendor_id=VENDOR,
        provider_id=PROVIDER,
        marketplace_id=MARKETPLACE,
        contract_id=CONTRACT,
        currency="USD",
        name=f"Security desk, {month:%B %Y}",
        description="Hours of the security desk, as used.",
        external_id=f"desk-{month:%Y-%m}-{digits[-2:]}",
        environment="test",
        period_from=month.date(),
        period_to=last.date(),
        events=events,
        acceptance_note="Billed with the next invoice." if "accepted" in history else "",
        rejection_note="Two customers are counted twice." if status == "rejected" else "",
        error_detail=f"1 row is invalid. Row 2, {_UNKNOWN['column']}: {_UNKNOWN['message']}"
        if status == "invalid"
        else "",
        sub_status="" if status in ("draft", "deleted") else "processing" if busy else "processed",
        created=created,
        updated=clock.shown(created + timedelta(hours=len(history) - 1)),
    )


def _records(file: UsageFile, item: Item, assets: list[Asset]) -> list[UsageRecord]:
    start, end = (
        datetime.fromisoformat(f"{d}T00:00:00+00:00") for d in (file.period_from, file.period_to)
    )
    end += timedelta(hours=23, minutes=59, seconds=59)
    status = _RECORD_STATUS.get(file.status, "valid")
    rows = []
    for number, asset in enumerate(assets, 1):
        wrong = file.status == "invalid" and number == 1
        more: dict[str, Any] = {}
        if status == "closed":
            more = {
                "external_billing_id": f"INV-{file.pk[-4:]}-{number}",
                "closed_at": file.updated,
                "closed_by": "jonas.berg@northland.example.com",
            }
        rows.append(
            UsageRecord(
                id=record_pk(file.pk, number + 1),
                file=file,
                row=number + 1,
                status="invalid" if wrong else status,
                record_id=f"{start:%Y-%m}-{asset.pk}",
                record_note="Hours as used",
                item_search_criteria="item.mpn",
                item_search_value=_UNKNOWN["raw_value"] if wrong else item.mpn,
                asset_search_criteria="asset.id",
                asset_search_value=asset.pk,
                item=None if wrong else item,
                asset=asset,
                quantity=Decimal(f"{12.5 * number:.2f}"),
                amount=Decimal(25 * number),
                tier=0,
                category="general",
                start_date=start,
                end_date=end,
                errors=[_UNKNOWN] if wrong else [],
                **more,
            )
        )
    return rows


def _contents(file: UsageFile, assets: list[Asset]) -> list[StoredFile]:
    """Return the upload and the processed file.

    Making workbooks would take a tenth of a first start: uploads are CSV, and a processed file is
    made when it is downloaded.
    """
    last = file.period_to
    if last is None:
        return []
    upload = io.StringIO()
    csv.writer(upload).writerows(samples.build_rows(assets, f"{last:%Y-%m}", last.day))
    contents = [(StoredFile.UPLOAD, "desk.csv", upload.getvalue().encode())]
    if file.sub_status == "processed":
        contents.append((StoredFile.PROCESSED, f"{file.pk}-processed.xlsx", b""))
    return [
        StoredFile(file=file, kind=kind, name=name, content=content, created=file.updated)
        for kind, name, content in contents
    ]
