"""Each list of the states of a delivery has all of them."""

from __future__ import annotations

from itertools import chain

import pytest

from portal.deliveries import chart
from tests.processes import ROOT
from webhooks import pruning
from webhooks.states import CALLING, STATES, WAITING


def test_chart_counts_each_state_once() -> None:
    assert sorted(chain(*chart._STATES.values())) == sorted(STATES)
    assert chart._STATES.keys() == chart.OUTCOMES.keys()


def test_state_that_is_not_pending_can_be_pruned() -> None:
    assert set(pruning.FINISHED) == set(STATES) - {WAITING, CALLING}


@pytest.mark.parametrize(
    ("path", "term"),
    [
        ("docs/portal.md", "| `state:failed,waiting` |"),
        ("portal/templates/portal/deliveries/log_parts.html", "<dt><code>state:failed</code>"),
    ],
)
def test_help_of_the_search_names_all_states(path: str, term: str) -> None:
    [line] = [each for each in (ROOT / path).read_text().splitlines() if term in each]
    assert [state for state in STATES if state not in line] == []
