"""Errors of commands for programs: their codes, their hints, and which wrong usage they name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from checks.client import ApiError, NoAnswer, Unreachable
from checks.throwaway import CannotStart
from connect_sim.cli import program, skill
from connect_sim.cli.errors import WITH_VALUE, Code
from connect_sim.cli.exec import exec_
from connect_sim.installation import StartError
from sandbox import error_codes
from tests.program import Failed, run
from tests.unit.connect_sim.recording_server import Answer, Server

ROOT = Path(__file__).resolve().parents[3]
CONNECT = {"error_code": "REQ_003", "errors": ["No."]}


def sandbox(error_code: str) -> dict[str, Any]:
    """Return an error as the sandbox sends it."""
    return {"error_code": error_code, "errors": ["No."], **error_codes.advice(error_code)}


def error(*arguments: str) -> dict[str, Any]:
    """Return the error of a command line, which prints nothing else."""
    with pytest.raises(Failed) as failed:
        run(*arguments)
    assert failed.value.out == "" and "\n" not in str(failed.value)
    content: dict[str, Any] = json.loads(str(failed.value))
    assert {type(content[key]) for key in ("code", "message", "hint")} == {str}
    assert content["message"] and content["hint"] and type(content["retryable"]) is bool
    assert failed.value.code == Code[content["code"].upper()].value.exit_code
    return content


USAGE = [
    ("clok show --json", Code.UNKNOWN_COMMAND, "Did you mean clock?"),
    ("--json signin", Code.WRONG_USAGE, "signin"),
    ("signin --json", Code.UNKNOWN_COMMAND, "connect-sim manage signin"),
    ("clock advanse 5m --json", Code.UNKNOWN_COMMAND, "Did you mean advance?"),
    ("clock show --jso --json", Code.UNKNOWN_OPTION, "--json"),
    ("listen --json --port x", Code.INVALID_VALUE, "--port"),
    ("exec --json --keep", Code.WRONG_USAGE, "--keep"),
    ("exec --keep new --prodct --json -- true", Code.UNKNOWN_OPTION, "--product"),
    ("queue --json", Code.UNKNOWN_OPTION, "--json"),
    ("--prot 8001 --json", Code.UNKNOWN_OPTION, "--port"),
    ("queue add --json", Code.MISSING_ARGUMENT, "QUEUE"),
    ("hold list --json=", Code.WRONG_USAGE, "--json"),
    ("hold list more --json", Code.WRONG_USAGE, "more"),
    ("check --webhook WH-1 --run x --json -", Code.WRONG_USAGE, "exclude each other"),
    ("check --list --select auth.contrl --json -", Code.INVALID_VALUE, "auth.control"),
    ("check --list --select auht --json -", Code.INVALID_VALUE, "Similar: auth"),
    ("clock advance soon --json", Code.INVALID_VALUE, "soon"),
    ("fault add latensy --json", Code.INVALID_VALUE, "Did you mean latency?"),
    ("timeline --kind api-calls --json", Code.INVALID_VALUE, "Did you mean api_call?"),
    ("deliveries --state wating --json", Code.INVALID_VALUE, "Did you mean waiting?"),
    ("key create VA-1 --modules usages --json", Code.INVALID_VALUE, "Did you mean Usage?"),
    ("init pyton folder --json", Code.INVALID_VALUE, "Did you mean python?"),
]


@pytest.mark.parametrize(("line", "code", "text"), USAGE)
def test_wrong_usage_is_an_object_that_names_the_nearest_right_one(
    server: Server, line: str, code: Code, text: str
) -> None:
    found = error(*line.split())
    assert found["code"] == code.name.lower() and text in found["message"]
    assert re.fullmatch(r"See `connect-sim( \w+)* --help`\.", found["hint"])
    assert server.requests == [] and not found["retryable"]


REFUSALS: list[tuple[str, Code, Answer]] = [
    ("reset", Code.INVALID, (400, CONNECT)),
    ("reset", Code.INVALID, (413, CONNECT)),
    ("reset", Code.UNAUTHORIZED, (401, CONNECT)),
    ("reset", Code.UNAUTHORIZED, (401, sandbox("AUTH_001"))),
    ("reset", Code.FORBIDDEN, (403, CONNECT)),
    ("reset", Code.FORBIDDEN, (403, sandbox("AUTH_002"))),
    ("reset", Code.NOT_FOUND, (404, CONNECT)),
    ("reset", Code.CONFLICT, (409, sandbox("CLK_001"))),
    ("reset", Code.BUSY, (429, CONNECT)),
    ("reset", Code.BUSY, (503, b"<html>")),
    ("reset", Code.SANDBOX_ERROR, (500, {"errors": 1, "hint": 2, "retryable": "yes"})),
    ("reset", Code.NOT_A_SANDBOX, (200, b"<html>")),
    ("deliveries list", Code.INVALID_VALUE, (400, CONNECT)),
    ("deliveries list", Code.INVALID_VALUE, (400, sandbox("VAL_001"))),
    ("reset", Code.INTERNAL, (200, {})),
    ("webhook recover WH-1", Code.FAILED, (200, {
        "active": True, "stats": {"out_of_order": False}, "earliest_possible_trigger": None})),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "answer"), REFUSALS)
def test_refusal_has_the_hint_of_the_sandbox_or_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch, line: str, code: Code, answer: Answer
) -> None:
    monkeypatch.setattr("connect_sim.cli.output.print_json", lambda content: content["now"])
    server.answer = lambda *request: answer
    found = error(*line.split(), "--json")
    assert found["code"] == code.name.lower()
    content = answer[1] if isinstance(answer[1], dict) else {}
    assert found.get("error_code") == content.get("error_code")
    hint, is_retryable = code.value.hint, code.value.is_retryable
    if code is Code.INVALID_VALUE:
        hint = f"See `connect-sim {line} --help`."
    if content.keys() >= {"error_code", "hint"} and code not in (Code.UNAUTHORIZED, Code.FORBIDDEN):
        hint, is_retryable = content["hint"], content["retryable"]
    assert (found["hint"], found["retryable"]) == (hint, is_retryable)


def nothing(patch: pytest.MonkeyPatch) -> None:
    pass


def failing(name: str, error: BaseException) -> Callable[[pytest.MonkeyPatch], None]:
    """Return a patch after which a function raises an error."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    return lambda patch: patch.setattr(name, fail)


