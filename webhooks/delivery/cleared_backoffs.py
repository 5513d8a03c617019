"""What ended the backoffs of a webhook, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import QuerySet

from webhooks.models import ClearedBackoff, Webhook

_BY_PERSON: Mapping[str, str] = {
    ClearedBackoff.EDITED: "edited by",
    ClearedBackoff.DISABLED: "disabled by",
}


def of(webhook: Webhook | str, since: datetime | None = None) -> QuerySet[ClearedBackoff]:
    """Return what ended backoffs of a webhook, the latest first, with what is shown of each."""
    rows = ClearedBackoff.objects.filter(webhook=webhook).select_related("user", "attempt")
    if since is not None:
        rows = rows.filter(at__gte=since)
    shown = ("webhook", "at", "cause", "detail", "failures", "was_out_of_order",
             "user__username", "user__first_name", "user__last_name",
             "attempt__number", "attempt__delivery")  # fmt: skip
    return rows.only(*shown).order_by("-at", "-pk")


def told(row: ClearedBackoff) -> str:
    """Return what ended the backoff: `Backoff cleared: edited by Ada Ray (endpoint URL).`"""
    what = "Recovered" if row.was_out_of_order else "Backoff cleared"
    if row.cause == ClearedBackoff.RECOVERED:
        return f"Recovered by {_who(row)}."
    if row.cause in _BY_PERSON:
        detail = f" ({row.detail})" if row.detail and row.cause == ClearedBackoff.EDITED else ""
        return f"{what}: {_BY_PERSON[row.cause]} {_who(row)}{detail}."
    which = (
        f"attempt {row.attempt.number} of delivery {row.attempt.delivery_id}"
        if row.attempt
        else "an attempt that is no longer stored"
    )
    if row.cause == ClearedBackoff.TRIGGERED:
        return f"{what}: Trigger now succeeded ({which})."
    return f"Backoff ended: {which} succeeded."


def _who(row: ClearedBackoff) -> str:
    return row.user.name if row.user else "the platform"
