"""Agreements: those of marketplaces, which all contracts of a marketplace refer to.

Their names follow the marketplace's.
"""

from __future__ import annotations

from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Substr

from requests_queue.catalog.models import Agreement, Marketplace

_NAME = "Distribution agreement of "
# Of the agreement that a marketplace's contracts refer to.
OF_CONTRACTS = Q(parent=None, marketplace__isnull=False)


def id_of(row: Marketplace) -> str:
    """Return the id of a marketplace's agreement."""
    return Agreement.of_marketplace(row).id


def name_of(row: Marketplace) -> str:
    """Return the name of a marketplace's agreement."""
    return f"{_NAME}{row.name}"


def shown_name(row: Agreement) -> str:
    """Return the name of any agreement."""
    return row.name or (name_of(row.marketplace) if row.marketplace else "")


def id_by(route: str = "") -> Concat:
    """Return the id as an expression; `route` leads to the marketplace, `marketplace__`."""
    pk = f"{route}id"
    return Concat(
        Value("AGD-000-0"), Substr(pk, 4, 2), Value("-"), Substr(pk, 6), output_field=TextField()
    )


def name_by(route: str = "") -> Concat:
    return Concat(Value(_NAME), f"{route}name", output_field=TextField())


def shown_name_by() -> Coalesce:
    """Return the name of any agreement as an expression."""
    own = NullIf(F("name"), Value(""), output_field=TextField())
    return Coalesce(own, name_by("marketplace__"), output_field=TextField())
