"""What has to hold after a case, computed from what the receiver and the database have recorded."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from tests.chaos.receiver import REFUSED, Received

API_LIMIT = 2.0  # seconds
DELIVERABLE_LIMIT = 30.0  # seconds
# Of many violations of one kind, as many are listed.
_LISTED = 3

# A delivery and the time of its claim, as text: an attempt begins with one.
InFlight = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded attempt; `n` is the receiver's number of its request, if it was answered."""

    webhook: str
    delivery: int
    outcome: str
    started_at: str
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A call of the API: its duration in seconds, its status, and the id of a created object.

    `problem` says what is wrong with the response; status 0 is none at all. `waited` is how many of
    the seconds the web server's threads were ready and had no CPU, because other programs ran.
    """

    seconds: float
    status: int
    problem: str = ""
    created: str = ""
    waited: float = 0

    @property
    def own_seconds(self) -> float:
        """Return the duration without the time that other programs took."""
        return max(0.0, self.seconds - self.waited)


@dataclass(slots=True)
class Record:
    """Everything that a case has left behind.

    `events` are (webhook, object, delivery), `deliveries` the states by id, `counters` the numbers
    of each webhook by name, `paths` the path of each webhook. `killed` is what was in flight in the
    database at the kills.
    """

    paths: Mapping[str, str]
    received: list[Received]
    events: list[tuple[str, str, int]]
    deliveries: Mapping[int, tuple[str, str]]
    attempts: list[Attempt]
    counters: Mapping[str, Mapping[str, int]]
    answers: list[Answer] = field(default_factory=list)
    killed: Collection[InFlight] = ()
    # Seconds until each webhook has received a new event; None if some never has.
    deliverable: float | None = None

    @property
    def acknowledged(self) -> list[str]:
        """Return the ids of the objects whose creation the API has confirmed."""
        return [answer.created for answer in self.answers if answer.created]


def parse_number(body: bytes) -> int | None:
    """Return the receiver's number of a request, from the stored response."""
    try:
        return int(json.loads(body)["n"])
    except (ValueError, KeyError, TypeError):
        return None


def violations(record: Record) -> list[str]:
    """Return what does not hold, as sentences."""
    found: list[str] = []
    for check in (_lost, _not_received, _repeated, _miscounted, _unclean):
        lines = list(check(record))
        found += islice(lines, _LISTED)
        if len(lines) > _LISTED:
            found.append(f"… and {len(lines) - _LISTED} more like this.")
    if record.deliverable is None or record.deliverable > DELIVERABLE_LIMIT:
        after = "never" if record.deliverable is None else f"after {record.deliverable:.1f} s"
        found.append(f"Some webhook was deliverable again {after} (limit: 30 s).")
    return found


def _lost(record: Record) -> Iterator[str]:
    """Find confirmed changes without an event, and events whose delivery has not ended well."""
    events = {(webhook, pk) for webhook, pk, _ in record.events}
    for pk in record.acknowledged:
        for webhook in record.paths:
            if (webhook, pk) not in events:
                yield f"{pk} was confirmed by the API, and has no event for {webhook}."
    for webhook, pk, delivery in record.events:
        state = record.deliveries.get(delivery, ("", "missing"))[1]
        if state != "delivered":
            yield f"{pk} was not delivered to {webhook}: delivery {delivery} is {state}."


def _not_received(record: Record) -> Iterator[str]:
    """Find deliveries that are recorded as delivered, and whose request was not received."""
    received = {each.n: each.path for each in record.received}
    confirmed: set[int] = set()
    for attempt in record.attempts:
        if attempt.outcome != "success":
            continue
        if attempt.n is None or received.get(attempt.n) != record.paths[attempt.webhook]:
            yield f"An attempt of delivery {attempt.delivery} has a response that nobody sent."
        else:
            confirmed.add(attempt.delivery)
    for pk, (_, state) in record.deliveries.items():
        if state == "delivered" and pk not in confirmed:
            yield f"Delivery {pk} is delivered, and has no successful attempt."
    numbers = Counter(each.n for each in record.attempts if each.n is not None)
    for n, count in numbers.items():
        if count > 1:
            yield f"Request {n} of the receiver is recorded as {count} attempts."


def _repeated(record: Record) -> Iterator[str]:
    """Find requests that nothing in flight at a kill explains."""
    explained = Counter(
        each.webhook
        for each in record.attempts
        if each.outcome == "unknown" and (each.delivery, each.started_at) in record.killed
    )
    for webhook, count in repeats_by_webhook(record).items():
        if count > explained[webhook]:
            yield (
                f"{webhook} has received {count} requests too many, "
                f"and {explained[webhook]} were in flight at kills."
            )


def repeats_by_webhook(record: Record) -> Counter[str]:
    """Return how many requests each webhook has received in addition to those that it should.

    It should receive one for each attempt whose outcome is known, and no second success of a
    delivery. One that it refused on a reused connection may be sent once more (RFC 9112, 9.3.1).
    """
    names = {path: webhook for webhook, path in record.paths.items()}
    received: Counter[str] = Counter()
    for request in record.received:
        if request.path in names:
            received[names[request.path]] += not (request.end == REFUSED and request.reused)
    known = Counter(each.webhook for each in record.attempts if each.outcome != "unknown")
    successes: dict[int, int] = defaultdict(int)
    repeats: Counter[str] = Counter()
    for webhook, count in received.items():
        repeats[webhook] = max(0, count - known[webhook])
    for each in record.attempts:
        if each.outcome == "success":
            successes[each.delivery] += 1
            repeats[each.webhook] += successes[each.delivery] > 1
    return repeats


def _miscounted(record: Record) -> Iterator[str]:
    """Find counters of a webhook that differ from its rows."""
    events = Counter(webhook for webhook, _, _ in record.events)
    attempts = Counter((each.webhook, each.outcome) for each in record.attempts)
    for webhook, counters in record.counters.items():
        success, failure, unknown = (
            attempts[webhook, outcome] for outcome in ("success", "failure", "unknown")
        )
        expected = {
            "events": events[webhook],
            "triggers": success + failure + unknown,
            "success_triggers": success,
            "failure_triggers": failure,
        }
        for name, value in expected.items():
            if counters[name] != value:
                yield f"{webhook}: {name} is {counters[name]}, and its rows are {value}."


def _unclean(record: Record) -> Iterator[str]:
    """Find calls of the API that took too long, or whose response is not in Connect's form."""
    for answer in record.answers:
        if answer.problem:
            yield f"The API: {answer.problem}"
        elif answer.own_seconds > API_LIMIT:
            seconds = f"{answer.own_seconds:.1f} s"
            yield f"The API responded {answer.status} after {seconds} (limit: 2 s)."
