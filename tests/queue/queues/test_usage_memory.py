"""The memory that processes need to read and process large and hostile spreadsheets, and keep."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.marks import nightly
from tests.processes import ROOT

# Limits of the additional memory: while spreadsheets are read, and afterwards.
BOUND, KEPT = 100, 20

MIB = 1024 * 1024
HEADER = (
    "record_id,item_search_criteria,item_search_value,quantity,start_time_utc,end_time_utc,"
    "asset_search_criteria,asset_search_value"
)
ROW = "r-{n},item.mpn,M-SEAT,3,2026-11-01,2026-11-02,asset.id,AS-0000-0000-0001"
SHEET, STRINGS, STYLES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"
LINKS = "xl/_rels/workbook.xml.rels"
END = b"</sheetData>"


def csv(columns: int = 8, rows: int = 49_999, filler: str = "7") -> bytes:
    """Return a CSV with this number of columns and valid rows."""
    more = columns - 8
    lines = [HEADER + "".join(f",v.{n}" for n in range(more))]
    lines += [ROW.format(n=n) + f",{filler}" * more for n in range(rows)]
    return "\n".join(lines).encode()


def xlsx(part: str = "", old: bytes = b"", new: bytes = b"", strings: bytes = b"") -> bytes:
    """Return a valid workbook with a text of one part replaced, and with shared strings."""
    from openpyxl import Workbook

    book = Workbook()
    sheet: Any = book.active
    sheet.title = "records"
    for line in (HEADER, ROW.format(n=1)):
        sheet.append(line.split(","))
    good, workbook = io.BytesIO(), io.BytesIO()
    book.save(good)
    with (
        zipfile.ZipFile(good) as source,
        zipfile.ZipFile(workbook, "w", zipfile.ZIP_DEFLATED) as to,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == part:
                assert old in content, (part, content[-200:])
                content = content.replace(old, new, 1)
            if name == LINKS and strings:
                link = b'<Relationship Id="x" Type="x/sharedStrings" Target="sharedStrings.xml"/>'
                content = content.replace(b"</Rel", link + b"</Rel")
            to.writestr(name, content)
        if strings:
            to.writestr(STRINGS, b"<sst>" + strings + b"</sst>")
    return workbook.getvalue()


def rows(inside: bytes) -> bytes:
    """Return a valid workbook with more content in its sheet."""
    return xlsx(SHEET, END, inside + END)


def largest() -> bytes:
    """Return a valid workbook with as many rows, elements and texts as possible."""
    cells = b"".join(
        b'<c t="inlineStr"><is><t>%s</t></is></c>' % value.encode()
        for value in ROW.format(n="%d").split(",")
    )
    lines = b"".join(
        b"<row>" + cells % n + b"<c><v>7</v></c>" * 8 + b"</row>" for n in range(2, 50_000)
    )
    strings = b"".join(b"<si><t>A text that is used, %d</t></si>" % n for n in range(400_000))
    return xlsx(SHEET, END, lines + END, strings)


def random_bytes() -> bytes:
    """Return a valid workbook as large as an upload may be."""
    workbook = io.BytesIO(xlsx())
    with zipfile.ZipFile(workbook, "a") as archive:
        archive.writestr("xl/media/image1.png", hashlib.shake_128().digest(19 * MIB))
    return workbook.getvalue()


KINDS: dict[str, Any] = {
    "a first line of commas": lambda: b"," * (19 * MIB) + b"\n1\n",
    "a second line of commas": lambda: HEADER.encode() + b"\n" + b"," * (18 * MIB) + b"\n1\n",
    "one row of many lines": lambda: HEADER.encode() + b"\n" + (b"," * 50 + b'"\n"') * 350_000,
    "one long cell": lambda: HEADER.encode() + b"\n" + b"x" * (19 * MIB),
    "100 columns": lambda: csv(100),
    "50 columns": lambda: csv(50),
    "long cells": lambda: csv(10, filler="x" * 140),
    "astral cells": lambda: csv(9, filler="\U0001f600" * 60),
    "empty rows": lambda: rows(b"<row/>" * 5_000_000),
    "empty cells": lambda: rows(b'<row r="9">' + b"<c/>" * 5_000_000 + b"</row>"),
    "a long text": lambda: rows(
        b'<row r="9"><c r="A9" t="inlineStr"><is><t>' + b"x" * (90 * MIB) + b"</t></is></c></row>"
    ),
    "a long attribute": lambda: rows(b'<row r="9" x="' + b"x" * (90 * MIB) + b'"/>'),
    # A sheet without a declared size is read to the end.
    "no size": lambda: xlsx(SHEET, b'<dimension ref="A1:H2" />', b"<c/>" * 5_000_000),
    "nested rows": lambda: rows(b"<row>" * 2_500_000 + b"</row>" * 2_500_000),
    "nested rows and cells": lambda: rows((b"<row>" + b"<c/>" * 4) * 900_000 + b"</row>" * 900_000),
    "nested strings": lambda: xlsx(strings=b"<si><r>" * 900_000 + b"</r></si>" * 900_000),
    "many strings": lambda: xlsx(strings=b"<si><t>ab</t></si>" * 1_400_000),
    "names": lambda: rows(b"".join(b"<row a%x='' b%x=''/>" % (n, n) for n in range(900_000))),
    "comments": lambda: rows(b"<!--" + (b"<" + b"a" * 900_000) * 95 + b"-->"),
    "long cells of a workbook": lambda: rows(
        (b"<row>" + (b'<c t="inlineStr"><is><t>' + b"x" * 3990 + "\U0001f600".encode()
                     + b"</t></is></c>") * 8 + b"</row>") * 3000
    ),
    "largest": largest,
    "random bytes": random_bytes,
    "merged cells": lambda: xlsx(SHEET, END, END + b"<mergeCells>" + b"<mergeCell/>" * 3_000_000
                                 + b"</mergeCells>"),
    "formats": lambda: xlsx(STYLES, b"</cellXfs>", b"<xf/>" * 2_000_000 + b"</cellXfs>"),
}  # fmt: skip


COLUMNS = "The sheet has more than 50 columns"
LONG = " is longer than 1048576 characters. A sheet may have 50 columns"
ROWS = "The sheet has more than 50000 rows"
COMPLEX = "The workbook is too complex"
READ = {
    "a first line of commas": f"Line 1 of the CSV{LONG}",
    "a second line of commas": f"Line 2 of the CSV{LONG}",
    "one row of many lines": "of the CSV is longer than 1048576 characters",
    "one long cell": f"Line 2 of the CSV{LONG}",
    "100 columns": COLUMNS,
    "long cells": "49999 rows",
    "astral cells": "49999 rows",
    "empty rows": ROWS,
    "empty cells": COMPLEX,
    "a long text": f"A row of the sheet{LONG}",
    "a long attribute": COMPLEX,
    "no size": COMPLEX,
    "nested rows": COMPLEX,
    "nested rows and cells": COMPLEX,
    "nested strings": COMPLEX,
    "many strings": COMPLEX,
    "names": COMPLEX,
    "comments": COMPLEX,
    "long cells of a workbook": "3001 rows",
    "largest": "49999 rows",
    "random bytes": "1 rows",
    "merged cells": COMPLEX,
    "formats": COMPLEX,
}


def measured(folder: Path, how: str, *kinds: str) -> list[dict[str, Any]]:
    """Return the measurements of spreadsheets in a separate process."""
    files = []
    for number, kind in enumerate(kinds):
        files.append(folder / str(number))
        files[-1].write_bytes(KINDS[kind]())
    done = subprocess.run(
        [sys.executable, "-m", "tests.queue.catalog.spreadsheet_memory", how, *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


# Small files that took hundreds of MiB, in a run of each commit.
SMALL = ("nested rows", "nested rows and cells", "nested strings", "names")


@pytest.mark.parametrize("how", ["read", nightly("import", reason="reads by the same module")])
def test_small_files_take_little_memory(tmp_path: Path, how: str) -> None:
    for one in measured(tmp_path, how, *SMALL):
        assert COMPLEX in one["result"] or how == "import", one
        assert one["extra_mib"] < BOUND / 4 and one["kept_mib"] < KEPT, one


@pytest.mark.nightly(reason="measures memory with files of the largest size")
def test_reading_takes_bounded_memory_and_returns_it(tmp_path: Path) -> None:
    rows = measured(tmp_path, "read", *READ)
    for kind, one in zip(READ, rows, strict=True):
        assert READ[kind] in one["result"], (kind, one)
        # Including the bytes of the file.
        assert one["extra_mib"] < BOUND and one["kept_mib"] < KEPT, (kind, one)


@pytest.mark.nightly(reason="measures memory with files of the largest size")
@pytest.mark.parametrize("kind", ["largest", "many strings", "random bytes", "astral cells"])
def test_six_files_at_once_take_the_memory_of_one(tmp_path: Path, kind: str) -> None:
    [result] = measured(tmp_path, "six", kind)
    assert result["extra_mib"] < BOUND and result["kept_mib"] < KEPT, result


@pytest.mark.nightly(reason="measures memory with files of the largest size")
def test_a_refused_upload_takes_bounded_memory(tmp_path: Path) -> None:
    [result] = measured(tmp_path, "process", "a first line of commas")
    assert result["result"].startswith(f"invalid 0 Line 1 of the CSV{LONG}"), result
    assert result["extra_mib"] < BOUND, result


@pytest.mark.nightly(reason="measures memory with files of the largest size")
@pytest.mark.parametrize("kind", ["50 columns", "long cells", "largest"])
def test_processing_takes_bounded_memory(tmp_path: Path, kind: str) -> None:
    [result] = measured(tmp_path, "process", kind)
    assert result["result"].split()[1] == "49999"
    assert result["extra_mib"] < BOUND, result
