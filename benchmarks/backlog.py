"""B13: the deliveries of a burst, after the handler was down for an hour."""

from __future__ import annotations

from benchmarks import measure
from benchmarks.processes import BenchmarkError, Process, wait_until
from benchmarks.run import Run
from benchmarks.setups import EMBEDDED
from benchmarks.subjects import Subject, embedded
from benchmarks.table import Bound, Row, in_rounds
from benchmarks.workload import DRAIN

_FLOOR, _AIM = Bound(1.3), Bound(1.1)
_HOUR = 3600.0  # seconds of platform time
_BURST = 20_000
_ROUNDS = 3


def measure_backlog(run: Run) -> list[Row]:
    """Drain a burst at once, and in turn after an outage of an hour."""
    each = 10 if run.quick else round(_BURST / DRAIN)
    rounds = 1 if run.quick else _ROUNDS

    def fixtures(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url)

    with run.subfolder("backlog") as folder, embedded(folder, fixtures) as subject:
        measure.drain(subject, run.handler, 3)
        bare, after = [], []
        for _ in range(rounds):
            bare.append(measure.drain(subject, run.handler, each).seconds)
            after.append(_after_outage(subject, run.handler, each))
    figure = f"{DRAIN * each:,} deliveries after an outage of an hour, s"
    return [in_rounds(EMBEDDED, figure, after, bare, "without an outage", _FLOOR, _AIM)]


def _after_outage(subject: Subject, handler: Process, each: int) -> float:
    """Return the seconds from the first request after an outage until the last one arrives."""
    handler.ask("reset")
    handler.ask("down")
    passed, until = 0.0, 0.0
    subject.workload.ask("fill", each=each, hanging=False)
    try:
        while passed + until < _HOUR:
            # Platform time passes for the sender only, so the retries fail one after another.
            _move(subject, until)
            passed += until
            until = _wait_for_backoff(subject)
    finally:
        handler.ask("up")
    if handler.ask("count"):
        raise BenchmarkError("The handler received requests while it was down.")
    _move(subject, until)
    measure.finish_drain(subject, handler, DRAIN * each)
    return measure.span(handler)[0]


def _move(subject: Subject, seconds: float) -> None:
    if seconds:
        subject.workload.ask("move_clock", seconds=seconds)


def _wait_for_backoff(subject: Subject) -> float:
    """Wait until the requests to all webhooks have failed; return the length of the backoff."""

    def is_over() -> bool:
        state = subject.workload.ask("backing_off")
        return bool(state["webhooks"] == DRAIN and not state["in_flight"])

    wait_until(is_over, "all webhooks back off", timeout=60, check=subject.worker)
    return float(subject.workload.ask("backing_off")["seconds"])
