"""Unique parameters: a value that another subscription or tier configuration has is refused.

Compared are the values of a parameter of one product and scope, exactly, in subscriptions that
are not terminated (configurations never are) and in the requests that are open for them. The
values themselves are read, so there is no second record of them that could differ.
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
from requests_queue.errors import Invalid

Param = Mapping[str, Any]
# The expression of the indexes that the apps' migrations make on PostgreSQL.
_VALUES = "jsonb_path_query_array({column}, '$[*].value') ? %s"
# The elements of a JSON column with an id and a value; without the text in it none has it, which
# is told five times as fast.
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
    """Raise Invalid, naming each unique parameter whose value one of `holders` has.

    `holders` are rows with `params` other than the caller's own; of values that are the same in
    `before` nothing is said. Call in the transaction of the write, after it has locked its other
    queue objects: the values stay locked until it ends, so that of two writers of the same value
    the second one sees the first.
    """
    asked = [p for p in _unique(product_id, scope, params) if not _stood(p, before)]
    for key in sorted(_lock_key(product_id, scope, param) for param in asked):
        _lock(key)
    rows = list(holders)
    if taken := [p["id"] for p in asked if any(_has(among, p) for among in rows)]:
        owner = "subscription" if scope == "asset" else "tier configuration"
        message = f"This value is taken by another {owner} of the product, and must be unique."
        raise Invalid.of(about(name, path, message, "unique") for name in taken)


def _unique(product_id: str, scope: str, params: Params) -> list[Param]:
    """Return the parameters with a value that are unique, by their own copy of the constraints
    or by the product's present ones."""
    given = [p for p in params if not is_empty(p)]
    rows = Parameter.objects.filter(product=product_id, scope=scope, constraints__unique=True)
    names = set(rows.values_list("name", flat=True)) if given else set()
    return [p for p in given if p["id"] in names or p["constraints"].get("unique")]


def _stood(param: Param, before: Params) -> bool:
    return any(p["id"] == param["id"] and _same(p, param) for p in before)


def _same(one: Param, other: Param) -> bool:
    """Whether two parameters have the same value, which neither may lack."""
    first, second = one.get("structured_value"), other.get("structured_value")
    if first and second:
        return bool(first == second)
    return bool(one["value"]) and bool(one["value"] == other["value"])


def _has(rows: QuerySet[Any], param: Param) -> bool:
    """Whether a row has a parameter's value."""
    alike = _alike(rows.model, param, "value") if param["value"] else Q(pk__in=())
    if param.get("structured_value"):
        alike |= _alike(rows.model, param, "structured_value")
    found = rows.filter(alike).values_list("params", flat=True)
    if param["type"] not in STRUCTURED:
        return found.exists()
    # The database finds what is alike: a phone's text leaves out its extension.
    return any(_stood(param, params) for params in found.iterator())


def _alike(model: type[Model], param: Param, key: str) -> Q:
    """Return the condition that a row has the parameter with that value, or one that holds it."""
    column, plain = f"{connection.ops.quote_name(model._meta.db_table)}.params", key == "value"
    if connection.vendor == "postgresql":
        found = Q(params__contains=[{"id": param["id"], key: param[key]}])
        return found & _raw(_VALUES.format(column=column), param[key]) if plain else found
    # Of structures any that isn't empty: SQLite compares their texts, in which the order counts.
    test = "= %s" if plain else "NOT IN ('', '{}')"
    sql = _ON_SQLITE.format(column=column, key=key, test=test)
    name, value = param["id"], param[key]
    texts = [json.dumps(value), name, value] if plain else [json.dumps(name), name]
    return _raw(sql, *texts)


def _raw(sql: str, *texts: str) -> Q:
    return Q(RawSQL(sql, texts, output_field=BooleanField()))


def _lock_key(product_id: str, scope: str, param: Param) -> int:
    """Return a number for the value; all values of a structured parameter share one."""
    value = "" if param["type"] in STRUCTURED else param["value"]
    text = json.dumps([product_id, scope, param["id"], value])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _lock(key: int) -> None:
    # SQLite has one writer at a time, from the begin of its transaction.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
