"""Billing periods, in calendar months."""

from __future__ import annotations

from calendar import monthrange
from typing import Any

Json = dict[str, Any]

_MONTHS = {"monthly": 1, "yearly": 12, **{f"years_{n}": 12 * n for n in range(2, 7)}}


def next_period(asset: Json, kind: str) -> Json:
    """Return the first period of a subscription without a billing request of a type.

    `asset` is that of `/subscriptions/assets/{id}`. Raises ValueError if it is not billed by the
    period.
    """
    billing = asset.get("billing") or {}
    if not billing.get("next_date"):
        raise ValueError(
            f"{asset['id']} has no billing period: it is not active, or has no item that is "
            "billed by the period. Name a period: from, to, delta, uom."
        )
    delta, uom = billing["period"]["delta"], billing["period"]["uom"]
    months = round(delta * _MONTHS[uom])
    last = ((billing.get("stats") or {}).get(kind) or {}).get("last_request") or {}
    if last:
        start = str(last["period"]["to"])
        end = add_months(start, months)
    else:
        end = str(billing["next_date"])
        start = add_months(end, -months)
    return {"from": start, "to": end, "delta": delta, "uom": uom}


def add_months(moment: str, months: int) -> str:
    """Return the same time so many months later, on the last day of a shorter month."""
    year, month = divmod(int(moment[:4]) * 12 + int(moment[5:7]) - 1 + months, 12)
    day = min(int(moment[8:10]), monthrange(year, month + 1)[1])
    return f"{year:04d}-{month + 1:02d}-{day:02d}{moment[10:]}"
