"""`manage.py check_counters`: compare the counters of webhooks with their recorded rows."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand

from requests_queue.db import database_limits
from webhooks import webhook_health


class Command(BaseCommand):
    """Print a line for each wrong counter, and exit with 1 if there is any."""

    help = "Compare the counters of all webhooks with their recorded events and attempts."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        """Run the comparison."""
        # One statement that reads all events and attempts.
        with database_limits.lifted():
            lines = webhook_health.counter_discrepancies()
        for line in lines:
            self.stdout.write(line)
        if lines:
            raise SystemExit(1)
