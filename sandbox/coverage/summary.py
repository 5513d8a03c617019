"""Numbers of a report, and the union of several ones. No ORM, no Django.

A report is `{"products", "percent", "covered", "possible", "groups", "cases"}`; of each case it
has `id, group, text, weight, seen, how, stub`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.coverage import cases

Json = dict[str, Any]


def report(products: Iterable[str], rows: Sequence[Json]) -> Json:
    """Return the report of cases, which are in order."""
    groups = []
    for name in sorted({row["group"] for row in rows}, key=lambda name: (cases.place(name), name)):
        of_group = [row for row in rows if row["group"] == name]
        groups.append({"name": name, "title": cases.title(name), **_numbers(of_group)})
    return {"products": sorted(products), **_numbers(rows), "groups": groups, "cases": rows}


def _numbers(rows: Sequence[Json]) -> Json:
    covered, possible = sum(1 for row in rows if row["seen"]), len(rows)
    # Rounded down: 100 means all.
    percent = 1000 * covered // possible / 10 if possible else 0.0
    return {"percent": percent, "covered": covered, "possible": possible}


def merge(reports: Sequence[Mapping[str, Any]]) -> Json:
    """Return the union of reports: a case is possible in any of them, and seen in all together."""
    rows: dict[str, Json] = {}
    for row in (row for each in reports for row in each["cases"]):
        known = rows.setdefault(row["id"], {**row, "seen": 0})
        known["seen"] += row["seen"]
        if known["seen"]:
            known["stub"] = None
    products = {pk for each in reports for pk in each["products"]}
    ordered = sorted(
        rows.values(), key=lambda row: (-row["weight"], cases.place(row["group"]), row["id"])
    )
    return report(products, ordered)
