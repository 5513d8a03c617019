"""Requests as commands: what curl and Python send equals the recorded request."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from portal.deliveries.commands import COMMANDS
from requests_queue.errors import Refused
from tests.handlers import Handler, handler
from webhooks.http.client import Request

BODY = r"""{"text": "it's \"quoted\" $HOME `ls` \\ %s !! é 雪 \\\\", "at": "@file", "n": [1, {}]}"""
HEADERS = {
    "X-Quotes": """it's "both" `$(id)` \\ $HOME""", "X-At": "@/etc/passwd", "X-Equals": "=1:2",
    "X-Empty": "", "X-Tab": "a\tb", "x-lower": "%00;", "Content-Type": "application/json",
    "User-Agent": "Connect-Sim", "Authorization": "Bearer a.b-c_d",
}  # fmt: skip
PATH = "/hooks/[1]/{a,b}?q=it's&p=%2F%27&x=$HOME"


@pytest.fixture(scope="module")
def served() -> Iterator[Handler]:
    with handler() as served:
        yield served


def sent(command: str, request: Request, tmp_path: Path) -> None:
    """Run the command as a user does, in a shell or as a script."""
    text = COMMANDS[command].write(request)
    if command == "python":
        script = tmp_path / "script.py"
        script.write_text(text)
        run = [sys.executable, str(script)]
    else:
        run = ["sh", "-c", text]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "200" in done.stdout, done.stderr


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("command", ["curl", "python"])
def test_command_sends_the_request(
    served: Handler, tmp_path: Path, command: str, method: str
) -> None:
    body = BODY.encode() if method == "POST" else None
    sent(command, Request(method, served.url.rstrip("/") + PATH, HEADERS, body), tmp_path)
    request = served.next()
    assert (request.method, request.body) == (method, body or b"")
    assert {name: request.headers.get(name) for name in HEADERS} == HEADERS
    # requests writes a few characters of a URL as escapes, which mean the same.
    assert unquote(request.path) == unquote(PATH)


def test_httpie_gets_each_header_as_one_argument() -> None:
    text = COMMANDS["httpie"].write(Request("POST", "http://127.0.0.1/", HEADERS, BODY.encode()))
    words = shlex.split(text)
    assert words[:3] == ["http", "--ignore-stdin", "--path-as-is"]
    assert words[words.index("--raw") + 1] == BODY
    # A backslash escapes what HTTPie would read as another separator.
    assert {"X-At:\\@/etc/passwd", "X-Equals:\\=1:2", "X-Empty;"} <= set(words)


def test_httpie_cannot_send_a_backslash_before_a_separator() -> None:
    with pytest.raises(Refused, match="X-Path"):
        COMMANDS["httpie"].write(Request("GET", "http://127.0.0.1/", {"X-Path": "C\\:"}, None))
