"""`connect-sim check`: bad input before anything starts, what is run, and what is written."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from checks import runner, sandbox_file
from checks.catalog import CHECKS
from checks.model import Report
from checks.options import Options, RunningSandbox
from connect_sim.cli import program
from connect_sim.cli.check_options import TRACES_FOLDER
from tests.program import Failed, run
from tests.unit.checks.reports import FAIL, PASS, report, result

URL = ("check", "http://127.0.0.1:9000/", "--secret", "s3cret")
RUN = ("check", "--run", f"{sys.executable} handler.py")
EXTENSION = ("check", "--extension", "var", "--runner", sys.executable)
CONTROL = next(check for check in CHECKS if check.id == "auth.control")
OTHER = next(check for check in CHECKS if check.id == "auth.other_secret")
PASSED, FAILED = report(result(PASS, OTHER)), report(result(FAIL, OTHER))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the address of a running sandbox, and an environment without settings."""
    names = ("DATA_DIR", "PROFILE", "ENV_FILE", "SECRET", "URL", "VENDOR_KEY", "PROVIDER_KEY")
    for name in (
        *(f"{each}_{name}" for name in names for each in ("SIM", "CONNECT_SIM")),
        "GITHUB_STEP_SUMMARY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    sandbox_file.write(tmp_path / "var", sandbox_file.Sandbox("http://sim", "SU-1:v", "SU-2:p"))
    (tmp_path / "var" / "empty").mkdir()
    for each in (tmp_path, tmp_path / "var"):
        (each / "handler.py").touch()
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The runs that a test asked for; each passes."""
    return runs(monkeypatch, lambda options: PASSED)


def runs(monkeypatch: pytest.MonkeyPatch, report: Callable[[Options], Report]) -> list[Options]:
    ran: list[Options] = []

    def record(options: Options, progress: Any) -> Report:
        ran.append(options)
        return report(options)

    monkeypatch.setattr(runner, "run", record)
    return ran


BAD = [
    ((), "Missing the handler: give its URL, --run COMMAND, --webhook"),
    (("http://h/", "--run", "python"), "URL and --run exclude each other."),
    (("--run", "python", "--webhook", "WH-1"), "--run and --webhook exclude each other."),
    (("http://h/",), "A URL needs the webhook's JWT secret: --secret, or the variable CONNECT_SIM"),
    (("127.0.0.1:9000", "--secret", "s"), "'127.0.0.1:9000' is not a URL such as"),
    (("http://", "--secret", "s"), "'http://' is not a URL"),
    (("http://h:99999/", "--secret", "s"), "'http://h:99999/' is not a URL"),
    (("http://me:pass@h:x/", "--secret", "s"), "The URL is not a URL"),
    (("--run", ""), "Missing the handler"),
    (("--run", " "), "--run: the command is empty."),
    (("--run", "python 'a"), "--run: the command cannot be split (No closing quotation)."),
    (("--run", "no-such-program x"), "--run: there is no program 'no-such-program'."),
    (("--run", "./none.sh"), "--run: there is no program './none.sh'."),
    (("--run", f"{sys.executable} -u none.py"), "--run: there is no script 'none.py'."),
    ((*RUN[1:], "--cwd", "var/empty"), "--run: there is no script 'handler.py'."),
    ((*RUN[1:], "--secret", "s"), "--secret has no meaning with --run."),
    ((*RUN[1:], "--keep"), "--keep has no meaning with --run."),
    ((*URL[1:], "--env", "A=b"), "--env needs --run."),
    ((*URL[1:], "--jobs", "2"), "--jobs needs --run."),
    ((*URL[1:], "--grace", "2"), "--grace needs --run."),
    ((*RUN[1:], "--run-next", "python 'a"), "--run-next: the command cannot be split"),
    ((*RUN[1:], "--run-next", "no-such-program"), "--run-next: there is no program 'no-such-pro"),
    ((*RUN[1:], "--budget", "0"), "--budget"),
    ((*RUN[1:], "--pair", "3:after"), "--pair needs --select with a check of turn."),
    ((*RUN[1:], "--select", "turn", "--pair", "0:after"), "--pair: must be such as 3:before or"),
    ((*RUN[1:], "--env", "A"), "--env: must be NAME=VALUE."),
    ((*RUN[1:], "--env", "A={key}"), "--env: A has the unknown template {key}. Known: {api_key}"),
    ((*RUN[1:], "--env", "A=1", "--env", "A=2"), "--env: A is given twice."),
    ((*RUN[1:], "--ready-url", "health"), "'health' is not a URL"),
    ((*RUN[1:], "--path", "webhook"), "must begin with one slash"),
    ((*RUN[1:], "--path", "/a b"), "is not a URL"),
    ((*RUN[1:], "--cwd", "none"), "Directory 'none' does not exist."),
    ((*RUN[1:], "--start-timeout", "0"), "--start-timeout"),
    ((*RUN[1:], "--invalid", "region"), "--invalid: 'region' must be NAME=VALUE."),
    ((*RUN[1:], "--invalid", "=x"), "--invalid: '=x' must be NAME=VALUE."),
    ((*RUN[1:], "--select", "auth.contrl"), "--select: There is no check 'auth.contrl'. Similar: "),
    ((*RUN[1:], "--select", "auth,x.*"), "--select: no check matches 'x.*'."),
    ((*RUN[1:], "--select", ""), "--select: There is no check ''."),
    ((*RUN[1:], "--last-failed"), "--last-failed: There is no .connect-sim-check.json: no check"),
    ((*RUN[1:], "--last-failed", "--select", "auth"), "--select and --last-failed exclude each"),
    ((*RUN[1:], "--max-time", "soon"), "--max-time: 'soon' is not a duration. Use, for example,"),
    ((*RUN[1:], "--max-time", "0"), "--max-time: must be longer than 0."),
    ((*RUN[1:], "--ignore", "nonsense"), "--ignore: There is no check 'nonsense'."),
    ((*RUN[1:], "--ignore", "*"), "No selected check is one of --type event."),
    ((*RUN[1:], "--type", "x"), "--type"),
    ((*RUN[1:], "--seed", "-1"), "--seed"),
    ((*RUN[1:], "--junit", "none/a"), "--junit: none/a cannot be written: the folder none does"),
    ((*RUN[1:], "--json", "none/a"), "--json: none/a cannot be written: the folder none does not"),
    ((*RUN[1:], "--json", "."), "--json: . cannot be written: it is not the name of a file."),
    ((*RUN[1:], "--html", "-"), "--html: - cannot be written: it is not the name of a file."),
    ((*RUN[1:], "--html", "a", "--junit", "./a"), "--junit and --html name the same file."),
    ((*RUN[1:], "--events", "--json", "-"), "--events and --json - exclude each other."),
    ((*RUN[1:], "--baseline", "none"), "--baseline: Cannot read the baseline none: No such file"),
    ((*RUN[1:], "--update-baseline"), "--update-baseline needs --baseline FILE."),
    (("--extension", "none"), "Directory 'none' does not exist."),
    (("--extension", ".", "--runner", "none"), "--runner: there is no program 'none'; pip install"),
    (("--extension", ".", "--run", "python"), "--run and --extension exclude each other."),
    ((*EXTENSION[1:], "--method", "GET"), "--method has no meaning with --extension."),
    ((*EXTENSION[1:], "--keep"), "--keep has no meaning with --extension."),
    ((*EXTENSION[1:], "--select", "auth"), "No selected check is one of --extension."),
    ((*RUN[1:], "--multi-account"), "--multi-account needs --extension."),
    ((*URL[1:], "--runner", "cextrun"), "--runner needs --extension."),
    (("--explain", "auth.contrl"), "--explain: There is no check 'auth.contrl'. Similar: auth.con"),
    (("--explain", "x", "--list"), "--explain: There is no check 'x'."),
]


@pytest.mark.parametrize("arguments, text", BAD, ids=[" ".join(each[0]) for each in BAD])
def test_bad_input_is_one_line_before_anything_starts(
    ran: list[Options], folder: Path, arguments: tuple[str, ...], text: str
) -> None:
    with pytest.raises(Failed) as failed:
        run("check", *arguments)
    assert failed.value.code == 2
    line = str(failed.value)
    if "--json" in arguments:
        line = f"Error: {json.loads(line)['message']}"
    assert line.startswith("Error: ") and "\n" not in line and text in line
    assert "pass@h" not in line
    assert ran == [] and {each.name for each in folder.iterdir()} == {"var", "handler.py"}


def test_damaged_baseline_and_protected_file_are_found_before(
    ran: list[Options], folder: Path
) -> None:
    (folder / "bad.toml").write_text("[[known]]\nid = 1")
    with pytest.raises(Failed, match="Known failure 1 of the baseline has no 'until'"):
        run(*RUN, "--baseline", "bad.toml")
    if os.geteuid():
        (folder / "bad.toml").chmod(0o400)
        with pytest.raises(Failed, match="permission denied"):
            run(*RUN, "--junit", "bad.toml")
    assert ran == []


def test_url_is_checked_with_the_running_sandbox(ran: list[Options]) -> None:
    assert "Pass: 1 of 1 check passed" in run(*URL)
    sandbox = RunningSandbox("http://sim", "SU-1:v", "SU-2:p")
    assert ran == [Options(url=URL[1], secret="s3cret", sandbox=sandbox, traces=TRACES_FOLDER)]


def test_all_options_are_passed_on(ran: list[Options]) -> None:
    words = (
        "--type all --method get --product PRD-1 --select auth,auth.g* --select auth.control "
        "--ignore auth.get --strict --deep --keep --seed 7 --invalid region=a=b "
        "--fail-fast --max-time 1m30s --trace here/traces "
        "--sandbox-url http://other/public/v1/"
    )
    run(*URL, *words.split())
    assert ran == [
        Options(
            url=URL[1],
            secret="s3cret",
            type="all",
            method="GET",
            product="PRD-1",
            selected=("auth.*", "auth.g*", "auth.control"),
            ignored=("auth.get",),
            strict=True,
            deep=True,
            keep=True,
            seed=7,
            fail_fast=True,
            max_time=90,
            invalid={"region": "a=b"},
            sandbox=RunningSandbox("http://other", "SU-1:v", "SU-2:p"),
            traces=Path("here/traces"),
        )
    ]


def test_command_is_checked_with_a_sandbox_of_its_own(
    ran: list[Options], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Variables for other calls of the program.
    monkeypatch.setenv("CONNECT_SIM_SECRET", "other")
    monkeypatch.setenv("CONNECT_SIM_URL", "http://other")
    run(
        *RUN,
        "--env",
        "A={port}",
        "--env",
        "B=",
        "--cwd",
        "var",
        "--path",
        "/hook",
        "--ready-url",
        "/up",
        "--start-timeout",
        "2.5",
        "--jobs",
        "1",
        "--no-trace",
        "--run-next",
        RUN[2],
        "--grace",
        "3",
        "--budget",
        "4",
        "--select",
        "turn.fail",
        "--pair",
        "3:after",
    )
    assert ran == [
        Options(
            run=RUN[2],
            environment={"A": "{port}", "B": ""},
            cwd=Path("var"),
            path="/hook",
            ready_url="/up",
            start_timeout=2.5,
            jobs=1,
            run_next=RUN[2],
            grace=3,
            budget=4,
            selected=("turn.fail",),
            pair="3:after",
        )
    ]


def test_extension_is_checked_with_its_runner(ran: list[Options]) -> None:
    run(*EXTENSION, "--multi-account", "--no-trace", "--select", "crash", "--env", "A=1")
    [options] = ran
    assert options == Options(
        run=f"{sys.executable} -n --no-rich-logging",
        runner=sys.executable,
        type="extension",
        cwd=Path("var"),
        environment={"A": "1"},
        start_timeout=120.0,
        selected=("crash.*",),
        multi_account=True,
    )
    assert options.target == "the extension in var"
    assert options.reproduce("crash.killed") == (
        f"connect-sim check --extension var --runner {sys.executable} --env A=1 --multi-account "
        "--select crash.killed --seed 0"
    )
    listed = run("check", "--list", "--extension", "var").splitlines()
    assert [each.split()[0] for each in listed if each.startswith("  client.")] == [
        "client.control",
        "client.resumes",
        "client.refused_key",
    ]


def test_runner_is_named_from_the_working_folder(ran: list[Options], folder: Path) -> None:
    runner_file = folder / "bin" / "cextrun"
    runner_file.parent.mkdir()
    runner_file.touch(mode=0o755)
    run("check", "--extension", "var", "--runner", "bin/cextrun")
    # It starts in the extension's folder.
    assert [options.run for options in ran] == [f"{runner_file} -n --no-rich-logging"]


def test_runner_is_waited_for_as_long_as_said(ran: list[Options]) -> None:
    for words in ((), ("--start-timeout", "5"), ("--start-timeout", "30")):
        run(*EXTENSION, *words)
    assert [options.start_timeout for options in ran] == [120, 5, 30]
    assert "--start-timeout 30" in ran[2].reproduce("crash.killed")


def test_program_is_looked_for_where_the_handler_starts(ran: list[Options], folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "there" / "start.sh").touch()
    run("check", "--run", "./start.sh", "--cwd", "there")
    run("check", "--run", "elsewhere", "--env", "PATH=/elsewhere")
    assert [options.run for options in ran] == ["./start.sh", "elsewhere"]


def test_secret_and_sandbox_may_be_variables(
    ran: list[Options], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "var" / "sandbox.json").unlink()
    with pytest.raises(Failed, match=r"sandbox\.json does not exist.*CONNECT_SIM_URL") as failed:
        run(*URL)
    assert failed.value.code == 2
    for name, value in {
        "URL": "http://container:8000/",
        "VENDOR_KEY": "SU-3:v",
        "PROVIDER_KEY": "SU-4:p",
        "SECRET": "of-a-variable",
    }.items():
        monkeypatch.setenv(f"CONNECT_SIM_{name}", value)
    run("check", "http://h/")
    run("check", "--webhook", "WH-1")
    sandbox = RunningSandbox("http://container:8000", "SU-3:v", "SU-4:p")
    common = Options(secret="of-a-variable", sandbox=sandbox, traces=TRACES_FOLDER)
    assert ran == [replace(common, url="http://h/"), replace(common, webhook="WH-1")]


def test_checks_are_listed_and_explained(ran: list[Options]) -> None:
    assert run("check", "--list").splitlines()[-1] == f"{len(CHECKS)} checks."
    listed = run("check", "--list", "--select", "auth", "--ignore", "auth.get")
    assert "auth.control" in listed and "auth.get " not in listed
    assert run("check", "--explain", "auth.get").startswith("auth.get: ")
    assert ran == []


# Results


def streams(*arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        return program.run(arguments), out.getvalue(), errors.getvalue()


@pytest.mark.parametrize(
    "result, code",
    [(PASSED, 0), (FAILED, 1), (report(), 2), (report(result(PASS, OTHER), error="Gone."), 2)],
    ids=["pass", "failure", "nothing was run", "could not run"],
)
def test_exit_code_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, result: Report, code: int
) -> None:
    runs(monkeypatch, lambda options: result)
    assert streams(*URL)[0] == code


def test_json_on_standard_output_moves_the_report_to_standard_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs(monkeypatch, lambda options: FAILED)
    code, out, errors = streams(*URL, "--json", "-")
    assert code == 1
    assert json.loads(out)["exit_code"] == 1
    assert "Fail: 1 of 1 check failed." in errors


def test_files_are_written(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    runs(monkeypatch, lambda options: FAILED)
    (folder / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    code, out, errors = streams(*URL, "--json", "a.json", "--junit", "a.xml", "--html", "a.html")
    assert (code, errors) == (1, "")
    written = {
        name: (folder / name).read_text() for name in ("a.json", "a.xml", "a.html", "summary.md")
    }
    assert json.loads(written["a.json"])["results"][0]["id"] == OTHER.id
    assert ElementTree.fromstring(written["a.xml"]).attrib["failures"] == "1"
    assert written["a.html"].startswith("<!doctype html>")
    assert written["summary.md"].startswith("before\n## ")
    for text in (out, *written.values()):
        assert OTHER.id in text


def test_file_that_cannot_be_written_at_the_end_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def remove(options: Options) -> Report:
        shutil.rmtree(folder / "out", ignore_errors=True)
        return PASSED

    runs(monkeypatch, remove)
    (folder / "out").mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "none" / "summary.md"))
    code, _, errors = streams(*URL, "--junit", "out/a.xml")
    assert (code, errors) == (2, "Error: out/a.xml cannot be written: No such file or directory.\n")
    code, _, errors = streams(*URL)
    assert code == 0 and errors.startswith("Warning: ") and "summary.md" in errors


def test_what_failed_is_run_again(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    ran = runs(monkeypatch, lambda options: FAILED if len(ran) == 1 else PASSED)
    assert streams(*URL)[0] == 1
    assert streams(*URL, "--last-failed")[0] == 0
    assert ran[1].selected == (OTHER.id,)
    assert not (folder / ".connect-sim-check.json").exists()
    code, _, errors = streams(*URL, "--last-failed")
    assert code == 2 and "no check has failed in this folder" in errors


def test_folder_that_is_protected_keeps_no_failures(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    runs(monkeypatch, lambda options: FAILED)
    (folder / ".connect-sim-check.json").mkdir()
    code, _, errors = streams(*URL)
    assert code == 1 and errors.startswith("Warning: .connect-sim-check.json cannot be written: ")


def test_baseline_makes_failures_known_until_they_expire(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    runs(monkeypatch, lambda options: FAILED)
    arguments = (*URL, "--baseline", "known.toml")
    code, out, _ = streams(*arguments, "--update-baseline")
    assert code == 0 and "Pass: 0 of 1 check passed; not counted: 1 known" in out
    (entry,) = tomllib.loads((folder / "known.toml").read_text())["known"]
    assert entry["id"] == OTHER.id
    assert streams(*arguments)[0] == 0
    past = datetime.now(UTC).date() - timedelta(days=1)
    (folder / "known.toml").write_text(
        f'[[known]]\nid = "{OTHER.id}"\nuntil = {past}\nreason = "x"\n'
    )
    code, out, _ = streams(*arguments)
    assert code == 1 and f"is no longer known since {past}" in out


def test_baseline_is_not_updated_by_a_run_that_could_not_end(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    runs(monkeypatch, lambda options: report(result(FAIL, OTHER), error="Gone."))
    code, out, _ = streams(*URL, "--baseline", "known.toml", "--update-baseline")
    assert code == 2 and "The baseline was not updated." in out
    assert not (folder / "known.toml").exists()
