"""A runner of an extension in this process: it claims tasks and ends them, without a connection."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from extensions import actions, dispatch
from extensions.definitions import BACKGROUND
from extensions.messages import Result, Setup
from extensions.models import Environment, Instance, Task
from requests_queue.catalog.models import Account

PURCHASE = "asset_purchase_request_processing"


@dataclass
class Runner:
    """A connected runner that subscribes to purchases."""

    instance: Instance
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def environment(self) -> Environment:
        return self.instance.environment

    def connect(self) -> None:
        dispatch.connect(self.instance, self.token, "43.1")

    def disconnect(self) -> None:
        dispatch.disconnect(self.instance, self.token)

    def claim(self) -> list[Task]:
        return dispatch.claim(self.instance, 100)

    def end(self, task: Task, result: str = "success", **more: Any) -> None:
        """Send a result, as the runner does that was sent this claim."""
        answer = Result(task.pk, result, claim_id=dispatch.claim_id(task), **more)
        dispatch.record(self.instance, [answer])


def runner(vendor: Account, kind: str = BACKGROUND) -> Runner:
    """Make an extension for all products of a vendor, and connect a runner."""
    environment = actions.create(vendor, "Extension", actions.products_of(vendor))
    made = Runner(actions.instance(environment, "runner", kind))
    made.connect()
    actions.set_up(made.instance, Setup({PURCHASE: ["pending"]}))
    return made
