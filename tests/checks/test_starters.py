"""The handlers that `connect-sim init` writes pass the checks as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.options import ALL, Options
from portal.starters import LANGUAGES
from tests import examples, program
from tests.checks import running
from tests.checks.sandboxes import Running

HANDLERS = ["python", pytest.param("node", marks=pytest.mark.node), "php"]
# What takes seconds, and differs most between the languages.
SAMPLE = (
    "auth.other_secret", "auth.alg_none", "token.textual_exp", "payload.chunked",
    "delivery.twice_at_once", "effects.history_clean", "speed.early_response",
    "validator.echo_errors",
)  # fmt: skip


def check(language: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *selected: str) -> None:
    """Write a project, and check its handler; fail with what did not pass."""
    examples.require(language)
    program.run("init", language, str(folder / "project"))
    monkeypatch.chdir(folder / "project")
    options = Options(
        run=LANGUAGES[language].command,
        type=ALL,
        invalid={"domain": "gmail.com"},
        selected=selected,
        jobs=1,
    )
    report = running.run_again_if_slow(options)
    wrong = {
        each.check.id: each.verdict.text
        for each in report.results
        if each.verdict.outcome not in ("pass", "skipped")
    }
    assert wrong == {}, report.output


@pytest.mark.parametrize("language", HANDLERS)
def test_handler_passes_a_sample_of_the_checks(
    sandbox: Running, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(language, tmp_path, monkeypatch, *SAMPLE)


@pytest.mark.nightly(reason="minutes: all checks of a handler")
@pytest.mark.parametrize("language", HANDLERS)
def test_handler_passes_all_checks(
    sandbox: Running, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(language, tmp_path, monkeypatch)
