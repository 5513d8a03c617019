"""A sandbox and one extension under its runner, as a check uses them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checks import timing
from checks.handler_requests import Reply
from checks.history import SUCCESS, Effects, History
from checks.lab import Lab
from checks.outcomes import Exhibit
from checks.platform import PATIENCE, Json, Platform

EXTENSIONS = "/sandbox/extensions"
# Seconds without a call after an order is approved, before the gaps between calls are known.
_QUIET = 0.5
# Results after which the platform doesn't send the task again because it has failed.
_ENDED = ("success", "skip", "reschedule")


class TaskHistory(History):
    """What has happened; `attempts` are the ends of tasks, as entries of the timeline."""

    @property
    def last_failure(self) -> str:
        """How the last task has failed, for a sentence; empty if it succeeded."""
        return _failure(self.attempts[-1]) if self.attempts else ""

    def attempts_exhibit(self) -> Exhibit:
        """Return the results of tasks as evidence."""
        lines = [
            f"run {entry['data']['number']} of {entry['data']['id']} about {entry['object']}: "
            f"{entry['data']['result']} {_last_line(entry['data']['message'])}".rstrip()
            for entry in self.attempts
        ]
        return Exhibit("Results of tasks", tuple(lines) or ("(none)",))


def _failure(entry: Mapping[str, Any]) -> str:
    data = entry["data"]
    if data["result"] in _ENDED:
        return ""
    return f"{data['result']} ({_last_line(data['message'])})".replace(" ()", "")


def _last_line(text: str) -> str:
    """Return the last line of a result's message, which a traceback ends with."""
    return text.strip().rpartition("\n")[2][:200]


@dataclass(slots=True)
class ExtensionLab(Lab):
    """A sandbox and one extension, whose runner gets the tasks of its product.

    Nobody sends it requests: `signer` and the others only say which products there are. Until a
    check activates it, the extension is for the product `idle`, of which there are no orders.
    """

    service: str = ""
    environment: str = ""
    idle: str = ""
    # The service user of its own API key.
    user: str = ""
    # Seconds that the runner took to be connected.
    start: float = 0.0

    def activate(self, webhook: str = "", **values: Any) -> None:
        """Let queue changes be tasks of the extension."""
        self._choose(self.product)

    def deactivate(self, webhook: str = "") -> None:
        """Let queue changes be tasks no more."""
        self._choose(self.idle)

    def _choose(self, product: str) -> None:
        path = f"{EXTENSIONS}/{self.service}"
        self.platform.vendor.call("PUT", path, {"products": [product]})

    def renew(self) -> None:
        """Restore the sandbox. A runner is started again only if it has ended: that takes long."""
        self.start_over()

    @property
    def path(self) -> str:
        """The path of its environment."""
        return environment_path(self.service, self.environment)

    def tasks(self, about: str = "") -> list[Json]:
        """Return the tasks, by default of all objects, in order of creation."""
        query = f"&eq(object.id,{about})" if about else ""
        return list(self.platform.vendor.pages(f"{self.path}/tasks", f"ordering(id){query}"))

    def next_attempts(self, patience: float = PATIENCE) -> list[str]:
        """Move to the next task that waits and through it; return outcomes, as for attempts."""
        mark = self.mark()
        self.platform.next_attempt(self.timing.quiet, patience)
        return [_failure(each) or SUCCESS for each in self.ends(mark)]

    def ends(self, mark: str) -> list[Json]:
        """Return the ends of tasks since a moment, as entries of the timeline."""
        entries = self.platform.entries("task", mark)
        return [each for each in entries if each["data"]["action"] == "finished"]

    def expected(self, orders: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """Return the orders of which the extension has got a task: it subscribes to them."""
        about = {each["object"]["id"] for each in self.tasks()}
        return {order: statuses for order, statuses in orders.items() if order in about}

    def since(self, mark: str) -> History:
        """Return what has happened after a moment."""
        happened = self.platform.history(mark)
        return TaskHistory(happened.calls, happened.changes, tuple(self.ends(mark)))

    def measure(self) -> tuple[Reply, Effects, History]:
        """Let the runner process one new order, and take the timing of the extension from it."""
        mark, began = self.mark(), time.time()
        self.activate()
        order = self.order()
        self.wait_finished([order])
        happened = self.after(mark, _QUIET)
        self.deactivate()
        effects = self.effects(order, happened, {})
        if happened.calls:
            self.timing = timing.measure(began, 0.0, happened.calls)
        self.timing = replace(self.timing, start=self.start)
        return Reply(0, b"", {}, 0.0), effects, happened


def environment_path(service: str, environment: str) -> str:
    """Return the path of an environment in Connect's API."""
    return f"/public/v1/devops/services/{service}/environments/{environment}"


def is_connected(platform: Platform, path: str) -> bool:
    """Return whether the runner of an environment gets tasks of both kinds."""
    instances = platform.vendor.call("GET", path)["instances"]
    return [each["status"] for each in instances].count("connected") == 2
