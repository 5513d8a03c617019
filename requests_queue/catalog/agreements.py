"""Distribution agreements: one for each marketplace, derived from it.

It needs no row: its id and its name follow from the marketplace's. All contracts of a
marketplace refer to it.
"""

from __future__ import annotations

from django.db.models import TextField, Value
from django.db.models.functions import Concat, Substr

from requests_queue.catalog.models import Marketplace

KIND = "distribution"
_NAME = "Distribution agreement of "


def id_of(row: Marketplace) -> str:
    """Return the id of a marketplace's agreement: `AGD-000-0` and the digits of `MP-ddddd`."""
    digits = row.id.removeprefix("MP-")
    return f"AGD-000-0{digits[:2]}-{digits[2:]}"


def name_of(row: Marketplace) -> str:
    """Return the name of a marketplace's agreement."""
    return f"{_NAME}{row.name}"


def id_by(route: str = "") -> Concat:
    """Return the id as an expression; `route` leads to the marketplace, `marketplace__`."""
    pk = f"{route}id"
    return Concat(
        Value("AGD-000-0"), Substr(pk, 4, 2), Value("-"), Substr(pk, 6), output_field=TextField()
    )


def name_by(route: str = "") -> Concat:
    return Concat(Value(_NAME), f"{route}name", output_field=TextField())
