"""The process of a run: `connect-sim check` against this sandbox, and the thread that follows it.

It is a client of the published endpoints like any other, in a process group of its own. SIGTERM
lets it restore the sandbox and end. If this process is killed, `Guard` kills it. Where a run could
not restore the sandbox, because its process was killed or the sandbox stopped, this module does.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from checks.guard import Guard
from checks.options import lease_note, snapshot_base, snapshot_before
from checks.outputs import events, json_report
from checks.outputs.json_report import BadReport
from checks.outputs.masking import mask_report
from checks.throwaway import environment
from requests_queue.errors import Missing, Refused
from requests_queue.redaction import Redaction
from sandbox.check_runs import runs
from sandbox.check_runs.runs import Ending, Progress
from sandbox.clock import tokens
from sandbox.models import CheckRun
from sandbox.world import gate, snapshots

_LEASE = 60.0  # seconds for which a restore may take
RESTORED = "The sandbox was restored as it was before the run."
# The shells' form of the exit code of a program that a signal has ended.
_SIGNALED = 128
_SHOWN = 500  # characters of an error
logger = logging.getLogger(__name__)

PERIOD = 0.5  # seconds between two signs of life, and two looks whether it is cancelled
ENDING = 120.0  # seconds for which a cancelled run may end its check and restore the sandbox
_OUTPUT = 4000  # bytes of what the process printed that are read
_STOP = 5.0  # seconds for which the end of the sandbox waits for a run's thread
_TRIES = 5  # of writing the end of a run

# What the program would write into, if a CI job has started the sandbox.
_NOT_INHERITED = ("GITHUB_STEP_SUMMARY",)


def restore(name: str, patience: float = gate.PATIENCE) -> str:
    """Undo what a run has left behind; return a sentence about it, empty if there is nothing.

    A run that has lost its lease has left that to the next run: others have used the sandbox.
    """
    if not tokens.renew_noted(lease_note(name), _LEASE):
        return ""
    try:
        return _restore(name, patience)
    finally:
        tokens.release_noted(lease_note(name))


def _restore(name: str, patience: float) -> str:
    before, text = snapshot_before(name), ""
    stored = {snapshot.name for snapshot in snapshots.all_snapshots()}
    if before in stored:
        try:
            snapshots.restore(before, patience)
        except (Refused, Missing, DatabaseError):
            command = f"{settings.PROGRAM} snapshot restore {before}"
            return f"The sandbox is not as it was before the run. Restore it: {command}"
        text = RESTORED
    for left in stored & {before, snapshot_base(name)}:
        # Where its file cannot be deleted, the user sees it in the list of snapshots.
        with suppress(Refused):
            snapshots.delete(left)
    return text


def recover(*, is_alone: bool = False, patience: float = gate.PATIENCE) -> None:
    """End the runs whose process is gone, and restore the sandbox.

    `is_alone` says that no other process may have one: at the start, before requests are served.
    """
    for run in runs.end_lost(is_alone=is_alone):
        if text := restore(run.name, patience):
            row = CheckRun.objects.filter(pk=run.pk, state=CheckRun.FAILED)
            row.update(error=f"{runs.STOPPED} {text}")


def recover_later() -> None:
    """Recover in a thread, if there is anything to do: a restore waits for the caller's request."""
    if runs.has_lost():
        threading.Thread(target=_recover_in_thread, name="check-recovery", daemon=True).start()


def _recover_in_thread() -> None:
    try:
        recover()
    finally:
        connection.close()


def ending_of(
    report: Any, code: int, printed: str, left: str, is_cancelled: bool, secrets: Collection[str]
) -> Ending:
    """Return the end of a run; `left` is a sentence about what it has left behind.

    A run that had ended when it was cancelled is finished.
    """
    was_interrupted = code < 0 or code > _SIGNALED
    stored, error = _read(report, secrets)
    if is_cancelled and was_interrupted:
        return Ending(CheckRun.CANCELLED, stored, code, left)
    if stored and not was_interrupted:
        return Ending(CheckRun.FINISHED, stored, code, left)
    explained = error or _explain(code, Redaction(secrets).text(printed))
    text = " ".join(filter(None, [explained, left]))
    return Ending(CheckRun.FAILED, stored, code, text)


def _read(report: Any, secrets: Collection[str]) -> tuple[str, str]:
    """Return the report without secrets as it is stored, and what is wrong with it."""
    if report is None:
        return "", ""
    try:
        read = json_report.from_json(report)
    except BadReport as error:
        return "", f"The report cannot be read: {error}"
    return json_report.render(mask_report(read, secrets)), ""


