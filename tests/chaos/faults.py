"""The faults, by name: each function begins one, lets it last, and ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.case import Case, Fault
from tests.chaos.receiver import ANSWER, CLOSE, DRIP, HANG, RESET
from tests.chaos.setups import START, Distributed, Embedded
from tests.processes import restart

_IDLE = 300.0  # seconds of real time that a move over all backoffs may take
_CUT = 1.0  # seconds within which the receiver notices that its client is gone
_TRIES = 4  # kills for each that should hit something
_PATIENCE = 30.0  # seconds for what should take less than one


def _server(case: Case) -> Distributed:
    assert isinstance(case.setup, Distributed)
    return case.setup


def _sandbox(case: Case) -> Embedded:
    assert isinstance(case.setup, Embedded)
    return case.setup


def kill_workers(case: Case) -> None:
    """SIGKILL of a random worker at random moments; each is started again at once.

    It goes on until enough of them had requests in flight. The next one is killed when the
    requests of the last one have been repeated.
    """
    hits = 0
    for _ in range(_TRIES * case.size.kills):
        hits += _kill_worker(case)
        case.wait_recovered()
        if hits == case.size.kills:
            return


def kill_workers_often(case: Case) -> None:
    """The same without waiting, so that deliveries lose their worker twice in a row."""
    for _ in range(2 * case.size.kills):
        _kill_worker(case)


def _kill_worker(case: Case) -> bool:
    """Kill a worker, and return whether it had requests in flight."""
    case.hit()
    receiver, worker = case.setup.receiver, case.random.choice(_server(case).platform.workers)
    before = receiver.ask("cut")
    worker.kill()
    case.note_killed()
    worker.start()
    return case.measure(lambda: receiver.ask("cut") > before, _CUT) is not None


def flush_redis(case: Case) -> None:
    """FLUSHALL of Redis."""
    import redis

    with redis.Redis.from_url(_server(case).redis.url) as client:
        for _ in range(case.size.kills):
            case.hit()
            client.flushall()


def stop_redis(case: Case) -> None:
    """Redis is away: connections are refused."""
    server = _server(case)
    case.hit()
    server.redis.stop()
    try:
        case.wait_outage()
    finally:
        server.redis.start()


def hang_redis(case: Case) -> None:
    """Redis is stopped by SIGSTOP: connections are accepted, and nothing responds."""
    process = _server(case).redis.process.popen
    case.hit()
    process.send_signal(signal.SIGSTOP)
    try:
        case.wait_outage()
    finally:
        process.send_signal(signal.SIGCONT)


def restart_postgres(case: Case) -> None:
    """PostgreSQL is restarted: it ends all sessions and checkpoints."""
    _restart_postgres(case, "fast")


def crash_postgres(case: Case) -> None:
    """PostgreSQL is stopped in immediate mode, and recovers from its log when it starts."""
    _restart_postgres(case, "immediate")


def _restart_postgres(case: Case, mode: str) -> None:
    server = _server(case)
    case.hit()
    server.postgres.stop(mode)
    server.postgres.start()


def kill_beat(case: Case) -> None:
    """SIGKILL of beat, which stays away until everything is delivered."""
    beat = _server(case).platform.beat
    assert beat is not None
    case.hit()
    beat.kill()
    case.restore.callback(beat.start)


def kill_sandbox(case: Case) -> None:
    """SIGKILL of the whole sandbox, which is started again on the same data."""
    sandbox = _sandbox(case)
    for _ in range(case.size.kills):
        case.hit()
        with _down(sandbox):
            sandbox.platform.process.kill()
            case.note_killed()
            restart(sandbox.platform, START)
        case.wait_recovered()


@contextmanager
def _down(sandbox: Embedded) -> Iterator[None]:
    sandbox.is_down = True
    try:
        yield
    finally:
        sandbox.is_down = False


def fill_disk(case: Case) -> None:
    """The disk of SQLite's database is full."""
    disk = _sandbox(case).disk
    case.hit()
    disk.fill()
    try:
        case.wait_outage()
    finally:
        disk.free()


