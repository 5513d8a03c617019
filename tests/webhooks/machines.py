"""The base of state machines that compare deliveries with a model of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from hypothesis.stateful import RuleBasedStateMachine

from requests_queue.models import Clock
from tests import make

START = make.AT + timedelta(days=30)


class DeliveryMachine(RuleBasedStateMachine):
    """A transaction that is rolled back, with frozen time that each step moves."""

    def __init__(self) -> None:
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()
        Clock.objects.create(pk=1, frozen_at=START)
        self.now: datetime = START

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    def finish(self) -> None:
        """Check the end of a sequence."""

    def tick(self, seconds: float = 1) -> None:
        """Move time: no two steps are at the same one, so that their order is known."""
        self.now += timedelta(seconds=seconds)
        Clock.objects.update(frozen_at=self.now)
