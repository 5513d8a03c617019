"""RQL filters by a value that is the same in every object: each matches all rows or none.

Also those by data that no object has here, which is null: `eq(groups.id,null())` matches all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from requests_queue.api import wildcards
from requests_queue.api.filter_tables import I_LIKE, LIKE, SINGLE_VALUES, plain
from requests_queue.api.moments import parse_moment
from requests_queue.api.schema import Json

if TYPE_CHECKING:
    from dj_rql.filter_cls import FilterArgs

# `ne` is negated by the caller.
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "ne": eq,
    "gt": gt,
    "ge": ge,
    "lt": lt,
    "le": le,
}
# Not `Q()`, which `not(…)` and `or` ignore.
_ALL, _NONE = Q(pk__isnull=False), Q(pk__isnull=True)


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text]


# By the type of the value: how a compared text is read, and the lookups.
_KINDS: dict[type, tuple[Callable[[str], Any], set[str]]] = {
    str: (str, SINGLE_VALUES | {LIKE, I_LIKE}),
    int: (int, SINGLE_VALUES | _COMPARISONS.keys()),
    bool: (_switch, SINGLE_VALUES),
    datetime: (parse_moment, SINGLE_VALUES | _COMPARISONS.keys()),
}


def constant(name: str, value: Any, kind: type) -> Json:
    """Return the RQL filter by a constant value of a type, null for None; any order fits it."""
    read, lookups = _KINDS[kind]
    return {
        "filter": name,
        "custom": True,
        "lookups": lookups,
        "ordering": "pk",
        "condition": partial(_condition, value, read),
    }


def _condition(value: Any, read: Callable[[str], Any], data: FilterArgs) -> Q:
    """Return the condition that matches all rows or none; raises RQLFilterValueError."""
    return _ALL if _is_match(value, read, data) else _NONE


def _is_match(value: Any, read: Callable[[str], Any], data: FilterArgs) -> bool:
    from py_rql.constants import RQL_EMPTY, RQL_NULL
    from py_rql.exceptions import RQLFilterValueError

    if data.str_value == RQL_NULL:
        return value is None
    text = "" if data.str_value == RQL_EMPTY else plain(data.str_value)
    if data.filter_lookup in (LIKE, I_LIKE):
        return wildcards.matches(value, text, ignore_case=data.filter_lookup == I_LIKE)
    try:
        compared = read(text)
    except (KeyError, ValueError):
        details = {"filter": data.filter_name, "lookup": data.operator, "value": text}
        raise RQLFilterValueError(details=details) from None
    return value is not None and _COMPARISONS[str(data.filter_lookup)](value, compared)
