"""Writer of workbooks to download."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What a cell cannot have.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def write(sheets: Mapping[str, Iterable[Sequence[Any]]]) -> bytes:
    """Return the workbook of these sheets: their rows by title, in order.

    Texts stay texts: a workbook never contains formulas.
    """
    # Not at the start: openpyxl takes time and memory, and few requests need it.
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append([_cell(sheet, value) for value in row])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _cell(sheet: Any, value: Any) -> Any:
    """Return a value, or a cell for a text that openpyxl takes for a formula or an error."""
    if not isinstance(value, str) or not value.startswith(("=", "#")):
        return value
    from openpyxl.cell import WriteOnlyCell

    cell: Any = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell
