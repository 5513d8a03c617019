"""Each list of the states of a delivery has all of them."""

from __future__ import annotations

from itertools import chain

from connect_sim.cli import observing
from portal.deliveries import chart
from webhooks import pruning
from webhooks.states import CALLING, STATES, WAITING


def test_chart_counts_each_state_once() -> None:
    assert sorted(chain(*chart._STATES.values())) == sorted(STATES)
    assert chart._STATES.keys() == chart.OUTCOMES.keys()


def test_state_that_is_not_pending_can_be_pruned() -> None:
    assert set(pruning.FINISHED) == set(STATES) - {WAITING, CALLING}


def test_command_names_all_states() -> None:
    [option] = [each for each in observing.list_.params if each.name == "state"]
    assert tuple(option.type.choices) == STATES
