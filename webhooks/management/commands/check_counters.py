"""`manage.py check_counters`: whether every webhook's counters are what its rows add up to."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand

from requests_queue import database_limits
from webhooks import webhook_health


class Command(BaseCommand):
    """Print one line for each counter that is wrong, and exit with 1 if there is any."""

    help = "Compare the counters of all webhooks with their recorded events and calls."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        """Compare."""
        # One statement over all events and attempts.
        with database_limits.lifted():
            found = webhook_health.counter_discrepancies()
        for line in found:
            self.stdout.write(line)
        if found:
            raise SystemExit(1)
