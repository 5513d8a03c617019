"""Rows of deliveries, created without an engine, and the ids that the log shows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from tests.make import AT
from webhooks.delivery.request import build_claims, encode_payload, format_timestamp
from webhooks.models import Attempt, Delivery, Event, Webhook

CLAIMS = build_claims(
    {
        "webhook_id": "WH-000-000-001", "webhook_name": "Hook 1",
        "object_class": "fulfillment_requests", "account_id": "VA-111-111",
        "product_id": "PRD-111-111-111", "api_url": "http://127.0.0.1/public/v1",
        "triggered_at": format_timestamp(AT), "last_success_at": None, "last_failure_at": None,
        "processing_timeout": 600, "data": {},
    },
    AT,
)  # fmt: skip


def delivery(hook: Webhook, *object_ids: str, state: str = "delivered", **more: Any) -> Delivery:
    """Make a delivery, with an event for each object (none: Trigger now)."""
    row = Delivery.objects.create(webhook=hook, state=state, **{"created_at": AT, **more})
    for pk in object_ids or ("",):
        statuses = {"status_from": "", "status_to": "pending"} if pk else {}
        Event.objects.create(webhook=hook, delivery=row, object_id=pk, at=AT, **statuses)
    return row


def attempt(row: Delivery, outcome: str = "success", **more: Any) -> Attempt:
    """Add an attempt to a delivery."""
    number = row.attempts + 1
    began = AT + timedelta(minutes=5 * row.attempts)
    payload = {k: v for k, v in CLAIMS.items() if k != "exp"}
    fields = {
        "status_code": 200 if outcome == "success" else 500,
        "method": "POST",
        "url": row.webhook.external_url,
        "claims": CLAIMS,
        "started_at": began,
        "finished_at": began + timedelta(milliseconds=7),
        "duration": 7,
        "revision": 0,
        "request_headers": {"Content-Type": "application/json", "Authorization": "Bearer (…)"},
        "request_body": encode_payload(payload).decode(),
        "response_body": b'{"ok": true}',
        "response_headers": [["Content-Type", "application/json"]],
        "why": "Delivered.",
        **more,
    }
    created = Attempt.objects.create(
        webhook=row.webhook, delivery=row, number=number, outcome=outcome, **fields
    )
    row.attempts = number
    row.save(update_fields=["attempts"])
    return created


def attempt_at(hook: Webhook, at: datetime, outcome: str = "success", **more: Any) -> Attempt:
    """Add a pending delivery with one attempt at this time."""
    row = delivery(hook, state="waiting", created_at=at)
    return attempt(row, outcome, started_at=at, finished_at=at, **more)


def ids(client: Client, query: str = "") -> list[int]:
    """Return the ids of the deliveries in the log."""
    response = client.get(f"/deliveries/{query}")
    assert response.status_code == 200
    return [row.pk for row in response.context["log"].rows]
