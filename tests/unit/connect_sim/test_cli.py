"""The program `connect-sim`: which sandbox it finds, its errors, exit codes, help and imports."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from checks import sandbox_file
from checks.catalog import CHECKS
from connect_sim.cli import output, program, running
from tests.program import Failed, run, run_json

ROOT = Path(__file__).resolve().parents[3]
Answer = tuple[int, Any]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another current folder, and an environment without settings."""
    for name in ("SIM_DATA_DIR", "SIM_PROFILE", "SIM_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Server:
    """An HTTP server that records requests and answers as a test says."""

    url: str = ""
    answer: Callable[[str, str, Any], Answer] = lambda method, path, body: (200, {})
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Serve(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(data) if data else None
            server.requests.append((self.command, self.path, body))
            server.headers.append(dict(self.headers))
            status, content = server.answer(self.command, self.path, body)
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _serve

    http = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    http.daemon_threads, http.block_on_close = True, False
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving() as server:
        write(tmp_path / "var", server.url)
        yield server


def write(folder: Path, url: str, local_url: str = "", machine: str = "") -> None:
    keys = ("SU-1:vendor", "SU-2:provider")
    sandbox_file.write(folder, sandbox_file.Sandbox(url, *keys, local_url, machine))


def commands(
    group: click.Group, context: click.Context, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command with its names."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, context, (*path, name))


COMMANDS = dict(commands(program.program, click.Context(program.program)))


# Help


def test_help_of_each_command_has_an_example() -> None:
    for names, command in COMMANDS.items():
        if names == ("manage",):
            # Its --help is Django's.
            assert command.example  # type: ignore[attr-defined]
            continue
        text = run(*names, "--help")
        assert "Example:\n" in text
        example = " ".join(text.partition("Example:\n")[2].split())
        group = isinstance(command, click.Group)
        assert example.startswith(f"connect-sim {' '.join(names[:1] if group else names)}")


def test_example_of_each_command_is_valid() -> None:
    import shlex

    for documented in COMMANDS.values():
        words = shlex.split(documented.example)[1:]  # type: ignore[attr-defined]
        command: click.Command = program.program
        context = click.Context(command, info_name="connect-sim")
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        # Parses the arguments, without running the command.
        assert command.make_context(command.name, words).args == []


def test_command_that_prints_data_has_json() -> None:
    silent = {("sandbox",), ("listen",), ("manage",), ("hold", "release"), ("snapshot", "delete")}
    silent |= {("webhook", "trigger"), ("webhook", "delete"), ("open",), ("init",)}
    # They print what the management command `apikey` prints.
    silent |= {("key", "list"), ("key", "create"), ("key", "revoke")}
    for names, command in COMMANDS.items():
        if not isinstance(command, click.Group):
            has_json = any("--json" in param.opts for param in command.params)
            assert has_json == (names not in silent), names


def test_help_lists_all_commands() -> None:
    text = run("--help")
    assert all(f"  {name} " in text for name in program.program.list_commands(None))  # type: ignore[arg-type]


def test_shell_completion_names_commands() -> None:
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_CONNECT_SIM_COMPLETE": "bash_complete",
        "COMP_WORDS": "connect-sim clock ad",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "connect_sim"], env=env, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["plain,advance"], done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("init p", ["python", "php"]),
        ("queue add tier", ["tier_config", "tier_account"]),
        ("timeline --kind attempt", ["attempt_started", "attempt_finished"]),
        ("deliveries list --state wait", ["waiting"]),
        ("fault add late", ["latency"]),
        ("check --select auth.control,race.st", ["auth.control,race.stale_read"]),
        ("check --select rac", ["race", *(each.id for each in CHECKS if each.group == "race")]),
        ("snapshot restore be", ["before"]),
        ("snapshot diff before n", []),
    ],
)
def test_shell_completion_names_values(server: Server, words: str, expected: list[str]) -> None:
    server.answer = lambda *request: (200, [{"name": "before"}, {"name": "seed"}])
    *arguments, incomplete = words.split()
    completion = ShellComplete(program.program, {}, "connect-sim", "_CONNECT_SIM_COMPLETE")
    found = completion.get_completions(arguments, incomplete)
    assert [each.value for each in found] == expected


