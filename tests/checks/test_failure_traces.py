"""A failed check leaves a trace, which `connect-sim trace` shows; one that passes leaves none."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from unittest import mock

import pytest

from checks import lab, trace_file
from checks.options import Options
from checks.outputs import terminal
from tests import program
from tests.checks.running import AGAIN, START, run_again_if_slow
from tests.checks.sandboxes import Running
from tests.processes import ROOT


def test_failed_check_leaves_a_trace(
    sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    folder = tmp_path / "traces"
    program_file = str(ROOT / "tests/checks/handlers")
    options = Options(
        run=shlex.join([sys.executable, program_file, "accepts_tokens_without_signature"]),
        selected=("auth.no_signature",),
        start_timeout=START,
        jobs=1,
        traces=folder,
        environment={"PASSWORD": "of-the-handler"},
    )
    with mock.patch.object(lab, "_AGAIN", AGAIN):
        report = run_again_if_slow(options)
    assert not report.error and not report.notes
    failed = {each.check.id: each for each in report.results}["auth.no_signature"]
    [path] = folder.glob(f"*{trace_file.SUFFIX}")
    assert {each.name for each in folder.iterdir()} == {path.name, ".gitignore"}
    assert path.name == "auth.no_signature.connect-sim-trace" and str(path) == failed.trace
    assert {each.trace for each in report.results if each is not failed} == {""}
    assert f"  Trace: connect-sim trace {path}" in [line for line, _ in terminal.lines(report)]

    content = trace_file.load(path)
    trace, moment = content["trace"], content["trace"]["moment"]
    assert (trace["kind"], trace["seed"]) == ("check", 0)
    shown = failed.reproduce.replace("of-the-handler", "…")
    assert shlex.split(trace["reproduce"]) == shlex.split(shown)
    assert trace["failures"][0]["text"] == failed.verdict.text
    [known] = [each for each in content["state"] if each["object"] == moment["object"]]
    assert known["moments"][-1]["status"] == "approved"
    lines = program.run("trace", str(path)).splitlines()
    assert len(lines) <= 30
    starts = (f"  {failed.verdict.text}", f"{moment['object']} is approved", "  Response: HTTP")
    for start in starts:
        assert any(line.startswith(start) for line in lines), start
    text = str(content)
    assert "of-the-handler" not in text
    for key in (sandbox.sandbox.vendor_api_key, sandbox.sandbox.provider_api_key):
        assert key not in text and key.partition(":")[2] not in text
