"""RQL filters that look into the elements of a JSON list, in the SQL of each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import BooleanField, Model, Q
from django.db.models.expressions import RawSQL

from requests_queue.api import wildcards
from requests_queue.api.filter_tables import I_LIKE, LIKE, SINGLE_VALUES, plain
from requests_queue.api.schema import Json

if TYPE_CHECKING:
    from dj_rql.filter_cls import FilterArgs

_EACH = {
    "sqlite": ("json_each({column})", "json_extract(value, '$.{key}')"),
    "postgresql": ("jsonb_array_elements({column})", "value ->> '{key}'"),
}


def inside_json(
    model: type[Model], column: str, keys: Mapping[str, str], condition: Callable[[Q], Q] = Q
) -> list[Json]:
    """Return RQL filters by `keys` of the elements of a JSON list, by the names of the filters.

    `condition` turns the condition on the model into one on the filtered rows.
    """
    lookups = SINGLE_VALUES | {LIKE, I_LIKE}

    def look_in(key: str) -> Callable[[FilterArgs], Q]:
        return lambda data: condition(_any_element(model, column, key, data))

    return [
        {"filter": name, "custom": True, "lookups": lookups, "condition": look_in(key)}
        for name, key in keys.items()
    ]


def _any_element(model: type[Model], column: str, key: str, data: FilterArgs) -> Q:
    """Return the condition that an element's `key` matches.

    `key` and `column` are our own constants; the compared value is a parameter.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    each, value = _EACH[connection.vendor]
    each = each.format(column=f"{table}.{connection.ops.quote_name(column)}")
    compared, text = _comparison(data, value.format(key=key))
    sql = f"EXISTS (SELECT 1 FROM {each} AS element WHERE {compared})"
    return Q(RawSQL(sql, [text], output_field=BooleanField()))


def _comparison(data: FilterArgs, value: str) -> tuple[str, str]:
    """Return the SQL that compares a value, and its parameter; raises RQLFilterValueError."""
    text = plain(data.str_value)
    if data.filter_lookup not in (LIKE, I_LIKE):
        return f"{value} = %s", text
    ignore_case = data.filter_lookup == I_LIKE
    return wildcards.condition(connection.vendor, value, text, ignore_case=ignore_case)