def test_shell_completion_without_a_sandbox_has_no_snapshots() -> None:
    completion = ShellComplete(program.program, {}, "connect-sim", "_CONNECT_SIM_COMPLETE")
    assert completion.get_completions(["snapshot", "restore"], "") == []


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("0.5", 0.5), ("2m", 120), ("PT1M", 60)])
def test_seconds_may_be_durations(server: Server, text: str, seconds: float) -> None:
    run_json("hold", "take", "--ttl", text)
    run_json("clock", "advance", "5m", "--patience", text)
    assert [body["ttl" if "ttl" in body else "patience"] for *_, body in server.requests] == [
        seconds
    ] * 2


@pytest.mark.parametrize(
    "words",
    ["hold take --ttl 0", "hold take --ttl 2h", "wait idle --timeout soon", "reset --patience nan",
     "listen --delay 2d", "check --run x --start-timeout -1"],
)  # fmt: skip
def test_seconds_out_of_range_are_wrong_usage(words: str) -> None:
    with pytest.raises(Failed, match=r"duration|must be from|No such option") as failed:
        run(*words.split())
    assert failed.value.code == 2


def test_unknown_kinds_and_states_are_wrong_usage_that_names_the_choices() -> None:
    for arguments in (("timeline", "--kind", "calls"), ("deliveries", "--state", "pending")):
        with pytest.raises(Failed, match="is not one of") as failed:
            run(*arguments)
        assert failed.value.code == 2


# Which sandbox


def test_program_on_the_same_machine_uses_the_local_address(tmp_path: Path) -> None:
    published = "http://published.invalid:9000"
    with serving() as server:
        server.answer = lambda *_: (200, {"holds": []})
        write(tmp_path / "var", published, server.url, socket.gethostname())
        assert run("hold", "list", "--json")
    write(tmp_path / "var", published, server.url, "another machine")
    with pytest.raises(Failed, match=r"Cannot connect to http://published\.invalid:9000"):
        run("hold", "list")


def older_file(url: str) -> str:
    """Return what an older version has written into the file."""
    return json.dumps({"url": url, "vendor_api_key": "SU-1:v", "provider_api_key": "SU-2:p"})


def test_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(older_file("http://a"))
    assert sandbox_file.read(tmp_path).address == "http://a"


@pytest.mark.parametrize(
    ("arguments", "variable", "host"),
    [
        ("--data-dir option clock show", "variable", "option"),
        ("clock show --data-dir option", "variable", "option"),
        ("clock show", "variable", "variable"),
        ("clock show", "", "var"),
    ],
)
def test_folder_of_the_option_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, variable: str, host: str
) -> None:
    for name in ("option", "variable", "var"):
        write(tmp_path / name, f"http://{name}.invalid")
    monkeypatch.setenv("SIM_DATA_DIR", variable)
    with pytest.raises(Failed, match=rf"Cannot connect to http://{host}\.invalid"):
        run(*arguments.split())


@pytest.mark.parametrize(
    "line", ["SIM_DATA_DIR=other", "export SIM_DATA_DIR='other'", ' SIM_DATA_DIR = "other" ']
)
def test_folder_is_read_from_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    write(tmp_path / "other", "http://other.invalid")
    (tmp_path / ".env").write_text(f"# SIM_DATA_DIR=no\nSIM_BIND=127.0.0.1:1\n{line}\n")
    with pytest.raises(Failed, match=r"other\.invalid"):
        run("clock", "show")
    (tmp_path / ".env").rename(tmp_path / "env-file")
    monkeypatch.setenv("SIM_ENV_FILE", "env-file")
    with pytest.raises(Failed, match=r"other\.invalid"):
        run("clock", "show")


