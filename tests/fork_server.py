"""Fork Python programs from a process that has imported what they need.

A start of `manage.py` costs more than a second of CPU time, most of it for imports. A forked child
has what a new process has: its environment, folder, arguments, files, exit code and signals.

There are two servers. Commands of the sandbox profile are forked from one that has set up Django;
no module of this project keeps a setting at import, and the child reads them anew. Everything else
is forked from one that has imported libraries only.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Set for a run in which every program is a new process.
NEW_PROCESSES = "SIM_TEST_NEW_PROCESSES"
# Libraries that read no Django setting at import.
LIBRARIES = """
    aiohttp celery celery.app.amqp celery.app.backends celery.app.control celery.app.events
    celery.app.log celery.app.task celery.apps.beat celery.apps.worker celery.bin.celery
    celery.concurrency.thread celery.fixups.django celery.worker.autoscale
    celery.worker.components celery.worker.consumer celery.worker.strategy cryptography.fernet
    cryptography.x509 dj_rql.qs django.contrib.admin.options django.contrib.auth.checks
    django.contrib.auth.hashers django.contrib.auth.password_validation
    django.contrib.auth.validators django.contrib.contenttypes.checks
    django.contrib.messages.middleware django.contrib.sessions.middleware
    django.contrib.staticfiles.apps django.core.cache.backends.locmem django.core.handlers.wsgi
    django.core.mail django.core.management.commands.check
    django.core.management.commands.migrate django.core.management.commands.shell
    django.core.servers.basehttp django.db.backends.postgresql.base
    django.db.backends.sqlite3.base django.db.migrations.writer django.forms
    django.middleware.clickjacking django.middleware.common django.middleware.gzip
    django.middleware.security django.template.defaulttags django.templatetags.l10n
    django.templatetags.tz django.test.client django.views.debug django.views.generic
    django_htmx.middleware drf_spectacular.types environ jwt kombu.transport.memory
    kombu.transport.redis lark markdown_it.main openpyxl psycopg py_rql.parser redis.asyncio
    requests rest_framework.fields rest_framework.mixins rest_framework.permissions
    rest_framework.relations rest_framework.request rest_framework.response
    rest_framework.serializers rest_framework.utils.encoders rest_framework.utils.mediatypes
    sqlparse uvicorn.main whitenoise.middleware yaml
"""


class Start(NamedTuple):
    """What a child is to run."""

    command: list[str]
    env: dict[str, str]
    cwd: str


# -- in the tests


class Forked:
    """A forked process, used like a `subprocess.Popen`."""

    returncode: int | None = None

    def __init__(self, start: Start, files: Sequence[int]) -> None:
        self.args = start.command
        self._status, status = os.pipe()
        message = json.dumps(start).encode() + b"\n"
        control, lock = _server(_is_sandbox(start))
        try:
            with lock:
                socket.send_fds(control, [message[:1]], [*files, status])
                control.sendall(message[1:])
                self.pid = int.from_bytes(control.recv(8), "big")
        finally:
            os.close(status)
        # A signal to process 0 would go to the tests themselves.
        assert self.pid, "the fork server has ended"

    def poll(self) -> int | None:
        """Return the exit code of a process that has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative after a signal."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            text = os.read(self._status, 100)
            os.close(self._status)
            self.returncode = int(text or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, output: int
) -> Forked | subprocess.Popen[bytes]:
    """Start a program that writes its output and its errors to one file."""
    if not _can_fork(command, env):
        return subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=output)
    with Path(os.devnull).open() as nothing:
        start = Start(list(command), dict(env), str(cwd))
        return Forked(start, [nothing.fileno(), output, output])


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path = ROOT,
    *,
    stdin: int | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and capture what it prints as text."""
    with Path(os.devnull).open() as nothing:
        stdin = nothing.fileno() if stdin is None else stdin
        if not _can_fork(command, env):
            return subprocess.run(
                command, env=env, cwd=cwd, stdin=stdin, capture_output=True, text=True,
                timeout=timeout,
            )  # fmt: skip
        (out_end, out), (err_end, err) = os.pipe(), os.pipe()
        process = Forked(Start(list(command), dict(env), str(cwd)), [stdin, out, err])
    os.close(out)
    os.close(err)
    printed = {out_end: b"", err_end: b""}
    try:
        _read(printed, process, time.monotonic() + timeout)
    finally:
        for pipe in printed:
            os.close(pipe)
    texts = [text.decode() for text in printed.values()]
    return subprocess.CompletedProcess(command, process.wait(timeout), *texts)


def _can_fork(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Return whether it is a Python program of this project that an ordinary interpreter runs."""
    # Other variables of Python change what an interpreter does at its start.
    python = {name for name in {*env, *os.environ, *_SERVER} if name.startswith("PYTHON")}
    expected = {**os.environ, **_SERVER}
    if any(env.get(name) != expected.get(name) for name in python):
        return False
    if os.environ.get(NEW_PROCESSES):
        return False
    program = command[1] if command[0] == sys.executable else command[0]
    return program in ("manage.py", "-m", str(ROOT / "manage.py"), _CELERY)


