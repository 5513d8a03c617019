"""Where the checks of deployments interrupt a good run."""

from __future__ import annotations

from typing import cast

import pytest

from checks import good_run
from checks.catalog import deploy
from checks.good_run import GoodRun, NoGoodRun
from checks.history import History
from checks.lab import Lab
from tests.unit.checks.test_turn import DONE, run


def last_read(monkeypatch: pytest.MonkeyPatch, good: GoodRun) -> int:
    monkeypatch.setattr(good_run, "record", lambda lab, by_platform: good)
    return deploy._last_read(cast(Lab, None)).place


def test_last_read_is_the_one_before_the_first_write(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_read(monkeypatch, run()) == 1


def test_handler_that_reads_nothing_before_it_writes_has_no_good_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = run().happened.calls[2:]
    good = GoodRun(good_run.steps(calls), DONE, History(calls, (), ()))
    with pytest.raises(NoGoodRun, match="reads nothing"):
        last_read(monkeypatch, good)
