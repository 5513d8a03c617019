"""An import in progress: its product, what it changes, and what is wrong with the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import models

from requests_queue.catalog.models import Product
from requests_queue.catalog.spreadsheets.workbook_reader import cell_text
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import CellError, Row
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.errors import FieldError, Invalid

M = TypeVar("M", bound=models.Model)

# Wrong cells that are named at once.
MAX_ERRORS = 20
# Columns that describe the row itself.
_ABOUT = ("Action", "Created", "Modified")


@dataclass(slots=True)
class Session:
    """What an import has done so far; `at` is its time, `pictures` are files by their names.

    `changes` are entries of created and updated objects, `kept` those of others that stay as they
    are; `warnings` are sentences.
    """

    product: Product
    at: datetime
    # Whether the import creates the product.
    is_new: bool = False
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def not_imported(self) -> list[str]:
        """What was skipped, with the numbers of rows."""
        return [
            f"{what} ({count} {'row' if count == 1 else 'rows'})" if count else what
            for what, count in self.skipped.items()
        ]

    def created(self, sheet: str, name: str) -> None:
        """Record that a row's object was created."""
        self.changes.append({"sheet": sheet, "id": name, "change": "created", "columns": []})

    def updated(self, sheet: str, name: str, columns: Sequence[str]) -> None:
        """Record that these columns of a row's object have changed, if there are any."""
        if columns:
            self.changes.append(
                {"sheet": sheet, "id": name, "change": "updated", "columns": list(columns)}
            )

    def skip(self, what: str, count: int = 1) -> None:
        """Record rows, or parts of them, that are not imported."""
        self.skipped[what] += count

    def dates(self, row: Row) -> tuple[datetime, datetime]:
        """Return when a new row's object was created and changed; raises CellError."""
        created = row.moment("Created") or self.at
        updated = row.moment("Modified") or created
        return min(created, self.at), min(updated, self.at)

    @contextmanager
    def row(self, row: Row, columns: Mapping[str, str]) -> Iterator[None]:
        """Record the errors of a row, at its cells.

        `columns` has the column of each path of the API's errors; "" is that of any other path.
        """
        try:
            yield
        except CellError as error:
            self.errors.append(str(error))
        except Invalid as refused:
            self.errors += [str(_at_cell(row, each, columns)) for each in refused.errors]

    def check(self) -> None:
        """Raise Invalid if a cell was wrong, naming the first MAX_ERRORS."""
        if self.errors:
            found = list(dict.fromkeys(self.errors))
            more = len(found) - MAX_ERRORS
            tail = [f"{more} more cells are invalid."] if more > 0 else []
            raise Invalid.of(FieldError("", text) for text in [*found[:MAX_ERRORS], *tail])


def _at_cell(row: Row, error: FieldError, columns: Mapping[str, str]) -> CellError:
    """Return the error of the cell that an API's error is about."""
    path = error.path
    while path and path not in columns:
        path = path.rpartition(".")[0]
    rest = error.path.removeprefix(path).lstrip(".")
    message = f"{rest}: {error.message}" if rest else error.message
    return row.error(columns[path], message)


@dataclass(frozen=True, slots=True)
class Table(Generic[M]):
    """How the rows of a sheet become objects of the product.

    `shown` returns an object's row as it is exported. `find` returns the object of a row, `create`
    stores a new one, and `assign` sets an object's columns from those cells that differ; the caller
    saves it. `name` is the column that changes name a row by, `columns` are those of errors.
    """

    shown: Callable[[M], Cells]
    find: Callable[[Session, Row], M | None]
    create: Callable[[Session, Row], M]
    assign: Callable[[Session, Row, M, set[str]], None]
    name: str
    columns: Mapping[str, str]


def load(session: Session, table: Table[M], rows: Sequence[Row]) -> list[M]:
    """Create and update the objects of a sheet's rows, and return them in order."""
    # In order, found by their ids.
    found: dict[M, None] = {}
    for row in rows:
        with session.row(row, table.columns):
            each = table.find(session, row)
            if each is None:
                each = table.create(session, row)
                session.created(row.sheet, str(table.shown(each)[table.name]))
            elif each in found:
                raise row.error(table.name, "Another row is about the same.")
            else:
                _update(session, table, row, each)
            found[each] = None
    return list(found)


def _update(session: Session, table: Table[M], row: Row, each: Any) -> None:
    """Save an object if its row says something else than its export would."""
    before = table.shown(each)
    differing = {
        column
        for column, value in before.items()
        if column not in _ABOUT and as_text(row.values.get(column)) != as_text(value)
    }
    if not differing:
        return
    table.assign(session, row, each, differing)
    after = table.shown(each)
    changed = [column for column in before if before[column] != after[column]]
    if changed:
        each.updated = session.at
        each.save()
        session.updated(row.sheet, str(after[table.name]), changed)


def as_text(value: Any) -> str:
    """Return a cell's value as it is compared: numbers and texts alike, no value as empty."""
    return "" if value == sheets.NONE else cell_text(value)


def keep(
    session: Session, sheet: str, rows: models.QuerySet[Any], named: Sequence[Any], name: str = "pk"
) -> None:
    """Record the objects that the file doesn't name; they stay as they are."""
    seen = {each.pk for each in named}
    session.kept += [
        {"sheet": sheet, "id": str(getattr(each, name))} for each in rows if each.pk not in seen
    ]


def in_order(session: Session, sheet: str, rows: Sequence[Any]) -> None:
    """Number the positions anew if the file has the objects in another order."""
    positions = [each.position for each in rows]
    if positions == sorted(positions):
        return
    for each, position in zip(rows, sorted(positions), strict=True):
        each.position = position
    type(rows[0])._default_manager.bulk_update(rows, ["position"], batch_size=500)
    session.changes.append({"sheet": sheet, "id": "", "change": "updated", "columns": ["order"]})
