"""The status of the processes and services: web, worker, scheduler, broker, database.

Processes are known by their heartbeats in the database, whether there are one or many.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from requests_queue import heartbeats
from requests_queue.heartbeats import Summary
from requests_queue.task_messages import TIMEOUT
from requests_queue.time_format import format_span
from webhooks.delivery import wakeup

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
_LABELS = {GOOD: "Running", BAD: "Not running", UNKNOWN: "Unknown"}


@dataclass(frozen=True, slots=True)
class Component:
    """A process or service, its state, and a sentence about it."""

    name: str
    state: str
    text: str
    # Replaces the label of the state.
    own_label: str = ""

    @property
    def label(self) -> str:
        """The state in a word or two."""
        return self.own_label or _LABELS[self.state]


def components() -> list[Component]:
    """Return the components; one statement and one connection to the broker."""
    found = broker()
    return [
        Component("Web", GOOD, "Serving requests."),
        *processes(found),
        found,
        database(),
    ]


def processes(broker: Component) -> list[Component]:
    """Return the worker and the scheduler, which reaches it through the broker; one statement."""
    summaries = heartbeats.by_kind()
    worker = summaries.get(heartbeats.WORKER, Summary())
    scheduler = summaries.get(heartbeats.SCHEDULER, Summary())
    return [_worker(worker), _scheduler(scheduler, worker, broker.state == GOOD)]


def database() -> Component:
    """Return the database, which can be read."""
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, "")
    return Component("Database", GOOD, f"{name}, reachable.")


def _worker(worker: Summary) -> Component:
    if worker.failing:
        which = f"{worker.failing} of {worker.alive} processes" if worker.alive > 1 else "Process"
        text = f"{which} failing: {worker.problem}. It keeps retrying; see the log of the worker."
        return Component("Worker", BAD, text, own_label="Failing")
    if worker.alive:
        count = f"{worker.alive} processes. " if worker.alive > 1 else ""
        return Component("Worker", GOOD, f"{count}{_last_heartbeat(worker)}")
    text = f"{_last_heartbeat(worker)} Deliveries stay pending until a worker runs."
    return Component("Worker", BAD, f"{text} {_remedy('worker')}")


def _scheduler(scheduler: Summary, worker: Summary, is_reachable: bool) -> Component:
    if scheduler.alive:
        return Component("Scheduler", GOOD, _last_heartbeat(scheduler))
    if not worker.alive or not is_reachable:
        missing = "a worker runs" if not worker.alive else "the broker responds"
        return Component("Scheduler", UNKNOWN, f"Unknown until {missing}.")
    if worker.there_for < heartbeats.EXPIRES_AFTER:
        return Component("Scheduler", UNKNOWN, "Just started. Its first task is due.")
    text = f"{_last_heartbeat(scheduler)} Deliveries continue. Scheduled changes, such as orders "
    text += f"with a planned date, are delayed. {_remedy('beat')}"
    return Component("Scheduler", BAD, text)


def broker() -> Component:
    """Return the broker, which has to respond within TIMEOUT."""
    if wakeup.is_broker_in_memory():
        return Component("Broker", GOOD, "In the memory of this process.")
    if _is_broker_reachable():
        return Component("Broker", GOOD, "Reachable.")
    text = f"No response within {format_span(TIMEOUT)}. Deliveries start up to 1 s later; none is "
    return Component("Broker", BAD, f"{text}lost. Start Redis, or correct CELERY_BROKER_URL.")


def _is_broker_reachable() -> bool:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        with redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


def _last_heartbeat(summary: Summary) -> str:
    if summary.age is None:
        return "No heartbeat yet."
    return f"Last heartbeat {format_span(round(summary.age), units=1)} ago."


def _remedy(process: str) -> str:
    if settings.SANDBOX and wakeup.is_broker_in_memory():
        return "Restart the sandbox; its output contains the reason."
    command = (
        "connect-sim manage worker" if process == "worker" else f"celery -A connect_sim {process}"
    )
    return f"Start it: {command}"
