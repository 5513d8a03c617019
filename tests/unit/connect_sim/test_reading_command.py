"""`connect-sim reading`: what it sends, and what it prints."""

from __future__ import annotations

from typing import Any

import click
import pytest

from connect_sim.cli import program
from tests.program import run, run_json
from tests.unit.connect_sim.recording_server import Server

ROWS: list[dict[str, Any]] = [
    {
        "id": name,
        "title": "A question",
        "value": value,
        "alternatives": [{"value": value, "text": ""}, {"value": "other", "text": ""}],
    }
    for name, value in (("jwt_header", "both"), ("event_mode", "each"))
]


def test_list_has_the_alternatives(server: Server) -> None:
    server.answer = lambda *request: (200, ROWS)
    assert run("reading").splitlines() == [
        "jwt_header=both  or other  A question",
        "event_mode=each  or other  A question",
    ]
    assert run_json("reading") == ROWS
    assert {request[:2] for request in server.requests} == {("GET", "/sandbox/readings")}


def test_choices_are_sent_and_shown(server: Server) -> None:
    server.answer = lambda *request: (200, ROWS)
    assert run("reading", "jwt_header=authorization", "key_order=").splitlines() == [
        "jwt_header=both  or other  A question"
    ]
    body = {"jwt_header": "authorization", "key_order": None}
    assert server.requests == [("PUT", "/sandbox/readings", body)]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("jwt_headers=both", "There is no reading 'jwt_headers'. Did you mean jwt_header?"),
        ("jwt_header", "jwt_header needs one of its alternatives: jwt_header=both, "),
        ("jwt_header=none", "jwt_header needs one of its alternatives: jwt_header=both, "),
        ("=", "There is no reading ''."),
    ],
)
@pytest.mark.parametrize("command", [["reading"], ["sandbox", "--reading"]])
def test_unknown_choice_is_refused(command: list[str], choice: str, sentence: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        program.program.main([*command, choice], standalone_mode=False)
    assert sentence in refused.value.message


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--readings=jwt_headers"], "There is no reading 'jwt_headers'. Did you mean jwt_header?"),
        (["--readings=usage_processed"], "No check can see usage_processed."),
        (["--readings", "--select", "auth"], "--readings and --select exclude each other."),
    ],
)
def test_check_refuses_readings_that_it_cannot_judge(arguments: list[str], sentence: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        program.program.main(["check", "--run", "true", *arguments], standalone_mode=False)
    assert sentence in refused.value.message
