"""Deliveries, attempts and events in the admin: read-only, shown as plain text.

They are visible for users who may edit the webhook: staff of its account, superusers, and staff
with Django's permission to change webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import DateTimeField, QuerySet, Value
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from requests_queue import clock
from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage, account_of, user_of
from requests_queue.catalog.admin_show import (
    NOTHING,
    column,
    json_column,
    link_to,
    moment_column,
    pairs,
    text,
)
from requests_queue.safe_text import visible
from webhooks import next_attempt, response_diff
from webhooks.admin.columns import CLEARED, cleared_lines, show_masked
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.states import STATE_LABELS

OFFERED = 50
LARGE = ("request_headers", "request_body", "claims", "response_headers", "response_body")


def _with_now(rows: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Annotate the attempts with the platform time of the query."""
    return rows.annotate(read_at=Value(clock.now(), DateTimeField()))


_TABLE = """<div class="sim-scroll" tabindex="0" role="region" aria-label="Differences">
<table class="sim-difference">
<caption>Differences between the response and the object sent</caption>
<thead><tr><th scope="col">Path</th><th scope="col">Sent</th><th scope="col">Received</th>\
<th scope="col">Result</th></tr></thead>
<tbody>
{}
</tbody></table></div><p class="sim-quiet">{}</p>"""
_ROW = (
    '<tr><th scope="row">{}</th><td data-label="Sent">{}</td><td data-label="Received">{}</td>'
    '<td data-label="Result">{}</td></tr>'
)

STARTED = moment_column("started_at", "started")
CREATED = moment_column("created_at", "created")
STATE = column("state", "state", STATE_LABELS.__getitem__)
AT = moment_column("at", "at")
SENT_HEADERS = column("request_headers", "headers", show_masked)
SENT_BODY = column("request_body", "body", text)
TOKEN = json_column("claims", "token claims")
GOT_HEADERS = column("response_headers", "headers", pairs)
GOT_BODY = column("response_body", "body", text)


@admin.display(description="what follows")
def led_to(row: Any) -> str:
    """Return what followed from the attempt, with the current time of the next one."""
    delivery = row.delivery
    delivery.webhook = row.webhook
    follow_up = next_attempt.after_attempt(row, delivery, row.read_at)
    return visible(follow_up.sentence(row.read_at))


@admin.display(description="sent and received")
def differences(row: Attempt) -> SafeString | str:
    """Return how a validator's response differs from the object sent, or why nothing does."""
    diff = response_diff.build_diff(row)
    if not diff.rows:
        return diff.note
    rows = format_html_join("\n", _ROW, ((_breakable(path), *rest) for path, *rest in diff.rows))
    return format_html(_TABLE, rows, diff.note)


def _breakable(path: str) -> SafeString:
    """Return a path with possible line breaks between its steps."""
    steps = re.split(r"(?=[.\[])", path)
    return format_html_join(mark_safe("<wbr>"), "{}", ((step,) for step in steps))


