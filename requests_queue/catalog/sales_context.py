"""The product, connection, marketplace and contract of assets and configurations.

Prefetched rather than joined: nine more joined tables would take PostgreSQL longer to plan than to
read.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch

from requests_queue.catalog.models import Connection


def prefetch(route: str = "") -> list[str | Prefetch[Any]]:
    """Return the prefetches; `route` leads to the asset or configuration, `asset__`."""
    lines = Connection.objects.select_related("provider", "vendor", "hub")
    return [
        f"{route}product",
        Prefetch(f"{route}connection", lines),
        f"{route}marketplace",
        f"{route}contract",
    ]
