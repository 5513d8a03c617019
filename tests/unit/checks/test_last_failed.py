"""Which checks failed in the runs of a working folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.outputs import last_failed
from checks.outputs.last_failed import NoFailures
from tests.unit.checks.reports import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    SHOULD,
    SKIPPED,
    check,
    report,
    result,
)

CHECKS = [check(pk) for pk in ("auth.control", "auth.a", "auth.b", "race.control", "race.x")]
CONTROL, A, B, RACE, X = CHECKS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "failed.json"


def test_failures_are_kept_until_they_pass(path: Path) -> None:
    last_failed.write(report(result(PASS, CONTROL), result(FAIL, A), result(FAIL, B)), path)
    assert last_failed.read(CHECKS, path) == ("auth.a", "auth.b")
    # A run of one of them says nothing about the other.
    last_failed.write(report(result(PASS, CONTROL), result(PASS, A)), path)
    assert last_failed.read(CHECKS, path) == ("auth.b",)
    last_failed.write(report(result(PASS, CONTROL), result(INCONCLUSIVE, B)), path)
    assert last_failed.read(CHECKS, path) == ("auth.b",)
    last_failed.write(report(result(PASS, B)), path)
    assert not path.exists()


def test_warnings_are_failures_and_what_is_not_judged_is_none(path: Path) -> None:
    should = check("auth.a", SHOULD)
    last_failed.write(report(result(FAIL, should), result(INCONCLUSIVE, B)), path)
    assert last_failed.read(CHECKS, path) == ("auth.a",)


def test_group_without_its_control_is_run_again(path: Path) -> None:
    results = result(FAIL, CONTROL), result(SKIPPED, A), result(SKIPPED, RACE), result(SKIPPED, X)
    last_failed.write(report(*results), path)
    assert last_failed.read(CHECKS, path) == ("auth.*", "race.*")


def test_good_run_writes_no_file(path: Path) -> None:
    last_failed.write(report(result(PASS)), path)
    assert not path.exists()


def test_missing_file_is_said(path: Path) -> None:
    with pytest.raises(NoFailures, match="no check has failed in this folder"):
        last_failed.read(CHECKS, path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2, "failed": []}',
                                  '{"format": 1, "failed": 3}', "[" * 100_000])  # fmt: skip
def test_damaged_file_is_said_and_written_again(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(NoFailures, match="cannot be read"):
        last_failed.read(CHECKS, path)
    last_failed.write(report(result(FAIL, A)), path)
    assert last_failed.read(CHECKS, path) == ("auth.a",)


def test_checks_that_are_gone_are_none(path: Path) -> None:
    last_failed.write(report(result(FAIL, check("auth.gone"))), path)
    with pytest.raises(NoFailures, match="names no check"):
        last_failed.read(CHECKS, path)
