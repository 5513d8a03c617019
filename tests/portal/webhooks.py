"""Helpers for tests of webhook pages: attempts, and going through the wizard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client

from tests import make
from tests.make import AT, Catalog
from webhooks.models import Attempt, Delivery, Webhook

NEW = "/webhooks/new/"
CANARY = "JWT-c0ffee00-canary-never-shown-5ec3e7"
GENERAL = {"label": "Orders", "description": "New orders"}
HTTP = {
    "external_url": "http://127.0.0.1:9/x",
    "http_method": "POST",
    "jwt_secret": CANARY,
    "header_name": ["X-Env", ""],
    "header_value": ["lab", ""],
}


def hook(catalog: Catalog, n: int = 1, **more: Any) -> Webhook:
    """Make a webhook whose secret no page shows."""
    return make.webhook(catalog, n=n, **{"jwt_secret": CANARY, **more})


def attempt(row: Webhook, number: int = 1, **more: Any) -> Attempt:
    """Record an attempt of the webhook's one delivery."""
    delivery = Delivery.objects.filter(webhook=row).first() or Delivery.objects.create(
        webhook=row, state="waiting", created_at=AT, attempts=1
    )
    fields = {
        "outcome": "failure",
        "started_at": AT,
        "finished_at": AT + timedelta(seconds=1),
        "duration": 1000,
        "method": "POST",
        "url": row.external_url,
        "status_code": 500,
        "response_headers": [["X-Evil", "<b>bold</b>"]],
        "response_body": b"<script>alert(1)</script>\x00\xff",
        "why": "Failed (1 of 10).",
        **more,
    }
    return Attempt.objects.create(webhook=row, delivery=delivery, number=number, **fields)


def send(client: Client, path: str, go: str = "next", **fields: Any) -> str:
    """Submit a step; return where it redirects to."""
    response = client.post(path, {**fields, "go": go})
    assert response.status_code == 303, response.content
    return str(response["Location"])


def walk(client: Client, catalog: Catalog, until: str, **changes: Any) -> str:
    """Submit the steps before one of them; return its path."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("general", GENERAL),
        ("product", {"product": catalog.product.pk}),
        ("type", {"kind": "event:fulfillment_request"}),
        ("http", HTTP),
    ]
    path = NEW
    for name, fields in steps:
        if name == until:
            break
        path = send(client, path, **{name: changes.get(name, v) for name, v in fields.items()})
    assert path == NEW or path.endswith(f"/{until}/"), path
    return path


def messages(response: Any) -> str:
    """Return the messages at the top of a page."""
    return " ".join(str(message) for message in response.context["messages"])
