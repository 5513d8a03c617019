"""The cases of a server, at a small size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import case, faults, setups
from tests.chaos.setups import Distributed
from tests.marks import nightly


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributed]:
    with setups.server(tmp_path_factory.mktemp("chaos"), case.SMALL.workers) as running:
        yield running


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize(
    "name",
    [
        name if name == "workers killed" else nightly(name, reason="as in make chaos")
        for name in faults.DISTRIBUTED
    ],
)
def test_fault_of_a_server(setup: Distributed, name: str) -> None:
    result = case.run(name, faults.DISTRIBUTED[name], setup, case.SMALL, seed=1)
    print(result)
    assert result.outcome == case.PASSED, result.violations
