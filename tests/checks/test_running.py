"""Which checks of a run are run again because the machine was too slow to judge."""

from __future__ import annotations

from checks import runner
from checks.model import Report, Verdict
from tests.checks.running import not_judged
from tests.unit.checks.reports import FAIL, INCONCLUSIVE, PASS, SKIPPED, check, report, result

STARVED = Verdict(INCONCLUSIVE, f"{runner._STARVED} The handler returned 200.")


def of(**verdicts: Verdict) -> Report:
    return report(
        *(result(checked=check(id.replace("__", ".")), verdict=v) for id, v in verdicts.items())
    )


def test_check_on_a_starved_machine_is_not_judged() -> None:
    judged = Verdict(PASS, "Refused."), Verdict(FAIL, "Accepted."), Verdict(INCONCLUSIVE, "Void.")
    passed, failed, void = judged
    found = of(auth__control=passed, auth__get=failed, auth__garbage=STARVED, token__exp=void)
    assert not_judged(found) == ["auth.garbage"]


def test_group_of_a_control_that_is_not_judged_is_not_judged() -> None:
    skipped, passed = Verdict(SKIPPED, "Not judged."), Verdict(PASS, "Refused.")
    found = of(auth__control=STARVED, auth__get=skipped, token__control=passed)
    assert not_judged(found) == ["auth.control", "auth.get"]
