"""Ordinals of a fault's requests: by batches as one by one, whatever the keys are."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.faults import armed
from sandbox.faults.armed import Ordinals
from sandbox.faults.kinds import DELIVERY
from sandbox.models import FaultOrdinal

_KEYS = st.tuples(st.sampled_from(["WH-1", "WH-2", "\0", "\ud800", "x" * 400]), st.text("ab"))
_BATCHES = st.lists(st.lists(_KEYS, max_size=6), max_size=4)


def expected(requests: list[tuple[str, ...]]) -> list[tuple[int, ...]]:
    """Count in memory, by the definition."""
    seen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    result = []
    for keys in requests:
        ordinals = []
        for at, key in enumerate(keys):
            siblings = seen[keys[:at]]
            if key not in siblings:
                siblings.append(key)
            ordinals.append(siblings.index(key) + 1)
        counts[keys] += 1
        result.append((*ordinals, counts[keys]))
    return result


@pytest.mark.django_db
@settings(max_examples=30)
@given(batches=_BATCHES)
def test_batches_are_counted_as_one_by_one(batches: list[list[tuple[str, ...]]]) -> None:
    fault = armed.arm("duplicate", DELIVERY)
    counted = []
    for batch in batches:
        ordinals = Ordinals(fault.pk, batch)
        counted += [ordinals.count(keys) for keys in batch]
        ordinals.save()
    assert counted == expected([keys for batch in batches for keys in batch])
    armed.clear(fault.pk)
    assert not FaultOrdinal.objects.filter(fault=fault).exists()


@pytest.mark.django_db
def test_number_of_statements_does_not_depend_on_the_batch(
    django_assert_max_num_queries: object,
) -> None:
    fault = armed.arm("duplicate", DELIVERY)
    for size in (1, 400):
        batch = [("WH-1", str(n)) for n in range(size)]
        with django_assert_max_num_queries(5):  # type: ignore[operator]
            ordinals = Ordinals(fault.pk, batch)
            for keys in batch:
                ordinals.count(keys)
            ordinals.save()
