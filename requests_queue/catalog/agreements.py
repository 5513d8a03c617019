"""Agreements: those of marketplaces, which all contracts of a marketplace refer to, and programs.

The names of a marketplace's agreements follow the marketplace's.
"""

from __future__ import annotations

from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Substr

from requests_queue.catalog.models import Agreement, Contract

_NAME = "Distribution agreement of "
# Of the agreement that a marketplace's contracts refer to.
OF_CONTRACTS = Q(parent=None, marketplace__isnull=False)


def of_contract(row: Contract) -> Agreement:
    """Return the agreement that a contract was made from."""
    return row.program or Agreement.of_marketplace(row.marketplace)


def shown_name(row: Agreement) -> str:
    return row.name or (f"{_NAME}{row.marketplace.name}" if row.marketplace else "")


def id_of_contract_by() -> Coalesce:
    """Return the id of a contract's agreement as an expression."""
    pk = "marketplace__id"
    own = Concat(Value("AGD-000-0"), Substr(pk, 4, 2), Value("-"), Substr(pk, 6))
    return Coalesce("program__id", own, output_field=TextField())


def name_of_contract_by() -> Coalesce:
    """Return the name of a contract's agreement as an expression."""
    return Coalesce("program__name", _name_by(), output_field=TextField())


def shown_name_by() -> Coalesce:
    """Return the name of an agreement as an expression."""
    own = NullIf(F("name"), Value(""), output_field=TextField())
    return Coalesce(own, _name_by(), output_field=TextField())


def _name_by() -> Concat:
    return Concat(Value(_NAME), "marketplace__name", output_field=TextField())
