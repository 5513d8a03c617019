"""The program `connect-sim`: which sandbox it finds, its errors, exit codes, help and imports."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from checks import sandbox_file
from connect_sim.cli import program, running
from tests.program import Failed, run
from tests.unit.connect_sim.recording_server import Answer, Server, serving, write

ROOT = Path(__file__).resolve().parents[3]


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
            found = command.get_command(context, words[0])
            if found is None:
                break
            command = found
            del words[0]
        # Parses the arguments, without running the command.
        assert command.make_context(command.name, words).args == []


def test_command_that_prints_data_has_json() -> None:
    silent = {("sandbox",), ("listen",), ("manage",), ("exec",)}
    for names, command in COMMANDS.items():
        if not isinstance(command, click.Group):
            [*found] = [param for param in command.params if "--json" in param.opts]
            # The answer of these is no JSON, but their errors are.
            is_shown = bool(found) and not found[0].hidden  # type: ignore[attr-defined]
            assert is_shown == (names not in silent), names
            assert found or names == ("manage",), names


def test_help_lists_all_commands() -> None:
    text = run("--help")
    assert all(f"  {name} " in text for name in program.program.list_commands(None))  # type: ignore[arg-type]


# Which sandbox


def test_program_on_the_same_machine_uses_the_local_address(tmp_path: Path) -> None:
    published = "http://published.invalid:9000"
    with serving() as server:
        server.answer = lambda *_: (200, [])
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


NOT_THIN = ("docs", "exec", "init", "manage", "sandbox", "skill", "trace")
THIN = [
    names
    for names, command in COMMANDS.items()
    if names[0] not in NOT_THIN and (not isinstance(command, click.Group) or names == ("check",))
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
    assert failed.value.code == (2 if names[0] == "check" else 1)
    name = f"connect-sim {' '.join(names)}"
    line = f"`{name}` needs a sandbox, but SIM_PROFILE is server."
    if "--json" in words:
        assert json.loads(str(failed.value))["message"] == line
    else:
        assert str(failed.value) == f"Error: {line}"
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


def test_start_options_are_passed_on(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_ALLOW_CHANGES", "false")
    run("--port-file", "the port", "--exit-with-parent", "--allow-changes")
    assert os.environ["SIM_ALLOW_CHANGES"] == "true"
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


def test_trace_imports_nothing_of_a_server(new_process: NewProcess) -> None:
    assert new_process("trace none") == []


def test_check_imports_nothing_of_a_server_but_tokens(new_process: NewProcess) -> None:
    assert new_process("check --list") == ["jwt"]


def test_listen_imports_no_django(tmp_path: Path) -> None:
    code = (
        "import sys; import connect_sim.cli.listen, connect_sim.cli.listener; "
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'django', 'celery'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr
