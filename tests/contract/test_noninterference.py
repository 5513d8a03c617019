"""Reads of an account do not depend on data that it must not see."""

from __future__ import annotations

import pytest

from tests.contract.accounts import Read, Reads, reads  # noqa: F401  (fixture)
from tests.marks import nightly

pytestmark = pytest.mark.django_db
PARTIES = pytest.mark.parametrize(
    "party", ["vendor", nightly("distributor", reason="it reads the same paths")]
)


def different(one: Read, other: Read) -> set[str]:
    assert len(one) > 90
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


@PARTIES
def test_reads_do_not_depend_on_other_accounts(reads: Reads, party: str) -> None:
    assert different(reads.alone[party], reads.beside[party]) == set()


@PARTIES
def test_reads_do_not_depend_on_secrets_of_the_other_party(reads: Reads, party: str) -> None:
    assert different(reads.alone[party], reads.without[party]) == set()
