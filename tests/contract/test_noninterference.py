"""Reads of an account do not depend on data that it must not see."""

from __future__ import annotations

import pytest

from tests.contract.accounts import Read, Reads, reads  # noqa: F401  (fixture)

pytestmark = pytest.mark.django_db
SIDES = pytest.mark.parametrize("who", ["vendor", "distributor"])


def different(one: Read, other: Read) -> set[str]:
    assert len(one) > 90
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


@SIDES
def test_reads_do_not_depend_on_other_accounts(reads: Reads, who: str) -> None:
    assert different(reads.alone[who], reads.beside[who]) == set()


@SIDES
def test_reads_do_not_depend_on_secrets_of_the_other_party(reads: Reads, who: str) -> None:
    assert different(reads.alone[who], reads.without[who]) == set()
