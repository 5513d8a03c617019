"""What a handler does late because of one check is not taken for an effect of the next one.

The handler fails at names in one check, and goes on trying. The next check sends it a request that
it must refuse, while an order is pending.

Work that takes longer than before is waited for.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator

import pytest

from checks.guard import Guard
from checks.handler_command import Connection, HandlerCommand
from checks.handler_process import HandlerProcess
from checks.options import Options, RunningSandbox
from checks.throwaway import Throwaway
from tests.checks import running
from tests.processes import ROOT

# More often than a check looks at the effects of its requests.
REPEATS = """
import os
from tests.checks.handlers.lookups import find
class Repeats(find("writes_names_in_latin1")):
    def pause(self, failures): return 0.1
Repeats(os.environ).serve()
"""
# It responds at once. After the measurement and the control, it takes longer to approve.
PAUSES = """
import os, time
from tests.checks.handlers.reference import Handler
class Pauses(Handler):
    patience = approvals = 0
    def send_approval(self, *args):
        self.approvals += 1
        time.sleep(2 if self.approvals > 2 else 0)
        super().send_approval(*args)
Pauses(os.environ).serve()
"""
COMMAND = (sys.executable, "-c", REPEATS)
CHECKS = ("effects.customer_names", "auth.no_signature")
EXPECTED = {
    "auth.control": "pass", "auth.no_signature": "pass",
    "effects.control": "pass", "effects.customer_names": "fail",
}  # fmt: skip
SECRET = "JWT-of-the-handler"


@pytest.fixture
def running_handler() -> Iterator[Options]:
    """Checks of a running handler in a running sandbox."""
    command = HandlerCommand(COMMAND, ROOT)
    with Guard() as guard, Throwaway(guard) as server, HandlerProcess(command, guard) as handler:
        sandbox = server.start()
        keys = sandbox.vendor_api_key, sandbox.provider_api_key
        api_url = f"{sandbox.address}/public/v1"
        handler.start(Connection(api_url, f"ApiKey {keys[0]}", SECRET, "", ""))
        yield Options(
            url=handler.url,
            secret=SECRET,
            sandbox=RunningSandbox(sandbox.address, *keys),
            selected=CHECKS,
        )


def outcomes(options: Options) -> dict[str, str]:
    return running.outcomes(running.run_again_if_slow(options))


@pytest.mark.usefixtures("sandbox")
def test_handler_that_failed_is_started_again() -> None:
    options = Options(run=shlex.join(COMMAND), cwd=ROOT, selected=CHECKS, jobs=1)
    assert outcomes(options) == EXPECTED


@pytest.mark.nightly(reason="test_handler_that_failed_is_started_again waits for late work too")
def test_running_handler_that_failed_may_finish_its_work(running_handler: Options) -> None:
    assert outcomes(running_handler) == EXPECTED


@pytest.mark.nightly(reason="test_handler_that_failed_is_started_again waits for late work too")
@pytest.mark.usefixtures("sandbox")
def test_two_runs_are_judged_when_they_have_ended() -> None:
    command = shlex.join((sys.executable, "-c", PAUSES))
    options = Options(run=command, cwd=ROOT, selected=("race.same_request",), jobs=1)
    assert outcomes(options) == {"race.control": "pass", "race.same_request": "pass"}
