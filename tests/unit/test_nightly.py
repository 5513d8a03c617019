"""The parts of `make nightly` name files that exist."""

from __future__ import annotations

import pytest

from tests.nightly import PARTS, PYTEST
from tests.processes import ROOT


@pytest.mark.parametrize("part", ["hypothesis", "postgres"])
def test_files_of_a_part_exist(part: str) -> None:
    words = [word for word in PARTS[part][len(PYTEST) :] if not word.startswith("-")]
    assert words
    assert [word for word in words if not (ROOT / word).exists()] == []