def test_checkout_is_the_last_choice() -> None:
    with click.Context(click.Command("show")):
        assert running.data_dir() == ROOT / "var"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, r"^Error: .*/sandbox\.json does not exist\."),
        ('{"url": 1', r"sandbox\.json cannot be read"),
        (older_file("http://127.0.0.1:1"), r"Cannot connect to http://127\.0\.0\.1:1"),
        *(
            (older_file(url), f"Cannot connect to {re.escape(url)} ")
            for url in ("http://[", "not a URL", "http://127.0.0.1:99999")
        ),
    ],
)
def test_sandbox_that_is_not_found_ends_with_3(
    tmp_path: Path, file: str | None, message: str
) -> None:
    if file is not None:
        (tmp_path / "sandbox.json").write_text(file)
    with pytest.raises(Failed, match=message) as failed:
        run("reset", "--data-dir", str(tmp_path))
    assert failed.value.code == 3 and "\n" not in str(failed.value)


THIN = [
    names
    for names, command in COMMANDS.items()
    if not isinstance(command, click.Group) and names[0] not in ("init", "sandbox", "manage")
]


@pytest.mark.parametrize("names", THIN, ids=" ".join)
def test_server_profile_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], server: Server
) -> None:
    import shlex

    monkeypatch.setenv("SIM_PROFILE", "server")
    words = shlex.split(COMMANDS[names].example)[1:]  # type: ignore[attr-defined]
    with pytest.raises(Failed) as failed:
        run(*words)
    # That 1 is a handler that fails.
    assert failed.value.code == (2 if names == ("check",) else 1)
    name = f"connect-sim {' '.join(names)}"
    assert str(failed.value) == f"Error: `{name}` needs a sandbox, but SIM_PROFILE is server."
    assert server.requests == []


# Requests and errors


def test_requests_are_those_of_a_tester(server: Server) -> None:
    server.answer = lambda *request: (200, [])
    run("hold", "list")
    assert server.headers[0]["X-Sandbox-Actor"] == "test"
    assert server.headers[0]["Authorization"] == "ApiKey SU-1:vendor"


def test_distributor_has_its_own_key(server: Server) -> None:
    server.answer = lambda *request: (201, {"id": "PR-1", "status": "pending"})
    assert run("queue", "add", "fulfillment", "--as", "distributor") == "PR-1 pending\n"
    assert server.headers[0]["Authorization"] == "ApiKey SU-2:provider"
    assert server.requests == [("POST", "/sandbox/queue/samples", {"queue": "fulfillment"})]


ERRORS = ["The clock is already\nbeing moved.", "\x1b[31mTry again."]


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((409, {"error_code": "CLK_001", "errors": ERRORS}), 1,
         "POST /sandbox/reset: 409 The clock is already␊being moved. ␛[31mTry again."),
        ((502, b"<html>"), 1, "POST /sandbox/reset: 502 Bad Gateway"),
        ((200, b"<html>"), 3, "is not a sandbox"),
    ],
    ids=["refusal", "no JSON", "other server"],
)  # fmt: skip
def test_error_of_the_sandbox_is_one_line(
    server: Server, answer: Answer, code: int, message: str
) -> None:
    server.answer = lambda *request: answer
    with pytest.raises(Failed) as failed:
        run("reset")
    assert failed.value.code == code
    assert str(failed.value).startswith("Error: ") and "\n" not in str(failed.value)
    assert message in str(failed.value)


