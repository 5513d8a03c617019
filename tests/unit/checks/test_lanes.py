"""What a lane shows of a handler and of a sandbox."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks.lanes import ThrowawayLane
from checks.options import Options


@pytest.mark.parametrize("has_ended", [True, False])
def test_output_is_that_of_the_handler_unless_the_sandbox_has_ended(has_ended: bool) -> None:
    lane = ThrowawayLane(Options(run="handler"))
    server = SimpleNamespace(has_ended=has_ended, is_alive=False, log=lambda: "It is running")
    process = SimpleNamespace(output=lambda: "Listening\nno database\n")
    lane._server, lane._process = cast(Any, server), cast(Any, process)
    lines = lane.output().splitlines()
    assert lines[:2] == ["Listening", "no database"]
    ended = ["", "The sandbox has ended. Its log ends with:", "It is running"]
    assert lines[2:] == (ended if has_ended else [])
