"""What the set-up consists of, and whether each part of it runs, in words.

True of one process as of many: the page knows of the others only what they left in the database.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from requests_queue import heartbeats
from requests_queue.heartbeats import Summary
from requests_queue.time_format import format_span
from webhooks.delivery import wakeup

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
_WORDS = {GOOD: "Running", BAD: "Not running", UNKNOWN: "Not known yet"}


@dataclass(frozen=True, slots=True)
class Component:
    """One part: its name, how it is, and a sentence."""

    name: str
    state: str
    says: str
    # In place of the state's own word.
    called: str = ""

    @property
    def word(self) -> str:
        """How it is, in a word or two."""
        return self.called or _WORDS[self.state]


def components() -> list[Component]:
    """Return the parts; one statement, and one question to the broker."""
    heard = heartbeats.by_kind()
    worker = heard.get(heartbeats.WORKER, Summary())
    reached = wakeup.is_broker_reachable()
    return [
        Component("Web", GOOD, "It has sent this page."),
        _worker(worker),
        _scheduler(heard.get(heartbeats.SCHEDULER, Summary()), worker, reached),
        _broker(reached),
        Component("Database", GOOD, f"{_database()}: this page was read from it."),
    ]


def _worker(heard: Summary) -> Component:
    if heard.failing:
        which = f"{heard.failing} of {heard.alive} processes" if heard.alive > 1 else "The process"
        return Component(
            "Worker", BAD,
            f"{which} cannot work properly: {heard.problem}. It goes on trying; the log of the "
            "worker has the details.",
            called="Failing",
        )  # fmt: skip
    if heard.alive:
        many = f"{heard.alive} processes call" if heard.alive > 1 else "It calls"
        return Component("Worker", GOOD, f"{many} handlers; last sign {_ago(heard.age)} ago.")
    return Component(
        "Worker", BAD,
        f"{_silence(heard)} No handler is called until one runs; what is due waits. "
        f"{_remedy('worker')}",
    )  # fmt: skip


def _scheduler(heard: Summary, worker: Summary, reached: bool) -> Component:
    if heard.alive:
        return Component("Scheduler", GOOD, f"Its last task ran {_ago(heard.age)} ago.")
    if not worker.alive or not reached:
        lacking = "a worker runs" if not worker.alive else "the broker answers"
        return Component("Scheduler", UNKNOWN, f"Its tasks can't be seen to run before {lacking}.")
    if worker.there_for < heartbeats.EXPIRES_AFTER:
        return Component("Scheduler", UNKNOWN, "Just started: its first task is due any second.")
    return Component(
        "Scheduler", BAD,
        f"{_silence(heard)} Deliveries go on; what the platform does by itself, such as orders "
        f"with a planned date, waits. {_remedy('beat')}",
    )  # fmt: skip


def _broker(reached: bool) -> Component:
    if wakeup.is_broker_in_memory():
        return Component("Broker", GOOD, "In the memory of this process.")
    if reached:
        return Component("Broker", GOOD, "It answers.")
    return Component(
        "Broker", BAD,
        f"No answer within {wakeup.TIMEOUT:g} s. Deliveries start up to a second later than "
        "usual; none is lost.",
    )  # fmt: skip


def _database() -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(
        connection.vendor, connection.vendor
    )


def _silence(heard: Summary) -> str:
    if heard.age is None:
        return "Never heard of."
    return f"Not heard of for {_ago(heard.age)}."


def _remedy(process: str) -> str:
    if settings.SANDBOX and wakeup.is_broker_in_memory():
        return "Restart the sandbox; what it printed says why."
    return f"Start it: celery -A connect_sim {process}"


def _ago(age: float | None) -> str:
    return format_span(round(age or 0.0), units=1)
