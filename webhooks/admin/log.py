"""Deliveries, attempts and events in the admin: read-only, shown as plain text.

They are visible for users who may edit the webhook: staff of its account, superusers, and staff
with Django's permission to change webhooks.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import DateTimeField, QuerySet, Value
from django.http import HttpRequest
from django.utils.safestring import SafeString

from requests_queue import clock
from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage, account_of, user_of
from requests_queue.catalog.admin_show import NOTHING, as_json, link_to, moment, pairs, text
from requests_queue.safe_text import visible
from webhooks.admin import differences
from webhooks.admin.columns import CLEARED, cleared_lines
from webhooks.delivery import next_attempt, response_diff
from webhooks.http.headers import masked
from webhooks.models import Attempt, Delivery, Event, Webhook

OFFERED = 50
LARGE = ("request_headers", "request_body", "claims", "response_headers", "response_body")


def _with_now(rows: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Annotate the attempts with the platform time of the query."""
    return rows.annotate(read_at=Value(clock.now(), DateTimeField()))


def _led_to(row: Any) -> str:
    delivery = row.delivery
    delivery.webhook = row.webhook
    follow_up = next_attempt.after_attempt(row, delivery, row.read_at)
    return visible(follow_up.sentence(row.read_at))


class WebhookFilter(admin.SimpleListFilter):
    """A filter by webhook: the latest ones, and the selected one."""

    title = parameter_name = "webhook"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """Return the webhooks that the user may see."""
        rows = Webhook.objects.order_by("-created_at", "pk")
        account = account_of(request)
        if account is not None:
            rows = rows.filter(account=account)
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
        """Return a link to the webhook."""
        return link_to(Webhook, row.webhook_id, str(row.webhook))


