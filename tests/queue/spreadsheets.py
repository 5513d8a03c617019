"""Usage spreadsheets for tests: the smallest that are valid, and multipart bodies with them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from openpyxl import Workbook

from tests import make
from tests.api import Caller, Response

# Long: a workbook is compressed, and may have any few bytes.
_BOUNDARY = "boundary-of-the-tests"

HEADER = (
    "record_id", "record_note", "item_search_criteria", "item_search_value", "quantity",
    "start_time_utc", "end_time_utc", "asset_search_criteria", "asset_search_value", "amount",
    "category_id", "tier",
)  # fmt: skip
ASSET = "AS-0000-0000-0001"


def row(n: int = 1, **more: Any) -> dict[str, Any]:
    """Return the cells of a valid row."""
    return {
        "record_id": f"r-{n}",
        "record_note": "Counted",
        "item_search_criteria": "item.mpn",
        "item_search_value": "M-SEAT",
        "quantity": 3,
        "start_time_utc": "2026-11-01 00:00:00",
        "end_time_utc": "2026-11-02 00:00:00",
        "asset_search_criteria": "asset.id",
        "asset_search_value": ASSET,
        "amount": 4.5,
        **more,
    }


def table(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Return header and rows; columns that HEADER lacks are appended."""
    header = [*HEADER, *dict.fromkeys(k for r in rows for k in r if k not in HEADER)]
    return [header, *([r.get(name) for name in header] for r in rows)]


def xlsx(rows: Sequence[Sequence[Any]], sheet: str = "records", **others: Any) -> bytes:
    """Return a workbook with the rows in a sheet, and other sheets by name."""
    book = Workbook()
    book.active.title = sheet
    for line in rows:
        book.active.append(list(line))
    for name, lines in others.items():
        more = book.create_sheet(name)
        for line in lines:
            more.append(list(line))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def csv(rows: Sequence[Sequence[Any]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Return the rows as text."""
    lines = [delimiter.join("" if v is None else str(v) for v in line) for line in rows]
    return "\r\n".join(lines).encode(encoding)


def send(
    caller: Caller, path: str, content: bytes, field: str = "usage_file", name: str = "usage.xlsx"
) -> Response:
    """Post a file as a multipart form."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    body = (
        f"--{_BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    )
    return caller.post(path, body, **{"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})


def catalog(digit: str = "1", **capabilities: Any) -> make.Catalog:
    """Make a platform with an active subscription that can have usage."""
    catalog = make.catalog(digit, capabilities)
    make.asset(
        catalog,
        int(digit),
        external_id="ext-1",
        external_uid=f"uid-{digit}",
        params=[{"id": "tenant", "value": f"t-{digit}"}],
    )
    return catalog


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive with these parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()
