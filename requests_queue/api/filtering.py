"""The evaluation of RQL filters: django-rql, with Connect's spellings.

A process that serves no lists doesn't import it: with the parser it takes 3 MiB.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from dj_rql.constants import FilterTypes
from dj_rql.fields import SelectField
from dj_rql.filter_cls import FilterArgs, RQLFilterClass
from django.db.models import Q
from py_rql.constants import RQL_NULL, ComparisonOperators, FilterLookups, SearchOperators
from py_rql.exceptions import (
    RQLFilterLookupError,
    RQLFilterParsingError,
    RQLFilterValueError,
)

from requests_queue import ids
from requests_queue.api import wildcards
from requests_queue.api.moments import parse_moment

# SQLite takes no expression that is nested a thousand deep, and joined conditions are nested.
MAX_CONDITIONS = 500
_EXACT, _IN = "__exact", "__in"
_INTEGERS = 2**63  # SQLite takes none from here on
# By the end of an ORM route: what a row of the preview environment has there.
PLACEHOLDERS = {
    "connection__public_id": ids.placeholder("connection"),
    "contract__id": ids.placeholder("contract"),
    "hub__id": ids.placeholder("hub"),
    "marketplace__id": ids.placeholder("marketplace"),
}


class InLookup(Q):
    """A condition that merges comparisons of the same column into `IN` or `NOT IN`.

    `in(id,(A,B,…))` is `id IN (…)`, not `id = A OR …`: django-rql joins one comparison per value,
    and SQLite limits the depth of expressions to 1,000.
    """

    def __or__(self, other: Any) -> Any:
        """Return `a = 1 or a = 2` as `a in (1, 2)`."""
        return _joined(self, other, negated=False) or super().__or__(other)

    def __and__(self, other: Any) -> Any:
        """Return `not a = 1 and not a = 2` as `not a in (1, 2)`."""
        return _joined(self, other, negated=True) or super().__and__(other)


def _joined(one: Any, other: Any, *, negated: bool) -> InLookup | None:
    others = _values(other, negated)
    if others is None:
        return None
    if (mine := _values(one, negated)) is not None:
        return _either(mine, others, negated) if mine[0] == others[0] else None
    if one.negated or one.connector != (Q.AND if negated else Q.OR):
        return None
    # Among other conditions: `a is null or a = 1 or a = 2` is `a is null or a in (1, 2)`.
    for at, child in enumerate(one.children):
        mine = _values(child if isinstance(child, Q) else Q(child), negated)
        if mine is not None and mine[0] == others[0]:
            found: InLookup = one.copy()
            found.children[at] = _either(mine, others, negated)
            return found
    return None


def _either(one: tuple[str, list[Any]], other: tuple[str, list[Any]], negated: bool) -> InLookup:
    both = InLookup(**{f"{one[0]}{_IN}": [*one[1], *other[1]]})
    return InLookup(~both) if negated else both


def _values(condition: Any, negated: bool) -> tuple[str, list[Any]] | None:
    """Return the column and the values of a condition that compares one, else None."""
    if not isinstance(condition, Q) or len(condition.children) != 1:
        return None
    child = condition.children[0]
    if isinstance(child, Q):
        return None if condition.negated else _values(child, negated)
    if condition.negated != negated or not isinstance(child, tuple):
        return None
    name, value = child
    # Django compares a number that no column can have, but not as one of several.
    if isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS:
        return None
    if name.endswith(_EXACT) and value is not None:
        return name.removesuffix(_EXACT), [value]
    if name.endswith(_IN) and isinstance(value, list):
        return name.removesuffix(_IN), value
    return None


class ConnectFilters(RQLFilterClass):  # type: ignore[misc]
    """django-rql's filters, with Connect's spellings.

    `asset__product__id` is `asset.product.id`; an unknown name is an error rather than no
    filter, because a handler that filters by a misspelled name would process everything.
    """

    SELECT = True
    Q_CLS = InLookup

    # How many conditions the query has so far.
    _conditions = 0

    def apply_filters(self, query: str, request: Any = None, view: Any = None) -> Any:
        """Return the parsed query and the rows that fit it; raises RQLFilterError."""
        self._conditions = 0
        return super().apply_filters(query, request, view)

    def build_q_for_filter(self, data: FilterArgs) -> Q:
        """Return the condition for one comparison; raises RQLFilterError."""
        if data.filter_name in ("limit", "offset"):
            # Paging, which the paginator reads.
            return Q()
        name = self._known(data.filter_name)
        if name != data.filter_name:
            data = FilterArgs(name, data.operator, data.str_value, list_operator=data.list_operator)
        shown = self._placeholder(data)
        self._count(data, is_own=shown is not None)
        if shown is not None:
            return ~shown if data.operator == ComparisonOperators.NE else shown
        condition: Q = self._connect_condition(data) or super().build_q_for_filter(data)
        return condition

    def _connect_condition(self, data: FilterArgs) -> Q | None:
        """Return the condition where Connect's meaning differs from django-rql's, else None.

        Converts the moment of a comparison to UTC in `data`. Raises RQLFilterError.
        """
        item = self.get_filter_base_item(data.filter_name)
        field = item.get("field") if item else None
        if field is None or isinstance(field, SelectField):
            return None
        route, is_ne = item["orm_route"], data.operator == ComparisonOperators.NE
        if data.str_value == RQL_NULL and (is_ne or data.operator == ComparisonOperators.EQ):
            # A relation can be missing though the column behind it can't be null: `assignee.id`.
            missing = self.Q_CLS(**{f"{route}__isnull": True})
            return ~missing if is_ne else missing
        if data.operator in (SearchOperators.LIKE, SearchOperators.I_LIKE):
            text = self.remove_quotes(data.str_value)
            wildcards.pieces(text)
            # Refuses the lookup of a field that has no text.
            super().build_q_for_filter(data)
            whole = wildcards.literal(text)
            if data.operator == SearchOperators.I_LIKE:
                return self.Q_CLS(**{f"{route}__{wildcards.ILike.lookup_name}": text})
            # An index finds what is compared as a whole.
            if whole is not None:
                return self.Q_CLS(**{f"{route}__exact": whole})
            return self.Q_CLS(**{f"{route}__{wildcards.Like.lookup_name}": text})
        if FilterTypes.field_filter_type(field) == FilterTypes.DATETIME:
            data.str_value = _in_utc(data)
        return None

    def build_q_for_custom_filter(self, data: FilterArgs) -> Q:
        """Return the condition of a filter that declares its own."""
        condition: Q = self.get_filter_base_item(data.filter_name)["condition"](data)
        return ~condition if data.filter_lookup == FilterLookups.NE else condition

    def build_name_for_custom_ordering(self, filter_name: str) -> str:
        """Return the column that such a filter is ordered by."""
        return str(self.get_filter_base_item(filter_name)["ordering"])

    def _placeholder(self, data: FilterArgs) -> Q | None:
        """Return the condition for `null()` or the identifier of a placeholder, else None.

        A row then has no hub, contract and so on, or the preview environment's: in Connect the two
        are equal.
        """
        item = self.get_filter_base_item(data.filter_name)
        route = str(item.get("orm_route", "")) if item else ""
        given = PLACEHOLDERS.get("__".join(route.split("__")[-2:]))
        equal = data.operator in (ComparisonOperators.EQ, ComparisonOperators.NE)
        if given is None or not equal or data.str_value not in (given, RQL_NULL):
            return None
        return Q(**{route: given}) | Q(**{f"{route}__isnull": True})

    def _count(self, data: FilterArgs, *, is_own: bool) -> None:
        """Raise RQLFilterParsingError if the query has too many conditions.

        Values of a list become one condition (`InLookup`), except nulls, and where a filter makes
        its own (`is_own`: a placeholder's).
        """
        item = self.get_filter_base_item(data.filter_name) or {}
        is_own = is_own or data.str_value == RQL_NULL or bool(item.get("custom"))
        if data.list_operator and not is_own:
            return
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise RQLFilterParsingError(
                details={
                    "error": f"A query may have at most {MAX_CONDITIONS} conditions. Write "
                    "several values of one property as a list: in(id,(A,B))."
                }
            )

    def _known(self, name: str) -> str:
        if name == "search" or name in self.filters:
            return name
        dotted = name.replace("__", ".")
        if dotted in self.filters:
            return dotted
        raise RQLFilterLookupError(details={"error": f"Unknown property: {name}."})


def _in_utc(data: FilterArgs) -> str:
    """Return the moment of a comparison in UTC; raises RQLFilterValueError."""
    text = RQLFilterClass.remove_quotes(data.str_value)
    try:
        return parse_moment(text).astimezone(UTC).isoformat()
    except ValueError:
        details = {"filter": data.filter_name, "lookup": data.operator, "value": text}
        raise RQLFilterValueError(details=details) from None
