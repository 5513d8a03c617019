"""Hypothesis profiles (`-p tests.hypothesis_profiles`): `fast`, and `deep` for `make nightly`.

pytest --hypothesis-profile=deep tests/queue/test_walks.py
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

_DEEP_FACTOR = 20

settings.register_profile("fast", max_examples=100, deadline=None)
settings.register_profile("deep", max_examples=100 * _DEEP_FACTOR, deadline=None)
settings.load_profile("fast")


def is_deep() -> bool:
    """Whether this run has the `deep` profile."""
    return settings.get_current_profile_name() == "deep"


def examples(fast: int, **options: Any) -> settings:
    """Return the settings of a test with so many examples, twenty times as many in `deep`."""
    return settings(max_examples=fast * (_DEEP_FACTOR if is_deep() else 1), **options)


def sequences(fast: int, steps: int) -> settings:
    """Return the settings of a state machine: the number of sequences (twenty times as many in
    `deep`) and the steps of each."""
    return examples(fast, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
