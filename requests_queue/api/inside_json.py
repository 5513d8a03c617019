"""RQL filters that look into the elements of a JSON list, in the SQL of each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
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
    return [
        {
            "filter": name,
            "custom": True,
            "lookups": lookups,
            "condition": partial(_any_element, model, column, key, condition),
        }
        for name, key in keys.items()
    ]


def _any_element(
    model: type[Model], column: str, key: str, condition: Callable[[Q], Q], data: FilterArgs
) -> Q:
    """Return what `condition` makes of the condition that an element's `key` matches.

    `key` and `column` are our own constants; the compared value is a parameter. Raises
    RQLFilterValueError.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    each, value = _EACH[connection.vendor]
    each = each.format(column=f"{table}.{connection.ops.quote_name(column)}")
    value, text = value.format(key=key), plain(data.str_value)
    compared = f"{value} = %s"
    if data.filter_lookup in (LIKE, I_LIKE):
        ignore_case = data.filter_lookup == I_LIKE
        compared, text = wildcards.condition(
            connection.vendor, value, text, ignore_case=ignore_case
        )
    sql = f"EXISTS (SELECT 1 FROM {each} AS element WHERE {compared})"
    return condition(Q(RawSQL(sql, [text], output_field=BooleanField())))
