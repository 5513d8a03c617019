"""The rows of a usage file as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]

# Columns that every row has, in the order of Connect's template.
_COLUMNS = (
    "record_id",
    "item_search_criteria",
    "item_search_value",
    "quantity",
    "start_time_utc",
    "end_time_utc",
    "asset_search_criteria",
    "asset_search_value",
)


def cells(
    row: Mapping[str, Any], number: int, mpn: str, subscription: str, period: Mapping[str, str]
) -> Json:
    """Return the cells of a row: what `row` has under a column's own name wins."""
    defaults = {
        "record_id": f"record-{number}",
        "item_search_criteria": "item.mpn",
        "item_search_value": mpn,
        "quantity": 1,
        "start_time_utc": f"{period['from']} 00:00:00",
        "end_time_utc": f"{period['to']} 23:59:59",
        "asset_search_criteria": "asset.id",
        "asset_search_value": subscription,
    }
    own = {name: value for name, value in row.items() if name not in ("subscription", "item")}
    return {**defaults, **own}


def to_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the rows with a header of all columns that they have."""
    names = list(dict.fromkeys((*_COLUMNS, *_all_names(rows))))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _all_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [name for row in rows for name in row]


def month_before(now: str) -> dict[str, str]:
    """Return the first and the last day of the month before a moment of the API."""
    first = date(int(now[:4]), int(now[5:7]), 1)
    last = first - timedelta(days=1)
    return {"from": last.replace(day=1).isoformat(), "to": last.isoformat()}
