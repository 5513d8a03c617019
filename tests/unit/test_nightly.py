"""The parts of `make nightly` name files that exist."""

from __future__ import annotations

import pytest

from tests.nightly import PARTS
from tests.processes import ROOT


@pytest.mark.parametrize("part", ["tests", "tests on busy cores", "hypothesis", "postgres"])
def test_files_of_a_part_exist(part: str) -> None:
    paths = [word.partition("::")[0] for word in PARTS[part] if word.startswith("tests/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