@pytest.mark.parametrize(
    "arguments",
    ["nonsense", "clock nonsense", "clock advance", "clock advance banana", "clock show --nonsense",
     "queue move PR-1", "queue move PR-1 fail --data {", "queue move PR-1 fail --data []",
     "listen --status 99", "listen --port -1", "listen --delay nan", "listen --delay -1",
     "listen --validate region", "listen --validate =x", "deliveries show x", "hold take --ttl 0",
     "wait until {", "wait idle --timeout -1", "--port -1", "sandbox --port 65536",
     "sandbox --port x", "sandbox --port-file .", "wait idle --within x", "signin",
     "timeline --limit 0", "fault add", "fault add lag", "fault add abort status",
     "fault add abort =5", "fault add abort --probability x", "fault add abort --ttl soon",
     "fault add abort --nth x", "fault add abort --side both"],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_ends_with_2(arguments: str, server: Server) -> None:
    with pytest.raises(Failed) as failed:
        run(*arguments.split())
    assert failed.value.code == 2
    assert "\n" not in str(failed.value)
    assert str(failed.value).startswith("Error: ") and "--help`." in str(failed.value)
    assert server.requests == []


def test_management_command_is_suggested() -> None:
    with pytest.raises(Failed, match="Use: connect-sim manage signin"):
        run("signin")


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ([], ""),
        (["--state", "failed", "--object", "PR-1 2"], "?object=PR-1%202&state=failed"),
        (["list", "--state", "failed"], "?state=failed"),
    ],
)
def test_group_without_command_runs_its_default(
    server: Server, arguments: list[str], query: str
) -> None:
    server.answer = lambda *request: (200, {"deliveries": []})
    assert run("deliveries", *arguments) == "No deliveries.\n"
    assert server.requests == [("GET", f"/sandbox/deliveries{query}", None)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of Django's commands that a test runs."""
    from connect_sim.cli import django_commands

    started: list[list[str]] = []
    monkeypatch.setattr(django_commands, "run", started.append)
    monkeypatch.setenv("SIM_BIND", "")
    return started


def test_program_without_command_starts_the_sandbox(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_DATA_DIR", "")
    run()
    run("--no-seed")
    run("--data-dir", "other")
    assert os.environ["SIM_DATA_DIR"].endswith("/other")
    run("manage", "seed", "--quiet", "--help")
    run("manage", "help")
    assert started == [
        ["connect-sim", "sandbox"],
        ["connect-sim", "sandbox", "--no-seed"],
        ["connect-sim", "sandbox"],
        ["connect-sim manage", "seed", "--quiet", "--help"],
        ["connect-sim manage", "help"],
    ]


def test_start_options_are_passed_on(started: list[list[str]]) -> None:
    run("--port-file", "the port", "--exit-with-parent")
    assert started == [["connect-sim", "sandbox", "--exit-with-parent", "--port-file=the port"]]


def test_port_replaces_those_of_sim_bind(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--port", "8001")
    assert os.environ["SIM_BIND"] == "127.0.0.1:8001"
    monkeypatch.setenv("SIM_BIND", "[::1]:9000 127.0.0.1:9001")
    run("sandbox", "--port", "8001")
    assert os.environ["SIM_BIND"] == "[::1]:8001 127.0.0.1:8001"
    assert started == [["connect-sim", "sandbox"]] * 2


def test_free_port_is_known_before_the_settings(started: list[list[str]]) -> None:
    from connect_sim.server import listening

    run("--port", "0")
    host, _, port = os.environ["SIM_BIND"].rpartition(":")
    assert host == "127.0.0.1" and int(port) > 0
    listening.close(listening.listen(os.environ["SIM_BIND"]))


def test_free_port_of_a_host_that_cannot_be_bound_is_one_line(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_BIND", "192.0.2.1:8000")
    with pytest.raises(
        Failed, match=r"^Error: Cannot bind a free port of 192\.0\.2\.1:8000 \("
    ) as failed:
        run("--port", "0")
    assert failed.value.code == 1 and started == []


def test_version_is_that_of_the_package() -> None:
    from connect_sim import __version__

    assert run("--version") == f"connect-sim {__version__}\n"


def test_ids_cannot_change_the_path(server: Server) -> None:
    server.answer = lambda *request: (204, b"")
    run("hold", "release", "a/../b?c")
    assert server.requests[0][:2] == ("DELETE", "/sandbox/holds/a%2F..%2Fb%3Fc")


# Output


MOVE: dict[str, Any] = {
    "from": "2026-11-26T10:00:00.000+00:00", "now": "2026-11-26T10:10:00.000+00:00", "stops": 2,
    "attempts": [
        {"webhook": "WH-1", "delivery": 183, "attempt": 2, "object": "PR-1", "objects": ["PR-1"],
         "at": "2026-11-26T10:03:12.000+00:00", "outcome": "failure", "status": 500,
         "error": "Handler returned HTTP 500 (expected 2xx).",
         "next_attempt_at": "2026-11-26T10:13:12.000+00:00"},
        {"webhook": "WH-2", "delivery": 184, "attempt": 1, "object": None, "objects": [],
         "at": "2026-11-26T10:04:00.000+00:00", "outcome": "success", "status": 200, "error": "",
         "next_attempt_at": None},
    ],
    "stopped_because": "idle", "unsettled": [{"kind": "hold", "text": "hold HLD-1"}],
    "failed": ["billing"],
}  # fmt: skip


def test_move_prints_its_attempts(server: Server) -> None:
    server.answer = lambda *request: (200, MOVE)
    arguments = ("clock", "advance", "10m", "--patience", "2", "--settle", "100")
    assert run(*arguments).splitlines() == [
        "2026-11-26 10:00:00 UTC → 2026-11-26 10:10:00 UTC, 2 attempts: 1 succeeded, 1 failed",
        "  2026-11-26 10:03:12 UTC  WH-1 PR-1  delivery 183, attempt 2: 500, "
        "next attempt at 2026-11-26 10:13:12 UTC",
        "  2026-11-26 10:04:00 UTC  WH-2 Trigger now  delivery 184, attempt 1: 200",
        "Stopped: nothing is left to do.",
        "Not waited for: hold HLD-1",
        "Failed: billing. See the log of the sandbox.",
    ]
    body = {"by": "10m", "patience": 2, "settle": 100}
    assert server.requests == [("POST", "/sandbox/clock/advance", body)]
    assert run_json(*arguments) == MOVE


def test_moves_send_their_limits(server: Server) -> None:
    server.answer = lambda *request: (200, {**MOVE, "attempts": [], "stopped_because": "end"})
    assert "no attempts" in run("clock", "next")
    run("clock", "run-until-idle", "--max", "P3D", "--max-steps", "7")
    assert server.requests == [
        ("POST", "/sandbox/clock/next", {}),
        ("POST", "/sandbox/clock/run-until-idle", {"max": "P3D", "max_steps": 7}),
    ]


CLOCK = {
    "now": "2026-11-26T10:00:00.000+00:00", "offset": 273600.0, "moving": False, "frozen": False,
    "settled": False, "waiting_for": [{"kind": "hold", "text": "hold HLD-1"}],
}  # fmt: skip
REQUEST = {"type": "fulfillment.request", "id": "PR-1"}
DIFF = {
    "added": [{**REQUEST, "id": "PR-2"}],
    "removed": [REQUEST],
    "changed": [
        {
            **REQUEST,
            "fields": {
                "status": {"a": "pending", "b": "approved"}, "reason": {"a": None, "b": "x\n"}
            },
        }
    ],
    "truncated": True,
}  # fmt: skip
RESET = {"now": "2026-11-26T10:00:00.000+00:00", "took_ms": 41, "unsettled": ["hold HLD-1"]}
CALL = {"method": "GET", "path": "/public/v1/x\x1b", "status": 200, "duration": 2.5}
ENTRY = {
    "cursor": "0.8", "kind": "api_call", "at": "2026-11-26T10:00:00.000+00:00",
    "real_at": "2026-11-26T10:00:00.000+00:00", "webhook": "WH-1", "delivery": 1, "attempt": 1,
    "object": "PR-1", "data": CALL,
}  # fmt: skip
UNFINISHED = {**ENTRY, "data": {**CALL, "status": None, "duration": None}}


@pytest.mark.parametrize(
    ("arguments", "answer", "printed", "sent"),
    [
        pytest.param(
            "clock",
            (200, CLOCK),
            ["2026-11-26 10:00:00 UTC, 3 d 4 h ahead of real time", "Not settled:", "  hold HLD-1"],
            ("GET", "/sandbox/clock", None),
            id="clock says how far it is ahead",
        ),
        pytest.param(
            "clock show",
            (200, {**CLOCK, "offset": 0.0, "settled": True, "moving": True}),
            ["2026-11-26 10:00:00 UTC", "The clock is being moved.", "Settled."],
            ("GET", "/sandbox/clock", None),
            id="clock is moved",
        ),
        pytest.param(
            "hold take --ttl 5 --note mine",
            (201, {"id": "HLD-1", "note": "", "expires_in": 5.0}),
            ["HLD-1"],
            ("POST", "/sandbox/holds", {"ttl": 5, "note": "mine"}),
            id="hold prints its id only",
        ),
        pytest.param(
            "snapshot diff before",
            (200, DIFF),
            [
                "+ fulfillment.request PR-2",
                "- fulfillment.request PR-1",
                "~ fulfillment.request PR-1",
                '    status: "pending" → "approved"',
                '    reason: null → "x\\n"',
                "More objects differ: only the first are listed.",
            ],
            ("GET", "/sandbox/snapshots/before/diff/now", None),
            id="diff prints objects and fields",
        ),
        pytest.param(
            "reset",
            (200, RESET),
            [
                "Reset in 41 ms. Platform time: 2026-11-26 10:00:00 UTC.",
                "Not waited for: hold HLD-1",
            ],
            ("POST", "/sandbox/reset", {}),
            id="reset names what it did not wait for",
        ),
        pytest.param(
            "timeline --kind api_call --kind hold --webhook WH-1",
            (200, {"entries": [ENTRY, UNFINISHED], "cursor": "0.8"}),
            [
                "2026-11-26 10:00:00 UTC  api_call          WH-1 PR-1  GET /public/v1/x␛ 200, 2 ms",
                "2026-11-26 10:00:00 UTC  api_call          WH-1 PR-1  "
                "GET /public/v1/x␛, no response yet",
            ],
            ("GET", "/sandbox/timeline?kind=api_call%2Chold&latest=true&webhook=WH-1", None),
            id="timeline has filters",
        ),
    ],
)
def test_command_prints_what_it_was_answered(
    server: Server, arguments: str, answer: Answer, printed: list[str], sent: Any
) -> None:
    server.answer = lambda *request: answer
    assert run(*arguments.split()).splitlines() == printed
    assert server.requests == [sent]


def test_restore_prints_json(server: Server) -> None:
    server.answer = lambda *request: (200, RESET)
    assert run_json("snapshot", "restore", "before", "--patience", "2") == RESET
    path = "/sandbox/snapshots/before/restore"
    assert server.requests == [("POST", path, {"patience": 2})]


def test_wait_that_does_not_come_true_ends_with_1(server: Server) -> None:
    content = {
        "errors": ["Not true after 5 s: a delivery.", "Attempt 1 of delivery 3 failed."],
        "near_misses": [
            {
                "webhook": "WH-1",
                "object": None,
                "delivery": 3,
                "attempt": 1,
                "entry": None,
                "differs": [{"field": "outcome", "expected": "success", "actual": "failure"}],
            }
        ],
        "waiting_for": ["a delivery"],
        "unsettled": [{"kind": "hold", "text": "hold HLD-1"}],
        "timeline": [],
    }
    server.answer = lambda *request: (408, content)
    arguments = ("wait", "delivered", "WH-1", "--attempts-at-most", "1", "--skip", "--within", "1h")
    with pytest.raises(Failed) as failed:
        run(*arguments)
    assert failed.value.code == 1
    assert failed.value.out.splitlines() == [
        "Not true after 5 s: a delivery.",
        "Attempt 1 of delivery 3 failed.",
        "Not settled: hold HLD-1",
        "Nearest: WH-1 delivery 3, attempt 1: outcome is failure, not success",
    ]
    with pytest.raises(Failed) as failed:
        run(*arguments, "--json")
    assert json.loads(failed.value.out) == content
    until = {"delivered": {"webhook": "WH-1", "attempts_at_most": 1}}
    body = {"until": until, "timeout": 5, "within": "1h", "skip": True}
    assert server.requests[0] == ("POST", "/sandbox/wait", body)


@pytest.mark.parametrize(
    "arguments", ["wait status PR-1 aproved", "deliveries --object PR-1", "deliveries list --json"]
)
def test_refusal_of_what_was_given_is_wrong_usage(server: Server, arguments: str) -> None:
    errors = ["until.status.is: Unknown status 'aproved'.", "until.any.0.idle: Wrong."]
    server.answer = lambda *request: (400, {"error_code": "VAL_001", "errors": errors})
    with pytest.raises(Failed) as failed:
        run(*arguments.split())
    assert failed.value.code == 2
    text = "Error: Unknown status 'aproved'. until.any.0.idle: Wrong. See `connect-sim "
    assert str(failed.value).startswith(text)


@pytest.mark.parametrize(
    ("arguments", "until"),
    [
        ("delivered PR-1", {"delivered": {"object": "PR-1"}}),
        ("failed WH-1", {"failed": {"webhook": "WH-1"}}),
        ("called WH-1 --times 3", {"called": {"webhook": "WH-1", "times": 3}}),
        ("called WH-1 --at-least 1 --at-most 0",
         {"called": {"webhook": "WH-1", "at_least": 1, "at_most": 0}}),
        ("status PR-1 approved", {"status": {"object": "PR-1", "is": "approved"}}),
        ("idle", {"idle": True}),
        ("out-of-order WH-1", {"out_of_order": "WH-1"}),
        ('until {"any":[{"idle":true}]}', {"any": [{"idle": True}]}),
    ],
)  # fmt: skip
def test_wait_sends_each_condition(server: Server, arguments: str, until: Any) -> None:
    server.answer = lambda *request: (200, {"evidence": []})
    assert run("wait", *arguments.split(), "--since", "0.7", "--timeout", "2") == "True.\n"
    body = {"until": until, "timeout": 2, "since": "0.7"}
    assert server.requests == [("POST", "/sandbox/wait", body)]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("clock", {"action": "advance", "from": "2026-11-26T10:00:00+00:00",
                   "to": "2026-11-26T10:05:00+00:00"},
         "Time was moved 5 min, to 2026-11-26 10:05:00 UTC (advance)."),
        ("clock", {"action": "settle", "url": "http://127.0.0.1:9/", "ms": 500.0},
         "The settle time of http://127.0.0.1:9/ is 500 ms."),
        ("clock", {"action": "settle", "url": "http://127.0.0.1:9/", "ms": None},
         "The settle time of http://127.0.0.1:9/ is learned again."),
        ("hold", {"action": "taken", "id": "HLD-1", "note": "import"},
         "Hold HLD-1 was taken: import"),
        ("hold", {"action": "expired", "id": "HLD-1", "note": ""}, "Hold HLD-1 has expired."),
        ("reset", {"action": "reset", "snapshot": ""}, "The sandbox was reset."),
        ("reset", {"action": "restored", "snapshot": "mine"},
         "The sandbox was restored to snapshot mine."),
    ],
)  # fmt: skip
def test_timeline_tells_what_happened_to_the_sandbox(
    server: Server, kind: str, data: dict[str, Any], text: str
) -> None:
    at = "2026-11-26T10:00:00.000+00:00"
    entry = {"kind": kind, "at": at, "webhook": None, "object": None, "data": data}
    server.answer = lambda *request: (200, {"entries": [entry], "cursor": "0.8", "earlier": 1234})
    first, line = run("timeline").splitlines()
    assert first == "1,234 earlier entries since the last reset: --limit shows more of them."
    assert line.endswith(f"  {text}")


def test_following_the_timeline_waits_for_entries(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connect_sim.cli.observing._GATHER", 0)
    entry = {
        "cursor": "0.8",
        "kind": "hold",
        "at": "2026-11-26T10:00:00.000+00:00",
        "webhook": None,
        "object": None,
        "data": {"action": "taken"},
    }
    answers = iter(
        [
            (200, {"entries": [entry], "cursor": "0.7", "earlier": 3}),
            (200, {"entries": [entry], "cursor": "0.8"}),
            (200, {"entries": [], "cursor": "0.9"}),
            (500, {"errors": ["The end."]}),
        ]
    )
    server.answer = lambda *request: next(answers)
    with pytest.raises(Failed) as failed:
        run("timeline", "--follow", "--kind", "hold", "--json")
    assert [json.loads(line) for line in failed.value.out.splitlines()] == [entry] * 2
    assert [path for _, path, _ in server.requests] == [
        "/sandbox/timeline?kind=hold&latest=true&limit=10",
        *(f"/sandbox/timeline?kind=hold&since=0.{number}&wait=25" for number in (7, 8, 9)),
    ]


def test_json_has_no_control_characters(server: Server) -> None:
    server.answer = lambda *request: (200, [{"note": "\x1b\x9b\u202e"}])
    text = run("hold", "list", "--json")
    assert text.isascii() and "\x1b" not in text
    assert json.loads(text) == [{"note": "\x1b\x9b\u202e"}]


def test_columns_of_a_table_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([("A", "BB"), ("long", None), ("", "x\ny")])
    assert capsys.readouterr().out.splitlines() == ["A     BB", "long  -", "-     x␊y"]


# Imports

# A process forks for each line, which has a folder and a command, and prints which of the modules
# the command has imported: only one interpreter has to start.
_FORKS = """
import json, os, sys
from connect_sim.cli import program
for line in sys.stdin:
    folder, command = json.loads(line)
    if os.fork() == 0:
        os.chdir(folder)
        out, sys.stdout = sys.stdout, sys.stderr
        program.run(command.split())
        imported = {name.partition('.')[0] for name in sys.modules} & {
            'django', 'celery', 'kombu', 'requests', 'rest_framework', 'jwt', 'rich', 'aiohttp'
        }
        print(json.dumps(sorted(imported)), file=out, flush=True)
        os._exit(0)
    if status := os.wait()[1]:
        print(json.dumps([f"ended with {status}"]), flush=True)
"""
NewProcess = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIM_")}
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        env={**env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process


@pytest.fixture
def new_process(empty_folder: Path, forks: subprocess.Popen[str]) -> NewProcess:
    """Run a command in a new process, and return which modules of a server it has imported."""

    def run_command(command: str) -> list[str]:
        assert forks.stdin is not None and forks.stdout is not None
        print(json.dumps([str(empty_folder), command]), file=forks.stdin, flush=True)
        return json.loads(forks.stdout.readline())

    return run_command


@pytest.mark.parametrize(
    "command",
    ["clock show", "queue add x", "wait idle", "deliveries", "snapshot", "hold", "fault", "reset",
     "timeline", "forecast WH-1", "--help", "check --help"],
)  # fmt: skip
def test_thin_command_imports_neither_django_nor_celery(
    server: Server, new_process: NewProcess, command: str
) -> None:
    server.answer = lambda *request: (500, {"errors": ["x"]})
    assert new_process(command) == []
    assert bool(server.requests) == (not command.endswith("--help"))


def test_check_imports_nothing_of_a_server_but_tokens(new_process: NewProcess) -> None:
    assert new_process("check --list") == ["jwt"]


def test_listen_imports_no_django(tmp_path: Path) -> None:
    code = (
        "import sys; import connect_sim.cli.listen, sandbox.listener; "
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'django', 'celery'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr
