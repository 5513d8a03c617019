"""Errors of commands for programs: their codes, their hints, and which wrong usage they name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from connect_sim.cli import django_commands, init, product, program, skill
from connect_sim.cli.errors import Code
from connect_sim.installation import StartError
from tests.program import Failed, run
from tests.unit.connect_sim.recording_server import Answer, Server

ROOT = Path(__file__).resolve().parents[3]
SANDBOX = {"error_code": "CLK_001", "errors": ["It moves."], "hint": "Wait.", "retryable": True}
CONNECT = {"error_code": "REQ_003", "errors": ["No."]}


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
    ("--json signin", Code.UNKNOWN_OPTION, "--json"),
    ("signin --json", Code.UNKNOWN_COMMAND, "connect-sim manage signin"),
    ("clock advanse 5m --json", Code.UNKNOWN_COMMAND, "Did you mean advance?"),
    ("clock show --jso --json", Code.UNKNOWN_OPTION, "--json"),
    ("listen --json", Code.UNKNOWN_OPTION, "--json"),
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


REFUSALS: list[tuple[str, Answer, Code]] = [
    ("reset", (400, CONNECT), Code.INVALID),
    ("reset", (413, CONNECT), Code.INVALID),
    ("reset", (401, CONNECT), Code.UNAUTHORIZED),
    ("reset", (403, CONNECT), Code.FORBIDDEN),
    ("reset", (404, CONNECT), Code.NOT_FOUND),
    ("reset", (409, SANDBOX), Code.CONFLICT),
    ("reset", (429, CONNECT), Code.BUSY),
    ("reset", (503, b"<html>"), Code.BUSY),
    ("reset", (500, {"errors": 1, "hint": 2, "retryable": "yes"}), Code.SANDBOX_ERROR),
    ("reset", (200, b"<html>"), Code.NOT_A_SANDBOX),
    ("deliveries", (400, CONNECT), Code.INVALID_VALUE),
    ("reset", (200, {}), Code.INTERNAL),
    ("webhook recover WH-1", (200, {"active": True, "stats": {"out_of_order": False},
                                    "earliest_possible_trigger": None}), Code.FAILED),
]  # fmt: skip


@pytest.mark.parametrize(("line", "answer", "code"), REFUSALS)
def test_refusal_has_the_hint_of_the_sandbox_or_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch, line: str, answer: Answer, code: Code
) -> None:
    monkeypatch.setattr("connect_sim.cli.output.print_json", lambda content: content["now"])
    server.answer = lambda *request: answer
    found = error(*line.split(), "--json")
    assert found["code"] == code.name.lower()
    if answer[1] == SANDBOX:
        expected = {name: SANDBOX[name] for name in ("error_code", "hint", "retryable")}
        assert found == {**found, **expected}
    elif code is not Code.INVALID_VALUE:
        assert (found["hint"], found["retryable"]) == (code.value.hint, code.value.is_retryable)


def test_other_errors_have_a_code(
    monkeypatch: pytest.MonkeyPatch, empty_folder: Path, server: Server
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise raised

    def code(line: str) -> str:
        return str(error(*line.split(), "--json")["code"])

    assert code("hold list --data-dir none") == "no_sandbox"
    server.answer = lambda *request: (200, b"")
    monkeypatch.setattr("checks.client.Client._send", fail)
    from checks.client import NoAnswer, Unreachable

    raised: Exception | SystemExit = Unreachable("Away.")
    assert code("hold list") == "unreachable"
    raised = NoAnswer("Slow.")
    assert code("hold list") == "no_answer"
    raised = StartError("SIM_CALLS is wrong.")
    monkeypatch.setattr(django_commands, "call", fail)
    assert code("key list") == "cannot_start"
    raised = OSError(28, "No space left on device")
    monkeypatch.setattr(init, "_copy", fail)
    assert code("init python new") == "cannot_write"
    monkeypatch.setattr(product, "_unpack", fail)
    monkeypatch.setattr("checks.client.Client.download", lambda *arguments: b"")
    assert code("product export PRD-1") == "cannot_write"
    monkeypatch.undo()
    monkeypatch.chdir(empty_folder)
    (empty_folder / "s" / skill.NAME).mkdir(parents=True)
    (empty_folder / "s" / skill.NAME / "SKILL.md").write_text("mine")
    assert code("skill install s") == "changed_file"
    monkeypatch.setenv("SIM_PROFILE", "server")
    assert code("hold list") == "server_profile"


def test_each_code_is_tested() -> None:
    tested = {code for *_, code in REFUSALS} | {code for _, code, _ in USAGE}
    tested |= {Code.NO_SANDBOX, Code.UNREACHABLE, Code.NO_ANSWER, Code.CANNOT_START}
    tested |= {Code.CANNOT_WRITE, Code.CHANGED_FILE, Code.SERVER_PROFILE}
    assert tested == set(Code)


def test_documentation_lists_the_codes() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d) \| (yes|no) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [
        (
            code.name.lower(),
            str(code.value.exit_code),
            "yes" if code.value.is_retryable else "no",
            code.value.meaning,
        )
        for code in Code
    ]


def test_option_of_another_program_does_not_ask_for_json() -> None:
    with pytest.raises(Failed, match=r"^Error: No such command 'clok'\. Did you mean clock\? See"):
        run("clok", "--", "--json")


def test_unexpected_error_without_json_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    server.answer = lambda *request: (200, {})
    with pytest.raises(KeyError):
        program.run(["reset"])
