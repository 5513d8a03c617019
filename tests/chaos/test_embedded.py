"""The cases of a sandbox, at a small size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import case, faults, setups
from tests.chaos.setups import Embedded
from tests.marks import nightly


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with setups.embedded(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.mark.parametrize(
    "name",
    [
        name if name == "sandbox killed" else nightly(name, reason="as in make chaos")
        for name in faults.EMBEDDED
    ],
)
def test_fault_of_a_sandbox(setup: Embedded, name: str) -> None:
    result = case.run(name, faults.EMBEDDED[name], setup, case.SMALL, seed=1)
    print(result)
    assert result.outcome == case.PASSED, result.violations
