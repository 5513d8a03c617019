"""Where an asset or a configuration is sold, read once for all rows that have it in common.

Joined to each row it would be nine tables more: PostgreSQL needs longer to plan eighteen than to
read them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch

from requests_queue.catalog.models import Connection


def prefetch(route: str = "") -> list[str | Prefetch[Any]]:
    """Return what rows bring along, `asset__` being the way to what is sold."""
    lines = Connection.objects.select_related("provider", "vendor", "hub")
    return [
        f"{route}product",
        Prefetch(f"{route}connection", lines),
        f"{route}marketplace",
        f"{route}contract",
    ]