class WebhookFilter(admin.SimpleListFilter):
    """A filter by webhook: the latest ones, and the selected one."""

    title = parameter_name = "webhook"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """Return the webhooks that the user may see."""
        webhooks = model_admin.admin_site.get_model_admin(Webhook)
        rows = webhooks.get_queryset(request).order_by("-created_at", "pk")
        choices = dict(rows.values_list("pk", "label")[:OFFERED])
        selected = request.GET.get("webhook")
        if selected and selected not in choices:
            choices |= dict(rows.filter(pk=selected).values_list("pk", "label"))
        return [(pk, f"{label} ({pk})") for pk, label in choices.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the selected webhook."""
        return queryset.filter(webhook=self.value()) if self.value() else queryset


class LogAdmin(GuardedAdmin):
    """A read-only list of many rows: without a total count, ordered by primary key only."""

    read_only = True
    vendor_sees = provider_sees = ("webhook__account",)
    show_full_result_count = False
    list_per_page = 50
    list_select_related: ClassVar[Any] = ("webhook",)
    sortable_by = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of webhooks that are not deleted."""
        return super().get_queryset(request).filter(webhook__deleted_at=None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may edit the webhook."""
        if account_of(request) is None and not user_of(request).has_perm("webhooks.change_webhook"):
            return False
        return super().has_view_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the index has a link to the page."""
        return self.has_view_permission(request)

    @admin.display(description="webhook")
    def of_webhook(self, row: Any) -> SafeString:
        return link_to(Webhook, row.webhook_id, str(row.webhook))


class StateFilter(admin.ChoicesFieldListFilter):
    """The states of deliveries, as pages name them."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the links of the filter."""
        for choice in super().choices(changelist):
            shown = str(choice["display"])
            yield {**choice, "display": STATE_LABELS.get(shown, shown)}


class AttemptInline(PartOfPage):
    """The attempts of a delivery."""

    model = Attempt
    read_only = True
    fields: ClassVar[Any] = ("link", "outcome", "status_code", "duration", STARTED, led_to)
    readonly_fields: ClassVar[Any] = fields
    ordering = ("number",)
    verbose_name_plural = "attempts"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Return the attempts without requests and responses."""
        rows: QuerySet[Attempt] = super().get_queryset(request).defer(*LARGE)
        return _with_now(rows).select_related("webhook", "delivery")

    @admin.display(description="attempt")
    def link(self, row: Attempt) -> SafeString:
        """Return a link to the attempt, with its number."""
        return link_to(Attempt, row.pk, f"No. {row.number}")


class EventInline(PartOfPage):
    """The events of a delivery."""

    model = Event
    read_only = True
    fields = readonly_fields = ("what", AT)
    ordering = ("id",)

    @admin.display(description="queue change")
    def what(self, row: Event) -> str:
        """Return the object and its change of status."""
        return str(row)


@admin.register(Delivery)
class DeliveryAdmin(LogAdmin):
    """Deliveries, with their events and attempts."""

    list_display = ("id", "of_webhook", STATE, "attempts", CREATED)
    list_filter = (("state", StateFilter), WebhookFilter)
    search_fields = ("id__exact", "webhook__id__exact", "events__object_id__exact")
    readonly_fields = (
        "of_webhook",
        STATE,
        CREATED,
        moment_column("started_at", "last attempt started"),
        "next_attempt",
        "cleared_backoffs",
    )
    fields = ("id", "of_webhook", STATE, "attempts", *readonly_fields[2:])
    inlines = [EventInline, AttemptInline]

    @admin.display(description="next attempt")
    def next_attempt(self, row: Delivery) -> str:
        """Return when the next attempt is, and why."""
        now = clock.now()
        return next_attempt.of_delivery(row, now).sentence(now) or NOTHING

    @admin.display(description="backoffs cleared meanwhile")
    def cleared_backoffs(self, row: Delivery) -> SafeString | str:
        """Return the backoffs cleared since the first attempt."""
        times = list(row.attempt_set.order_by("number").values_list("finished_at", flat=True))
        if not times:
            return NOTHING
        rows = next_attempt.cleared_backoffs(row.webhook_id, times[0])
        if row.state not in (Delivery.WAITING, Delivery.CALLING):
            rows = rows.filter(at__lte=times[-1])
        return cleared_lines(list(rows[:CLEARED])[::-1])


@admin.register(Attempt)
class AttemptAdmin(LogAdmin):
    """Attempts, with request and response."""

    list_display = (
        "id",
        "of_webhook",
        "of_delivery",
        "outcome",
        "status_code",
        "duration",
        STARTED,
        led_to,
    )
    list_select_related = ("webhook", "delivery")
    list_filter = ("outcome", "truncated", "redacted", WebhookFilter)
    deferred_in_list = LARGE
    search_fields = ("id__exact", "webhook__id__exact", "delivery__id__exact", "url", "error")
    readonly_fields: ClassVar[Any] = (
        "of_webhook",
        "of_delivery",
        STARTED,
        led_to,
        SENT_HEADERS,
        SENT_BODY,
        TOKEN,
        GOT_HEADERS,
        GOT_BODY,
        differences,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Return the attempts, annotated with the current platform time."""
        return _with_now(super().get_queryset(request))

    def get_fieldsets(self, request: HttpRequest, obj: Attempt | None = None) -> Any:
        """Return the sections of the page, with the differences for a validation."""
        general = ("of_webhook", "of_delivery", "outcome", STARTED, "duration", led_to)
        validated = obj is not None and response_diff.is_validation(obj)
        return [
            (None, {"fields": general}),
            *([("Difference", {"fields": [differences]})] if validated else []),
            ("Request", {"fields": ["method", "url", SENT_HEADERS, SENT_BODY, TOKEN]}),
            (
                "Response",
                {
                    "fields": [
                        "status_code",
                        "error",
                        GOT_HEADERS,
                        GOT_BODY,
                        "truncated",
                        "redacted",
                    ]
                },
            ),
        ]

    @admin.display(description="delivery")
    def of_delivery(self, row: Attempt) -> SafeString:
        return link_to(Delivery, row.delivery_id, f"{row.delivery_id}, attempt {row.number}")


@admin.register(Event)
class EventAdmin(LogAdmin):
    """Events, with their object and its change of status."""

    list_display = ("id", "of_webhook", "object_id", "change", AT, "of_delivery")
    list_filter = (WebhookFilter,)
    search_fields = ("id__exact", "webhook__id__exact", "object_id__exact")
    fields = readonly_fields = ("of_webhook", "object_id", "change", AT, "of_delivery")

    @admin.display(description="delivery")
    def of_delivery(self, row: Event) -> SafeString:
        return link_to(Delivery, row.delivery_id, str(row.delivery_id))
