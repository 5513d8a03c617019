"""The streaming reader of workbooks: the same values as openpyxl's, and limits of the whole."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from openpyxl import load_workbook

from requests_queue.catalog.spreadsheets import workbook_reader
from requests_queue.catalog.spreadsheets.limits import Unreadable
from requests_queue.catalog.spreadsheets.workbook_reader import FORMULA, ErrorValue, Workbook
from tests.queue.spreadsheets import zipped

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
BOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
STRINGS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
# openpyxl requires them.
PLAIN = 'fontId="0" fillId="0" borderId="0" xfId="0"'
STYLES = "".join(f'<xf numFmtId="{n}" {PLAIN}/>' for n in (0, 14, 164, 165, 166))
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{BOOK}"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{STRINGS}"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{SHEET}"/></Types>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr/><sheets>'
    '<sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="/xl/styles.xml"/>'
    f'<Relationship Id="rId3" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    "</Relationships>",
    "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}"><si><t>plain &amp; é</t></si>'
    '<si><r><rPr><b/></rPr><t>bold</t></r><r><t xml:space="preserve"> and not</t></r>'
    '<rPh sb="0" eb="1"><t>spoken</t></rPh></si><si/><si><t>_x005F_x</t></si></sst>',
    "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts>'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd hh:mm"/>'
    '<numFmt numFmtId="165" formatCode="0.00 &quot;days&quot;"/>'
    '<numFmt numFmtId="166" formatCode="[h]:mm"/></numFmts>'
    '<fonts><font/></fonts><fills><fill><patternFill/></fill></fills><borders><border/></borders>'
    f'<cellStyleXfs><xf numFmtId="14" {PLAIN}/></cellStyleXfs><cellXfs>'
    f"{STYLES}</cellXfs></styleSheet>",
}  # fmt: skip
CELLS = {
    "shared string": '<c t="s"><v>0</v></c>',
    "formatted string": '<c t="s"><v>1</v></c>',
    "empty string": '<c t="s"><v>2</v></c>',
    "escaped string": '<c t="s"><v>3</v></c>',
    "inline string": '<c t="inlineStr"><is><t>x</t></is></c>',
    "formatted inline string": '<c t="inlineStr"><is><r><t>x</t></r><r><t>y</t></r></is></c>',
    "string of a formula": '<c t="str"><f>A1</f><v>x</v></c>',
    "number of a formula": "<c><f>1+1</f><v>2</v></c>",
    "formula without a value": "<c><f>1+1</f></c>",
    "number": "<c><v>12</v></c>",
    "negative number": '<c t="n"><v>-1.5</v></c>',
    "exponent": "<c><v>1E-2</v></c>",
    "true": '<c t="b"><v>1</v></c>',
    "false": '<c t="b"><v>0</v></c>',
    "error": '<c t="e"><v>#N/A</v></c>',
    "ISO date": '<c t="d"><v>2026-11-30T10:00:00</v></c>',
    "date": '<c s="1"><v>45000</v></c>',
    "time": '<c s="2"><v>45000.25</v></c>',
    "text in a format": '<c s="3"><v>45000</v></c>',
    "duration": '<c s="4"><v>1.5</v></c>',
    "date out of range": '<c s="1"><v>1e10</v></c>',
    "unknown style": '<c s="99"><v>5</v></c>',
    "empty": "<c/>",
}


def book(rows: str, root: str = "worksheet", **parts: str) -> bytes:
    """Return a workbook with these rows, and other parts in place of those of PARTS."""
    sheet = f'<{root} xmlns="{MAIN}" xmlns:x="{MAIN}"><sheetData>{rows}</sheetData></{root}>'
    content = {**PARTS, "xl/worksheets/sheet1.xml": sheet, **parts}
    return zipped({name: text.encode() for name, text in content.items()})


def values(content: bytes, **options: Any) -> list[tuple[int, list[Any]]]:
    return list(Workbook(content).rows("One", 9, **options))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("date1904", ["0", "1"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_are_those_of_openpyxl(kind: str, date1904: str) -> None:
    settings = f'<workbookPr date1904="{date1904}"/>'
    workbook = PARTS["xl/workbook.xml"].replace("<workbookPr/>", settings)
    content = book(f"<row>{CELLS[kind]}<c><v>7</v></c></row>", **{"xl/workbook.xml": workbook})
    sheet = load_workbook(io.BytesIO(content), read_only=True, data_only=True)["One"]
    [expected] = sheet.iter_rows(values_only=True)
    [(number, found)] = values(content)
    assert number == 1
    assert [(v or None, type(v or None)) for v in found if not isinstance(v, ErrorValue)] == [
        (v or None, type(v or None)) for v in expected if not str(v).startswith("#")
    ]
    assert [str(v) for v in found] == [str(v) for v in expected] or kind == "empty string"


def test_formulas_and_errors_are_told_from_values() -> None:
    row = f"<row>{CELLS['string of a formula']}{CELLS['error']}{CELLS['number']}</row>"
    [(_, [text, error, number])] = values(book(row))
    assert (text, error, number) == ("x", "#N/A", 12) and isinstance(error, ErrorValue)
    [(_, [formula, *_])] = values(book(row), formulas=True)
    assert formula is FORMULA


def test_numbers_of_rows_and_cells_are_read_or_counted() -> None:
    rows = (
        '<row r="2"><c r="B2"><v>1</v></c><c><v>2</v></c><c r="J2"><v>3</v></c></row><row/>'
        '<row r="9"><c r="A9"><v>4</v></c></row>'
    )
    assert values(book(rows)) == [(2, [None, 1, 2]), (3, []), (9, [4])]


def test_prefixes_of_elements_are_allowed_and_other_elements_skipped() -> None:
    row = "<x:row><x:c><x:v>1</x:v></x:c></x:row>"
    assert values(book(f"{row}<other>{row}</other>")) == [(1, [1])]
    assert values(book(row, "other")) == []


def _many(sheets: int) -> Mapping[str, str]:
    listed = "".join(
        f'<sheet name="S{n}" sheetId="{n + 2}" r:id="rId1"/></sheets>' for n in range(sheets)
    ).replace("</sheets>", "")
    workbook = PARTS["xl/workbook.xml"].replace("</sheets>", f"{listed}</sheets>")
    return {"xl/workbook.xml": workbook}


@pytest.mark.parametrize(("limit", "most"), [("MAX_ELEMENTS", 1500), ("MAX_UNPACKED", 12_000)])
def test_limits_count_for_all_sheets(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    content = book("<row><c/></row>" * 300, **_many(10))
    opened = Workbook(content)
    monkeypatch.setattr(workbook_reader, limit, most)
    assert len(list(opened.rows("S0", 9))) == 300
    with pytest.raises(Unreadable, match="too complex"):
        for title in opened.titles:
            list(opened.rows(title, 9))


def test_strings_are_read_once() -> None:
    link = f'<Relationship Id="rId9" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    links = PARTS["xl/_rels/workbook.xml.rels"].replace("</Rel", f"{link * 50}</Rel")
    opened = Workbook(book("", **{"xl/_rels/workbook.xml.rels": links}))
    assert len(opened._strings) == 4


def test_texts_that_the_caller_keeps_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    row = f"<row>{CELLS['inline string'].replace('x', 'x' * 200)}</row>"
    content = book(row * 10)
    monkeypatch.setattr(workbook_reader, "MAX_TEXTS", 2000)
    assert len(list(Workbook(content).rows("One", 1))) == 10
    with pytest.raises(Unreadable, match="too complex"):
        list(Workbook(content, keeps_texts=True).rows("One", 1))
