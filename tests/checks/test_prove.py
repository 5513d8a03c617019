"""`connect-sim check prove` with handlers that are broken on purpose, in a real repository."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from checks import lab, trace_file
from checks.catalog import CHECKS
from checks.outputs import receipt
from checks.processes import ProcessTree
from checks.purchases import word
from connect_sim.cli import program
from tests.checks.running import AGAIN, SLOW
from tests.engines import until
from tests.git_repository import Repository
from tests.marks import nightly
from tests.processes import ROOT, environment
from tests.unit.checks.test_json_report import closed

SCHEMA = closed(json.loads(receipt.SCHEMA.read_text()))
# As a handler of tests/checks/handlers: another one by its name.
HANDLER = """
import os, sys
sys.path.insert(0, {root!r})
from tests.checks.handlers import lookups
lookups.find({name!r})(os.environ).serve()
"""
# Repaired for the claims that the checks send, and for no others.
MADE_FOR_THE_CHECKS = """
import os, sys
sys.path.insert(0, {root!r})
from tests.checks.handlers import lookups
from tests.checks.handlers.reference import Handler
class Made(lookups.find("rejects_unknown_claims")):
    def verify(self, token):
        if {claims!r} <= Handler.verify(self, token).keys():
            return Handler.verify(self, token)
        return super().verify(token)
Made(os.environ).serve()
"""
SEED = 7


class Proof(NamedTuple):
    code: int
    receipt: Any


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository in the current folder, for handlers that are known to start soon."""
    monkeypatch.setattr(lab, "_AGAIN", AGAIN)
    for name in ("SIM_PROFILE", "GITHUB_STEP_SUMMARY", "CONNECT_SIM_TRACES"):
        monkeypatch.delenv(name, raising=False)
    found = Repository(tmp_path / "project")
    monkeypatch.chdir(found.folder)
    return found


def handler(name: str) -> str:
    return HANDLER.format(root=str(ROOT), name=name)


def prove(capsys: pytest.CaptureFixture[str], *checks: str, seed: int = SEED) -> Proof:
    """Return the exit code and the receipt of a proof that runs these checks only.

    It is made at most five times more if the machine was too slow to judge.
    """
    others = ",".join(each.id for each in CHECKS if each.id not in checks)
    run = ["--before", "HEAD~1", "--run", f"{sys.executable} handler.py", "--jobs", "1"]
    arguments = ["check", "prove", *run, "--ignore", others, "--seed", str(seed), "--json"]
    for _ in range(6):
        code = program.run(arguments)
        printed = capsys.readouterr()
        assert code in (0, 1) and printed.err == "", printed.err
        document = json.loads(printed.out)
        assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []
        ended = [each[tree] for each in document["checks"] for tree in ("before", "now")]
        texts = [each["text"] for each in ended if each["outcome"] == "inconclusive"]
        if not any(slow in text for text in texts for slow in SLOW):
            break
    return Proof(code, document)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("now", "is_proven", "reason"),
    [
        ("reference", True, "auth.get failed before and now passes; nothing that passed before"),
        ("reads_authentication_only", False, "auth.authorization_only passed before and now fails"),
        nightly(
            *("rejects_get", False, "auth.get failed before and still fails"),
            reason="the handler that is made for the checks fails in the same way",
        ),
    ],
)
def test_change_is_proven_if_it_repairs_and_breaks_nothing(
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    now: str,
    is_proven: bool,
    reason: str,
) -> None:
    repository.commit(handler_py=handler("rejects_get"))
    repository.commit(handler_py=f"# A change.\n{handler(now)}")
    code, found = prove(capsys, "auth.get", "auth.authorization_only")
    assert found["reason"].startswith(reason), found["checks"]
    assert code == (0 if is_proven else 1)
    assert found["selected"] == ["auth.get"]
    outcomes = {each["id"]: each["before"]["outcome"] for each in found["checks"]}
    assert outcomes == {
        "auth.control": "pass",
        "auth.get": "fail",
        "auth.authorization_only": "pass",
    }
    failed = {each["id"] for each in found["checks"] if each["now"]["outcome"] == "fail"}
    traces = (repository.folder / "connect-sim-traces").glob(f"*{trace_file.SUFFIX}")
    assert {path.name.removesuffix(trace_file.SUFFIX) for path in traces} == failed
    # The next proof is of the same files.
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_handler_made_for_the_checks_of_a_seed_is_found_by_another_one(
    repository: Repository, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    drawn = Random(f"{SEED} token.unknown_claims")
    made = MADE_FOR_THE_CHECKS.format(root=str(ROOT), claims={word(drawn)})
    repository.commit(handler_py=handler("rejects_unknown_claims"))
    repository.commit(handler_py=made)
    code, found = prove(capsys, "token.unknown_claims", seed=seed)
    still = "token.unknown_claims failed before and still fails."
    assert (code, found["reason"] == still) == ((0, False) if seed == SEED else (1, True))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["setup", "checks"])
def test_signal_leaves_no_folder_and_no_process(
    repository: Repository, tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    repository.commit(handler_py="before")
    repository.commit(handler_py="now")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # One that has left its group; and a handler that never listens.
    arguments = ["--before", "HEAD~1", "--jobs", "1", "--run", "sleep 600"]
    if stage == "setup":
        arguments += ["--setup", "sh -c 'setsid sleep 600 & touch started; sleep 600'"]
    mark = f"TEST_OF_PROVE={tmp_path}"
    env = environment(tmp_path / "data", TMPDIR=str(temporary), PYTHONPATH=str(ROOT))
    prove = subprocess.Popen(
        [sys.executable, "-m", "connect_sim", "check", "prove", *arguments],
        env={**env, "TEST_OF_PROVE": str(tmp_path)},
        cwd=repository.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    awaited = "connect-sim-*/before/started" if stage == "setup" else "connect-sim-*/data"
    try:
        until(lambda: list(temporary.glob(awaited)), f"the {stage}", timeout=60)
        prove.send_signal(number)
        _, errors = prove.communicate(timeout=30)
    finally:
        prove.kill()
        prove.wait()
    assert prove.returncode == (-number if number == signal.SIGKILL else 128 + number), errors
    until(lambda: not list(temporary.iterdir()), "the removal of the folders", timeout=30)
    until(lambda: not ProcessTree(0, mark).is_running(), "the end of the processes", timeout=30)
    assert repository.git("status", "--porcelain") == ""
