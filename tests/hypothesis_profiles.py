"""Hypothesis profiles (`-p tests.hypothesis_profiles`): `fast`, `deep` for `make nightly`, `sample`
for the tests that `make test` repeats on PostgreSQL, and `unit` for `make unit`, whose tests
`make test` runs with `fast`.

pytest --hypothesis-profile=deep tests/queue/api/test_walks.py
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

_FACTORS = {"fast": 0.5, "deep": 20, "sample": 0.25, "unit": 0.1}

for _name, _factor in _FACTORS.items():
    settings.register_profile(_name, max_examples=int(100 * _factor), deadline=None)
settings.load_profile("fast")


def is_deep() -> bool:
    """Whether this run has the `deep` profile."""
    return settings.get_current_profile_name() == "deep"


def is_sample() -> bool:
    """Whether this run has the `sample` profile."""
    return settings.get_current_profile_name() == "sample"


def examples(fast: int, **options: Any) -> settings:
    """Return the settings of a test: the number of examples, times the factor of the profile."""
    factor = _FACTORS[settings.get_current_profile_name()]
    return settings(max_examples=max(int(fast * factor), 1), **options)


def sequences(fast: int, steps: int) -> settings:
    """Return the settings of a state machine: the number of sequences, times the factor of the
    profile, and the steps of each."""
    return examples(fast, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
