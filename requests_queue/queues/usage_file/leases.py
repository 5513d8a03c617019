"""Which worker has to do with a file: claimed by a filtered UPDATE, kept by a lease.

A worker that dies loses its claim when the lease runs out; one that comes back late finds that
it has none, and writes nothing more.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import F, Q

from requests_queue.database_time import DatabaseTime
from requests_queue.queues.usage_file.models import PROCESSED, PROCESSING, UsageFile

LEASE = 60.0
# How long a message may take before a file that nobody has claimed is told of again.
GRACE = 10.0


class LostClaim(Exception):
    """Somebody else has the file by now, or nobody has to do with it any more."""


def wanted() -> dict[str, Any]:
    """Return the columns that make a file some worker's business."""
    lease = DatabaseTime() + GRACE
    return {"sub_status": PROCESSING, "claim": "", "attempts": 0, "lease": lease}


def take(pk: str) -> str | None:
    """Claim a file and return the token, or None where there is nothing to claim."""
    token = uuid.uuid4().hex
    free = Q(claim="") | Q(lease__lt=DatabaseTime())
    taken = UsageFile.objects.filter(
        free, pk=pk, sub_status=PROCESSING, lease__isnull=False
    ).update(claim=token, lease=DatabaseTime() + LEASE, attempts=F("attempts") + 1)
    return token if taken else None


def keep(pk: str, token: str, **progress: Any) -> None:
    """Renew the lease and show the progress; raises LostClaim."""
    kept = UsageFile.objects.filter(pk=pk, claim=token, sub_status=PROCESSING).update(
        lease=DatabaseTime() + LEASE, **progress
    )
    if not kept:
        raise LostClaim(pk)


def release(pk: str, token: str, **result: Any) -> None:
    """Give the file back, done; raises LostClaim."""
    done = UsageFile.objects.filter(pk=pk, claim=token, sub_status=PROCESSING).update(
        sub_status=PROCESSED, claim="", lease=None, attempts=0, **result
    )
    if not done:
        raise LostClaim(pk)


def lost() -> list[str]:
    """Return the files whose lease has run out, each for one caller: to be told of again."""
    stale = UsageFile.objects.filter(sub_status=PROCESSING, lease__lt=DatabaseTime())
    return [
        pk
        for pk in stale.order_by("lease").values_list("pk", flat=True)[:100]
        if UsageFile.objects.filter(
            pk=pk, sub_status=PROCESSING, lease__lt=DatabaseTime()
        ).update(claim="", lease=DatabaseTime() + GRACE)
    ]  # fmt: skip


def under_way() -> list[str]:
    """Return the files that a worker has to do with, or shall have."""
    rows = UsageFile.objects.filter(sub_status=PROCESSING, lease__isnull=False)
    return list(rows.values_list("pk", flat=True))
