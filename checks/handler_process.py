"""A handler that a command starts: made ready, watched, killed, restarted, and ended for good."""

from __future__ import annotations

import http.client
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from checks.captured_output import CapturedOutput
from checks.client import accepts_connections, connect, target
from checks.guard import Guard
from checks.handler_command import (
    HOST,
    MARK,
    Connection,
    HandlerCommand,
    environment,
    split,
)
from checks.processes import ProcessTree
from requests_queue.redaction import Redaction

# Below the ports that systems give to outgoing connections: one of these could take the port while
# the handler restarts, and a connection to a free port among them can even reach itself.
_PORTS = range(20000, 32000)
_chosen: set[int] = set()
_POLL = 0.02
_LONGEST_REQUEST = 5.0  # seconds for a response of --ready-url
_COPIED = 64 * 1024 * 1024  # bytes of the files that are copied into a handler's folder
STOP = 5.0  # seconds for which a handler may stop after SIGTERM


class HandlerError(Exception):
    """The handler cannot be started or killed; the text is one sentence."""


class HandlerProcess:
    """A handler's processes; a context manager that ends them. Threads may share it.

    Its port, and so its URL, and its folder stay the same over all starts.
    """

    def __init__(self, command: HandlerCommand, guard: Guard) -> None:
        refuse_windows()
        self._command, self._guard = command, guard
        self._folder: Path | None = None
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}/"
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._popen: subprocess.Popen[bytes] | None = None
        self._tree: ProcessTree | None = None
        self._output: CapturedOutput | None = None
        self._connection: Connection | None = None
        self._secrets: set[str] = set()
        self._death = ""

    def __enter__(self) -> HandlerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        _chosen.discard(self.port)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._guard.remove_folder(self._folder)

    def start(self, connection: Connection) -> None:
        """Start the handler, and return when it is ready.

        Raises HandlerError with one sentence; nothing is left running then.
        """
        self._connection = connection
        self._secrets |= set(connection.secrets)
        try:
            self._launch(connection)
            self._wait_until_ready()
        except BaseException:
            self.stop(grace=0)
            raise

    def restart(self, **changes: str) -> None:
        """End the handler if it runs, and start it with a changed Connection.

        The names are those of Connection, for example `jwt_secret`. Raises HandlerError.
        """
        assert self._connection is not None, "restarted before the first start"
        self.stop()
        self.start(replace(self._connection, **changes))

    @contextmanager
    def started_with(self, *variables: tuple[str, str]) -> Iterator[None]:
        """Restart the handler with more variables for a block, and without them after it."""
        command = self._command
        self._command = replace(command, variables=(*command.variables, *variables))
        try:
            self.restart()
            yield
        finally:
            self._command = command
            self.restart()

    @property
    def is_alive(self) -> bool:
        """Whether the handler's first process runs; if it has ended, the others are ended too."""
        with self._lock:
            if self._popen is None:
                return False
            if self._popen.poll() is None:
                return True
            # At once: the number of a process group without processes can become another's.
            self._end(0)
            return False

    @property
    def death(self) -> str:
        """A sentence if the handler has ended by itself, else empty."""
        return "" if self.is_alive else self._death

    def output(self) -> str:
        """Return the end of what the handler has printed since its last start, at most 64 KiB.

        API key and JWT secret are masked.
        """
        return Redaction(self._secrets).text(self._output.text()) if self._output else ""

    @property
    def secrets(self) -> frozenset[str]:
        """What was in its environment and must not be shown."""
        return frozenset(self._secrets)

    def kill(self) -> None:
        """Kill the handler (SIGKILL), and return when all of its processes are gone."""
        self.stop(grace=0)

    def stop(self, grace: float = STOP) -> bool:
        """End all of the handler's processes: SIGTERM, and SIGKILL after `grace` seconds.

        Return whether they have ended by SIGTERM.
        """
        with self._lock:
            self._stopped.set()
            if not self.is_alive:
                return False
            has_ended = self._end(grace)
            self._death = ""
            return has_ended

    @contextmanager
    def beside(self, line: str = "") -> Iterator[HandlerProcess]:
        """Start another process beside this one, at another port; end it after the block.

        `line` is its command, by default the same. Both have the same folder and environment.
        """
        assert self._connection is not None, "nothing to start it like"
        command = replace(self._command, arguments=split(line)) if line else self._command
        if self._folder:
            arguments = tuple(map(_absolute_if_above, command.arguments))
            command = replace(command, arguments=arguments, folder=self._folder)
        with HandlerProcess(command, self._guard) as other:
            other.start(self._connection)
            yield other

    def _launch(self, connection: Connection) -> None:
        mark = secrets.token_hex(8)
        arguments = self._command.arguments_for(self.port)
        folder = self._command.folder
        if folder is None:
            try:
                folder = self._folder or self._create_folder()
            except OSError as error:
                raise HandlerError(f"The handler's folder cannot be created: {error}.") from None
            arguments = [_absolute_if_above(each) for each in arguments]
        output = CapturedOutput()
        with self._lock:
            self._stopped.clear()
            self._death = ""
            self._output = output
            try:
                self._popen = subprocess.Popen(
                    arguments,
                    cwd=folder,
                    env=environment(os.environ, self._command, connection, self.port, mark),
                    stdin=subprocess.DEVNULL,
                    stdout=output.write_end,
                    stderr=output.write_end,
                    # A session and a process group of its own: Ctrl-C in the terminal is for us.
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise HandlerError(_cannot_start(arguments[0], error)) from None
            finally:
                output.started()
            self._tree = ProcessTree(self._popen.pid, f"{MARK}={mark}")
            self._guard.add_group(self._popen.pid)

    def _create_folder(self) -> Path:
        """Create a folder that has what the current one has, so that handlers share no files.

        Files are copied; folders, which are packages for the most part, are links.
        """
        folder = self._folder = Path(tempfile.mkdtemp(prefix="connect-sim-handler-"))
        self._guard.add_folder(folder)
        left = _COPIED
        for entry in Path.cwd().iterdir():
            with suppress(FileNotFoundError):  # removed meanwhile
                is_file = entry.is_file() and os.access(entry, os.R_OK)
                if is_file and (size := entry.stat().st_size) <= left:
                    shutil.copy2(entry, folder)
                    left -= size
                else:
                    (folder / entry.name).symlink_to(entry)
        return folder

    def _wait_until_ready(self) -> None:
        ready_url = self._command.ready_url_for(self.port)
        deadline = time.monotonic() + self._command.ready_within

        def is_ready() -> bool:
            if self._command.is_ready:
                return self._command.is_ready()
            return _responds(ready_url, deadline) if ready_url else accepts_connections(self.url)

        while True:
            if not self.is_alive:
                death = self._death.removesuffix(".") or "The handler was stopped"
                raise HandlerError(f"{death} before it was ready.")
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise HandlerError(self._not_ready(ready_url))
            self._stopped.wait(_POLL)

    def _not_ready(self, ready_url: str) -> str:
        within = f"within {self._command.ready_within:g} s"
        if self._command.is_ready:
            return f"The extension's runner was not connected {within}."
        if ready_url:
            return f"The handler was not ready {within}: no response below 500 from {ready_url}."
        return (
            f"The handler did not accept connections at {HOST}:{self.port} {within}. It has to "
            "listen on the port that the variable PORT names."
        )

    def _end(self, grace: float) -> bool:
        """End all processes, and note how the first one ended; return whether SIGTERM sufficed."""
        popen, tree = self._popen, self._tree
        assert popen is not None and tree is not None
        died = popen.poll() is not None
        has_ended = False
        if grace and not died:
            tree.send(signal.SIGTERM)
            has_ended = tree.wait(grace)
        is_gone = tree.kill()
        self._popen = None
        if not is_gone:
            raise HandlerError(f"The handler's process group {tree.group} cannot be killed.")
        self._death = _describe(popen.wait())
        self._guard.remove_group(tree.group)
        if self._output:
            self._output.wait_for_end()
        return has_ended


def refuse_windows() -> None:
    """Raise HandlerError on Windows, which has no process groups."""
    if sys.platform == "win32":
        raise HandlerError(
            "--run needs Linux or macOS. On Windows use WSL, or start the handler yourself and "
            "give its URL."
        )


def free_port() -> int:
    """Return a port that nothing listens on, and that no other handler of this process has."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            # As servers do: a port whose last connections are closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _chosen:
            _chosen.add(port)
            return port
    raise HandlerError(f"No port from {_PORTS[0]} to {_PORTS[-1]} is free.")


def _absolute_if_above(argument: str) -> str:
    """Return the absolute path of a file above the current folder; other arguments unchanged."""
    is_above = argument == ".." or argument.startswith("../")
    return str(Path(argument).resolve()) if is_above and Path(argument).exists() else argument


def _responds(url: str, deadline: float) -> bool:
    """Return whether a URL responds with a status below 500; proxies are not used."""
    seconds = max(0.1, min(_LONGEST_REQUEST, deadline - time.monotonic()))
    try:
        with closing(connect(url, seconds)) as connection:
            connection.request("GET", target(url))
            return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _cannot_start(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        # Popen names the folder where that is the cause.
        where = error.filename or program
        return f"The handler cannot be started: {where}: {error.strerror or error}."
    return f"The handler cannot be started: {error}."


def _describe(code: int) -> str:
    """Return a sentence about an exit code; a negative one is a signal, as Popen has it."""
    if code >= 0:
        return f"The handler ended with exit code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"The handler was ended by {name}."
