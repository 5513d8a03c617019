"""`connect-sim check prove`: bad input, what is run in which folder, and what is written."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from checks import runner
from checks.catalog import CHECKS
from checks.model import Report
from checks.options import Options
from connect_sim.cli import program
from tests.git_repository import Repository
from tests.program import Failed, run
from tests.unit.checks.reports import FAIL, PASS, report, result

HANDLER = f"{sys.executable} handler.py"
MORE = "--pair", "3:after"
PROVE = ("check", "prove", "--before", "HEAD~1", "--run", HANDLER)
CONTROL, NO_HEADER = (
    next(check for check in CHECKS if check.id == id) for id in ("auth.control", "auth.no_header")
)


@dataclass
class Runs:
    """The runs of checks that a test asked for; it fails if the handler says `broken`."""

    folders: list[Path] = field(default_factory=list)
    options: list[Options] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def run(self, options: Options, progress: Any) -> Report:
        self.folders.append(Path.cwd())
        self.options.append(options)
        self.files.append({path.name: path.read_text() for path in Path.cwd().glob("*.*")})
        self.environment = dict(os.environ)
        outcome = FAIL if "broken" in self.files[-1]["handler.py"] else PASS
        results = [result(*each) for each in ((PASS, CONTROL), (outcome, NO_HEADER))]
        trace = str(options.traces / "a trace") if options.traces and outcome is FAIL else ""
        verdict = replace(results[1].verdict, repeated_by=MORE)
        results[1] = replace(results[1], verdict=verdict, trace=trace)
        found = report(*results, target=options.run, seed=options.seed, error=self.error)
        return replace(found, output="printed by the handler\n" if self.error else "")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository in the current folder, whose last commit repairs the handler."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    found = Repository(tmp_path / "project")
    found.commit(handler_py="broken")
    found.commit(handler_py="good")
    monkeypatch.chdir(found.folder)
    return found


@pytest.fixture
def runs(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    recorded = Runs()
    monkeypatch.setattr(runner, "run", recorded.run)
    yield recorded
    assert not any((tmp_path / "temporary").iterdir())
    assert not any(folder.exists() for folder in recorded.folders)


def refused(*arguments: str) -> str:
    with pytest.raises(Failed) as failed:
        run(*arguments)
    assert failed.value.code == 2
    return str(failed.value).splitlines()[-1]


BAD = [
    (("--run", HANDLER), "Missing option '--before'."),
    (("--before", "HEAD"), "Missing option '--run'."),
    (("--before", "HEAD", "--run", " "), "--run: the command is empty."),
    (
        ("--before", "none", "--run", HANDLER),
        "--before: there is no commit and no folder 'none'",
    ),
    (("--before", "HEAD", "--run", HANDLER), "--before: HEAD has the same files as there are now"),
    (
        (*PROVE[2:], "--select", "auth.no"),
        "--select: There is no check 'auth.no'. Similar: ",
    ),
    (
        (*PROVE[2:], "--select", "auth.get", "--ignore", "auth"),
        "--select: no check that is run matches 'auth.get'.",
    ),
    ((*PROVE[2:], "--setup", "a '"), "--setup: the command cannot be split (No closing quotation)"),
    ((*PROVE[2:], "--setup", ""), "--setup: the command is empty."),
    ((*PROVE[2:], "--seed", "-1"), "--seed"),
    ((*PROVE[2:], "--receipt", "none/a"), "--receipt: none/a cannot be written: the folder none"),
    (
        (*PROVE[2:], "--receipt", "a", "--summary", "a"),
        "--receipt and --summary name the same",
    ),
    (
        (*PROVE[2:], "--trace", "handler.py/here"),
        "--trace: handler.py/here cannot be written: ",
    ),
    ((*PROVE[2:], "http://h/"), "unexpected extra argument"),
    (
        ("--before", "HEAD~1", "--run", ".venv/bin/python handler.py"),
        "--run: there is no program '.venv/bin/python'. In HEAD~1, commit ",
    ),
    (
        ("--before", "HEAD~1", "--run", f"{sys.executable} new.py"),
        "--run: there is no script 'new.py'. In HEAD~1, commit ",
    ),
    (
        (*PROVE[2:], "--run-next", "none"),
        "--run-next: there is no program 'none'. In HEAD~1, commit ",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_wrong_usage_ends_with_2_before_anything_is_run(
    runs: Runs, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused("check", "prove", *arguments)
    assert runs.options == []


def test_error_is_json_with_json(runs: Runs) -> None:
    error = json.loads(refused("check", "prove", "--before", "none", "--run", HANDLER, "--json"))
    assert error["code"] == "invalid_value" and "'none'" in error["message"]


def test_same_checks_run_in_a_folder_of_each_state(runs: Runs, repository: Repository) -> None:
    (repository.folder / "new.txt").write_text("untracked")
    assert program.run([*PROVE, "--ignore", "race", "--method", "get"]) == 0
    first, second = runs.options
    assert replace(first, traces=second.traces) == second
    assert (first.run, first.method, first.ignored) == (HANDLER, "GET", ("race.*",))
    assert runs.files == [
        {"handler.py": "broken"},
        {"handler.py": "good", "new.txt": "untracked"},
    ]
    assert runs.folders[0] != runs.folders[1] and repository.folder not in runs.folders


def test_seed_is_another_one_each_time_unless_it_is_given(runs: Runs) -> None:
    for arguments in ((), (), ("--seed", "5")):
        program.run([*PROVE, *arguments])
    seeds = [options.seed for options in runs.options]
    assert seeds[0] == seeds[1] != seeds[2] and seeds[4:] == [5, 5]


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ((), "connect-sim-traces"),
        (("--trace", "../kept"), "../kept"),
        (("--no-trace",), None),
    ],
)
def test_what_fails_now_leaves_traces_where_the_program_was_started(
    runs: Runs,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    folder: str | None,
) -> None:
    monkeypatch.delenv("CONNECT_SIM_TRACES", raising=False)
    repository.commit(handler_py="still broken")
    assert program.run([*PROVE, "--before", "HEAD~2", *given]) == 1
    before, now = (options.traces for options in runs.options)
    assert before is None
    assert now == (folder and repository.folder / folder)
    shown = [line for line in capsys.readouterr().out.splitlines() if "connect-sim trace" in line]
    assert shown == ([f"    Trace: connect-sim trace '{folder}/a trace'"] if folder else [])


@pytest.mark.parametrize("code", [0, 1])
def test_receipt_and_summaries_are_written(
    runs: Runs,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    code: int,
) -> None:
    if code:
        repository.commit(handler_py="still broken")
    (tmp_path / "job.md").write_text("Before.\n\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "job.md"))
    files = ("--receipt", str(tmp_path / "receipt.json"), "--summary", str(tmp_path / "proof.md"))
    ref = ("--before", "HEAD~2") if code else ()
    assert program.run([*PROVE, *ref, *files, "--env", "KEY=s3cret"]) == code
    printed = capsys.readouterr().out
    document = json.loads((tmp_path / "receipt.json").read_text())
    summary = (tmp_path / "proof.md").read_text()
    word = "Not proven" if code else "Proven"
    assert printed.splitlines()[-1] == f"{word}: {document['reason']}"
    assert "auth.no_header (MUST): fail → " in printed
    assert summary.startswith(f"## {'❌' if code else '✅'} connect-sim check prove: {word}\n")
    assert (tmp_path / "job.md").read_text() == f"Before.\n\n{summary}"
    assert document["exit_code"] == code
    assert "s3cret" not in printed + summary + json.dumps(document)
    assert " --select auth.no_header --pair 3:after --seed " in summary
    assert "KEY=…" in document["command"] and "--seed" in document["command"]


def test_json_is_the_receipt_and_nothing_else(
    runs: Runs, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    Repository(repository.folder / "inner").commit(a_py="1")
    assert program.run([*PROVE, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "proven" and printed.err == ""


def test_subfolder_of_the_repository_is_where_it_runs(
    runs: Runs, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("broken", "good"):
        (repository.folder / "sub").mkdir(exist_ok=True)
        (repository.folder / "sub" / "handler.py").write_text(text)
        repository.commit()
    monkeypatch.chdir(repository.folder / "sub")
    assert program.run([*PROVE]) == 0
    assert [folder.name for folder in runs.folders] == ["sub", "sub"]


def test_setup_runs_in_each_tree_before_the_handler(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECT_SIM_VENDOR_KEY", "s3cret")
    setup = "sh -c 'echo broken >> handler.py; env > env.txt'"
    assert program.run([*PROVE, "--setup", setup]) == 1
    assert [files["handler.py"] for files in runs.files] == ["brokenbroken\n", "goodbroken\n"]
    assert "s3cret" not in runs.files[0]["env.txt"] and "PATH=" in runs.files[0]["env.txt"]


@pytest.mark.parametrize("as_json", [True, False])
def test_setup_that_fails_ends_with_its_last_lines(
    runs: Runs, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    words = [*PROVE, "--setup", "sh -c 'echo no package; exit 3'", *["--json"] * as_json]
    assert program.run(words) == 2
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == "" and runs.options == []
    if as_json:
        [line] = lines
        message = json.loads(line)["message"]
        assert message.startswith("--setup failed in HEAD~1") and "no package" in message
    else:
        assert "  | no package" in lines
        assert lines[-1].startswith("Error: --setup failed in HEAD~1, commit ")
        assert lines[-1].endswith(": exit code 3.")


def test_checks_that_cannot_be_run_prove_nothing(
    runs: Runs, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs.error = "The handler ended with exit code 1 before it was ready."
    assert program.run([*PROVE, "--receipt", str(tmp_path / "receipt.json")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "  | printed by the handler" in lines
    assert lines[-1].startswith("Error: The checks of HEAD~1, commit ")
    assert lines[-1].endswith(f" could not be run: {runs.error}")
    assert not (tmp_path / "receipt.json").exists()


def test_temporary_folder_that_cannot_be_written_is_an_error(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "none"))
        assert "The proof could not be made: [Errno 2]" in refused(*PROVE)


def test_repository_of_a_hook_is_not_used(
    runs: Runs, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `git commit` and others set them, also for what a hook runs in another repository."""
    other = Repository(tmp_path / "other")
    other.commit(b_py="1")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index.lock"))
    monkeypatch.setenv("GIT_PREFIX", "sub/")
    (repository.folder / "new.txt").write_text("untracked")
    states = repository.state(), other.state()
    assert program.run([*PROVE, "--setup", "sh -c 'git add --all; true'"]) == 0
    assert (repository.state(), other.state()) == states
    assert runs.files[1]["new.txt"] == "untracked"
    assert not {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"} & {*runs.environment}
    assert not (tmp_path / "index.lock").exists()
