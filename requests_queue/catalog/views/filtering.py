"""Filters by what a query computes rather than by what a column holds."""

from __future__ import annotations

from django.db.models import BooleanField, Case, Field, TextField, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from py_rql.constants import FilterLookups

from requests_queue.rest import Json


def computed(name: str, annotation: str, field: Field) -> Json:  # type: ignore[type-arg]
    """Return an RQL filter, also to order by, of an annotation or alias of that type."""
    return {
        "filter": name, "dynamic": True, "field": field, "source": annotation, "ordering": True,
    }  # fmt: skip


def looked_up(name: str, *, ordering: bool = False) -> Json:
    """Return an RQL filter by single values whose condition the filter class makes itself."""
    lookups = {FilterLookups.EQ, FilterLookups.NE, FilterLookups.IN, FilterLookups.OUT}
    return {"filter": name, "custom": True, "lookups": lookups, "ordering": ordering}


def text_in(path: str) -> Coalesce:
    """Return the text at a path of a JSON column, `unit__title`; empty where there is none.

    Cast, because Django takes what it compares with a key for JSON.
    """
    return Coalesce(Cast(KT(path), TextField()), Value("", TextField()))


def switch_in(path: str) -> Case:
    """Return whether a path of a JSON column says true."""
    return Case(When(**{path: True}, then=True), default=False, output_field=BooleanField())


def plain(value: str) -> str:
    """Return the value of a comparison without its quotes."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
