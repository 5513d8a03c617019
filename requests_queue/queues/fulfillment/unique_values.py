"""Unique parameters: refuse a value that another subscription or tier configuration has.

Values of the same parameter, product and scope are compared exactly: in tier configurations,
in subscriptions that are not terminated, and in their open requests. The check queries the
parameters themselves, so no separate table of values can get out of step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from requests_queue.catalog.models import Parameter
from requests_queue.catalog.parameter_values import STRUCTURED, Params, about, is_empty
from requests_queue.db import sql
from requests_queue.errors import Invalid

Param = Mapping[str, Any]
# The expression of the indexes that migrations create on PostgreSQL.
_VALUES = "jsonb_path_query_array({column}, '$[*].value') ? %s"
# Matches a JSON column with an element of an id and a value. `instr` skips rows without the
# text, which makes the query five times as fast.
_ON_SQLITE = (
    "(instr({column}, %s) AND EXISTS (SELECT 1 FROM json_each({column}) "
    "WHERE json_extract(value, '$.id') = %s AND json_extract(value, '$.{key}') {test}))"
)


def check(
    product_id: str,
    scope: str,
    params: Params,
    holders: Iterable[QuerySet[Any]],
    path: str,
    before: Params = (),  # type: ignore[assignment]
) -> None:
    """Raise Invalid with each unique parameter whose value is in use in one of `holders`.

    `holders` are querysets of other rows with `params`, which a generator makes where values have
    changed since `before`: only these are checked. Call in the transaction of the write, after it
    has locked its other queue objects: the values stay locked until it ends, so that of two
    concurrent writers of the same value the second one sees the first.
    """
    changed = [p for p in _unique(product_id, scope, params) if not _is_in(p, before)]
    if not changed:
        return
    for key in sorted(_lock_key(product_id, scope, param) for param in changed):
        sql.advisory_lock(key)
    querysets = list(holders)
    if in_use := [p["id"] for p in changed if any(_has(rows, p) for rows in querysets)]:
        owner = "subscription" if scope == "asset" else "tier configuration"
        message = f"The value must be unique. Another {owner} of the product has it."
        raise Invalid.of(about(name, path, message, "unique") for name in in_use)


def _unique(product_id: str, scope: str, params: Params) -> list[Param]:
    """Return the parameters that are unique and have a value.

    Both their own copy of the constraints and the product's current one count.
    """
    filled = [p for p in params if not is_empty(p)]
    if not filled:
        return []
    rows = Parameter.objects.filter(product=product_id, scope=scope, constraints__unique=True)
    names = set(rows.values_list("name", flat=True))
    return [p for p in filled if p["id"] in names or p["constraints"].get("unique")]


def _is_in(param: Param, params: Params) -> bool:
    return any(p["id"] == param["id"] and _is_same(p, param) for p in params)


def _is_same(one: Param, other: Param) -> bool:
    """Return whether two parameters have the same value, and one at all."""
    first, second = one.get("structured_value"), other.get("structured_value")
    if first and second:
        return bool(first == second)
    return bool(one["value"]) and bool(one["value"] == other["value"])


def _has(rows: QuerySet[Any], param: Param) -> bool:
    """Return whether a row has a parameter's value."""
    candidates = _candidates(rows.model, param, "value") if param["value"] else Q(pk__in=())
    if param.get("structured_value"):
        candidates |= _candidates(rows.model, param, "structured_value")
    matches = rows.filter(candidates).values_list("params", flat=True)
    if param["type"] not in STRUCTURED:
        return matches.exists()
    # The texts of different structures may be equal: a phone's has no extension.
    return any(_is_in(param, params) for params in matches.iterator())


def _candidates(model: type[Model], param: Param, key: str) -> Q:
    """Return the condition of the rows that may have a parameter's value."""
    column, plain = f"{connection.ops.quote_name(model._meta.db_table)}.params", key == "value"
    if connection.vendor == "postgresql":
        contains = Q(params__contains=[{"id": param["id"], key: param[key]}])
        return contains & _raw(_VALUES.format(column=column), param[key]) if plain else contains
    # Any structure that is not empty: SQLite compares texts, in which the order of keys counts.
    test = "= %s" if plain else "NOT IN ('', '{}')"
    condition = _ON_SQLITE.format(column=column, key=key, test=test)
    name, value = param["id"], param[key]
    texts = [json.dumps(value), name, value] if plain else [json.dumps(name), name]
    return _raw(condition, *texts)


def _raw(condition: str, *texts: str) -> Q:
    return Q(RawSQL(condition, texts, output_field=BooleanField()))


def _lock_key(product_id: str, scope: str, param: Param) -> int:
    """Return the key of the lock of a value; all values of a structured parameter share one."""
    value = "" if param["type"] in STRUCTURED else param["value"]
    text = json.dumps([product_id, scope, param["id"], value])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
