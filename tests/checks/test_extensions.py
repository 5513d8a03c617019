"""`check --extension`: broken extensions fail their checks, and right ones pass, under `cextrun`.

In CI the right one runs some of the checks, and one of the broken ones its own: a runner takes
seconds to start.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from checks import runner
from checks.catalog import CHECKS
from checks.model import Outcome, Report
from checks.options import EXTENSION, RUNNER_START, Options
from tests import runners
from tests.checks import running
from tests.marks import nightly
from tests.processes import ROOT

pytestmark = pytest.mark.clients

FOLDER = ROOT / "tests" / "checks" / "extensions"
# By extension: the check that it must fail, and why only `make nightly` runs it.
BROKEN = (
    ("FailsItsTask", "extension.reschedule", ""),
    ("SkipsWhatItHasSeen", "extension.reschedule", "FailsItsTask fails the same check"),
    ("ReschedulesForEver", "extension.reschedule", "FailsItsTask fails the same check"),
    ("ApprovesBlindly", "extension.skip", "the runner starts for each"),
    ("MakesNewValues", "extension.timeout", "waits for half a minute"),
    ("MakesNewValues", "delivery.twice", "the runner starts for each"),
    ("MakesNewValues", "race.same_request", "the runner starts for each"),
    ("MakesNewValues", "race.stale_read", "the runner starts for each"),
    ("OpensACaseEachTime", "extension.schedule_twice", "the runner starts for each"),
    ("ActsForItself", "extension.installation", "the runner starts for each"),
    ("MakesNewValues", "crash.killed", "the runner starts for each API call"),
    ("SkipsWhileItWorks", "delivery.burst_10", "the runner starts for each"),
    ("RepeatsWhatIsRefused", "turn.fail", "the runner starts for each"),
)
SOME = (
    "extension.reschedule extension.skip extension.schedule_twice extension.installation "
    "delivery.twice client.resumes"
)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the extensions are installed."""
    return runners.install(FOLDER, tmp_path_factory.mktemp("extensions"))


def check(installed: Path, name: str, selected: str, *, is_multi_account: bool = False) -> Report:
    """Run checks of an extension, and at most twice more if the machine is too slow."""
    options = Options(
        run=shlex.join([str(runners.program()), "-n", "--no-rich-logging"]),
        type=EXTENSION,
        cwd=FOLDER,
        environment={"VARIANT": name, "PYTHONPATH": str(installed)},
        selected=tuple(selected.split()),
        multi_account=is_multi_account,
        jobs=1,
        start_timeout=RUNNER_START,
        budget=running.BUDGET,
    )
    report = running.run_again_if_slow(options)
    assert not report.error, f"{report.error}\n{report.output}"
    return report


@pytest.mark.parametrize(
    ("name", "id"), [nightly(*each, reason=why) if why else each for *each, why in BROKEN]
)
def test_broken_extension_fails_its_check(installed: Path, name: str, id: str) -> None:
    report = check(installed, name, id, is_multi_account=id == "extension.installation")
    found = running.outcomes(report)
    assert found.pop(id) == Outcome.FAIL, running.describe(report, found)
    assert set(found.values()) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("selected", "is_multi_account"),
    [
        (SOME, False),
        nightly("extension.*", True, reason="what the others don't run is one check"),
        nightly("*", False, reason="minutes: sweeps with a runner that starts for seconds"),
    ],
)
def test_right_extension_passes(installed: Path, selected: str, is_multi_account: bool) -> None:
    report = check(installed, "Reference", selected, is_multi_account=is_multi_account)
    wrong = [r for r in report.results if r.verdict.outcome is not Outcome.PASS]
    skipped = [] if is_multi_account else ["extension.installation"]
    ids = [each.check.id for each in wrong]
    assert ids == skipped, running.describe(report, ids)


@pytest.mark.nightly(reason="minutes: the right one is rescheduled by retries")
def test_extension_that_waits_for_a_day_passes(installed: Path) -> None:
    report = check(installed, "WaitsForADay", "extension.reschedule")
    assert {each.verdict.outcome for each in report.results} == {Outcome.PASS}


def test_each_check_of_extensions_is_failed_by_one() -> None:
    own = {
        each.id for each in runner.select(CHECKS, Options(type=EXTENSION)) if not each.is_control
    }
    assert {id for id in own if id.startswith("extension.")} <= {id for _, id, _ in BROKEN}
