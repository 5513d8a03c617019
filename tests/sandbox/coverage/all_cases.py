"""All cases that any product can have."""

from __future__ import annotations

from sandbox.coverage import cases, possible, recipes
from sandbox.coverage.cases import Case
from webhooks import types

FEATURES = [
    *(f"event:{name}" for name in types.PLURALS),
    *(f"validator:{name}" for name in recipes.VALIDATED),
    *possible.FEATURES,
]


def every() -> list[Case]:
    """Return all cases, in order of weight."""
    without_updates = [name for name in FEATURES if name != possible.TIER_UPDATES]
    ids = possible.possible(FEATURES) | possible.possible(without_updates)
    return sorted(map(Case, ids), key=cases.order)
