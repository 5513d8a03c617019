"""Conditions on the elements of a JSON list, in the SQL of each database."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import BooleanField, Model, Q
from django.db.models.expressions import RawSQL
from py_rql.constants import FilterLookups

from requests_queue import wildcards

_EACH = {
    "sqlite": ("json_each({column})", "json_extract(value, '$.{key}')"),
    "postgresql": ("jsonb_array_elements({column})", "value ->> '{key}'"),
}


def any_element(model: type[Model], column: str, key: str, data: Any) -> Q:
    """Return the condition that an element's `key` matches `data` (RQL's FilterArgs).

    `key` and `column` are our own constants; the compared value is a parameter.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    each, value = _EACH[connection.vendor]
    each = each.format(column=f"{table}.{connection.ops.quote_name(column)}")
    compared, text = _comparison(data, value.format(key=key))
    found = RawSQL(
        f"EXISTS (SELECT 1 FROM {each} AS element WHERE {compared})",
        [text],
        output_field=BooleanField(),
    )
    condition = Q(found)
    return ~condition if data.filter_lookup == FilterLookups.NE else condition


def _comparison(data: Any, value: str) -> tuple[str, str]:
    """Return the SQL that compares a value, and its parameter; raises RQLFilterValueError."""
    text = data.str_value
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    if data.filter_lookup not in (FilterLookups.LIKE, FilterLookups.I_LIKE):
        return f"{value} = %s", text
    ignore_case = data.filter_lookup == FilterLookups.I_LIKE
    return wildcards.condition(connection.vendor, value, text, ignore_case=ignore_case)
