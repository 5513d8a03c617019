"""Lists of values in a query as one `IN`: `in(id,(A,B,…))` is `id IN (…)`, not `id = A OR …`.

django-rql joins one comparison per value, and SQLite limits the depth of expressions to 1,000.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q

_EXACT, _IN = "__exact", "__in"


class InLookup(Q):
    """A condition that merges comparisons of the same column into `IN` or `NOT IN`."""

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
    if name.endswith(_EXACT) and value is not None:
        return name.removesuffix(_EXACT), [value]
    if name.endswith(_IN) and isinstance(value, list):
        return name.removesuffix(_IN), value
    return None
