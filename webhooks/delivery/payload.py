"""What a handler is told: one dict, from which both the body and the claims are made.

Keys and order are Connect's (the example of its webhooks article). No ORM, no Django.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Wakeup:
    """What the payload of one call says; `object_class` in the form that is to be sent."""

    webhook_id: str
    webhook_name: str
    object_class: str
    account_id: str
    product_id: str
    api_url: str
    triggered_at: datetime
    last_success_at: datetime | None
    last_failure_at: datetime | None
    processing_timeout: int
    data: Mapping[str, Any]


def stamp(moment: datetime) -> str:
    """Return Connect's form of a date: `2026-11-02T10:00:00+00:00`, whole seconds."""
    return moment.replace(microsecond=0).isoformat()


def build(wakeup: Wakeup) -> dict[str, Any]:
    """Return the payload of a call."""
    return {
        "webhook_id": wakeup.webhook_id,
        "webhook_name": wakeup.webhook_name,
        "object_class": wakeup.object_class,
        "account_id": wakeup.account_id,
        "product_id": wakeup.product_id,
        "api_url": wakeup.api_url,
        "triggered_at": stamp(wakeup.triggered_at),
        "last_success_at": wakeup.last_success_at and stamp(wakeup.last_success_at),
        "last_failure_at": wakeup.last_failure_at and stamp(wakeup.last_failure_at),
        "processing_timeout": wakeup.processing_timeout,
        "data": wakeup.data,
    }


def claims(payload: Mapping[str, Any], triggered_at: datetime) -> dict[str, Any]:
    """Return the claims of the token: the payload, and when it stops being valid.

    `exp` is `triggered_at` + `processing_timeout`, in seconds since 1970. There is no `iat`:
    Connect sends none, and PyJWT-based handlers refuse one that a moved clock puts ahead.
    """
    valid = timedelta(seconds=payload["processing_timeout"])
    return {**payload, "exp": int((triggered_at.replace(microsecond=0) + valid).timestamp())}


def ordered(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored claims in Connect's order, `exp` last: PostgreSQL's JSON keeps none."""
    return {f.name: claims[f.name] for f in fields(Wakeup) if f.name in claims} | dict(claims)


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the body of a POST."""
    return json.dumps(payload, ensure_ascii=False).encode()
