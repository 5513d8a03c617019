"""Distribution agreements: a marketplace has one, which all of its contracts are made from.

It says nothing of its own, so it needs no row: its id and its name follow from the marketplace's.
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
    """Return the same id as an expression, `marketplace__` being the way to the marketplace."""
    pk = f"{route}id"
    return Concat(
        Value("AGD-000-0"), Substr(pk, 4, 2), Value("-"), Substr(pk, 6), output_field=TextField()
    )


def name_by(route: str = "") -> Concat:
    """Return the same name as an expression."""
    return Concat(Value(_NAME), f"{route}name", output_field=TextField())
