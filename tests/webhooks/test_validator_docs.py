"""The table of docs/validators.md lists all validator types."""

from __future__ import annotations

import re

from tests.processes import ROOT
from webhooks import types

ROW = re.compile(r"^\| (.+) \| `(\w+)` \| (.+), `(\w+)` \| `([\w.]+)` \|$", re.M)


def test_page_lists_every_validator() -> None:
    page = (ROOT / "docs" / "validators.md").read_text()
    expected = {
        (
            trigger.label,
            trigger.type,
            f"{fires.kind} of tier {fires.level}" if fires.level else fires.kind,
            fires.status,
            fires.capability,
        )
        for trigger in types.registered()
        if (fires := trigger.trigger)
    }
    rows = ROW.findall(page)
    assert len(rows) == 16
    assert set(rows) == expected
