"""Computed columns of a webhook in the admin: health, masked secret, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from requests_queue import clock
from requests_queue.catalog.admin_show import NOTHING, column, link, moment, pairs
from requests_queue.safe_text import visible
from webhooks import next_attempt, types
from webhooks.delivery.request import is_short_secret, mask_secret
from webhooks.http.headers import masked
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

CLEARED = 5  # cleared backoffs that are shown


@admin.display(description="name", ordering="label")
def name_and_id(row: Webhook) -> SafeString:
    """Return the name, and the identifier below it."""
    return format_html('{}<br><span class="sim-id">{}</span>', row.label, row.pk)


@admin.display(description="type", ordering="type")
def type_label(row: Webhook) -> str:
    return types.label(row.type, row.object_class)


@admin.display(description="product", ordering="product")
def product(row: Webhook) -> SafeString:
    """Return the product's name, and its identifier below it."""
    return format_html('{}<br><span class="sim-id">{}</span>', row.product.name, row.product_id)


@admin.display(description="type")
def full_type(row: Webhook) -> SafeString:
    """Return the label of the type, with the API's names below it."""
    return format_html(
        '{}<br><span class="sim-id">type {}, object class {}</span>',
        type_label(row),
        row.type,
        row.object_class,
    )


# With the labels of Connect's page.
COUNTERS: tuple[Any, ...] = tuple(
    column(name, label, int, ordering=name)
    for name, label in (
        ("events", "Events"),
        ("triggers", "Triggers"),
        ("success_triggers", "Success responses"),
        ("failure_triggers", "Failure responses"),
        ("failure_since_last_success", "Failures since last success"),
    )
)


# Ordered by the end of the backoff (`next_attempt.backoff_end`).
@admin.display(description="health", ordering="next_attempt_at")
def health(row: Webhook) -> SafeString | str:
    """Return whether the webhook is out of order, backing off or healthy."""
    if row.out_of_order:
        return format_html('<span class="sim-bad">{}</span>', "out of order")
    if row.round:
        return f"backing off, failed {row.round} of {settings.SIM_FAILURE_LIMIT}"
    return "healthy"


@admin.display(description="JWT secret")
def masked_secret(row: Webhook) -> SafeString | str:
    """Return the masked secret, with a hint if it is short."""
    if not row.jwt_secret:
        return "The secret cannot be decrypted with this SIM_ENCRYPTION_KEY: save a new one."
    hint = (
        " Shorter than the 32 bytes recommended for HS256."
        if is_short_secret(row.jwt_secret)
        else ""
    )
    return format_html(
        '<code>{}</code><span class="sim-quiet">{}</span>', mask_secret(row.jwt_secret), hint
    )


def show_masked(headers: Mapping[str, str]) -> SafeString | str:
    """Return headers with masked values."""
    return pairs(masked(headers).items())


@admin.display(description="next trigger")
def next_trigger(row: Webhook) -> str:
    """Return when the next attempt is, and why."""
    now = clock.now()
    pending = row.deliveries.filter(state=Delivery.WAITING).count()
    return next_attempt.of_webhook(row, now, pending=pending).sentence(now)


@admin.display(description="cleared backoffs")
def cleared_backoffs(row: Webhook) -> SafeString | str:
    """Return the latest cleared backoffs, the latest first."""
    return cleared_lines(next_attempt.cleared_backoffs(row)[:CLEARED])


def cleared_lines(rows: Iterable[ClearedBackoff]) -> SafeString | str:
    """Return when backoffs were cleared and why, one per line."""
    lines = ((moment(one.at), visible(next_attempt.describe_cleared(one))) for one in rows)
    return format_html_join(SafeString("<br>"), "{} {}", lines) or NOTHING


def _attempt(row: Attempt | None) -> SafeString | str:
    if row is None:
        return NOTHING
    status = "no response" if row.status_code is None else str(row.status_code)
    return link(row, f"{moment(row.finished_at)} ({status})")


identifier = column("pk", "ID", str)
# For users who may not change them.
masked_headers = column("headers", "headers", show_masked)
last_event = column("last_event", "last event", moment, ordering="last_event")
last_success = column("last_success", "last success", _attempt, ordering="last_success")
last_failure = column("last_failure", "last failure", _attempt, ordering="last_failure")


@admin.display(description="log")
def log(row: Webhook) -> SafeString:
    """Return links to the webhook's deliveries, attempts and events."""
    links = (
        (f"{reverse(f'admin:webhooks_{model._meta.model_name}_changelist')}?webhook={row.pk}", name)
        for model, name in ((Delivery, "deliveries"), (Attempt, "attempts"), (Event, "events"))
    )
    return format_html_join(", ", '<a href="{}">{}</a>', links)


@admin.display(description="created")
def created(row: Webhook) -> str:
    """Return when it was created, and by whom."""
    return _time_and_user(row.created_at, row.created_by)


@admin.display(description="modified")
def modified(row: Webhook) -> str:
    """Return when it was last changed, and by whom."""
    return _time_and_user(row.modified_at, row.modified_by)


def _time_and_user(time: datetime | None, user: Any) -> str:
    return NOTHING if time is None else f"{moment(time)} by {user or 'the platform'}"


# The read-only sections of a webhook's page; the statistics are in two rows, as in Connect.
FACTS: list[tuple[str, Any]] = [
    (
        "Statistics",
        {
            "fields": [
                health,
                COUNTERS,
                (last_event, last_success, last_failure),
                next_trigger,
                cleared_backoffs,
                log,
            ]
        },
    ),
    (
        "Fixed at creation",
        {"fields": [identifier, "account", "product", full_type, created, modified]},
    ),
]
SHOWN = (
    identifier,
    "account",
    "product",
    full_type,
    masked_secret,
    masked_headers,
    health,
    *COUNTERS,
    last_event,
    next_trigger,
    last_success,
    last_failure,
    cleared_backoffs,
    log,
    created,
    modified,
)
