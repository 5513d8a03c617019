"""Runs of checks that this sandbox starts: their rows, and the process of each.

At most one row is running; each change of state is a filtered UPDATE. A row has the progress of its
run, which follows from its events:

    {"checks": ["auth.control", …], "running": ["auth.no_header"],
     "results": [{"check", "title", "level", "mark", "text", "seconds"}, …]}

The process is `connect-sim check` against this sandbox, a client of the published endpoints like
any other, in a process group of its own, and a thread follows it. SIGTERM lets it restore the
sandbox and end. If this process is killed, `Guard` kills it. Where a run could not restore the
sandbox, because its process was killed or the sandbox stopped, this module does.
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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import QuerySet

from checks.guard import Guard
from checks.options import lease_note, new_name, snapshot_base, snapshot_before
from checks.outputs import events, json_report
from checks.outputs.json_report import BadReport
from checks.outputs.masking import mask_report
from checks.throwaway import environment
from requests_queue import topics
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing, Refused
from requests_queue.redaction import Redaction
from sandbox.models import CheckRun
from sandbox.timeline import observer
from sandbox.world import gate, snapshots
from webhooks.models import Webhook

logger = logging.getLogger(__name__)

KEPT = 20  # runs of a webhook
EXPIRES_AFTER = 30.0  # seconds without a sign of life after which a run's process is gone
STOPPED = "The sandbox was stopped."
_RESULT = ("check", "title", "level", "mark", "text", "seconds")

Progress = Mapping[str, Any]
_RESTORE_LEASE = 60.0  # seconds for which a restore may take
RESTORED = "The sandbox was restored as it was before the run."
# The shells' form of the exit code of a program that a signal has ended.
_SIGNALED = 128
_SHOWN = 500  # characters of an error
PERIOD = 0.5  # seconds between two signs of life, and two looks whether it is cancelled
ENDING = 120.0  # seconds for which a cancelled run may end its check and restore the sandbox
_OUTPUT = 4000  # bytes of what the process printed that are read
_STOP = 5.0  # seconds for which the end of the sandbox waits for a run's thread
_TRIES = 5  # of writing the end of a run

# What the program would write into, if a CI job has started the sandbox.
_NOT_INHERITED = ("GITHUB_STEP_SUMMARY", "CONNECT_SIM_TRACES")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended."""

    state: str
    report: str = ""
    exit_code: int | None = None
    error: str = ""


def begin(webhook: Webhook, options: Mapping[str, Any], user: str) -> CheckRun:
    """Create the row of a run; raises Conflict while another one is running."""
    try:
        with transaction.atomic():
            run = CheckRun.objects.create(
                name=new_name(),
                account_id=webhook.account_id,
                webhook_id=webhook.pk,
                webhook_label=webhook.label,
                started_by=user,
                started_at=datetime.now(UTC),
                options=dict(options),
                expires=DatabaseTime() + EXPIRES_AFTER,
            )
    except IntegrityError:
        # The unique constraint lets one of several callers insert a row.
        text = "Checks are running already. Wait until they have ended, or cancel them."
        raise Conflict("CHK_001", text) from None
    rows = CheckRun.objects.filter(webhook_id=webhook.pk)
    if last := list(rows.order_by("-pk").values_list("pk", flat=True)[KEPT - 1 : KEPT]):
        rows.filter(pk__lt=last[0]).exclude(state=CheckRun.RUNNING).delete()
    topics.announce(None, observer.CHECKS)
    return run


def apply(progress: Progress, event: Mapping[str, Any], secrets: Collection[str] = ()) -> Progress:
    """Return the progress after an event, without secrets; the report's changes nothing."""
    kind, running = event["event"], list(progress.get("running", []))
    if kind == events.BEGUN:
        return {"checks": event["checks"], "running": [], "results": []}
    if kind == events.STARTED:
        return {**progress, "running": [*running, event["check"]]}
    if kind == events.ENDED:
        result = {name: event[name] for name in _RESULT}
        result["text"] = Redaction(secrets).text(result["text"])
        return {
            **progress,
            "running": [each for each in running if each != event["check"]],
            "results": [*progress.get("results", []), result],
        }
    return progress


