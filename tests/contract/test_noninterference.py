"""What an account reads doesn't depend on what it may not see: lists, counts, orders, objects."""

from __future__ import annotations

import pytest

from tests.contract.accounts import Read, Reads, reads  # noqa: F401  (fixture)

pytestmark = pytest.mark.django_db
SIDES = pytest.mark.parametrize("who", ["vendor", "distributor"])


def different(one: Read, other: Read) -> set[str]:
    assert len(one) > 90
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


@SIDES
def test_it_is_the_same_whoever_else_there_is(reads: Reads, who: str) -> None:
    assert different(reads.alone[who], reads.beside[who]) == set()


@SIDES
def test_it_is_the_same_without_the_other_sides_secrets(reads: Reads, who: str) -> None:
    assert different(reads.alone[who], reads.without[who]) == set()
