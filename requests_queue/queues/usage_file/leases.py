"""Claims of workers on usage files: taken by a filtered UPDATE, kept by renewing a lease.

When a worker dies, its lease expires and another worker may claim the file. A worker whose
claim is gone gets LostClaim and writes nothing more.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import F, Q

from requests_queue.db.sql import DatabaseTime
from requests_queue.queues.usage_file.models import PROCESSED, PROCESSING, UsageFile

# Seconds until a claim that is not renewed expires.
LEASE = 60.0
# Seconds until the task of a file that no worker has claimed is published again.
GRACE = 10.0


class LostClaim(Exception):
    """Another worker has claimed the file, or it is no longer in processing."""


def to_process() -> dict[str, Any]:
    """Return the columns of a file that a worker shall process."""
    lease = DatabaseTime() + GRACE
    return {"sub_status": PROCESSING, "claim": "", "attempts": 0, "lease": lease}


def claim(pk: str) -> str | None:
    """Claim a file and return the token, None where it is claimed or not in processing."""
    token = uuid.uuid4().hex
    free = Q(claim="") | Q(lease__lt=DatabaseTime())
    taken = UsageFile.objects.filter(
        free, pk=pk, sub_status=PROCESSING, lease__isnull=False
    ).update(claim=token, lease=DatabaseTime() + LEASE, attempts=F("attempts") + 1)
    return token if taken else None


def renew(pk: str, token: str, **progress: Any) -> None:
    """Renew the lease and store the progress; raises LostClaim."""
    _update(pk, token, lease=DatabaseTime() + LEASE, **progress)


def release(pk: str, token: str, **result: Any) -> None:
    """Release a processed file; raises LostClaim."""
    _update(pk, token, sub_status=PROCESSED, claim="", lease=None, attempts=0, **result)


def _update(pk: str, token: str, **columns: Any) -> None:
    held = UsageFile.objects.filter(pk=pk, claim=token, sub_status=PROCESSING)
    if not held.update(**columns):
        raise LostClaim(pk)


def take_expired() -> list[str]:
    """Take the files whose lease has expired and return their ids, each to one caller only."""
    stale = UsageFile.objects.filter(sub_status=PROCESSING, lease__lt=DatabaseTime())
    return [
        pk
        for pk in stale.order_by("lease").values_list("pk", flat=True)[:100]
        if UsageFile.objects.filter(pk=pk, sub_status=PROCESSING, lease__lt=DatabaseTime()).update(
            claim="", lease=DatabaseTime() + GRACE
        )
    ]


def in_progress() -> list[str]:
    """Return the ids of the files that a worker processes or shall process."""
    rows = UsageFile.objects.filter(sub_status=PROCESSING, lease__isnull=False)
    return list(rows.values_list("pk", flat=True))
