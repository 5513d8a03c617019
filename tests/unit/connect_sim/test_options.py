"""Values of options: completion in shells, durations, choices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from checks.catalog import CHECKS
from connect_sim.cli import program
from tests.program import Failed, run, run_json
from tests.unit.connect_sim.recording_server import Server

ROOT = Path(__file__).resolve().parents[3]


def test_shell_completion_names_commands() -> None:
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_CONNECT_SIM_COMPLETE": "bash_complete",
        "COMP_WORDS": "connect-sim clock ad",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "connect_sim"], env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["plain,advance"], done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("init p", ["python", "php"]),
        ("queue add tier", ["tier_config", "tier_account"]),
        ("timeline --kind attempt", ["attempt_started", "attempt_finished"]),
        ("deliveries list --state wait", ["waiting"]),
        ("fault add late", ["latency"]),
        ("check --select auth.control,race.st", ["auth.control,race.stale_read"]),
        ("check --select rac", ["race", *(each.id for each in CHECKS if each.group == "race")]),
        ("key create VA-1 --modules Usage,li", ["Usage,Listings"]),
        ("snapshot restore be", ["before"]),
        ("snapshot diff before n", []),
    ],
)
def test_shell_completion_names_values(server: Server, words: str, expected: list[str]) -> None:
    server.answer = lambda *request: (200, [{"name": "before"}, {"name": "seed"}])
    *arguments, incomplete = words.split()
    completion = ShellComplete(program.program, {}, "connect-sim", "_CONNECT_SIM_COMPLETE")
    found = completion.get_completions(arguments, incomplete)
    assert [each.value for each in found] == expected


def test_shell_completion_without_a_sandbox_has_no_snapshots() -> None:
    completion = ShellComplete(program.program, {}, "connect-sim", "_CONNECT_SIM_COMPLETE")
    assert completion.get_completions(["snapshot", "restore"], "") == []


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("0.5", 0.5), ("2m", 120), ("PT1M", 60)])
def test_seconds_may_be_durations(server: Server, text: str, seconds: float) -> None:
    server.answer = lambda *_: (200, {"id": "HLD-1"})
    run_json("hold", "take", "--ttl", text)
    run_json("wait", "idle", "--timeout", text)
    assert [body["ttl" if "ttl" in body else "timeout"] for *_, body in server.requests] == [
        seconds
    ] * 2


@pytest.mark.parametrize(
    "words",
    ["hold take --ttl 0", "hold take --ttl 2h", "wait idle --timeout soon", "reset --patience nan",
     "listen --delay 2d", "check --run x --start-timeout -1"],
)  # fmt: skip
def test_seconds_out_of_range_are_wrong_usage(words: str) -> None:
    with pytest.raises(Failed, match=r"not a duration|must be from") as failed:
        run(*words.split())
    assert failed.value.code == 2


def test_unknown_names_are_wrong_usage_that_names_the_choices() -> None:
    for arguments in (
        ("timeline", "--kind", "calls"),
        ("deliveries", "--state", "pending"),
        ("key", "create", "VA-1", "--modules", "Usage,Nonsense"),
        ("key", "create", "VA-1", "--modules", ""),
    ):
        with pytest.raises(Failed, match="is not one of") as failed:
            run(*arguments)
        assert failed.value.code == 2