NO_SPACE = OSError(28, "No space left on device")
OTHERS = [
    ("hold list --json --data-dir none", Code.NO_SANDBOX, nothing),
    ("hold list --json", Code.UNREACHABLE, failing("checks.client.Client._send", Unreachable("-"))),
    ("hold list --json", Code.NO_ANSWER, failing("checks.client.Client._send", NoAnswer("Slow."))),
    ("key list --json", Code.CANNOT_START,
     failing("connect_sim.cli.django_commands.call", StartError("SIM_CALLS is wrong."))),
    ("sandbox --json", Code.CANNOT_START,
     failing("connect_sim.cli.django_commands.run", StartError("SIM_CALLS is wrong."))),
    ("init python new --json", Code.CANNOT_WRITE, failing("connect_sim.cli.init._copy", NO_SPACE)),
    ("product export PRD-1 --json", Code.CANNOT_WRITE,
     failing("connect_sim.cli.product._unpack", NO_SPACE)),
    ("skill install s --json", Code.CHANGED_FILE, nothing),
    ("hold list --json", Code.SERVER_PROFILE, lambda patch: patch.setenv("SIM_PROFILE", "server")),
    ("exec --json -- true", Code.CANNOT_USE,
     failing("checks.throwaway.Throwaway.start", CannotStart("It ended."))),
    ("exec --json -- /etc/passwd", Code.NOT_EXECUTABLE, nothing),
    ("exec --json no-such-program", Code.NO_PROGRAM, nothing),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "damage"), OTHERS)
def test_other_error_has_a_code(
    monkeypatch: pytest.MonkeyPatch,
    empty_folder: Path,
    server: Server,
    line: str,
    code: Code,
    damage: Callable[[pytest.MonkeyPatch], None],
) -> None:
    server.answer = lambda *request: (200, b"")
    (empty_folder / "s" / skill.NAME).mkdir(parents=True)
    (empty_folder / "s" / skill.NAME / "SKILL.md").write_text("mine")
    damage(monkeypatch)
    found = error(*line.split())
    assert (found["code"], found["hint"]) == (code.name.lower(), code.value.hint)


def test_refusal_in_exec_has_the_advice_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ApiError("No.", 409, sandbox("LSE_001"))
    failing("checks.throwaway.Throwaway.start", refused)(monkeypatch)
    found = error("exec", "--json", "--", "true")
    expected = {"error_code": "LSE_001", **error_codes.advice("LSE_001")}
    assert found == {"code": "cannot_use", "message": found["message"], **expected}


def test_each_code_is_tested() -> None:
    assert {code for rows in (USAGE, REFUSALS, OTHERS) for _, code, *_ in rows} == set(Code)


def test_each_code_has_a_hint_of_its_own() -> None:
    """But those of wrong usage, after which the help of the command is named."""
    assert {code for code in Code if not code.value.hint} == {code for _, code, _ in USAGE}
    hints = [code.value.hint for code in Code if code.value.hint]
    assert len(set(hints)) == len(hints)


def test_documentation_lists_the_codes() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d+) \| (yes|no) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [
        (
            code.name.lower(),
            str(code.value.exit_code),
            "yes" if code.value.is_retryable else "no",
            code.value.meaning,
        )
        for code in Code
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clok -- --json", "No such command 'clok'. Did you mean clock? See"),
        ("exec no-such-program --json", "There is no program 'no-such-program'."),
        ("exec --keep new no-such-program --json", "There is no program 'no-such-program'."),
        ("exec --keep=new --no-seed -- no-such-program --json", "There is no program"),
        ("--data-dir new exec no-such-program --json", "There is no program"),
    ],
)
def test_option_of_another_program_does_not_ask_for_json(line: str, message: str) -> None:
    with pytest.raises(Failed, match=f"^Error: {re.escape(message)}"):
        run(*line.split())


def test_options_before_a_program_are_those_of_exec() -> None:
    with_value = {"--data-dir"}
    for parameter in exec_.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            with_value |= {*parameter.opts}
    assert with_value == {*WITH_VALUE}


def test_unexpected_error_without_json_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    server.answer = lambda *request: (200, {})
    with pytest.raises(KeyError):
        program.run(["reset"])
