"""What a lane shows of a handler and of a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from checks.lanes import ThrowawayLane
from checks.options import Options


@dataclass
class Process:
    """A handler with an output."""

    def output(self) -> str:
        return "Listening\nno database\n"


@dataclass
class Server:
    """A sandbox that has ended by itself, or was stopped."""

    has_ended: bool
    is_alive: bool = False

    def log(self) -> str:
        return "Connect Sim is running"


@pytest.mark.parametrize("has_ended", [True, False])
def test_output_is_that_of_the_handler_unless_the_sandbox_has_ended(has_ended: bool) -> None:
    lane = ThrowawayLane(Options(run="handler"))
    lane._server, lane._process = cast(Any, Server(has_ended)), cast(Any, Process())
    lines = lane.output().splitlines()
    assert lines[:2] == ["Listening", "no database"]
    ended = ["", "The sandbox has ended. Its log ends with:", "Connect Sim is running"]
    assert lines[2:] == (ended if has_ended else [])
