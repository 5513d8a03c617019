"""Connect's identifiers: a prefix and groups of digits.

No identifier is used twice, not even after a reset of the sandbox: `taken_checks` are functions
that return whether an identifier was used by an object that no longer exists.
"""

import secrets
from collections.abc import Callable, Sequence
from itertools import count
from operator import methodcaller
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction

M = TypeVar("M", bound=models.Model)

# The pattern of each kind; `d` is a digit (from fixtures of published clients; docs/fidelity.md).
FORMS = {
    "webhook": "WH-ddd-ddd-ddd",
    "vendor": "VA-ddd-ddd",
    "provider": "PA-ddd-ddd",
    "user": "UR-ddd-ddd-ddd",
    "service_user": "SU-ddd-ddd-ddd",
    "product": "PRD-ddd-ddd-ddd",
    "template": "TL-ddd-ddd-ddd",
    "marketplace": "MP-ddddd",
    "hub": "HB-dddd-dddd",
    "program": "AGP-ddd-ddd-ddd",
    "distribution": "AGD-ddd-ddd-ddd",
    "connection": "CT-dddd-dddd-dddd",
    "action": "ACT-ddd-ddd-ddd-ddd",
    "contract": "CRD-ddddd-ddddd-ddddd",
    "program_contract": "CRP-ddddd-ddddd-ddddd",
    "asset": "AS-dddd-dddd-dddd",
    "tier_account": "TA-dddd-dddd-dddd",
    "tier_config": "TC-ddd-ddd-ddd",
    "listing": "LST-ddd-ddd-ddd",
}

taken_checks: list[Callable[[str], bool]] = []


def is_taken(pk: str) -> bool:
    """Return whether an object that no longer exists has used the identifier."""
    return any(check(pk) for check in taken_checks)


def draw(kind: str) -> str:
    """Return a random identifier of a kind, or of a pattern such as `CA-ddd-ddd`."""
    form = FORMS.get(kind, kind)
    while True:
        drawn = "".join(secrets.choice("0123456789") if c == "d" else c for c in form)
        # All zeros are reserved for placeholders of the preview environment: MP-00000.
        if set(drawn) & set("123456789") and not is_taken(drawn):
            return drawn


def placeholder(kind: str) -> str:
    """Return the identifier of a kind in the preview environment: MP-00000."""
    return FORMS[kind].replace("d", "0")


_insert: Callable[[models.Model], Any] = methodcaller("save", force_insert=True)


def create(row: M, kind: str, insert: Callable[[M], Any] = _insert) -> M:
    """Insert a row with a random identifier, and return it; draw another one if it is taken.

    `insert(row)` saves it: `transitions.add` for an object of a queue. Raises IntegrityError for
    any other violated constraint.
    """
    while True:
        row.pk = draw(kind)
        try:
            with transaction.atomic():
                insert(row)
        except IntegrityError:
            # A deleted webhook keeps its row until cleanup.
            if type(row)._base_manager.filter(pk=row.pk).exists():
                continue
            raise
        return row


def create_all(rows: Sequence[M], kind: str) -> None:
    """Insert rows of a model with random identifiers by one statement: see `create`."""
    while rows:
        for row in rows:
            row.pk = draw(kind)
        manager, pks = type(rows[0])._base_manager, {row.pk for row in rows}
        try:
            with transaction.atomic():
                manager.bulk_create(rows)
        except IntegrityError:
            if len(pks) < len(rows) or manager.filter(pk__in=pks).exists():
                continue
            raise
        return


def child(parent_id: str, prefix: str, number: int, width: int = 3) -> str:
    """Return the identifier of a child object: the parent's digits and a number, `PR-…-001`."""
    return f"{prefix}{parent_id.partition('-')[2]}-{number:0{width}d}"


def next_in(
    model: type[models.Model], parent_id: str, prefix: str, taken: int, width: int = 3
) -> str:
    """Return the identifier of the next child object, from number `taken` + 1.

    Numbers that were used before a reset are skipped, so there may be more than `taken` says.
    """
    if not taken_checks:
        return child(parent_id, prefix, taken + 1, width)
    rows = model._base_manager
    return next(
        pk
        for number in count(taken + 1)
        if not is_taken(pk := child(parent_id, prefix, number, width))
        and not rows.filter(pk=pk).exists()
    )