class AttemptInline(PartOfPage):
    """The attempts of a delivery."""

    model = Attempt
    read_only = True
    fields = readonly_fields = ("link", "outcome", "status_code", "duration", "started", "led_to")
    ordering = ("number",)
    can_delete = False
    verbose_name_plural = "attempts"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Return the attempts without requests and responses."""
        rows: QuerySet[Attempt] = super().get_queryset(request).defer(*LARGE)
        return _with_now(rows).select_related("webhook", "delivery")

    @admin.display(description="what follows")
    def led_to(self, row: Attempt) -> str:
        """Return what followed from the attempt, with the current time of the next one."""
        return _led_to(row)

    @admin.display(description="attempt")
    def link(self, row: Attempt) -> SafeString:
        """Return a link to the attempt, with its number."""
        return link_to(Attempt, row.pk, f"No. {row.number}")

    @admin.display(description="started")
    def started(self, row: Attempt) -> str:
        """Return when the attempt started."""
        return moment(row.started_at)


class EventInline(PartOfPage):
    """The events of a delivery."""

    model = Event
    read_only = True
    fields = readonly_fields = ("what", "when")
    ordering = ("id",)
    can_delete = False

    @admin.display(description="queue change")
    def what(self, row: Event) -> str:
        """Return the object and its change of status."""
        return str(row)

    @admin.display(description="at")
    def when(self, row: Event) -> str:
        """Return the time of the event."""
        return moment(row.at)


@admin.register(Delivery)
class DeliveryAdmin(LogAdmin):
    """Deliveries, with their events and attempts."""

    list_display = ("id", "of_webhook", "state", "attempts", "created")
    list_filter = ("state", WebhookFilter)
    search_fields = ("id__exact", "webhook__id__exact", "events__object_id__exact")
    fields = ("id", "of_webhook", "state", "attempts", "created", "started", "next_attempt",
              "cleared_backoffs")  # fmt: skip
    readonly_fields = ("of_webhook", "created", "started", "next_attempt", "cleared_backoffs")
    inlines = [EventInline, AttemptInline]

    @admin.display(description="created")
    def created(self, row: Delivery) -> str:
        """Return when it was created."""
        return moment(row.created_at)

    @admin.display(description="last attempt started")
    def started(self, row: Delivery) -> str:
        """Return when its last attempt started."""
        return moment(row.started_at)

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

    list_display = ("id", "of_webhook", "of_delivery", "outcome", "status_code", "duration",
                    "started", "led_to")  # fmt: skip
    list_select_related = ("webhook", "delivery")
    list_filter = ("outcome", "truncated", WebhookFilter)
    search_fields = ("id__exact", "webhook__id__exact", "delivery__id__exact", "url", "error")
    readonly_fields = ("of_webhook", "of_delivery", "started", "led_to", "sent_headers",
                       "sent_body", "token", "got_headers", "got_body", "differs")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Return the attempts, annotated with the current platform time."""
        return _with_now(super().get_queryset(request))

    def get_fieldsets(self, request: HttpRequest, obj: Attempt | None = None) -> Any:
        """Return the sections of the page, with the differences for a validation."""
        about = ("of_webhook", "of_delivery", "outcome", "started", "duration", "led_to")
        validated = obj is not None and response_diff.is_validation(obj)
        return [
            (None, {"fields": about}),
            *([("Difference", {"fields": ["differs"]})] if validated else []),
            ("Request", {"fields": ["method", "url", "sent_headers", "sent_body", "token"]}),
            (
                "Response",
                {"fields": ["status_code", "error", "got_headers", "got_body", "truncated"]},
            ),
        ]

    def deferred_in_list(self) -> tuple[str, ...]:
        """Return the large columns, which the list does not show."""
        return LARGE

    @admin.display(description="what follows")
    def led_to(self, row: Attempt) -> str:
        """Return what followed from the attempt, with the current time of the next one."""
        return _led_to(row)

    @admin.display(description="delivery")
    def of_delivery(self, row: Attempt) -> SafeString:
        """Return a link to the delivery."""
        return link_to(Delivery, row.delivery_id, f"{row.delivery_id}, attempt {row.number}")

    @admin.display(description="started")
    def started(self, row: Attempt) -> str:
        """Return when the attempt started."""
        return moment(row.started_at)

    @admin.display(description="headers")
    def sent_headers(self, row: Attempt) -> SafeString | str:
        """Return the request headers, without the token and with masked custom values."""
        return pairs(masked(row.request_headers).items())

    @admin.display(description="body")
    def sent_body(self, row: Attempt) -> SafeString | str:
        """Return the request body."""
        return text(row.request_body)

    @admin.display(description="token claims")
    def token(self, row: Attempt) -> SafeString | str:
        """Return the claims of the token."""
        return as_json(row.claims)

    @admin.display(description="sent and received")
    def differs(self, row: Attempt) -> SafeString | str:
        """Return how a validator's response differs from the object sent."""
        return differences.show(row)

    @admin.display(description="headers")
    def got_headers(self, row: Attempt) -> SafeString | str:
        """Return the response headers."""
        return pairs((name, value) for name, value in row.response_headers)

    @admin.display(description="body")
    def got_body(self, row: Attempt) -> SafeString | str:
        """Return the response body as text."""
        return text(row.response_body)


@admin.register(Event)
class EventAdmin(LogAdmin):
    """Events, with their object and its change of status."""

    list_display = ("id", "of_webhook", "object_id", "change", "when", "of_delivery")
    list_filter = (WebhookFilter,)
    search_fields = ("id__exact", "webhook__id__exact", "object_id__exact")
    fields = readonly_fields = ("of_webhook", "object_id", "change", "when", "of_delivery")

    @admin.display(description="at")
    def when(self, row: Event) -> str:
        """Return the time of the event."""
        return moment(row.at)

    @admin.display(description="delivery")
    def of_delivery(self, row: Event) -> SafeString:
        """Return a link to the delivery."""
        return link_to(Delivery, row.delivery_id, str(row.delivery_id))