# Variables of the servers, and of `tests.processes.environment`.
_SERVER = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
_CELERY = str(Path(sys.executable).parent / "celery")


def _read(output: dict[int, bytes], process: Forked, deadline: float) -> None:
    """Read the pipes until the process has closed them."""
    pipes = list(output)
    while pipes:
        ready = select.select(pipes, [], [], max(0, deadline - time.monotonic()))[0]
        if not ready:
            process.kill()
            raise subprocess.TimeoutExpired(process.args, 0, *output.values())
        for pipe in ready:
            if data := os.read(pipe, 65536):
                output[pipe] += data
            else:
                pipes.remove(pipe)


def _is_sandbox(start: Start) -> bool:
    return start.command[1].endswith("manage.py") and not start.env.get("SIM_PROFILE")


@cache
def _server(is_sandbox: bool) -> tuple[socket.socket, threading.Lock]:
    """Start a server of this process; it ends with it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(theirs.fileno()), str(int(is_sandbox))],
            cwd=ROOT,
            # Its own settings are those of the tests.
            env={**os.environ, **_SERVER},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def stop(creator: int = os.getpid()) -> None:
        # A child that was forked by a test has inherited this function.
        if os.getpid() == creator:
            ours.shutdown(socket.SHUT_RDWR)
            ours.close()
            process.wait()

    atexit.register(stop)
    return ours, threading.Lock()


# -- in the server


def _serve(control: socket.socket) -> Start | None:
    """Fork children until the other end is closed; return in each child what it is to run."""
    statuses: dict[int, int] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Ctrl-C is for the tests and their processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready = select.select([control, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 100)
            _reap(statuses)
        if control not in ready:
            continue
        message, files, _, _ = socket.recv_fds(control, 1, 4)
        if not message:
            return None
        while not message.endswith(b"\n"):
            message += control.recv(65536)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            # Forgotten, not closed: the number may be another file's by then.
            control.detach()
            _take_files(files)
            return Start(*json.loads(message))
        control.sendall(pid.to_bytes(8, "big"))
        statuses[pid] = files[3]
        for file in files[:3]:
            os.close(file)


def _reap(statuses: dict[int, int]) -> None:
    """Report the exit codes of children that have ended."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        file = statuses.pop(pid)
        # The tests may have ended.
        with contextlib.suppress(BrokenPipeError):
            os.write(file, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(file)


def _take_files(files: list[int]) -> None:
    """Make the files the standard ones, and close everything else."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, max(int(path.name) for path in Path("/dev/fd").iterdir()) + 1)


def _become(start: Start, is_sandbox: bool) -> None:
    """Run the program of a child, with the state of a new process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(start.env)
    os.chdir(start.cwd)
    _open_streams()
    if is_sandbox:
        _forget_settings()
    arguments = start.command[1:] if start.command[0] == sys.executable else start.command
    if arguments[0] == "-m":
        sys.path[0] = start.cwd
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        folder = str(Path(arguments[0]).parent)
        sys.path[0] = folder
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def _open_streams() -> None:
    """Open the standard streams as an unbuffered interpreter does.

    The server's were opened on other files, which can be sought where a pipe cannot.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        stream = io.TextIOWrapper(
            raw if number else io.BufferedReader(raw), encoding=old.encoding, errors=old.errors,
            newline="\n" if number else None, line_buffering=old.line_buffering,
            write_through=old.write_through,
        )  # type: ignore[type-var]  # fmt: skip
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _set_up_django() -> None:
    """Import the project: models, pages, commands, migrations."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
    import django
    from django.apps import apps
    from django.core.management import get_commands, load_command_class
    from django.db.migrations.loader import MigrationLoader

    django.setup()
    importlib.import_module("connect_sim.urls")
    importlib.import_module("django.contrib.admin.templatetags.admin_list")
    MigrationLoader(None)
    ours = {config.name for config in apps.get_app_configs() if not config.name.startswith("dj")}
    for name, app in get_commands().items():
        if app in ours:
            load_command_class(app, name)


def _forget_settings() -> None:
    """Let the child read its settings."""
    import django.db
    from asgiref.local import Local
    from django.conf import settings
    from django.utils.functional import empty
    from drf_spectacular.settings import spectacular_settings

    settings._wrapped = empty
    del sys.modules["connect_sim.settings"]
    django.db.connections.__dict__.pop("settings", None)
    django.db.connections._settings = None
    django.db.connections._connections = Local()
    # Read from here on; the command sets it too.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    # The only library that copies its settings at import. The command reports invalid ones.
    with contextlib.suppress(Exception):
        spectacular_settings._user_settings = settings.SPECTACULAR_SETTINGS
    while spectacular_settings._cached_attrs:
        delattr(spectacular_settings, spectacular_settings._cached_attrs.pop())


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in LIBRARIES.split():
        importlib.import_module(name)
    is_sandbox = sys.argv[2] == "1"
    if is_sandbox:
        _set_up_django()
    assert threading.active_count() == 1
    # Children don't copy what the collector would visit.
    gc.collect()
    gc.freeze()
    if start := _serve(control):
        _become(start, is_sandbox)


if __name__ == "__main__":
    _main()
