"""Reports for tests of the outputs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from checks.lab import Lab
from checks.model import Check, Exhibit, Level, Outcome, Report, Result, Verdict

PASS, FAIL = Outcome.PASS, Outcome.FAIL
INCONCLUSIVE, SKIPPED = Outcome.INCONCLUSIVE, Outcome.SKIPPED
MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY
KNOWN_UNTIL = date(2027, 1, 31)


def _run(lab: Lab) -> Verdict:
    raise AssertionError("not run")


def check(id: str = "auth.garbage", level: Level = MUST, **fields: Any) -> Check:
    texts = {
        "title": "A token of garbage is refused",
        "sends": "A request whose token is no JWT.",
        "expects": "A status from 400 to 499, and no effect.",
        "why": "Anybody who knows the URL could send it.",
        "fix": "Verify the token before anything else.",
    }
    return Check(
        **{"id": id, "level": level, "run": _run, "is_control": id.endswith(".control"), **texts}
        | fields
    )


def result(outcome: Outcome = PASS, checked: Check | None = None, **fields: Any) -> Result:
    checked = checked or check()
    evidence = (Exhibit("Response", ("HTTP/1.1 200", "ok")),) if outcome is FAIL else ()
    text = {
        PASS: "Refused with 401.",
        FAIL: "The handler returned 200.",
        INCONCLUSIVE: "The handler was too slow.",
        SKIPPED: "Needs --run.",
    }[outcome]
    reproduce = f"connect-sim check http://127.0.0.1:9000/ --select {checked.id} --seed 7"
    values = {"verdict": Verdict(outcome, text, evidence), "seconds": 0.25, "reproduce": reproduce}
    return Result(checked, **values | fields)


def report(*results: Result, **fields: Any) -> Report:
    values = {
        "target": "http://127.0.0.1:9000/",
        "version": "1.2",
        "started_at": "2026-11-26T18:00:00+00:00",
        "seconds": 92.4,
        "seed": 7,
        "strict": False,
    }
    return Report(**values | {"results": tuple(results)} | fields)


def mixed(**fields: Any) -> Report:
    """A report with each mark."""
    return report(
        result(PASS, check("auth.control", title="A valid call is processed")),
        result(FAIL),
        result(FAIL, check("auth.authorization_only", SHOULD, title="Authorization alone works")),
        result(FAIL, check("auth.other_product"), known_until=KNOWN_UNTIL),
        result(PASS, check("token.control", title="A valid call is processed")),
        result(INCONCLUSIVE, check("token.replay", title="A replay has no second effect")),
        result(SKIPPED, check("crash.killed", title="A killed handler recovers")),
        result(SKIPPED, check("retry.rotated_secret", MAY, title="A new secret is read")),
        **fields,
    )


def caused(*ids: str, cause: str = "Verifies no token.") -> list[Result]:
    """Failures with one cause."""
    verdict = Verdict(FAIL, "Accepted it.", (Exhibit("Response", ("200",)),), cause)
    return [result(FAIL, check(pk), verdict=verdict) for pk in ids]


def with_text(text: str) -> Report:
    """A report with this text wherever a text of another program may be."""
    failed = result(FAIL, reproduce=f"connect-sim check --run {text}")
    evidence = (Exhibit(text, (text, "end")),)
    failed = replace(failed, verdict=Verdict(FAIL, text, evidence), trace=text)
    skipped = replace(result(SKIPPED, check("auth.x")), verdict=Verdict(SKIPPED, text))
    warned = replace(failed, check=check("auth.y", SHOULD))
    return report(failed, skipped, warned, target=text, error=text, output=text, notes=(text,))
