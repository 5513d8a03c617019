"""Real processes in tests: a sandbox, or web + worker + beat; a Redis of the test's own."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent


def commit(root: Path = ROOT) -> str:
    """Return the commit of a tree, with `+changes` if it has any; empty outside of a repository."""
    commands = (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
    name, changes = (
        subprocess.run(["git", *command], cwd=root, capture_output=True, text=True).stdout.strip()
        for command in commands
    )
    return f"{name}{'+changes' * bool(changes)}"


def restore_hangup() -> None:
    """Restore the action of SIGHUP, which `nohup make test` lets be ignored; for `preexec_fn`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def free_port() -> int:
    """Return a free port below the ephemeral range."""
    for port in range(20000 + os.getpid() % 4000, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if _take(port):
                return port
    raise AssertionError("no free port")


def listens(port: int) -> bool:
    """Whether a program listens on a port of this machine."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def _take(port: int) -> bool:
    """Reserve the port for this process, among all test runs on the machine."""
    folder = Path(tempfile.gettempdir()) / "connect-sim-test-ports"
    folder.mkdir(mode=0o777, exist_ok=True)
    # The open file holds the lock until the process ends.
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    return True


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """Return an environment for a child process, without the settings of this one."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("SIM_", "DJANGO", "PYTEST"))}
    keep.pop("DATABASE_URL", None)
    keep.pop("CELERY_BROKER_URL", None)
    return {
        **keep,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "SIM_DATA_DIR": str(data_dir),
        "SIM_ENV_FILE": os.devnull,
        **variables,
    }


def run(
    command: Sequence[str],
    env: dict[str, str],
    cwd: Path = ROOT,
    *,
    stdin: int = subprocess.DEVNULL,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and capture what it prints as text."""
    return subprocess.run(
        command, env=env, cwd=cwd, stdin=stdin, capture_output=True, text=True, timeout=timeout
    )


def output(
    command: Sequence[str],
    env: dict[str, str],
    cwd: Path = ROOT,
    *,
    sent: str = "",
    timeout: float = 60,
) -> str:
    """Run a program, which must succeed, and return what it prints."""
    done = subprocess.run(
        command, env=env, cwd=cwd, input=sent, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    return done.stdout


@dataclass
class Process:
    """A child process and its output."""

    command: Sequence[str]
    env: dict[str, str]
    log: Path
    root: Path = ROOT
    # Of its input and output: it is a program that is asked.
    pipes: bool = False
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Process:
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.command,
                cwd=self.root,
                env=self.env,
                stdin=subprocess.PIPE if self.pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.pipes else out,
                stderr=out,
            )
        return self

    def start_until(self, text: str) -> None:
        """Start it, and wait until it has printed a text since."""
        before = self.printed if self.log.exists() else ""
        self.start()
        self.wait_to_print(text, after=before)

    def kill(self) -> None:
        """Send SIGKILL, like a power failure."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait_to_listen(self, port: int, timeout: float = 60) -> None:
        """Wait until it listens on a port."""
        deadline = time.monotonic() + timeout
        while not listens(port):
            assert self.popen.poll() is None and time.monotonic() < deadline, self.printed
            pause()

    def wait_to_print(self, text: str, *, after: str = "", timeout: float = 60) -> None:
        """Wait until it has printed a text, behind what it had printed before."""
        deadline = time.monotonic() + timeout
        while text not in self.printed.removeprefix(after):
            assert self.popen.poll() is None and time.monotonic() < deadline, self.printed
            pause(0.01)

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Sandbox:
    """A running sandbox, or a server set-up, and clients of its API."""

    url: str
    data_dir: Path
    process: Process
    vendor_key: str = ""
    provider_key: str = ""
    # Of all requests; `X-Sandbox-Actor: test` says that they are not a handler's.
    headers: dict[str, str] = field(default_factory=dict)
    # What sends them: a session keeps its connection.
    http: Any = requests

    def wait(self, timeout: float = 60) -> Sandbox:
        """Wait until the sandbox responds, and read the keys."""
        self.wait_for_web(timeout)
        state = json.loads((self.data_dir / "sandbox.json").read_text())
        self.vendor_key, self.provider_key = state["vendor_api_key"], state["provider_api_key"]
        return self

    def wait_for_web(self, timeout: float = 60) -> None:
        """Wait until the API responds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.popen.poll() is not None:
                raise AssertionError(f"it ended:\n{self.process.printed}")
            try:
                response = requests.get(f"{self.url}/public/v1/requests", timeout=1)
                if response.status_code == 401:
                    break
            except requests.RequestException:
                pause()
        else:
            raise AssertionError(f"no answer in {timeout} s:\n{self.process.printed}")

    def printed_link(self) -> str:
        """Return the sign-in link that the sandbox prints after it starts to respond."""
        self.process.wait_to_print("Press Ctrl-C to stop.")
        match = re.search(rf"{self.url}/sign-in/\S+", self.process.printed)
        assert match, self.process.printed
        return match[0]

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = "", timeout: float = 30
    ) -> requests.Response:
        return self.http.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"Authorization": f"ApiKey {key or self.vendor_key}", **self.headers},
            timeout=timeout,
        )

    def as_vendor(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as the vendor and return the decoded 2xx response."""
        return _decoded(self.call(method, f"/public/v1{path}", body))

    def as_distributor(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as the distributor and return the decoded 2xx response."""
        return _decoded(self.call(method, f"/public/v1{path}", body, key=self.provider_key))

    def as_tester(self) -> Sandbox:
        """Return a client whose calls are the test's, and not a handler's."""
        return replace(self, headers={"X-Sandbox-Actor": "test"})

    def advance(self, by: str) -> Any:
        """Move the clock; the machine may be busy, so that settling takes long."""
        body = {"by": by, "patience": 60}
        return _decoded(self.call("POST", "/sandbox/clock/advance", body, timeout=120))


def _decoded(response: requests.Response) -> Any:
    assert response.ok, (
        f"{response.request.method} {response.url}: {response.status_code} {response.text}"
    )
    return response.json() if response.content else None


def pause(seconds: float = 0.05) -> None:
    """Sleep between two checks of another process."""
    import threading

    threading.Event().wait(seconds)


def manage(*arguments: str, root: Path = ROOT) -> list[str]:
    """Return the command line of a management command."""
    return [sys.executable, str(root / "manage.py"), *arguments]


@contextmanager
def listening(
    running: Sandbox, folder: Path, *options: str, port: int = 0
) -> Iterator[tuple[Process, str]]:
    """Run `manage.py listen` for a sandbox and the block; yield the process and its URL.

    A signal must stop it cleanly.
    """
    port = port or free_port()
    command = manage("listen", "--port", str(port), *options)
    process = Process(command, running.process.env, folder / "listen.log")
    try:
        process.start_until("Listening at")
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        code = process.stop()
    # 130: a test has interrupted it.
    assert code in (0, 130) and "Traceback" not in process.printed, process.printed


# Variables that change the data that a first start creates.
_MAKES_OTHER_DATA = {"DATABASE_URL", "SIM_PROFILE", "SIM_VENDOR_API_KEY", "SIM_PROVIDER_API_KEY",
                     "SIM_SECRET_KEY", "SIM_ENCRYPTION_KEY"}  # fmt: skip


@contextmanager
def sandbox(
    data_dir: Path, root: Path = ROOT, *, first: bool = False, **variables: str
) -> Iterator[Sandbox]:
    """Run `manage.py sandbox`, of this tree or of another, until the block ends.

    It starts with the data of a first start, unless this is the `first`.
    """
    if root == ROOT and not first and not _MAKES_OTHER_DATA & variables.keys():
        copy_first_data(data_dir)
    with _started(data_dir, root, **variables) as running:
        yield running


def copy_first_data(data_dir: Path) -> None:
    """Copy the data of this run's first start: creating them takes longer than most tests."""
    if any(data_dir.glob("*.sqlite3")):
        return
    shutil.copytree(
        first_data(), data_dir, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.log")
    )


@cache
def first_data() -> Path:
    """Return the data of a first start, which one of the run's processes creates, with its log."""
    # tests.environment sets it, for all processes of a run of pytest.
    folder = Path(os.environ.get("SIM_TEST_RUN") or tempfile.mkdtemp(prefix="connect-sim-first-"))
    data, done = folder / "first", folder / "first-done"
    with (folder / "first-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            with _started(data, ROOT) as first:
                first.process.wait_to_print("Press Ctrl-C to stop.")
            done.touch()
    return data


@contextmanager
def _started(data_dir: Path, root: Path, **variables: str) -> Iterator[Sandbox]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(data_dir, SIM_BIND=f"127.0.0.1:{port}", **variables)
    data_dir.mkdir(parents=True, exist_ok=True)
    process = Process(manage("sandbox", root=root), env, data_dir / "sandbox.log", root).start()
    running = Sandbox(url, data_dir, process)
    try:
        yield running.wait()
    finally:
        running.process.stop()


def restart(running: Sandbox, timeout: float = 60) -> Sandbox:
    """Start the sandbox again, after a stop or a kill, on the same data and port."""
    old = running.process
    running.process = Process(old.command, old.env, old.log, old.root).start()
    return running.wait(timeout)


@dataclass
class Redis:
    """A Redis server of a test's own."""

    port: int
    process: Process

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        self.process.stop()

    def start(self) -> None:
        self.process.start()
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                    line.sendall(b"PING\r\n")
                    if line.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            pause()
        raise AssertionError("redis does not answer")


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Run a Redis without persistence; skip with a message if there is none."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed: the Redis tests were not run")
    port = free_port()
    command = [
        binary,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    server = Redis(port, Process(command, dict(os.environ), folder / "redis.log").start())
    try:
        server.wait()
        yield server
    finally:
        server.stop()
