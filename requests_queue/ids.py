"""Connect's identifiers: a prefix and groups of digits."""

import secrets
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, models, transaction

M = TypeVar("M", bound=models.Model)

# A form per kind: every `d` is a digit (fixtures of published clients; docs/fidelity.md).
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
    "connection": "CT-dddd-dddd-dddd",
    "action": "ACT-ddd-ddd-ddd-ddd",
    "contract": "CRD-ddddd-ddddd-ddddd",
    "asset": "AS-dddd-dddd-dddd",
    "tier_account": "TA-dddd-dddd-dddd",
    "tier_config": "TC-ddd-ddd-ddd",
    "listing": "LST-ddd-ddd-ddd",
}


def draw(kind: str) -> str:
    """Return a random identifier of that kind, or of a form of the caller's own: `CA-ddd-ddd`."""
    form = FORMS.get(kind, kind)
    drawn = "".join(secrets.choice("0123456789") if c == "d" else c for c in form)
    # All zeros are the preview environment's placeholders: MP-00000.
    return drawn if set(drawn) & set("123456789") else draw(kind)


def placeholder(kind: str) -> str:
    """Return the identifier that the preview environment has for a row of that kind: MP-00000."""
    return FORMS[kind].replace("d", "0")


def _insert(row: models.Model) -> None:
    row.save(force_insert=True)


def create(make: Callable[[str], M], kind: str, insert: Callable[[M], None] = _insert) -> M:
    """Create a row under a fresh identifier; draw again where the one drawn is taken.

    `make(id)` builds an unsaved row, `insert(row)` saves it: `transitions.add` for an object of
    a queue. Any other broken constraint is raised as it is.
    """
    while True:
        row = make(draw(kind))
        try:
            with transaction.atomic():
                insert(row)
        except IntegrityError:
            # A webhook that is deleted may still have its row.
            if type(row)._base_manager.filter(pk=row.pk).exists():
                continue
            raise
        return row


def next_in(parent_id: str, prefix: str, taken: int) -> str:
    """Return the identifier of a part: the digits of its whole, and a number from 001."""
    return f"{prefix}{parent_id.partition('-')[2]}-{taken + 1:03d}"
