"""The cases of a server, at a small size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import case, faults, setups
from tests.chaos.setups import Distributed


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributed]:
    with setups.server(tmp_path_factory.mktemp("chaos"), case.SMALL.workers) as running:
        yield running


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.nightly(reason="as in make chaos; tests/runtime/test_distributed.py kills workers")
@pytest.mark.parametrize("name", faults.DISTRIBUTED)
def test_fault_of_a_server(setup: Distributed, name: str) -> None:
    result = case.run(name, faults.DISTRIBUTED[name], setup, case.SMALL, seed=1)
    print(result)
    assert result.outcome == case.PASSED, result.violations
