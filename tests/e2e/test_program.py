"""The program `connect-sim` and the terminal, with a running sandbox and a real handler."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import orders, program
from tests.handlers import Handler
from tests.processes import ROOT, Process, Sandbox, first_data, pause, sandbox

PROGRAM = [sys.executable, "-P", "-m", "connect_sim"]


@pytest.fixture
def hook(running: Sandbox, served: Handler) -> Iterator[str]:
    with orders.subscribed(running, served.url) as pk:
        yield pk


def lines(running: Sandbox, *arguments: str) -> list[str]:
    """Return the lines that a successful command prints."""
    return program.run("--data-dir", str(running.data_dir), *arguments).splitlines()


def answer(running: Sandbox, *arguments: str) -> Any:
    """Return the JSON that a successful command prints."""
    return json.loads("\n".join(lines(running, *arguments, "--json")))


def failure(running: Sandbox, *arguments: str, code: int = 1) -> program.Failed:
    """Return how a command ends that fails."""
    with pytest.raises(program.Failed) as failed:
        lines(running, *arguments)
    assert failed.value.code == code
    return failed.value


def until_printed(process: Process, pattern: str) -> str:
    """Wait until the process has printed a line that matches and return it."""
    for _ in range(600):
        if match := re.search(f"^.*{pattern}.*$", process.printed, re.M):
            return match[0]
        pause(0.02)
    raise AssertionError(process.printed)


def test_terminal_prints_attempts_and_calls_of_the_handler(running: Sandbox, hook: str) -> None:
    clock = r"\d\d:\d\d:\d\d"
    request = orders.purchase(running)["id"]
    until_printed(
        running.process,
        rf"{clock} {hook} {request} created → pending  POST http://127.0.0.1:\d+/ 200 \d+ ms",
    )
    running.as_vendor("POST", f"/requests/{request}/fail", {"reason": "Tested."})
    until_printed(running.process, rf"{clock}   handler: POST /requests/{request}/fail 200 \d+ ms")


@pytest.mark.nightly(reason="a sandbox of its own")
def test_quiet_sandbox_prints_no_attempts(tmp_path: Path, served: Handler) -> None:
    with sandbox(tmp_path / "data", SIM_QUIET="true") as quiet:
        orders.webhook(quiet, served.url)
        before = quiet.process.printed
        orders.purchase(quiet)
        served.next()
        assert lines(quiet, "wait", "idle", "--since", "0.0") == ["True."]
        assert quiet.process.printed == before
        quiet.process.kill()


def test_first_start_prints_one_line_about_demo_data() -> None:
    printed = (first_data() / "sandbox.log").read_text()
    assert re.match(r"Demo data: \d+ rows added\.\n\nConnect Sim is running at ", printed)
    assert "WARNING" not in printed and "nothing to add" not in printed


def test_deliveries_and_timeline_show_what_happened(running: Sandbox, hook: str) -> None:
    cursor = answer(running, "timeline", "--limit", "1")["cursor"]
    request = orders.purchase(running)["id"]
    assert lines(running, "wait", "delivered", request, "--since", cursor)[0] == "True."
    running.as_vendor("POST", f"/requests/{request}/fail", {"reason": "Tested."})
    head, *rows = lines(running, "deliveries", "--object", request)
    assert head.split()[:2] == ["ID", "WEBHOOK"]
    row = [row for row in rows if hook in row][-1]
    assert "delivered" in row
    shown = lines(running, "deliveries", "show", row.split()[0])
    assert shown[0].startswith(f"Delivery {row.split()[0]}  {hook}  delivered")
    assert any(f"{request} created → pending" in line for line in shown)
    assert any(line.startswith("Attempt 1: ") for line in shown)
    assert f"  Handler activity: failed {request}" in shown
    assert f"    POST /public/v1/requests/{request}/fail 200" in shown
    assert orders.SECRET not in "\n".join(shown)
    kinds = [line.split()[3] for line in lines(running, "timeline", "--object", request)]
    assert kinds[:2] == ["change", "event"]
    assert "attempt_finished" in kinds


def test_timeline_follows(running: Sandbox, hook: str, tmp_path: Path) -> None:
    command = [*PROGRAM, "timeline", "--follow", "--json", "--kind", "change"]
    process = Process(command, running.process.env, tmp_path / "follow.log").start()
    try:
        for _ in range(100):
            request = orders.purchase(running)["id"]
            if request in process.printed:
                break
            pause(0.1)
        line = until_printed(process, re.escape(request))
    finally:
        assert process.stop(signal.SIGINT) == 130
    assert json.loads(line)["kind"] == "change"
    assert "Traceback" not in process.printed


def test_time_moves_from_attempt_to_attempt(running: Sandbox, hook: str, served: Handler) -> None:
    served.respond = lambda request: 500
    orders.purchase(running)
    orders.until_stats(running, hook, failure_triggers=1)
    head, *rows = lines(running, "forecast", hook)[1:]
    assert head.split()[0] == "ATTEMPT"
    assert len(rows) == 9 and "yes" in rows[-1]
    moved = lines(running, "clock", "next")
    assert "1 attempt: 0 succeeded, 1 failed" in moved[0]
    assert "attempt 2: 500" in moved[1] and "next attempt at" in moved[1]
    assert "ahead of real time" in lines(running, "clock", "show")[0]
    served.respond = lambda request: 200
    idle = answer(running, "clock", "run-until-idle", "--max", "2d")
    assert idle["stopped_because"] == "idle"
    assert [each["outcome"] for each in idle["attempts"] if each["webhook"] == hook] == ["success"]


def test_wait_names_what_happened_instead(running: Sandbox, hook: str, served: Handler) -> None:
    served.respond = lambda request: 500
    cursor = answer(running, "timeline", "--limit", "1")["cursor"]
    orders.purchase(running)
    failed = failure(running, "wait", "delivered", hook, "--since", cursor, "--timeout", "0.5")
    told, reason, *_ = failed.out.splitlines()
    assert told.startswith(f"Not true after 500 ms of real time: a delivery to {hook}")
    assert "failed: Handler returned HTTP 500" in reason
    assert any("outcome" in line for line in failed.out.splitlines() if "Nearest" in line)
    assert answer(running, "wait", "failed", hook, "--since", cursor)["evidence"]


def test_unknown_ids_and_statuses_are_wrong_usage(running: Sandbox, hook: str) -> None:
    request = orders.purchase(running)["id"]
    for command, text in {
        "deliveries --webhook WH-000-000-001": "webhook: Unknown webhook 'WH-000-000-001'.",
        "deliveries --object PR-1": "object: Unknown object 'PR-1'",
        "deliveries --state delivred": "'delivred' is not one of 'waiting', 'calling', 'delivered'",
        "wait called WH-000-000-001": "Unknown webhook 'WH-000-000-001'.",
        "wait failed PR-1": "Unknown object 'PR-1'",
        f"wait status {request} aproved": f"Unknown status 'aproved' of {request}. Available: ",
    }.items():
        assert text in str(failure(running, *command.split(), code=2)), command


def test_hold_keeps_the_clock(running: Sandbox) -> None:
    [hold] = lines(running, "hold", "take", "--ttl", "60", "--note", "test")
    assert any(hold in line and "test" in line for line in lines(running, "hold"))
    shown = lines(running, "clock")
    assert "Not settled:" in shown
    moved = lines(running, "clock", "advance", "1s", "--patience", "0.1")
    assert any(line.startswith("Not waited for:") for line in moved)
    assert lines(running, "hold", "release", hold) == [f"Released {hold}."]
    assert "404" in str(failure(running, "hold", "release", hold))
    assert lines(running, "hold", "list") == ["No holds."]


def test_snapshot_is_saved_compared_restored_and_deleted(running: Sandbox) -> None:
    assert lines(running, "snapshot", "save", "before")[0].startswith("Saved before")
    assert any(line.startswith("before") for line in lines(running, "snapshot"))
    assert "409" in str(failure(running, "snapshot", "save", "before"))
    request = orders.purchase(running)["id"]
    changed = "\n".join(lines(running, "snapshot", "diff", "before"))
    assert request in changed
    assert lines(running, "snapshot", "restore", "before")[0].startswith("Restored before")
    assert lines(running, "snapshot", "diff", "before", "now") == ["No differences."]
    assert running.call("GET", f"/public/v1/requests/{request}").status_code == 404
    assert lines(running, "snapshot", "delete", "before") == ["Deleted before."]
    failure(running, "snapshot", "restore", "before")


def test_reset_removes_what_was_added(running: Sandbox) -> None:
    request = orders.purchase(running)["id"]
    assert re.fullmatch(r"Reset in [\d.]+ ms\. Platform time: .* UTC\.", *lines(running, "reset"))
    assert running.call("GET", f"/public/v1/requests/{request}").status_code == 404
    assert lines(running, "clock", "reset")[0].startswith("Reset in ")


def test_closed_pipe_ends_without_a_traceback(running: Sandbox) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*PROGRAM, "clock", "show"],
        env=running.process.env,
        cwd=ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


def test_script_of_the_checkout_works_in_another_folder(running: Sandbox, tmp_path: Path) -> None:
    """The link and the folder's own modules must not disturb it."""
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    link = tmp_path / "connect-sim"
    link.symlink_to(ROOT / "connect-sim")
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the checkout has no .venv: the script was not run")
    env = {k: v for k, v in running.process.env.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [link, "clock", "show", "--json"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "now" in json.loads(done.stdout)
