"""One case: deliveries under load, a fault, recovery, and the comparison of all records."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests import orders
from tests.chaos import invariants
from tests.chaos.invariants import DELIVERABLE_LIMIT, InFlight, Record
from tests.chaos.load import Load
from tests.chaos.receiver import ANSWER, CUT, Received
from tests.chaos.setups import SetUp, new_keys
from tests.processes import pause

PASSED, FAILED, VOID = "passed", "failed", "void"
# Runs of a case, with other seeds, until a fault hits a request in flight.
TRIES = 3
_DELAY = (0.1, 0.4)  # seconds that the receiver takes to respond
_DRAINED = 420.0  # seconds until everything has to be delivered: longer than a backoff
# The ordinary load: orders per second, callers, keys of each party, and webhooks.
_STEADY_RATE, _STEADY_CALLERS, _STEADY_KEYS, _STEADY_WEBHOOKS = 20, 6, 20, 5
_RECOVERED = 120.0  # seconds until the requests of killed workers are repeated: leases are 30 s


@dataclass(frozen=True, slots=True)
class Size:
    """How much a case does: each of the `changes` is delivered to all webhooks.

    `many` are the changes of cases with kills. `seconds` is over how long the changes are spread,
    besides the `outage` of what is away for a while. With `expires`, leases of killed workers end
    at once instead of after 30 s. `steady` is how many seconds the ordinary load lasts.
    """

    webhooks: int
    changes: int
    many: int
    seconds: float
    outage: float
    kills: int
    workers: int
    expires: bool
    steady: float


SMALL = Size(
    webhooks=10,
    changes=24,
    many=24,
    seconds=2,
    outage=1.5,
    kills=1,
    workers=2,
    expires=True,
    steady=3,
)
FULL = Size(
    webhooks=50,
    changes=50,
    many=200,
    seconds=30,
    outage=60,
    kills=4,
    workers=3,
    expires=False,
    steady=600,
)


@dataclass(slots=True)
class Result:
    """The outcome of a case; times in seconds.

    `lost` are attempts with an unknown outcome. `slowest_call` is as measured, `slowest_own_call`
    without the time in which the web server had no CPU.
    """

    case: str
    setup: str
    seed: int
    outcome: str
    deliveries: int = 0
    in_flight: int = 0
    lost: int = 0
    repeats: int = 0
    calls: int = 0
    refused: int = 0
    slowest_call: float = 0
    slowest_own_call: float = 0
    deliverable: float | None = None
    drained: float | None = None
    violations: list[str] = field(default_factory=list)
    # When and where it ran, and the load of the machine.
    at: str = ""
    commit: str = ""
    load: float = 0


@dataclass
class Case:
    """What a fault works with: it calls `hit` when it begins, and returns when it has ended."""

    setup: SetUp
    size: Size
    random: random.Random
    load: Load
    paths: Mapping[str, str]
    # What is to be done once everything is delivered.
    restore: ExitStack
    in_flight: int = 0
    killed: set[InFlight] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    # When the fault ended (monotonic), if it wasn't when the function returned.
    ended: float | None = None

    @property
    def webhooks(self) -> list[str]:
        """Return the ids of the webhooks."""
        return list(self.paths)

    def hit(self) -> None:
        """Wait for a moment, a random one, with requests in flight; note how many there are."""
        received = self.setup.receiver
        after = received.ask("count") + self.random.randint(1, 2 * self.size.webhooks)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if received.ask("count") >= after and received.ask("in_flight"):
                break
            pause(0.005)
        self.in_flight += received.ask("in_flight")

    def note_killed(self) -> None:
        """Note what is in flight in the database, right after a kill."""
        self.killed |= self.setup.database.calling()

    def wait_recovered(self) -> None:
        """Wait until what was in flight at the kills is delivered: its leases end after 30 s."""
        if not self.size.expires:
            ids = {pk for pk, _ in self.killed}
            self.measure(lambda: not ids & self.setup.database.pending_ids(), _RECOVERED)

    def wait_outage(self) -> None:
        """Let the fault last."""
        pause(self.size.outage)

    def wait_drained(self, timeout: float = _DRAINED) -> float | None:
        """Wait until nothing is pending; return after how many seconds, or None."""
        return self.measure(lambda: self.setup.database.pending(self.webhooks) == 0, timeout)

    def measure(self, holds: Callable[[], bool], timeout: float) -> float | None:
        """Return after how many seconds a condition holds, or None if it doesn't in time."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > timeout:
                return None
            pause()
        return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what happens, and how the handlers behave (by default they respond).

    `is_long` says that it lasts as long as the size's outage, `kills` that processes are killed.
    `is_steady` says that there is no fault, but ordinary load for long: many keys, and few
    webhooks.
    """

    text: str
    run: Callable[[Case], None]
    behaviors: tuple[str, ...] = ()
    is_long: bool = False
    kills: bool = False
    is_steady: bool = False


def run(name: str, fault: Fault, setup: SetUp, size: Size, seed: int) -> Result:
    """Run a case, again with the next seed while it is void; return the last result."""
    for number in range(seed, seed + TRIES):
        result = _run(name, fault, setup, size, number)
        if result.outcome != VOID:
            break
    return result


def _run(name: str, fault: Fault, setup: SetUp, size: Size, seed: int) -> Result:
    setup.receiver.ask("delay", low=_DELAY[0], high=_DELAY[1], seed=seed)
    webhooks = _STEADY_WEBHOOKS if fault.is_steady else size.webhooks
    with _webhooks(setup, webhooks, fault.behaviors) as paths, ExitStack() as restore:
        if fault.is_steady:
            changes = round(_STEADY_RATE * size.steady)
            load = Load(setup, changes, size.steady, _STEADY_CALLERS, new_keys(setup, _STEADY_KEYS))
        else:
            seconds = size.seconds + (size.outage if fault.is_long else 0)
            load = Load(setup, size.many if fault.kills else size.changes, seconds)
        case = Case(setup, size, random.Random(seed), load, paths, restore)
        load.start()
        try:
            fault.run(case)
            deliverable = _measure_deliverable(case)
        finally:
            load.finish()
        if size.expires and case.killed:
            _expire(case)
        drained = case.wait_drained()
        return _result(name, seed, case, deliverable, drained)


@contextmanager
def _webhooks(setup: SetUp, count: int, behaviors: Sequence[str]) -> Iterator[dict[str, str]]:
    """Create webhooks, whose handlers behave in turn as given; yield their paths, by id."""
    first, paths = setup.receiver.ask("count"), {}
    for n in range(count):
        behavior = behaviors[n % len(behaviors)] if behaviors else ANSWER
        path = f"/{behavior}/{first}/{n}"
        if behavior != ANSWER:
            setup.receiver.ask("behave", path=path, behavior=behavior)
        paths[str(orders.webhook(setup.platform, f"{setup.receiver_url}{path}")["id"])] = path
    try:
        yield paths
    finally:
        for pk in paths:
            setup.platform.as_vendor("DELETE", f"/notifications/webhooks/{pk}")


def _measure_deliverable(case: Case) -> float | None:
    """Return how many seconds after the fault all webhooks have received a new order, or None."""
    began = case.ended or time.monotonic()
    pk = case.load.order()
    database, count = case.setup.database, len(case.paths)
    # A bit longer than allowed, so that the result says by how much.
    limit = 2 * DELIVERABLE_LIMIT
    done = pk and case.measure(lambda: database.delivered(pk) == count, limit) is not None
    return time.monotonic() - began if done else None


def _expire(case: Case) -> None:
    """Let the leases of killed workers end, once those that live have finished their requests."""
    database, receiver = case.setup.database, case.setup.receiver
    case.measure(
        lambda: not receiver.ask("in_flight") and database.calling() <= case.killed, _DRAINED
    )
    database.expire_leases()


def _result(
    name: str, seed: int, case: Case, deliverable: float | None, drained: float | None
) -> Result:
    database, webhooks = case.setup.database, case.webhooks
    received = [Received(**row) for row in case.setup.receiver.ask("received")]
    record = Record(
        paths=case.paths,
        received=received,
        events=database.events(webhooks),
        deliveries=database.deliveries(webhooks),
        attempts=database.attempts(webhooks),
        counters=database.counters(webhooks),
        answers=case.load.answers,
        killed=case.killed,
        deliverable=deliverable,
    )
    found = [*case.violations, *invariants.violations(record)]
    calls = [answer for answer in record.answers if answer.status]
    own = set(case.paths.values())
    cut = sum(each.end == CUT and each.path in own for each in received)
    # At a kill there may be requests in flight of other workers only.
    in_flight = cut if case.killed else case.in_flight
    return Result(
        name,
        case.setup.name,
        seed,
        outcome=FAILED if found else PASSED if in_flight else VOID,
        deliveries=len(record.deliveries),
        in_flight=in_flight,
        lost=sum(each.outcome == "unknown" for each in record.attempts),
        repeats=invariants.repeats_by_webhook(record).total(),
        calls=len(calls),
        refused=sum(answer.status >= 400 for answer in calls),
        slowest_call=max((answer.seconds for answer in calls), default=0),
        slowest_own_call=max((answer.own_seconds for answer in calls), default=0),
        deliverable=deliverable,
        drained=drained,
        violations=found,
    )
