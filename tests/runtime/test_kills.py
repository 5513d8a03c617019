"""Two kills in a row: the requests in flight wait, and no webhook does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.processes import restart, sandbox


@pytest.mark.nightly(reason="tests/webhooks/test_lost_workers.py has it without processes")
def test_handler_that_answers_gets_everything_after_two_kills(tmp_path: Path) -> None:
    with handler(None) as served, sandbox(tmp_path / "data") as box:
        hook = orders.webhook(box.as_tester(), served.url)["id"]
        for _ in range(3):
            orders.purchase(box.as_tester())
        for _ in range(2):
            for _ in range(3):
                served.next()
            # The requests are answered after the death of the process that has sent them.
            box.process.kill()
            restart(box)
        served.respond = lambda request: 200
        until(lambda: orders.stats(box, hook)["triggers"] == 6, "both deaths are recorded")
        row = box.as_vendor("GET", f"/notifications/webhooks/{hook}")
        assert row["earliest_possible_trigger"] is None
        assert row["stats"]["failure_triggers"] == 0
        orders.purchase(box.as_tester())
        orders.until_stats(box, hook, success_triggers=1)
        assert len(served.received) == 7
        box.as_tester().advance("5m")
        orders.until_stats(box, hook, success_triggers=4, triggers=10)
        assert len(served.received) == 10