def _explain(code: int, printed: str) -> str:
    """Return why there is no report: the error that the program printed, or how it ended."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    if code < 0:
        return f"The process of the checks was ended by signal {-code}."
    last = lines[-1].removeprefix("Error: ")[:_SHOWN] if lines else ""
    return last or f"The process of the checks ended with exit code {code}."


class Job:
    """The process of one run; a thread follows it until it has ended."""

    def __init__(self, run: CheckRun, secrets: Collection[str]) -> None:
        """Start the process; raises OSError."""
        self._run, self._secrets = run, secrets
        self._progress: Progress = {}
        self._report: Any = None
        # Events, and None when the process has closed its output.
        self._inbox: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._is_open, self._kill_at, self._is_stopped = True, 0.0, False
        self._resources = ExitStack()
        self._printed = self._resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._guard = self._resources.enter_context(Guard())
        try:
            self._popen = _popen(run, self._printed)
        except OSError:
            self._resources.close()
            raise
        self._guard.add_group(self._popen.pid)
        assert self._popen.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=[self._popen.stdout], name="check-events", daemon=True
        )
        self._thread = threading.Thread(target=self._follow, name="check-run", daemon=True)

    def follow(self) -> None:
        """Begin to follow the process."""
        self._reader.start()
        self._thread.start()

    def wake(self) -> None:
        """Let the thread look at the row now."""
        self._inbox.put({})

    def stop(self) -> None:
        """Kill the process: the sandbox ends, and its next start restores the world."""
        self._is_stopped = True
        self._signal(signal.SIGKILL)
        self.join(_STOP)

    def join(self, timeout: float) -> bool:
        """Wait until the run has ended; return False if it hasn't after so many seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                if event := events.read(line.decode(errors="replace")):
                    self._inbox.put(event)
        self._inbox.put(None)

    def _follow(self) -> None:
        try:
            while self._is_open:
                self._take()
                self._look()
            self._end()
        except Exception:
            # Its lease expires, and then it counts as failed.
            logger.exception("The run of checks %s is not followed any more.", self._run.pk)
            self._signal(signal.SIGKILL)
        finally:
            _jobs.pop(self._run.pk, None)
            self._resources.close()
            connection.close()

    def _take(self) -> None:
        """Wait for an event, at most PERIOD, and apply all that are there."""
        timeout = PERIOD
        with suppress(queue.Empty):
            while True:
                event = self._inbox.get(timeout=timeout)
                timeout = 0.0
                if event is None:
                    self._is_open = False
                elif event.get("event") == events.REPORT:
                    self._report = event["report"]
                elif event:
                    self._progress = runs.apply(self._progress, event, self._secrets)

    def _look(self) -> None:
        """Store the progress; end the process if the run is cancelled."""
        if self._is_stopped:
            return
        try:
            must_end = runs.keep(self._run.pk, self._progress)
        except (DatabaseError, InterfaceError):
            # Unavailable, or locked by another transaction: the next look stores it.
            connection.close()
            return
        if must_end and not self._kill_at:
            self._kill_at = time.monotonic() + ENDING
            self._signal(signal.SIGTERM)
        elif self._kill_at and time.monotonic() > self._kill_at:
            self._signal(signal.SIGKILL)

    def _end(self) -> None:
        """Wait for the process, restore what it has not, and store how it has ended."""
        try:
            code = self._popen.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            code = self._popen.wait()
        self._guard.remove_group(self._popen.pid)
        if self._is_stopped:
            return
        left = restore(self._run.name)
        printed, is_cancelled = self._read_printed(), bool(self._kill_at)
        ending = ending_of(self._report, code, printed, left, is_cancelled, self._secrets)
        for _ in range(_TRIES):
            try:
                runs.end(self._run.pk, self._progress, ending)
                return
            except (DatabaseError, InterfaceError):
                connection.close()
                threading.Event().wait(PERIOD)

    def _read_printed(self) -> str:
        self._printed.seek(max(0, self._printed.seek(0, os.SEEK_END) - _OUTPUT))
        return self._printed.read().decode(errors="replace")

    def _signal(self, number: int) -> None:
        # It is a zombie until the thread waits for it, so its number is nobody else's.
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)


_jobs: dict[int, Job] = {}


def job(pk: int) -> Job | None:
    """Return what follows a run, if that is this process."""
    return _jobs.get(pk)


def start(run: CheckRun, secrets: Collection[str]) -> None:
    """Start the process of a run; a failure is the run's. `secrets` are masked in its results."""
    try:
        started = Job(run, secrets)
    except OSError as error:
        text = f"The checks could not be started: {error.strerror or type(error).__name__}."
        runs.end(run.pk, {}, runs.Ending(CheckRun.FAILED, error=text))
        return
    _jobs[run.pk] = started
    started.follow()


def cancel(pk: int) -> bool:
    """Let a run end, also one of another process; return False if it has ended."""
    if not runs.cancel(pk):
        return False
    if followed := job(pk):
        followed.wake()
    return True


def _popen(run: CheckRun, printed: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments(run),
        env={k: v for k, v in environment(os.environ).items() if k not in _NOT_INHERITED},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=printed,
        start_new_session=True,
    )


def arguments(run: CheckRun) -> list[str]:
    """Return the command line of a run; there is no secret in it."""
    options = run.options
    words = [
        sys.executable,
        "-P",
        "-m",
        "connect_sim",
        "check",
        "--events",
        "--data-dir",
        str(settings.SIM_DATA_DIR),
        "--name",
        run.name,
        "--webhook",
        run.webhook_id,
        "--type",
        options["type"],
        "--method",
        options["method"],
        "--seed",
        str(options["seed"]),
    ]
    words += [word for glob in options["select"] for word in ("--select", glob)]
    words += [f"--{name}" for name in ("strict", "deep") if options[name]]
    words += [f"--invalid={name}={value}" for name, value in options["invalid"].items()]
    return words


def stop_all() -> None:
    """Kill the runs before the web server ends, which could not serve them any more."""
    for each in list(_jobs.values()):
        each.stop()


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Kill the runs of a web server that ends."""
    try:
        yield
    finally:
        stop_all()
