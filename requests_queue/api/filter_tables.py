"""Tables of RQL filters: names and ORM routes, which `filtering` evaluates.

They are declared with the resources, which every process imports: nothing of django-rql's parser is
imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dj_rql.fields import SelectField
from django.db.models import BooleanField, Case, CharField, Field, Q, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from requests_queue.api import wildcards
from requests_queue.api.schema import Json

if TYPE_CHECKING:
    from dj_rql.filter_cls import FilterArgs

# The constants of `py_rql.constants.FilterLookups`.
LIKE, I_LIKE = "like", "ilike"
SINGLE_VALUES = {"eq", "ne", "in", "out"}


def filters(*rows: str | tuple[str, str], search: Iterable[str] = ()) -> list[Json]:
    """Return RQL filters from names, or (name, ORM route): each can be ordered by."""
    found = []
    for row in rows:
        name, source = (row, row.replace(".", "__")) if isinstance(row, str) else row
        item = {"filter": name, "source": source, "ordering": True, "search": name in search}
        if source.rpartition("__")[2] == "public_id":
            # django-rql does not know generated columns.
            item |= {"dynamic": True, "field": CharField(null=True)}
        found.append(item)
    return found


def computed(name: str, annotation: str, field: Field) -> Json:  # type: ignore[type-arg]
    """Return an RQL filter, also to order by, of an annotation or alias of that type."""
    return {
        "filter": name,
        "dynamic": True,
        "field": field,
        "source": annotation,
        "ordering": True,
    }


def custom_text(name: str, condition: Callable[[FilterArgs], Q], **more: Any) -> Json:
    """Return an RQL filter by texts, whose comparisons `condition` makes queries from."""
    lookups = SINGLE_VALUES | {LIKE, I_LIKE}
    return {"filter": name, "custom": True, "lookups": lookups, "condition": condition, **more}


def looked_up(name: str, condition: Callable[[str], Q], *, ordering: str = "") -> Json:
    """Return an RQL filter by single values, from each of which `condition` makes the query.

    `ordering` is the column to order by.
    """
    return {
        "filter": name,
        "custom": True,
        "lookups": SINGLE_VALUES,
        "ordering": ordering,
        "condition": lambda data: condition(plain(data.str_value)),
    }


def parts(*names: str, hidden: bool = False) -> list[Json]:
    """Return parts of the representation that `select` knows but that can't be filtered by."""
    return [
        {"filter": name, "dynamic": True, "field": SelectField(), "hidden": hidden}
        for name in names
    ]


def text_in(path: str, route: str = "") -> Coalesce:
    """Return the text at a path of a JSON column, `unit__title`; empty where there is none.

    `route` leads to the column's row, `parameter__`. Cast, because Django takes what it compares
    with a key for JSON.
    """
    column, *keys = path.split("__")
    text: Any = f"{route}{column}"
    for key in keys:
        text = KeyTextTransform(key, text)
    return Coalesce(Cast(text, TextField()), Value("", TextField()))


def switch_in(path: str) -> Case:
    """Return whether a path of a JSON column says true."""
    return Case(When(**{path: True}, then=True), default=False, output_field=BooleanField())


def plain(value: str) -> str:
    """Return the value of a comparison without its quotes."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def text_fits(data: FilterArgs, *routes: str) -> Q:
    """Return the condition that a text behind one of the routes fits a comparison.

    `null()` fits if there is no text behind any. The condition is false, not null, where there is
    no text, so that it can be negated. Raises RQLFilterValueError.
    """
    from py_rql.constants import RQL_EMPTY, RQL_NULL

    if data.str_value == RQL_NULL:
        return Q(*((f"{route}__isnull", True) for route in routes))
    value, lookup = "" if data.str_value == RQL_EMPTY else plain(data.str_value), "exact"
    if data.filter_lookup in (LIKE, I_LIKE):
        wildcards.pieces(value)
        lookup = f"rql_{data.filter_lookup}"
    fits = (Q((f"{route}__isnull", False), (f"{route}__{lookup}", value)) for route in routes)
    return Q(*fits, _connector=Q.OR)
