"""Handlers as real processes: their start, death and end, and that nothing of them is left."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from checks.guard import Guard
from checks.handler_command import MARK as MARK_NAME
from checks.handler_command import Connection, HandlerCommand
from checks.handler_process import HandlerError, HandlerProcess
from requests_queue.redaction import MASK
from tests.engines import until
from tests.processes import ROOT

PYTHON = (sys.executable, "-u", "-S", "-E", "-c")
CONNECTION = Connection(
    "http://127.0.0.1:1/public/v1", "ApiKey SU-1:key", "s3cret", "WH-1", "PRD-1"
)
Handler = Callable[..., AbstractContextManager[HandlerProcess]]

# Responds with the environment; a path is evaluated first.
SERVE = """
import json, os, signal, socket, subprocess, sys, threading
def serve():
    server = socket.create_server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])))
    while True:
        connection = server.accept()[0]
        line = connection.recv(65536).decode().partition("\\r\\n")[0]
        if line:
            code = line.split()[1][1:]
            if code: exec(code.replace("%20", " "))
            body = json.dumps(dict(os.environ)).encode()
            head = f"HTTP/1.1 {status} x\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
            connection.sendall(head.encode() + body)
        connection.close()
status = 200
def child(**options):
    code = "import signal; print(1, flush=True); signal.pause()"
    started = subprocess.Popen([sys.executable, "-S", "-E", "-c", code], stdout=-1, **options)
    started.stdout.readline()
    print("child", started.pid, flush=True)
"""
IGNORES = "signal.signal(signal.SIGTERM, signal.SIG_IGN); serve()"


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    with Guard() as guard:
        yield guard


@pytest.fixture
def handler(guard: Guard) -> Handler:
    """A handler of the given code, which is started."""

    @contextmanager
    def make(
        code: str = "serve()", *, starts: bool = True, **options: Any
    ) -> Iterator[HandlerProcess]:
        arguments = options.pop("arguments", (*PYTHON, f"{SERVE}\n{code}"))
        with HandlerProcess(HandlerCommand(arguments, **options), guard) as process:
            if starts:
                process.start(CONNECTION)
            yield process
        assert not is_left(process)

    return make


def get(process: HandlerProcess, path: str = "/") -> dict[str, str]:
    """Return the environment of a handler, after it has run the path."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    try:
        connection.request("GET", path.replace(" ", "%20"))
        return dict(json.loads(connection.getresponse().read()))
    finally:
        connection.close()


def is_left(process: HandlerProcess) -> bool:
    """Return whether anything of a handler runs."""
    return process.is_alive or bool(process._tree and process._tree.is_running())


def children(process: HandlerProcess) -> list[int]:
    """Return the processes that a handler says it has started."""
    lines = process.output().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("child ")]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_handler_gets_its_environment(handler: Handler, tmp_path: Path) -> None:
    variables = (("KEY", "{api_key}"), ("AT", "{host}:{port}"), ("JSON", '{"a": 1}'))
    with handler("print(os.getcwd()); serve()", folder=tmp_path, variables=variables) as process:
        assert process.url == f"http://127.0.0.1:{process.port}/"
        env = get(process)
        expected = {
            "CONNECT_API_KEY": "ApiKey SU-1:key",
            "CONNECT_API_URL": CONNECTION.api_url,
            "JWT_SECRET": "s3cret",
            "WEBHOOK_ID": "WH-1",
            "PRODUCT_ID": "PRD-1",
            "PORT": str(process.port),
            "KEY": "ApiKey SU-1:key",
            "AT": f"127.0.0.1:{process.port}",
            "JSON": '{"a": 1}',
            "PATH": os.environ["PATH"],
        }
        assert expected.items() <= env.items()
        assert not any(name.startswith("SIM_") for name in env)
        # What it prints is read by a thread, so it may come later.
        until(lambda: str(tmp_path) in process.output(), "its folder")


def test_handler_restarts_on_its_port_with_changes(handler: Handler) -> None:
    with handler() as process:
        first = get(process)
        process.kill()
        assert not process.is_alive and process.death == ""
        process.restart(jwt_secret="another")
        second = get(process)
        process.restart()
        assert get(process)["JWT_SECRET"] == "another"
    assert second["PORT"] == first["PORT"]
    assert (first["JWT_SECRET"], second["JWT_SECRET"]) == ("s3cret", "another")


