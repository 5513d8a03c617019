"""Command lines of handlers, templates, and the environment that a handler gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from checks import handler_command
from checks.handler_command import BadCommand, Connection, HandlerCommand

CONNECTION = Connection("http://sim/public/v1", "ApiKey SU-1:key", "s3cret", "WH-1", "PRD-1")
COMMAND = HandlerCommand(("handler",), variables=(("KEY", "<{api_key}>"), ("PORT", "1{port}")))
HOME = str(Path(handler_command.__file__).resolve().parents[1])


def environment(**inherited: str) -> dict[str, str]:
    return handler_command.environment(inherited, COMMAND, CONNECTION, 9000, "mark")


def test_environment_has_the_connection_and_the_templates() -> None:
    assert environment(LANG="C") == {
        "LANG": "C",
        "PYTHONUNBUFFERED": "1",
        "CONNECT_API_KEY": "ApiKey SU-1:key",
        "CONNECT_API_URL": "http://sim/public/v1",
        "JWT_SECRET": "s3cret",
        "WEBHOOK_ID": "WH-1",
        "PRODUCT_ID": "PRD-1",
        "PORT": "19000",
        "KEY": "<ApiKey SU-1:key>",
        "CONNECT_SIM_HANDLER": "mark",
    }


def test_our_own_variables_are_not_passed_on() -> None:
    inherited = {"SIM_VENDOR_API_KEY": "a", "CONNECT_SIM_SECRET": "b", "SIMPLE": "c"}
    assert environment(**inherited).items() & inherited.items() == {("SIMPLE", "c")}


PATHS = f"{sys.prefix}/bin:/usr/bin"


@pytest.mark.parametrize(
    "inherited, expected",
    [({"UV": "/uv", "PATH": PATHS}, {"PATH": "/usr/bin"}),
     ({"PATH": PATHS}, {"PATH": PATHS}),
     ({"UV": "/uv", "VIRTUAL_ENV": sys.prefix, "PATH": PATHS}, {"PATH": PATHS}),
     ({"UV": "/uv", "PATH": "/own/bin:/usr/bin"}, {"PATH": "/own/bin:/usr/bin"}),
     ({"PYTHONPATH": os.pathsep.join([HOME, "/own"])}, {"PYTHONPATH": "/own"})],
    ids=["uvx", "without uv", "uv run", "another path", "checkout"],
)  # fmt: skip
def test_our_own_python_and_modules_are_not_the_handler_s(
    inherited: dict[str, str], expected: dict[str, str]
) -> None:
    assert expected.items() <= environment(**inherited).items()


def test_command_line_is_split_without_a_shell() -> None:
    assert handler_command.split("python -c 'a b' $PORT") == ("python", "-c", "a b", "$PORT")


@pytest.mark.parametrize(
    "line, script",
    [("python handler.py", "handler.py"), ("/usr/bin/python3.13 -u -X dev app/main.py a.py",
     "app/main.py"), ("node server.mjs", "server.mjs"), ("sh run.sh", "run.sh"),
     ("php -S 127.0.0.1:{port} router.php", "router.php"),
     ("python -m package x.py", ""), ("sh -c 'node server.mjs'", ""), ("python 'a b.py'", ""),
     ("node .", ""), ("docker run image python handler.py", ""), ("uvicorn app:app", "")],
)  # fmt: skip
def test_script_of_an_interpreter(line: str, script: str) -> None:
    assert handler_command.script(handler_command.split(line)) == script


@pytest.mark.parametrize("line", ["", "  ", "''", "python 'a"])
def test_command_line_that_cannot_be_used(line: str) -> None:
    with pytest.raises(BadCommand):
        handler_command.split(line)


def test_command_line_and_url_get_the_port_and_no_secret() -> None:
    command = HandlerCommand(("x", "--bind={host}:{port}", "{api_key} {}"), ready_url="/up?{port}")
    assert command.arguments_for(9) == ["x", "--bind=127.0.0.1:9", "{api_key} {}"]
    assert command.ready_url_for(9) == "http://127.0.0.1:9/up?9"
    other = HandlerCommand(("x",), ready_url="http://localhost:{port}/up")
    assert other.ready_url_for(9) == "http://localhost:9/up"
    assert COMMAND.ready_url_for(9) == ""


@pytest.mark.parametrize(
    "text, variable",
    [("A=b=c", ("A", "b=c")), ("A=", ("A", "")), ("_A1={port}", ("_A1", "{port}")),
     ('A={"a": 1}', ("A", '{"a": 1}'))],
)  # fmt: skip
def test_variable(text: str, variable: tuple[str, str]) -> None:
    assert handler_command.parse_variable(text) == variable


@pytest.mark.parametrize("text", ["A", "=b", "1A=b", "A B=c", "", "Ä=b"])
def test_variable_without_a_name_or_value(text: str) -> None:
    with pytest.raises(BadCommand, match=r"^must be NAME=VALUE\.$"):
        handler_command.parse_variable(text)


def test_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(BadCommand, match=r"^A has the unknown template \{apikey\}\. Known: \{api_"):
        handler_command.parse_variable("A={apikey}")


def test_connection_shows_no_secret() -> None:
    assert not any(secret in repr(CONNECTION) for secret in CONNECTION.secrets)