def use(case: Case) -> None:
    """No fault, and so no call may be refused."""
    case.hit()
    case.load.wait()
    if refused := sum(answer.status >= 400 for answer in case.load.answers):
        case.violations.append(f"{refused} calls were refused.")


def break_handlers(case: Case) -> None:
    """Some handlers fail in ways of their own until all others have received everything."""
    sandbox, healthy = _sandbox(case), []
    for pk, path in case.paths.items():
        if path.startswith(f"/{ANSWER}/"):
            healthy.append(pk)
    case.hit()
    case.load.wait()
    database = sandbox.database
    if case.measure(lambda: database.pending(healthy) == 0, _PATIENCE) is None:
        case.violations.append("Webhooks that respond waited for those that don't.")
    for path in case.paths.values():
        sandbox.receiver.ask("behave", path=path, behavior=ANSWER)
    case.ended = time.monotonic()
    _run_until_idle(sandbox)


def advance_clock(case: Case) -> None:
    """The sandbox's clock is advanced during requests, by less than their timeout."""
    sandbox = _sandbox(case)
    for _ in range(case.size.kills):
        case.hit()
        # It would wait longer for the requests in flight.
        move = {"by": "4m", "patience": 1, "settle": 0}
        response = sandbox.platform.call("POST", "/sandbox/clock/advance", move)
        assert response.ok, response.text


def jump_clock(case: Case) -> None:
    """Platform time jumps forward by an hour and back, as a computer's clock that is corrected.

    Requests in flight time out at the first jump, and their webhooks back off.
    """
    sandbox = _sandbox(case)
    for seconds in (3600, -3600):
        case.hit()
        sandbox.database.move_clock(seconds)
    case.load.wait()
    case.ended = time.monotonic()
    _run_until_idle(sandbox)


def _run_until_idle(sandbox: Embedded) -> None:
    """Move the clock over all backoffs."""
    path = "/sandbox/clock/run-until-idle"
    response = sandbox.platform.call("POST", path, {"settle": 0}, timeout=_IDLE)
    assert response.ok, response.text


_FAILING = (ANSWER, RESET, DRIP, HANG, CLOSE)
DISTRIBUTED = {
    "workers killed": Fault(
        "SIGKILL of random workers, each when the last one has been recovered from",
        kill_workers, kills=True,
    ),
    "workers killed often": Fault(
        "SIGKILL of random workers, eight times, without waiting in between",
        kill_workers_often, kills=True,
    ),
    "Redis flushed": Fault("`FLUSHALL`", flush_redis),
    "Redis away": Fault("Redis is stopped, and started again", stop_redis, is_long=True),
    "Redis hangs": Fault(
        "SIGSTOP of Redis: it accepts connections, and never responds", hang_redis, is_long=True
    ),
    "PostgreSQL restarted": Fault("a restart in mode *fast*", restart_postgres),
    "PostgreSQL crashed": Fault("a restart in mode *immediate*", crash_postgres),
    "beat absent": Fault("SIGKILL of beat, which stays away", kill_beat),
}  # fmt: skip
EMBEDDED = {
    "ordinary load": Fault(
        "none: 20 orders per second for ten minutes, by six clients with 40 keys", use,
        is_steady=True,
    ),
    "sandbox killed": Fault(
        "SIGKILL of the whole sandbox, and a restart", kill_sandbox, kills=True
    ),
    "disk full": Fault("SQLite's disk is full", fill_disk),
    "clock advanced": Fault("the clock is moved forward by 4 min, by the API", advance_clock),
    "clock jumps": Fault("platform time jumps forward by an hour, and back", jump_clock),
    "handlers fail": Fault(
        "four of five handlers reset, drip, hang, or close the connection", break_handlers, _FAILING
    ),
}  # fmt: skip