def keep(pk: int, progress: Progress) -> bool:
    """Store the progress of a run, and that its process is there; return whether it shall end."""
    row = CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING)
    if not row.update(progress=progress, expires=DatabaseTime() + EXPIRES_AFTER):
        # It is gone, or another process took this one for dead.
        return True
    topics.announce(None, observer.CHECKS)
    return row.filter(is_cancelled=True).exists()


def end(pk: int, progress: Progress, ending: Ending) -> bool:
    """Store how a run has ended; return False if it had ended already."""
    ended = CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING).update(
        **asdict(ending), progress={**progress, "running": []}, ended_at=datetime.now(UTC)
    )
    topics.announce(None, observer.CHECKS)
    return bool(ended)


def end_lost(*, is_alone: bool = False) -> list[CheckRun]:
    """End the runs whose process is gone, and return them; all if no other process has any."""
    rows = _lost(is_alone)
    values = {"state": CheckRun.FAILED, "error": STOPPED, "ended_at": datetime.now(UTC)}
    # Race: of several callers, one changes the row.
    return [run for run in rows if _lost(is_alone).filter(pk=run.pk).update(**values)]


def has_lost() -> bool:
    """Return whether the process of a run is gone."""
    return _lost().exists()


def _lost(is_alone: bool = False) -> QuerySet[CheckRun]:
    running = CheckRun.objects.filter(state=CheckRun.RUNNING)
    return running if is_alone else running.filter(expires__lt=DatabaseTime())


# What a run leaves behind.


def restore(name: str, patience: float = gate.PATIENCE) -> str:
    """Undo what a run has left behind; return a sentence about it, empty if there is nothing.

    A run that has lost its lease has left that to the next run: others have used the sandbox.
    """
    if not gate.renew_noted(lease_note(name), _RESTORE_LEASE):
        return ""
    with ExitStack() as stack:
        stack.callback(gate.release_noted, lease_note(name))
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
    for run in end_lost(is_alone=is_alone):
        if text := restore(run.name, patience):
            row = CheckRun.objects.filter(pk=run.pk, state=CheckRun.FAILED)
            row.update(error=f"{STOPPED} {text}")


def recover_later() -> None:
    """Recover in a thread, if there is anything to do: a restore waits for the caller's request."""
    if has_lost():
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
            self._popen = subprocess.Popen(
                arguments(run),
                env={k: v for k, v in environment(os.environ).items() if k not in _NOT_INHERITED},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                start_new_session=True,
            )
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
                    self._progress = apply(self._progress, event, self._secrets)

    def _look(self) -> None:
        """Store the progress; end the process if the run is cancelled."""
        if self._is_stopped:
            return
        try:
            must_end = keep(self._run.pk, self._progress)
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
        self._printed.seek(max(0, self._printed.seek(0, os.SEEK_END) - _OUTPUT))
        printed, is_cancelled = self._printed.read().decode(errors="replace"), bool(self._kill_at)
        ending = ending_of(self._report, code, printed, left, is_cancelled, self._secrets)
        for _ in range(_TRIES):
            try:
                end(self._run.pk, self._progress, ending)
                return
            except (DatabaseError, InterfaceError):
                connection.close()
                threading.Event().wait(PERIOD)

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
        end(run.pk, {}, Ending(CheckRun.FAILED, error=text))
        return
    _jobs[run.pk] = started
    started.follow()


def cancel(pk: int) -> bool:
    """Let a run end, also one of another process; return False if it has ended."""
    if not CheckRun.objects.filter(pk=pk, state=CheckRun.RUNNING).update(is_cancelled=True):
        return False
    if followed := job(pk):
        followed.wake()
    return True


def arguments(run: CheckRun) -> list[str]:
    """Return the command line of a run; there is no secret in it."""
    options = run.options
    values = {
        "--data-dir": settings.SIM_DATA_DIR,
        "--name": run.name,
        "--webhook": run.webhook_id,
        "--type": options["type"],
        "--method": options["method"],
        "--seed": options["seed"],
    }
    words = [sys.executable, "-P", "-m", "connect_sim", "check", "--events"]
    words += [str(word) for option in values.items() for word in option]
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