def test_handlers_share_no_files(
    handler: Handler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has what the current folder has, in a folder of its own that is deleted."""
    current = tmp_path / "current"
    (current / "package").mkdir(parents=True)
    (current / "package" / "name.txt").write_text("package")
    (current / "state").write_text("before")
    (tmp_path / "above.py").write_text(f"{SERVE}\nserve()")
    monkeypatch.chdir(current)
    arguments = (*PYTHON[:-1], "../above.py")
    with handler(arguments=arguments) as one, handler(arguments=arguments) as other:
        get(one, "/print(open('state').read());open('state','w').write('changed')")
        one.restart()
        for process in (one, other):
            get(process, "/print(open('state').read(),open('package/name.txt').read(),os.getcwd())")
            until(lambda process=process: "\n" in process.output(), "its output")
        folders = [process.output().split()[-1] for process in (one, other)]
        assert one.output().split()[:2] == ["changed", "package"]
        assert other.output().split()[:2] == ["before", "package"]
        assert (current / "state").read_text() == "before"
    assert len({*folders, str(current)}) == 3
    assert not any(Path(folder).exists() for folder in folders)
    assert (current / "package" / "name.txt").exists()


def test_shared_folder_is_used_as_it_is(handler: Handler, tmp_path: Path) -> None:
    with handler(folder=tmp_path) as process:
        get(process, "/open('state','w').close()")
    assert (tmp_path / "state").exists()


def test_folder_that_cannot_be_created_is_one_sentence(
    handler: Handler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    text = r"^The handler's folder cannot be created: .*none"
    with handler(starts=False) as process, pytest.raises(HandlerError, match=text):
        process.start(CONNECTION)


STARTS = {
    "exit code": (
        {"code": "print('no settings', JWT, flush=True)"},
        r"The handler ended with exit code 1 before it was ready\.", "NameError: name 'JWT'",
    ),
    "success": ({"code": ""}, r"The handler ended with exit code 0 before it was ready\.", ""),
    "signal": (
        {"code": "os.kill(os.getpid(), signal.SIGSEGV)"},
        r"The handler was ended by SIGSEGV before it was ready\.", "",
    ),
    "no command": (
        {"arguments": ("no-such-command",)},
        r"The handler cannot be started: no-such-command: No such file or directory\.", "",
    ),
    "no folder": (
        {"folder": Path("/no/folder")},
        r"The handler cannot be started: /no/folder: No such file or directory\.", "",
    ),
    "closed port": (
        {"code": "signal.pause()", "ready_within": 0.5},
        r"did not accept connections at 127\.0\.0\.1:\d+ within 0\.5 s\. .*variable PORT", "",
    ),
    "ready URL": (
        {"code": "status = 503; serve()", "ready_url": "/ready=1", "ready_within": 0.5},
        r"not ready within 0\.5 s: no response below 500 from http://127.*/ready=1", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
def test_handler_that_does_not_start_is_one_sentence(handler: Handler, name: str) -> None:
    options, text, output = STARTS[name]
    with handler(starts=False, **options) as process:  # type: ignore[arg-type]
        with pytest.raises(HandlerError, match=text):
            process.start(CONNECTION)
        assert output in process.output()
        assert not is_left(process)


def test_ready_url_is_waited_for(handler: Handler) -> None:
    """The first two responses are 500."""
    code = "tries = 0\nstatus = 500\nserve()"
    path = "/global%20tries,status;tries+=1;status=[500,404][tries>2];print(tries)"
    with handler(code, ready_url=path) as process:
        until(lambda: process.output().split() == ["1", "2", "3"], "three requests")


def test_death_in_the_middle_ends_what_the_handler_has_started(handler: Handler) -> None:
    with handler() as process:
        assert process.is_alive
        get(process, "/child()")
        until(lambda: children(process), "the child")
        (child,) = children(process)
        assert is_running(child)
        with pytest.raises(http.client.HTTPException):
            get(process, "/print('so',os.environ['JWT_SECRET']);os._exit(7)")
        until(lambda: not process.is_alive, "its death")
        assert process.death == "The handler ended with exit code 7."
        assert not is_running(child)
        assert process.output().endswith(f"so {MASK}\n")
        # It can be started again.
        process.restart()
        assert get(process)["JWT_SECRET"] == "s3cret" and process.death == ""


def test_all_processes_are_killed(handler: Handler) -> None:
    """Also one in a session of its own, whose parent has ended, and one that replaces itself."""
    orphan = "os.fork() or (child(start_new_session=True), os._exit(0))"
    with handler() as process:
        get(process, "/child()")
        get(process, f"/{orphan}")
        until(lambda: len(children(process)) == 2, "both children")
        pids = children(process)
        process.kill()
        if sys.platform == "linux":
            assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize(
    ("at_sigterm", "grace", "output"),
    [
        ("print('ignored', flush=True)", 1, "ignored\n"),
        ("(print('bye'), sys.exit(0))", 30, "bye\n"),
    ],
    ids=["is killed", "stops in its own way"],
)
def test_handler_stops_by_sigterm_or_is_killed(
    handler: Handler, at_sigterm: str, grace: float, output: str
) -> None:
    with handler(f"signal.signal(signal.SIGTERM, lambda *_: {at_sigterm}); serve()") as process:
        process.stop(grace=grace)
        assert (process.output(), process.death) == (output, "")


def test_flood_of_output_is_read_and_forgotten(handler: Handler) -> None:
    flooding = "threading.Thread(target=serve).start()\nn = 0\n"
    flooding += "while not (n > 20000 and 'DONE' in globals()): n += 1; print('x' * 1000, n)\n"
    flooding += "print('end', flush=True); signal.pause()"
    with handler(flooding) as process:
        get(process, "/globals().update(DONE=1)")
        until(lambda: process.output().endswith("end\n"), "the end of the output")
        lines = process.output().splitlines()
        assert 60_000 < len(process.output()) <= 65536
        # Whole lines, also the first.
        assert all(line.startswith("x" * 1000) for line in lines[:-1])


PROGRAM = """
import sys
from tests.processes import pause
from checks.guard import Guard
from checks.handler_process import Connection, HandlerCommand, HandlerProcess
from checks.throwaway import Throwaway
with Guard() as guard, Throwaway(guard) as throwaway:
    with HandlerProcess(HandlerCommand(tuple(sys.argv[1:])), guard) as process:
        process.start(Connection("u", "k", "s", "w", "p"))
        throwaway._launch()
        while not process.output().endswith("\\n"):
            assert process.is_alive
            pause(0.01)
        print(process._popen.pid, process.output().split()[1], throwaway._popen.pid, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_program_that_ends(number: signal.Signals, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *PYTHON, f"{SERVE}\nchild()\nserve()"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        line = program.stdout.readline()
        assert line, program.stderr.read().decode()
        pids = [int(word) for word in line.split()]
        assert len(pids) == 3 and all(map(is_running, pids))
        assert list(tmp_path.iterdir())
        program.send_signal(number)
        program.wait(20)
    # After SIGKILL by the guard, shortly after.
    until(lambda: not any(map(is_running, pids)) and not list(tmp_path.iterdir()), "the end")


def test_version_beside_a_handler_has_its_folder_and_environment(handler: Handler) -> None:
    with handler("print(os.getcwd(), flush=True); serve()") as process:
        with process.beside() as other:
            env, beside = get(process), get(other)
            assert other.port != process.port and process.is_alive
            assert {k for k, v in env.items() if beside[k] != v} == {"PORT", MARK_NAME}
            # A thread reads what is printed, the end of a line after the line.
            until(lambda: process.output().endswith("\n"), "the folder is printed")
            until(lambda: other.output() == process.output(), "the same folder is printed")
            folder = Path(process.output().strip())
        assert not is_left(other) and process.is_alive and folder.is_dir()
        with process.beside(shlex.join([*PYTHON, f"{SERVE}\nstatus = 201; serve()"])) as other:
            assert get(other)["PORT"] == str(other.port)


@pytest.mark.parametrize(("code", "has_ended"), [("serve()", True), (IGNORES, False)])
def test_end_says_whether_sigterm_sufficed(handler: Handler, code: str, has_ended: bool) -> None:
    with handler(code) as process:
        assert process.stop(0.2 if not has_ended else 5) is has_ended
        assert process.stop() is False
